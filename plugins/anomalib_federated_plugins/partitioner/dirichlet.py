"""Label skew: sites make the same categories, but in different proportions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomalib_federated.interfaces.partitioner import Partitioner, TrainingImage

ALPHA = (1e-3, 1e6)
"""Range of alpha; beyond it, sites hold whole categories or equal shares, as at its ends."""


class DirichletPartitioner(Partitioner):
    """Shares each category out in proportions that are drawn from a symmetric Dirichlet distribution.

    Args:
        sites: Number of sites, at least 1.
        alpha: Concentration, in [0.001, 1e6]. Near 0 each category is at few sites; at 100 all sites are much alike.
        min_images: Images that each site gets at the least, of whatever category. Sites with fewer get some of the
            largest site, so many sites at a small ``alpha`` are skewed less than the distribution alone would have it.

    Notes:
        The proportions of Yurochkin et al. 2019, *Bayesian Nonparametric Federated Learning of Neural Networks*,
        https://arxiv.org/abs/1905.12022, which Li et al. 2021, https://arxiv.org/abs/2102.02079, made customary.

    Example:
        >>> images = [TrainingImage(c, f"{c}/train/good/{i}.png") for c in ("nut", "screw") for i in range(10)]
        >>> parts = DirichletPartitioner(sites=2, alpha=1e6).partition(images)
        >>> {site: len(held) for site, held in parts.items()}
        {'site_1': 10, 'site_2': 10}
    """

    def __init__(self, *, sites: int = 5, alpha: float = 0.5, min_images: int = 1) -> None:
        if sites < 1 or min_images < 1 or not ALPHA[0] <= alpha <= ALPHA[1]:
            msg = (
                f"The dirichlet partitioner got sites={sites}, alpha={alpha}, min_images={min_images}; give at least 1 "
                f"site, an alpha in [{ALPHA[0]:g}, {ALPHA[1]:g}], and at least 1 image per site."
            )
            raise ValueError(msg)
        self.sites = sites
        self.alpha = alpha
        self.min_images = min_images

    def partition(self, images: Sequence[TrainingImage], *, seed: int = 0) -> dict[str, list[int]]:
        """Share the images out; sites are named ``site_1`` and so on."""
        if not images or len(images) < self.sites * self.min_images:
            msg = (
                f"{len(images)} training images cannot be shared among {self.sites} sites with at least "
                f"{self.min_images} each; ask for fewer sites."
            )
            raise ValueError(msg)
        generator = np.random.default_rng(seed)
        order = sorted(range(len(images)), key=lambda i: images[i])
        shares: list[list[int]] = [[] for _ in range(self.sites)]
        for category in sorted({image.category for image in images}):
            shuffled = generator.permutation([i for i in order if images[i].category == category])
            ends = np.rint(np.cumsum(generator.dirichlet([self.alpha] * self.sites)) * len(shuffled)).astype(int)
            for share, part in zip(shares, np.split(shuffled, ends[:-1]), strict=True):
                share.extend(part.tolist())
        self._fill_up(shares, generator)
        return {f"site_{number}": sorted(share) for number, share in enumerate(shares, start=1)}

    def _fill_up(self, shares: list[list[int]], generator: np.random.Generator) -> None:
        """Move random images of the largest share to those that are too small, one at a time."""
        for share in shares:
            while len(share) < self.min_images:
                largest = max(shares, key=len)
                share.append(largest.pop(int(generator.integers(len(largest)))))
