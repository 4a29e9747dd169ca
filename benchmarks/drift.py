"""Measure how soon the drift watch notices a change, and how long it is quiet if there is none.

Scores are those that a detector gives to real normal pictures (see ``real_scores.py``), drawn anew from their smoothed
distribution; calibration and stream are drawn anew in every run.

- ``quiet``: pictures to a false alarm, beside the number asked for; if runs were cut short, the mean is higher still.
- ``delay``: pictures from a change to the alarm, after 200 good ones, at the default setting, and what the alarm says:
  a shift of one standard deviation, a camera that repeats one picture, 10 % of real defective pictures: any, and those
  that score above 95 % of the normal ones (``found``, whose share is told).
- ``exposures``: calibrated on 60 pictures of one exposure of the magnetic tiles, 60 others of it watched, then another
  exposure; the bank holds all of them. All pairs, several draws.

Prints one JSON line.

Example:
    python benchmarks/drift.py --root DIR --store FOLDER
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from circumstances import circumstances
from real_scores import RealScores, real_scores
from scipy.special import expit, logit

from anomalib_federated.deploy.calibration import Calibration, calibrate
from anomalib_federated.deploy.drift import PICTURES_TO_FALSE_ALARM, DriftAlarm, ScoreDrift

CATEGORY = "magnetic_tile"
BEFORE = 200
LONGEST = 3000

Floats = npt.NDArray[np.float64]
Draw = Callable[[int], Floats]


def smoothed(scores: Floats, rng: np.random.Generator) -> Draw:
    """Draws from the distribution between the sorted scores, on the scale of logits, whose values hardly repeat."""
    ordered = np.sort(logit(scores))
    return lambda count: np.quantile(ordered, rng.random(count))


def calibration_of(scores: Floats) -> Calibration:
    values = scores.tolist()
    return calibrate(values, values, category=CATEGORY, model_version="benchmark", false_alarm_rate=0.05)


def first_alarm(drift: ScoreDrift, scores: Iterable[float]) -> tuple[int, DriftAlarm | None]:
    """Pictures until it, or all of them."""
    number = 0
    for number, score in enumerate(scores, start=1):
        if (alarm := drift.add(score)) is not None:
            return number, alarm
    return number, None


def quiet(draw: Draw, *, pictures: int, wished: int, runs: int) -> dict[str, object]:
    found = []
    for _ in range(runs):
        drift = ScoreDrift(calibration_of(expit(draw(pictures))), pictures_to_false_alarm=wished)
        found.append(first_alarm(drift, expit(draw(10 * wished)).tolist()))
    lengths = np.array([length for length, _ in found])
    return {
        "calibration_pictures": pictures,
        "wished": wished,
        "runs": runs,
        "mean": round(float(lengths.mean())),
        "median": round(float(np.median(lengths))),
        "cut_short": sum(alarm is None for _, alarm in found),
        "within_a_tenth": float((lengths <= wished / 10).mean()),
    }


def delay(name: str, draw: Draw, changed: Draw, *, pictures: int, runs: int) -> dict[str, object]:
    lengths, kinds, early = [], [], 0
    for _ in range(runs):
        drift = ScoreDrift(calibration_of(expit(draw(pictures))))
        early += first_alarm(drift, expit(draw(BEFORE)).tolist())[1] is not None
        length, alarm = first_alarm(drift, expit(changed(LONGEST)).tolist())
        lengths.append(length)
        kinds.append("none" if alarm is None else alarm.kind)
    return {"change": name, "calibration_pictures": pictures, "early": early, **_delays(lengths, kinds)}


def _delays(lengths: list[int], kinds: list[str]) -> dict[str, object]:
    median, late = np.quantile(lengths, (0.5, 0.9)).tolist()
    return {"runs": len(lengths), "median": median, "90_percent": late, "kinds": dict(Counter(kinds).most_common())}


def exposures(found: RealScores, rng: np.random.Generator, *, draws: int) -> dict[str, object]:
    """Every exposure against every other."""
    of_exposure = np.array([name.partition("_")[0] for name in found.names])
    groups = {str(name): found.scores[found.good & (of_exposure == name)] for name in np.unique(of_exposure)}
    pairs, all_lengths, all_kinds, early = {}, [], [], 0
    for one, other in permutations(groups, 2):
        lengths, kinds = [], []
        for _ in range(draws):
            own = rng.permutation(groups[one])
            drift = ScoreDrift(calibration_of(own[:60]))
            early += first_alarm(drift, own[60:120].tolist())[1] is not None
            length, alarm = first_alarm(drift, rng.permutation(groups[other]).tolist())
            lengths.append(length)
            kinds.append("none" if alarm is None else alarm.kind)
        apart = float((logit(groups[other]).mean() - logit(groups[one]).mean()) / logit(groups[one]).std())
        pairs[f"{one}-{other}"] = {"shift_in_sd": round(apart, 2), **_delays(lengths, kinds)}
        all_lengths += lengths
        all_kinds += kinds
    return {"pictures": {name: len(scores) for name, scores in groups.items()}, "early": early, "pairs": pairs,
            "all": _delays(all_lengths, all_kinds)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--store", type=Path, required=True, help="folder that keeps the scores")
    options = parser.parse_args()
    found = real_scores(options.root, CATEGORY, store=options.store)
    rng = np.random.default_rng(0)
    draw = smoothed(found.scores[found.good], rng)
    spread = float(logit(found.scores[found.good]).std())
    defective = logit(found.scores[~found.good])
    top = np.quantile(logit(found.scores[found.good]), 0.95)

    def wave(bad: Floats) -> Draw:
        return lambda count: np.where(rng.random(count) < 0.1, rng.choice(bad, count), draw(count))

    changes: dict[str, Draw] = {
        "1 sd higher": lambda count: draw(count) + spread,
        "1 sd lower": lambda count: draw(count) - spread,
        "one picture repeated": lambda count: np.full(count, draw(1)),
        "10 % defective": wave(defective),
        "10 % found": wave(defective[defective > top]),
    }
    print(json.dumps({
        "benchmark": "drift",
        "quiet": [
            *(quiet(draw, pictures=pictures, wished=1000, runs=200) for pictures in (50, 500)),
            *(quiet(draw, pictures=pictures, wished=PICTURES_TO_FALSE_ALARM, runs=20) for pictures in (50, 500)),
        ],
        "delay": [
            delay(name, draw, changed, pictures=pictures, runs=100)
            for pictures in (50, 100, 500) for name, changed in changes.items()
        ],
        "share_found": round(float((defective > top).mean()), 3),
        "exposures": exposures(found, rng, draws=10),
        **circumstances("anomalib", "timm"),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
