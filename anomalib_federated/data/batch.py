"""Items and batches that know their category, defect type, and every defect channel at native size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import torch
from anomalib.data import ImageBatch, ImageItem

from anomalib_federated.metrics import Defect


@dataclass
class InspectionItem(ImageItem):
    """One picture.

    Attributes:
        category: Name of its category.
        defect_type: Name of its sub-folder, ``good`` if it is normal.
        defects: Every defect channel, at the picture's native size; empty if it is normal, ``None`` if no masks exist.
        native_size: Height and width of the picture's file.
    """

    category: str = ""
    defect_type: str = ""
    defects: tuple[Defect, ...] | None = None
    native_size: tuple[int, int] = (0, 0)


@dataclass
class InspectionBatch(ImageBatch):
    """Several pictures; the attributes of :class:`InspectionItem` as lists."""

    item_class: ClassVar[type[InspectionItem]] = InspectionItem

    category: list[str] = field(default_factory=list)
    defect_type: list[str] = field(default_factory=list)
    defects: list[tuple[Defect, ...]] | None = None
    native_size: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def collate(cls, items: Sequence[InspectionItem]) -> InspectionBatch:
        """Stack items whose pictures are of one size.

        Raises:
            ValueError: If sizes differ; they are never resized in silence.
        """
        sizes = {tuple(item.image.shape[-2:]) for item in items}
        if len(sizes) > 1:
            msg = f"A batch mixes pictures of {sorted(sizes)}; give the model an image_size, or a batch size of 1."
            raise ValueError(msg)
        masks = [item.gt_mask for item in items]
        defects = [item.defects for item in items if item.defects is not None]
        return cls(
            image=torch.stack([item.image for item in items]),
            gt_label=torch.stack([item.gt_label for item in items]),
            gt_mask=None if any(mask is None for mask in masks) else torch.stack(masks),
            image_path=[item.image_path for item in items],
            category=[item.category for item in items],
            defect_type=[item.defect_type for item in items],
            defects=defects if len(defects) == len(items) else None,
            native_size=[item.native_size for item in items],
        )

    def to(self, device: torch.device | str, **kwargs: Any) -> InspectionBatch:  # noqa: ANN401 - of torch.Tensor.to
        """The batch with its tensors on a device; Lightning calls this instead of walking through every field."""
        moved: dict[str, Any] = {
            item.name: value.to(device, **kwargs)
            for item in fields(self)
            if isinstance(value := getattr(self, item.name), torch.Tensor)
        }
        return replace(self, **moved)
