"""Identical sites: every site gets an equal random share of every category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomalib_federated.interfaces.partitioner import Partitioner, TrainingImage


class IIDPartitioner(Partitioner):
    """Deals the shuffled images of each category out in turn.

    Args:
        sites: Number of sites, at least 1.

    Example:
        >>> images = [TrainingImage("screw", f"{i}.png") for i in range(4)]
        >>> sorted(map(len, IIDPartitioner(sites=2).partition(images).values()))
        [2, 2]
    """

    def __init__(self, *, sites: int = 5) -> None:
        if sites < 1:
            msg = f"The iid partitioner was asked for {sites} sites; give at least 1."
            raise ValueError(msg)
        self.sites = sites

    def partition(self, images: Sequence[TrainingImage], *, seed: int = 0) -> dict[str, list[int]]:
        """Share the images out; sites are named ``site_1`` and so on."""
        if len(images) < self.sites:
            msg = f"{len(images)} training images cannot be shared among {self.sites} sites; ask for fewer sites."
            raise ValueError(msg)
        generator = np.random.default_rng(seed)
        order = sorted(range(len(images)), key=lambda i: images[i])
        shares: list[list[int]] = [[] for _ in range(self.sites)]
        dealt = 0
        for category in sorted({image.category for image in images}):
            # The deal goes on where the last category ended, so that small categories do not all favour the first site.
            for position in generator.permutation([i for i in order if images[i].category == category]):
                shares[dealt % self.sites].append(int(position))
                dealt += 1
        return {f"site_{number}": sorted(share) for number, share in enumerate(shares, start=1)}
