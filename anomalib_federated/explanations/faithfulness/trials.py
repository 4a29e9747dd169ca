"""Pictures on which explainers are tried, with detectors that have forgotten what they learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import GOOD
from anomalib_federated.explanations.case import ModelCase
from anomalib_federated.explanations.faithfulness.defect_mask import mask_seen
from anomalib_federated.explanations.faithfulness.measure import Trial
from anomalib_federated.explanations.faithfulness.randomised import with_randomised_backbone, with_randomised_bank
from anomalib_federated.explanations.faithfulness.reference_picture import reference_of
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.pictures import read_image


def drawn_defects(dataset: InspectionDataset, category: str, *, pictures: int, seed: int) -> list[int]:
    """Positions of defective pictures, drawn without replacement, in the order of their names.

    Args:
        dataset: Test pictures.
        category: Their category.
        pictures: How many; all if there are fewer.
        seed: Of the draw, which depends on the names alone.

    Raises:
        ValueError: If none is wished, or the category has no defective picture.
    """
    if pictures < 1:
        msg = f"The number of pictures is {pictures}; explanations are measured on at least one."
        raise ValueError(msg)
    samples = dataset.samples
    defective = samples[(samples["category"] == category) & (samples["label"] != GOOD)].sort_values("name")
    if defective.empty:
        msg = f"Category '{category}' has no defective test picture; explanations are measured on pictures of defects."
        raise ValueError(msg)
    order = np.random.default_rng(seed).permutation(len(defective))[:pictures]
    return [int(position) for position in defective.index[np.sort(order)]]


def trials(
    model: FederatedPatchcore, dataset: InspectionDataset, positions: Sequence[int], *, seed: int
) -> Iterator[Trial]:
    """Make the cases of some pictures.

    Args:
        model: The detector.
        dataset: Of the pictures.
        positions: Which of them.
        seed: Of what is random in the random detectors.
    """
    forgetful = with_randomised_bank(model, seed=seed), with_randomised_backbone(model, seed=seed)
    for position in positions:
        row = dataset.samples.iloc[position]
        picture = read_image(Path(row["image_path"]))
        case, random_bank, random_backbone = (
            ModelCase(each, picture, name=row["name"], category=row["category"]) for each in (model, *forgetful)
        )
        reference = reference_of(case)
        defects = dataset[position].defects or ()
        yield Trial(
            case=case,
            reference=reference,
            reference_score=float(case.scores(reference[None])),
            mask=mask_seen([defect.mask.astype(bool) for defect in defects], case.image.shape[1:]) if defects else None,
            random_bank=random_bank,
            random_backbone=random_backbone,
        )
