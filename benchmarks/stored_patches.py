"""Patch features of all pictures of a category, made once and kept in a folder, for benchmarks that read them often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from anomalib_federated.data import AutoVI
from anomalib_federated.data.batches import batches
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_features import PatchFeatureExtractor

Patches = npt.NDArray[np.float16]


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredPatches:
    """Features of a category.

    Attributes:
        train: Of all good training pictures, shape ``(n, rows, columns, d)``, float16, mapped from a file.
        test: Of the test pictures.
        datamodule: Where they come from; nothing is held out for validation.
        extractor: What made them.
    """

    train: Patches
    test: Patches
    datamodule: AutoVI
    extractor: PatchFeatureExtractor


def stored_patches(root: str, category: str, *, store: str, extractor: PatchFeatureExtractor) -> StoredPatches:
    """Features from the store; what it lacks is made.

    Args:
        root: Data folder.
        category: Its category.
        store: Folder of this benchmark alone: a file is taken for what its name says.
        extractor: Makes the features.
    """
    datamodule = AutoVI(root, [category], validation_share=0)
    datamodule.setup()
    parts = {"train": datamodule.train_data, "test": datamodule.test_data}
    found = {}
    for name, data in parts.items():
        path = Path(store) / f"{category}_{extractor.space.frame}_{name}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path, data, extractor)
        found[name] = np.load(path, mmap_mode="r")
    return StoredPatches(**found, datamodule=datamodule, extractor=extractor)


@torch.no_grad()
def _make(path: Path, data: InspectionDataset, extractor: PatchFeatureExtractor) -> None:
    transform = image_transform(extractor.space)
    made = [extractor(transform(batch.image)).permute(0, 2, 3, 1).half() for batch in batches(data, batch_size=4)]
    beside = path.with_suffix(".part.npy")
    np.save(beside, torch.cat(made).numpy())
    beside.rename(path)
