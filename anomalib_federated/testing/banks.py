"""Small valid memory banks to try things on."""

from __future__ import annotations

import numpy as np
import torch

from anomalib_federated.bank import Contribution, FeatureSpace, MemoryBank


def example_bank(
    *,
    rows: int = 16,
    dim: int = 8,
    site: str = "plant-a",
    category: str = "screw",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    offset: float = 0.0,
) -> MemoryBank:
    """A valid bank of one site and one category, with normally distributed features.

    Args:
        rows: Number of rows, at least 1.
        dim: Number of feature dimensions, at least 1.
        site: Name of the site.
        category: Name of the category.
        seed: Decides features and weights; banks of equal arguments are equal.
        dtype: float32 or float16.
        offset: Added to every feature, to set a site apart from the others.

    Example:
        >>> example_bank(rows=4, category="nut").features.shape
        torch.Size([4, 8])
    """
    generator = np.random.default_rng(seed)
    features = torch.from_numpy(generator.standard_normal((rows, dim)) + offset).to(dtype)
    weights = torch.from_numpy(generator.integers(1, 10, rows)).float()
    radius = 0.5
    return MemoryBank(
        features=features,
        row_category=torch.zeros(rows, dtype=torch.int32),
        row_site=torch.zeros(rows, dtype=torch.int32),
        weights=weights,
        categories=(category,),
        sites=(site,),
        space=_space(dim),
        contributions=(
            Contribution(
                site=site,
                category=category,
                images=rows,
                patches=int(weights.sum()),
                rows=rows,
                coreset="example",
                covering_radius=radius,
                mean_distance=radius / 2,
                passes=1,
                seconds=0.25,
            ),
        ),
        coresets={category: "example"},
        covering_radius={category: radius},
    )


def _space(dim: int) -> FeatureSpace:
    return FeatureSpace(
        backbone="example",
        weights="0" * 64,
        layers=("layer",),
        layer_scales=(1.0,),
        image_size=(64, 64),
        keep_aspect_ratio=False,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        pooling=3,
        dim=dim,
    )
