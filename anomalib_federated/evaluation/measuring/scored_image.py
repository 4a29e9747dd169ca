"""A test image with what a detector made of it: a score, and a map at the image's native size.

Scores are raw: the larger, the more anomalous, on one scale for all images of a category and never scaled per image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from anomalib_federated.data.batch import InspectionBatch
from anomalib_federated.data.batches import batches
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import GOOD, name_of
from anomalib_federated.metrics import Defect
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.progress import progress_bar


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredImage:
    """One test image with its score and its anomaly map.

    Attributes:
        name: Path below the category's folder, with forward slashes: ``test/scratch/0001.png``.
        category: Name of the category.
        defect_type: Its sub-folder, ``good`` if it is normal.
        score: Raw score of the image.
        anomaly_map: float32, shape ``(H, W)``: raw scores of the pixels, at the image's native size.
        defects: Every defect channel, at the same size; empty if the image is good, ``None`` if no masks exist.
        image_path: File of the image.

    Raises:
        ValueError: If the score is not finite, the map is no finite float32 array of two dimensions, or a mask has
            another size.
    """

    name: str
    category: str
    defect_type: str
    score: float
    anomaly_map: npt.NDArray[np.float32]
    defects: tuple[Defect, ...] | None
    image_path: Path

    def __post_init__(self) -> None:
        grid = self.anomaly_map
        if grid.dtype != np.float32 or grid.ndim != 2 or grid.size == 0:
            msg = f"The anomaly map of {self.name} is {grid.dtype} {grid.shape}; it must be float32 (H, W)."
            raise ValueError(msg)
        if not (math.isfinite(self.score) and np.isfinite(grid).all()):
            msg = f"{self.name} has a NaN or infinite score, which cannot be ranked; mend the detector's output."
            raise ValueError(msg)
        for defect in self.defects or ():
            if defect.mask.shape != grid.shape:
                msg = f"The anomaly map of {self.name} is {grid.shape}, its mask {defect.mask.shape} (H, W)."
                raise ValueError(msg)

    @property
    def good(self) -> bool:
        """Whether the image is normal."""
        return self.defect_type == GOOD

    def covered(self) -> npt.NDArray[np.bool_]:
        """Pixels of any defect, shape ``(H, W)``."""
        covered = np.zeros(self.anomaly_map.shape, dtype=bool)
        for defect in self.defects or ():
            covered |= defect.mask
        return covered


def scored_images(
    model: FederatedPatchcore, dataset: InspectionDataset, *, batch_size: int = 4
) -> Iterator[ScoredImage]:
    """Score images one after the other; maps are brought to native size bilinearly.

    Args:
        model: A model with a bank.
        dataset: Images of one category.
        batch_size: Images at a time.
    """
    for batch in scored_batches(model, dataset, batch_size=batch_size, description="testing"):
        for index, image_path in enumerate(batch.image_path):
            good = batch.defect_type[index] == GOOD
            yield ScoredImage(
                name=name_of(image_path),
                category=batch.category[index],
                defect_type=batch.defect_type[index],
                score=float(batch.pred_score[index]),
                anomaly_map=at_native_size(batch.anomaly_map[index].squeeze(0).cpu(), batch.native_size[index]),
                defects=() if good else None if batch.defects is None else batch.defects[index],
                image_path=Path(image_path),
            )


def shown(scored: Iterable[ScoredImage], *looks: Callable[[ScoredImage], object]) -> Iterator[ScoredImage]:
    """The images as they come, each shown to all ``looks`` first."""
    for image in scored:
        for look in looks:
            look(image)
        yield image


@torch.inference_mode()
def scored_batches(
    model: FederatedPatchcore, dataset: InspectionDataset, *, batch_size: int, description: str
) -> Iterator[InspectionBatch]:
    """Batches with raw scores and maps, and a progress bar.

    Args:
        model: A model with a bank.
        dataset: Images.
        batch_size: Images at a time.
        description: What the progress bar says.
    """
    model.eval()
    with progress_bar(description, total=len(dataset)) as advance:
        for batch in batches(dataset, batch_size=batch_size):
            if model.pre_processor is not None:
                batch.image = model.pre_processor.transform(batch.image)
            yield model.validation_step(batch)
            advance(len(batch.image))


def at_native_size(anomaly_map: torch.Tensor, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """A map ``(h, w)`` at another size, bilinear with pixel centres aligned (``align_corners=False``).

    Example:
        >>> at_native_size(torch.tensor([[0.0, 1.0]]), (1, 4)).tolist()
        [[0.0, 0.25, 0.75, 1.0]]
    """
    grid = anomaly_map.float()
    if tuple(grid.shape) != tuple(size):
        grid = interpolate(grid[None, None], size=tuple(size), mode="bilinear", align_corners=False)[0, 0]
    native: npt.NDArray[np.float32] = grid.numpy()
    return native
