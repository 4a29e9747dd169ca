"""The patch features of a training set, gathered batch by batch and turned into a memory bank."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from anomalib_federated.bank import Contribution, FeatureSpace, MemoryBank
from anomalib_federated.interfaces.coreset import Coreset
from anomalib_federated.models.patch_features import patch_rows

logger = logging.getLogger(__name__)


class PatchCollection:
    """Patch features per category.

    Args:
        space: Feature space of all that is added.
    """

    def __init__(self, space: FeatureSpace) -> None:
        self.space = space
        self._rows: dict[str, list[Tensor]] = {}
        self._images: dict[str, int] = {}

    def add(self, embedding: Tensor, categories: Sequence[str]) -> None:
        """Add a batch.

        Args:
            embedding: Patch features, shape ``(batch, d, rows, columns)``.
            categories: Category of each picture.

        Raises:
            ValueError: If a feature is not finite; the error names the picture.
        """
        for position, category in enumerate(categories):
            rows = patch_rows(embedding[position : position + 1])
            images = self._images.get(category, 0)
            if not bool(torch.isfinite(rows).all()):
                msg = f"Training picture {images} of category '{category}' gives NaN or infinite features."
                raise ValueError(msg)
            self._rows.setdefault(category, []).append(rows)
            self._images[category] = images + 1

    @property
    def categories(self) -> list[str]:
        """Names of the categories seen, in alphabetical order."""
        return sorted(self._rows)

    def features(self, category: str) -> Tensor:
        """All patches of a category, shape ``(n, d)``, in the order of arrival."""
        if len(self._rows[category]) > 1:
            self._rows[category] = [torch.cat(self._rows[category])]
        return self._rows[category][0]

    def build_bank(
        self, coreset: Coreset, *, method: str, site: str, seed: int, dtype: torch.dtype = torch.float32
    ) -> MemoryBank:
        """Select each category's rows.

        Args:
            coreset: Chooses the rows.
            method: Name of the coreset, for the record.
            site: Name of the site, for the record.
            seed: Decides every random choice.
            dtype: float32 or float16.

        Returns:
            The bank, with the covering radius that each selection measured.

        Raises:
            ValueError: If nothing was collected.
        """
        if not self._rows:
            msg = f"Site '{site}' has no training picture, so there is nothing to build a memory bank from."
            raise ValueError(msg)
        return MemoryBank.merge(
            self._build_category(category, coreset, method=method, site=site, seed=seed).to(dtype)
            for category in self.categories
        )

    def _build_category(self, category: str, coreset: Coreset, *, method: str, site: str, seed: int) -> MemoryBank:
        features = self.features(category)
        began = time.perf_counter()
        selection = coreset.select(features, seed=seed)
        count, images = len(selection.indices), self._images[category]
        logger.info(
            "%s, %s: %d images, %d patches, %d rows by %s, covering radius %.4g, %.1f s",
            site, category, images, len(features), count, method, selection.radius, time.perf_counter() - began,
        )  # fmt: skip
        return MemoryBank(
            features=features[selection.indices.to(features.device)].cpu(),
            row_category=torch.zeros(count, dtype=torch.int32),
            row_site=torch.zeros(count, dtype=torch.int32),
            weights=selection.weights,
            categories=(category,),
            sites=(site,),
            space=self.space,
            contributions=(
                Contribution(
                    site=site,
                    category=category,
                    images=images,
                    patches=len(features),
                    coreset=method,
                    covering_radius=selection.radius,
                ),
            ),
            coresets={category: method},
            covering_radius={category: selection.radius},
        )
