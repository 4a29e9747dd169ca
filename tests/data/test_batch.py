"""Stacking pictures, and moving the stack to a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anomalib_federated.data.batch import InspectionBatch, InspectionItem
from anomalib_federated.metrics import Defect


def item(height: int, width: int, **fields: object) -> InspectionItem:
    return InspectionItem(image=torch.rand(3, height, width), gt_label=torch.tensor(0), image_path="a.png", **fields)


def test_collate_refuses_mixed_sizes() -> None:
    with pytest.raises(ValueError, match=r"mixes pictures of \[\(6, 8\), \(8, 6\)\]; give the model an image_size"):
        InspectionBatch.collate([item(8, 6), item(6, 8)])


def test_collate_keeps_masks_and_defects_only_if_all_have_them() -> None:
    defect = Defect(np.ones((4, 4), dtype=bool), 3)
    known = item(4, 4, defects=(defect,), gt_mask=torch.ones(4, 4, dtype=torch.bool))
    batch = InspectionBatch.collate([known, item(4, 4, defects=(), gt_mask=torch.zeros(4, 4, dtype=torch.bool))])
    assert batch.defects == [(defect,), ()]
    assert batch.gt_mask.shape == (2, 4, 4)
    batch = InspectionBatch.collate([known, item(4, 4)])
    assert batch.defects is None
    assert batch.gt_mask is None


def test_to_moves_tensors_and_keeps_the_rest() -> None:
    defect = Defect(np.ones((4, 4), dtype=bool), 3)
    batch = InspectionBatch.collate([item(4, 4, category="screw", defects=(defect,), native_size=(4, 4))])
    moved = batch.to("meta")
    assert isinstance(moved, InspectionBatch)
    assert (moved.image.device.type, moved.gt_label.device.type) == ("meta", "meta")
    assert batch.image.device.type == "cpu"
    assert (moved.category, moved.defects, moved.native_size) == (["screw"], [(defect,)], [(4, 4)])
