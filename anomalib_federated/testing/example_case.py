"""Small pictures with a detector that scored them, to try explainers on."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from anomalib_federated.bank.feature_space import Frame
from anomalib_federated.explanations.case import ModelCase
from anomalib_federated.explanations.normal_pictures import NormalPictures
from anomalib_federated.interfaces.explainer import Case
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.image_score import ImageScore, ScoreRule
from anomalib_federated.models.patch_features import patch_rows
from anomalib_federated.models.patch_scorer import PatchScorer
from anomalib_federated.models.post_processor import Thresholds
from anomalib_federated.testing.banks import example_bank

CATEGORY = "screw"
SIDE = 32


def example_picture(*, defect: bool = False, seed: int = 0, size: tuple[int, int] = (40, 56)) -> NDArray[np.uint8]:
    """A dark bar on a bright plate, with or without a bright spot on it.

    Args:
        defect: Whether there is a spot.
        seed: Decides the noise.
        size: Height and width.

    Returns:
        Shape ``(*size, 3)``, uint8.

    Example:
        >>> example_picture(size=(20, 24)).shape
        (20, 24, 3)
    """
    height, width = size
    picture = 190 + np.random.default_rng(seed).normal(0, 6, (height, width, 3))
    picture[height * 3 // 8 : height * 5 // 8, width // 5 : width * 4 // 5] -= 120
    if defect:
        picture[height * 3 // 8 : height // 2, width * 3 // 5 : width * 3 // 4] = 250
    return picture.clip(0, 255).astype(np.uint8)


@lru_cache
def example_model(
    *,
    rows: int = 24,
    score: ScoreRule = "smoothed_max",
    clip: float | None = None,
    frame: Frame = "picture",
    places: bool = False,
    calibrated: bool = True,
) -> FederatedPatchcore:
    """A detector of the packaged network with a small bank; shared, so never change it.

    Args:
        rows: Of the bank, patches of normal pictures.
        score: Rule for the score of a picture.
        clip: The most that a patch counts.
        frame: Whether features are made in the part's frame.
        places: Whether the rows have places, and a projection.
        calibrated: Whether thresholds are set.
    """
    model = deepcopy(_network(frame))
    model.scorer = PatchScorer(ImageScore(score, clip=clip))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.stack([torch.from_numpy(example_picture(seed=seed)) for seed in range(1, 4)])
    with torch.no_grad():
        images = model.pre_processor.transform(pixels.permute(0, 3, 1, 2).float() / 255)
        features = patch_rows(model.model(images))
    taken = torch.randperm(len(features), generator=generator)[:rows]
    bank = replace(example_bank(rows=rows, dim=model.space.dim), features=features[taken], space=model.space)
    if places:
        projection = torch.randn(model.space.dim, 12, generator=generator) / model.space.dim**0.5
        where = torch.randint(0, 3, (rows, 2), generator=generator) / 2
        bank = replace(bank, row_place=where, projections={CATEGORY: projection})
    model.bank = bank
    if calibrated:
        model.post_processor.thresholds[CATEGORY] = Thresholds(1.0, 0.8)
    return model


@lru_cache
def _network(frame: Frame) -> FederatedPatchcore:
    model = FederatedPatchcore(image_size=(SIDE, SIDE), frame=frame, evaluator=False, visualizer=False)
    model.eval()
    return model


@lru_cache
def example_cases() -> tuple[Case, ...]:
    """Cases of all sorts; shared, so never change them.

    A picture with a defect for each score rule, with places and a projection, in the part's frame, with the lone row of
    a bank and no threshold, and a normal picture with the site's own normal pictures beside it.
    """
    defect = example_picture(defect=True)
    models = (
        example_model(),
        example_model(score="max", clip=0.9),
        example_model(score="top_fraction", places=True),
        example_model(score="reweighted"),
        example_model(frame="part"),
        example_model(rows=1, calibrated=False),
    )
    cases = [ModelCase(model, defect, name="test/spot/0.png", category=CATEGORY) for model in models]
    own = NormalPictures(models[0], CATEGORY, _own_pictures())
    normal = ModelCase(models[0], example_picture(), name="test/good/0.png", category=CATEGORY, normal=own)
    return (*cases, normal)


@lru_cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="example-pictures-")  # goes when the process ends


def _own_pictures() -> dict[str, Path]:
    folder = Path(_own_folder().name)
    pictures = {f"train/good/{seed}.png": folder / f"{seed}.png" for seed in range(1, 4)}
    for seed, path in enumerate(pictures.values(), start=1):
        Image.fromarray(example_picture(seed=seed)).save(path)
    return pictures
