"""Measure what thresholds from normal pictures keep of their promise, on held-out normal pictures of real parts.

A detector with a bank of 2000 random rows, made of 30 % of the training pictures at 256 x 256, scores all other normal
pictures. These are split at random into calibration and held-out pictures, 20 times. Per wish and number of calibration
pictures, the rate of false alarms on the held-out ones is told: its mean and standard deviation over the splits; what
was expected; the share of splits that exceeded the 95 % upper bound, and the share that exceeded what the bound
allows so few held-out pictures to show by chance. The same, with the same splits, of the rules before: ``higher``,
numpy's quantile, set the thresholds of exports, ``share``, the smallest score at or below which the wished share of the
calibration lies, those of evaluations. ``many`` is the same over 2000 splits: 20 tell shares in steps of 5 % only.

Prints one JSON line.

Example:
    python benchmarks/calibration.py --root DIR --categories magnetic_tile screw --store FOLDER
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from circumstances import circumstances
from real_scores import RealScores, real_scores
from scipy.stats import betabinom

from anomalib_federated.false_alarms import OPERATING_POINTS, FalseAlarms, expecting

SPLITS, MANY = 20, 2000
CALIBRATION_PICTURES = (50, 100, 200)

Floats = npt.NDArray[np.float64]


def measured(scores: Floats, pictures: int, wish: float, *, splits: int) -> dict[str, object]:
    """The rule, and those before, over random splits."""
    places = np.arange(1, pictures + 1)
    higher = int(np.quantile(places, 1 - wish, method="higher"))
    share = int(places[np.searchsorted(places / pictures, 1 - wish - 1e-9)])
    now = expecting(pictures, wish)
    rules = {
        "now": now,
        "higher": FalseAlarms(pictures, pictures + 1 - higher),
        "share": FalseAlarms(pictures, pictures + 1 - share),
    }
    rng = np.random.default_rng(0)
    rates: dict[str, list[float]] = {name: [] for name in rules}
    for _ in range(splits):
        order = rng.permutation(len(scores))
        calibration, held_out = scores[order[:pictures]].tolist(), scores[order[pictures:]]
        for name, rule in rules.items():
            rates[name].append(float((held_out > rule.threshold(calibration)).mean()))
    told = {name: _told(np.array(rates[name]), rule, len(scores)) for name, rule in rules.items()}
    return {"pictures": pictures, "wish": wish, "enough_pictures": now.keeps(wish), **told}


def _told(rates: Floats, promise: FalseAlarms, pictures: int) -> dict[str, float]:
    held_out = pictures - promise.pictures
    # Alarms among further exchangeable pictures: the beta distribution of the true rate, drawn from.
    allowed = betabinom.ppf(promise.confidence, held_out, promise.rank, promise.pictures + 1 - promise.rank)
    return {
        "mean": round(float(rates.mean()), 4),
        "sd": round(float(rates.std(ddof=1)), 4),
        "expected": round(promise.expected_rate, 4),
        "upper_bound": round(promise.upper_bound, 4),
        "share_above_bound": round(float((rates > promise.upper_bound).mean()), 3),
        "share_above_chance": round(float((rates * held_out > allowed + 1e-6).mean()), 3),
    }


def of_category(found: RealScores) -> dict[str, object]:
    """All wishes and sizes on the normal pictures of a category."""
    scores = found.scores[found.good]
    cases = [(pictures, wish) for pictures in CALIBRATION_PICTURES for wish in OPERATING_POINTS]
    return {
        "normal_pictures": len(scores),
        "splits": [measured(scores, *case, splits=SPLITS) for case in cases],
        "many": [measured(scores, *case, splits=MANY) for case in cases],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--categories", nargs="+", default=["magnetic_tile", "screw"])
    parser.add_argument("--store", type=Path, required=True, help="folder that keeps the scores")
    options = parser.parse_args()
    found = {name: of_category(real_scores(options.root, name, store=options.store)) for name in options.categories}
    print(json.dumps({"benchmark": "calibration", "categories": found, **circumstances("anomalib", "timm")}))


if __name__ == "__main__":
    main()
