"""Pictures of several categories with every defect channel of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anomalib.data.datasets.base import AnomalibDataset
from pandas import DataFrame
from torchvision.transforms.v2 import Transform
from torchvision.tv_tensors import Image, Mask

from anomalib_federated.data.batch import InspectionBatch, InspectionItem
from anomalib_federated.data.corruption import Corruption
from anomalib_federated.data.grouping import Picture
from anomalib_federated.data.layout import mask_files
from anomalib_federated.data.masks import read_defects
from anomalib_federated.metrics import Defect, DefectsConfig
from anomalib_federated.pictures import read_image


class InspectionDataset(AnomalibDataset):
    """Pictures as read from folders.

    Args:
        samples: Rows of :func:`anomalib_federated.data.layout.read_layout`.
        configs: Per category, its defects configuration; absent if it has none.
        augmentations: Applied to each picture and its mask.
        corruption: What befalls each picture before, but no mask.
    """

    def __init__(
        self,
        samples: DataFrame,
        configs: Mapping[str, DefectsConfig],
        *,
        augmentations: Transform | None = None,
        corruption: Corruption | None = None,
    ) -> None:
        super().__init__(augmentations=augmentations)
        # Without any mask there is nothing to localise.
        samples.attrs["task"] = "segmentation" if (samples["mask_path"] != "").any() else "classification"
        self.samples = samples
        self.configs = dict(configs)
        self.corruption = corruption

    @property
    def reading(self) -> str:
        """How pictures are read, in words: features of pictures that were read otherwise are others."""
        augmented = repr(self.augmentations)
        return augmented if self.corruption is None else f"{augmented} after {self.corruption!r}"

    def __getitem__(self, index: int) -> InspectionItem:
        """Read one picture and its masks."""
        row = self.samples.iloc[index]
        pixels = read_image(Path(row.image_path))
        native_size = pixels.shape[:2]
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        if self.corruption is not None:
            image = self.corruption(image, name=row["name"])
        defects = self._defects(row, native_size)
        image, mask = self._augment(Image(image), None if defects is None else _union(defects, native_size))
        return InspectionItem(
            image=image,
            gt_label=torch.tensor(int(row.label_index)),
            gt_mask=mask,
            image_path=row.image_path,
            mask_path=row.mask_path,
            category=row.category,
            defect_type=row.label,
            defects=defects,
            native_size=native_size,
        )

    def sample(self, indices: Sequence[int]) -> InspectionDataset:
        """A data set of some of the pictures, in the order of their paths."""
        samples = self.samples.iloc[list(indices)].reset_index(drop=True)
        return InspectionDataset(samples, self.configs, augmentations=self.augmentations, corruption=self.corruption)

    def corrupted(self, corruption: Corruption | None) -> InspectionDataset:
        """The same pictures, which another corruption befalls, or none."""
        return InspectionDataset(
            self.samples.copy(), self.configs, augmentations=self.augmentations, corruption=corruption
        )

    def of_category(self, *categories: str) -> InspectionDataset:
        """A data set of the pictures of one category or several."""
        return self.sample(np.flatnonzero(self.samples["category"].isin(categories)).tolist())

    @property
    def pictures(self) -> dict[str, Picture]:
        """The pictures as a grouping sees them, by the absolute paths of their files."""
        columns = (self.samples[name] for name in ("image_path", "name", "category"))
        return {
            str(Path(path).absolute()): Picture(name, category) for path, name, category in zip(*columns, strict=True)
        }

    @property
    def collate_fn(self) -> Callable[[Sequence[InspectionItem]], InspectionBatch]:
        """Stacks items."""
        return InspectionBatch.collate

    def _defects(self, row: Any, size: tuple[int, int]) -> tuple[Defect, ...] | None:  # noqa: ANN401 - a row of pandas
        if row.label_index == 0:
            return ()
        if not row.mask_path:
            return None
        files: Sequence[Path] = mask_files(row.mask_path)
        return read_defects(files, size=size, config=self.configs.get(row.category), label=row.label)

    def _augment(self, image: torch.Tensor, mask: Mask | None) -> tuple[torch.Tensor, Mask | None]:
        if self.augmentations is None:
            return image, mask
        if mask is None:
            return self.augmentations(image), None
        image, mask = self.augmentations(image, mask)
        return image, mask


def _union(defects: Sequence[Defect], size: tuple[int, int]) -> Mask:
    union = np.zeros(size, dtype=np.uint8)
    for defect in defects:
        union |= defect.mask
    return Mask(union)
