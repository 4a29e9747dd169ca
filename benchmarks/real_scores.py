"""Scores of real pictures by a detector that has seen none of them, made once and kept in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.measuring.scored_image import scored_batches
from anomalib_federated.federation import Site
from anomalib_federated.models import FederatedPatchcore

ROWS = 2000
BANK_SHARE = 0.3
"""Share of the training pictures that the bank is made of; it is scored by none of them."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class RealScores:
    """Normalised scores of all pictures of a category that the bank was not made of.

    Attributes:
        names: File names, shape ``(n,)``.
        good: Which pictures show good parts, shape ``(n,)``, bool.
        scores: Of the pictures, shape ``(n,)``, in 0 .. 1.
        peaks: The largest value of each map, shape ``(n,)``, in 0 .. 1.
    """

    names: npt.NDArray[np.str_]
    good: npt.NDArray[np.bool_]
    scores: Floats
    peaks: Floats


def real_scores(root: str, category: str, *, store: Path) -> RealScores:
    """Scores from the store; what it lacks is made.

    Args:
        root: Data folder.
        category: Its category.
        store: Folder of these benchmarks alone: a file is taken for what its name says.
    """
    path = store / f"{category}.npz"
    if not path.exists():
        store.mkdir(parents=True, exist_ok=True)
        beside = store / f"{category}.part.npz"
        np.savez(beside, **_score(root, category))
        beside.rename(path)
    with np.load(path, allow_pickle=False) as stored:
        return RealScores(**stored)


def _score(root: str, category: str) -> dict[str, npt.NDArray[np.generic]]:
    datamodule = AutoVI(root, [category], validation_share=0)
    datamodule.setup()
    train = datamodule.train_data
    order = np.random.default_rng(0).permutation(len(train)).tolist()
    cut = round(BANK_SHARE * len(train))
    model = FederatedPatchcore(image_size=(256, 256), coreset="random", budget=ROWS, visualizer=False)
    site = Site("benchmark", train.sample(sorted(order[:cut])), extractor=model.model)
    model.bank = site.patches().build_bank(model.coreset, method=model.coreset_name, site=site.name, seed=0)
    site.close()
    names, good, scores, peaks = [], [], [], []
    for part in (train.sample(sorted(order[cut:])), datamodule.test_data):
        for batch in scored_batches(model, part, batch_size=4, description=f"scoring {category}"):
            names += [Path(name).name for name in batch.image_path]
            good += [not label for label in batch.gt_label.tolist()]
            scores += batch.pred_score.tolist()
            peaks += batch.anomaly_map.flatten(1).amax(1).tolist()
    # As an export normalises them, with the median of the good ones in the place of its threshold.
    return {
        "names": np.array(names),
        "good": np.array(good),
        "scores": _normalised(np.array(scores), np.array(good)),
        "peaks": _normalised(np.array(peaks), np.array(good)),
    }


def _normalised(values: Floats, good: npt.NDArray[np.bool_]) -> Floats:
    return values / (values + np.median(values[good]))
