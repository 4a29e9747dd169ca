"""Pictures on which explainers are tried, with detectors that have forgotten what they learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import GOOD, name_of
from anomalib_federated.explanations.case import ModelCase
from anomalib_federated.explanations.faithfulness.defect_mask import mask_seen
from anomalib_federated.explanations.faithfulness.measure import Trial
from anomalib_federated.explanations.faithfulness.randomised import with_randomised_backbone, with_randomised_bank
from anomalib_federated.explanations.faithfulness.reference_picture import NormalReferences
from anomalib_federated.interfaces.explainer import Case
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.pictures import read_image


def drawn_defects(dataset: InspectionDataset, category: str, *, pictures: int, seed: int) -> list[int]:
    """Positions of defective pictures, drawn without replacement.

    Args:
        dataset: Test pictures.
        category: Their category.
        pictures: How many; all if there are fewer.
        seed: Of the draw, which depends on the names alone.

    Returns:
        In the order in which they were drawn, so that the first of them are a draw too.

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
    return [int(position) for position in defective.index[order]]


def trials(
    model: FederatedPatchcore,
    dataset: InspectionDataset,
    positions: Sequence[int],
    *,
    references: NormalReferences,
    checked: int,
    seed: int,
) -> Iterator[Trial]:
    """Make the cases of some pictures.

    Args:
        model: The detector.
        dataset: Of the pictures.
        positions: Which of them.
        references: What their deleted pixels are replaced by.
        checked: So many of them, the first, are explained by random detectors too.
        seed: Of what is random in these.
    """
    random_bank, random_backbone = with_randomised_bank(model, seed=seed), with_randomised_backbone(model, seed=seed)
    for number, position in enumerate(positions):
        row = dataset.samples.iloc[position]
        case_of = partial(_case, name_of(row["image_path"]), row["category"], read_image(Path(row["image_path"])))
        case = case_of(model)
        reference = references.nearest(case.image)
        masks = [defect.mask.astype(bool) for defect in dataset[position].defects or ()]
        yield Trial(
            case=case,
            reference=reference,
            reference_score=float(model.predict_batch(reference[None].to(model.device), [case.category]).pred_score),
            remaining=float(case.remaining_scores(reference[None])),
            mask=mask_seen(masks, (case.image.shape[1], case.image.shape[2])) if masks else None,
            random_bank=case_of(random_bank) if number < checked else None,
            random_backbone=case_of(random_backbone) if number < checked else None,
        )


def _case(name: str, category: str, picture: NDArray[np.uint8], model: FederatedPatchcore) -> Case:
    return ModelCase(model, picture, name=name, category=category)
