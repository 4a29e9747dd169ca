"""The drift watch: its odds against counting, its promise and its alarms by simulation."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from anomalib_federated.deploy.calibration import Calibration, calibrate
from anomalib_federated.deploy.drift import KINDS, DriftAlarm, ScoreDrift, _Gambler
from anomalib_federated.deploy.score_bins import ScoreBins

Floats = np.ndarray


def calibration_of(scores: Iterable[float], *, rate: float = 0.05) -> Calibration:
    values = list(scores)
    return calibrate(values, values, category="a", model_version="b", false_alarm_rate=rate)


def scores_of(normal: Floats) -> list[float]:
    """Scores whose logit is normally distributed; one standard deviation stays one."""
    return expit(0.3 * normal - 0.5).tolist()


def run(drift: ScoreDrift, scores: Iterable[float]) -> tuple[int, DriftAlarm | None]:
    number = 0
    for number, score in enumerate(scores, start=1):
        if (alarm := drift.add(score)) is not None:
            return number, alarm
    return number, None


# --- odds


@given(st.integers(20, 200), st.sampled_from([0.01, 0.05, 0.1, 0.3]), st.randoms(use_true_random=False))
def test_the_next_score_falls_into_a_bin_as_often_as_its_mass_says(pictures: int, rate: float, random: object) -> None:
    values = random.sample(range(0, 10_000, 20), pictures)  # further apart than the threshold's margin
    scores = sorted(value / 10_000 for value in values)
    calibration = calibration_of(scores, rate=rate)
    bins = ScoreBins.of(calibration.scores, calibration.threshold)
    # Brute force: a score in the middle of every gap that n scores leave.
    gaps = [-1.0, *scores, 2.0]
    middles = [(low + high) / 2 for low, high in pairwise(gaps)]
    assert Counter(map(bins.find, middles)) == Counter(dict(enumerate(bins.masses)))
    assert sum(bins.masses) == pictures + 1
    assert len(bins.edges) == len(bins.masses) - 1 == 10
    assert bins.masses[-1] == calibration.promise.rank
    assert max(bins.masses[:-1]) - min(bins.masses[:-1]) <= 1
    assert list(bins.places) == sorted(bins.places)


def test_equal_scores_lie_in_one_bin() -> None:
    calibration = calibration_of([0.1] * 30 + [0.2 + number / 1000 for number in range(70)])
    bins = ScoreBins.of(calibration.scores, calibration.threshold)
    assert bins.masses[bins.find(0.1)] == 30


@given(st.lists(st.integers(0, 10), max_size=30))
def test_every_bet_is_fair_whatever_came_before(before: list[int]) -> None:
    rng = np.random.default_rng(0)
    drift = ScoreDrift(calibration_of(scores_of(rng.normal(size=57))), pictures_to_false_alarm=1e300)
    inside = [*drift._bins.edges, 1.0]
    for number in before:
        drift.add(inside[number])
    odds = np.array(drift._bins.masses) + np.array(drift._counts)
    paid = []
    for number in range(len(inside)):
        last = list(drift._last)
        factors = drift._factors(number, odds.tolist())
        paid.append([factors[kind] for kind in KINDS])
        drift._last = last
    assert odds @ np.array(paid) / odds.sum() == pytest.approx(1)


@given(st.lists(st.tuples(st.floats(0.1, 9), st.booleans()), min_size=1, max_size=12))
def test_a_gambler_owns_what_all_coins_became_and_knows_the_best_start(rounds: list[tuple[float, bool]]) -> None:
    gambler = _Gambler()
    for factor, above in rounds:
        gambler.settle(factor, above=above)
    became = [math.prod(factor for factor, _ in rounds[start:]) for start in range(len(rounds) + 1)]
    assert gambler.evidence == pytest.approx(sum(became[:-1]))
    assert gambler.lead == pytest.approx(math.log(max(became)), abs=1e-9)
    since = rounds[len(rounds) - gambler.pictures :]
    assert math.prod(factor for factor, _ in since) == pytest.approx(max(became))
    assert gambler.above == sum(above for _, above in since)


# --- what is promised


@pytest.mark.parametrize("pictures", [20, 50, 500])
def test_false_alarms_are_as_rare_as_asked_for(pictures: int) -> None:
    rng, wished, lengths = np.random.default_rng(pictures), 300, []
    for _ in range(100):
        drift = ScoreDrift(calibration_of(scores_of(rng.normal(size=pictures))), pictures_to_false_alarm=wished)
        lengths.append(run(drift, scores_of(rng.normal(size=8 * wished)))[0])
    # Cutting at 8 times the wish only makes the mean smaller.
    assert np.mean(lengths) >= wished
    # At most a tenth within a tenth; three standard errors above it.
    assert np.mean(np.array(lengths) <= wished / 10) <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 100)


def test_the_distribution_of_scores_does_not_matter() -> None:
    normal = np.random.default_rng(3).normal(size=600)
    found = []
    for scores in (expit(normal), expit(normal) ** 3, np.exp(normal) / (1e3 + np.exp(normal))):
        drift = ScoreDrift(calibration_of(scores[:100]), pictures_to_false_alarm=1e9)
        run(drift, scores[100:].tolist())
        found.append(drift.state() | {"calibration": ""})
    assert found[0] == found[1] == found[2]


# --- what is noticed

CHANGES: dict[str, tuple[Callable[[np.random.Generator, Floats], Floats], str, int]] = {
    "one sd higher": (lambda rng, x: x + 1, "higher", 45),
    "one sd lower": (lambda rng, x: x - 1, "lower", 45),
    "far higher": (lambda rng, x: x + 5, "higher", 12),
    "blank picture": (lambda rng, x: np.full_like(x, -20), "lower", 12),
    "frozen camera": (lambda rng, x: np.full_like(x, 0.1), "other", 20),
    "less scattered": (lambda rng, x: 0.3 * x, "other", 60),
    "10 % bad parts": (lambda rng, x: np.where(rng.random(len(x)) < 0.1, 6, x), "more_above", 400),
}


@pytest.mark.parametrize("pictures", [50, 500])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed_and_named(change: str, pictures: int) -> None:
    alter, kind, soon = CHANGES[change]
    rng = np.random.default_rng(1)
    delays, kinds = [], []
    for _ in range(20):
        drift = ScoreDrift(calibration_of(scores_of(rng.normal(size=pictures))))
        run(drift, scores_of(rng.normal(size=200)))
        delay, alarm = run(drift, scores_of(alter(rng, rng.normal(size=1000))))
        delays.append(delay)
        kinds.append(None if alarm is None else alarm.kind)
    assert np.median(delays) <= soon
    assert kinds.count(kind) >= 16, Counter(kinds)


def test_the_alarm_tells_since_when_and_how_many_are_called_bad() -> None:
    rng = np.random.default_rng(2)
    drift = ScoreDrift(calibration_of(scores_of(rng.normal(size=500))))
    run(drift, scores_of(rng.normal(size=200)))
    delay, alarm = run(drift, scores_of(rng.normal(size=100) + 5))
    assert alarm is not None
    assert (alarm.kind, alarm.above) == ("higher", pytest.approx(1, abs=0.3))
    assert alarm.usual == pytest.approx(0.05, abs=0.02)
    assert delay <= alarm.pictures <= delay + 10
    assert f"since about {alarm.pictures} pictures" in alarm.sentence


def test_every_kind_has_its_sentence() -> None:
    sentences = {DriftAlarm(kind, 20, 0.25, 0.05).sentence for kind in KINDS}
    assert len(sentences) == len(KINDS)
    assert all("25% of them are called bad, usual is 5%" in sentence for sentence in sentences)


def test_the_alarm_comes_again_as_long_as_its_reason_lasts() -> None:
    rng = np.random.default_rng(0)
    drift = ScoreDrift(calibration_of(scores_of(rng.normal(size=100))))
    alarms = [drift.add(score) for score in scores_of(rng.normal(size=200) + 2)]
    assert sum(alarm is not None for alarm in alarms) >= 10
    after = [drift.add(score) for score in scores_of(rng.normal(size=300))]
    assert not any(after[20:])


# --- restarts


@given(st.integers(0, 119), st.integers(0, 2**32 - 1))
def test_a_restart_changes_nothing(cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    calibration = calibration_of(scores_of(rng.normal(size=60)))
    stream = scores_of(np.concatenate([rng.normal(size=60), rng.normal(size=60) + 1.5]))
    going_on, stopped = (ScoreDrift(calibration, pictures_to_false_alarm=200) for _ in range(2))
    expected = [going_on.add(score) for score in stream]
    found = [stopped.add(score) for score in stream[:cut]]
    again = ScoreDrift.from_state(calibration, json.loads(json.dumps(stopped.state())))
    found += [again.add(score) for score in stream[cut:]]
    assert found == expected
    assert again.state() == going_on.state()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: None, "None was not written by this version"),
        (lambda state: [], "was not written by this version"),
        (
            lambda state: {key: value for key, value in state.items() if key != "last"},
            "was not written by this version",
        ),
        (lambda state: state | {"extra": 1}, "was not written by this version"),
        (lambda state: state | {"format": 2}, "for format 2, not 1"),
        (lambda state: state | {"calibration": "other"}, "for calibration 'other', not"),
        (lambda state: state | {"pictures_to_false_alarm": "many"}, "pictures_to_false_alarm = 'many'"),
        (lambda state: state | {"pictures_to_false_alarm": 0.5}, "pictures_to_false_alarm is 0.5"),
        (lambda state: state | {"counts": [1]}, r"counts = \[1\]"),
        (lambda state: state | {"counts": [*state["counts"][:-1], -1]}, "counts ="),
        (lambda state: state | {"counts": [*state["counts"][:-1], 0.5]}, "counts ="),
        (lambda state: state | {"counts": [*state["counts"][:-1], True]}, "counts ="),
        (lambda state: state | {"counts": [*state["counts"][:-1], 10**400]}, "counts ="),
        (lambda state: state | {"last": [*state["last"][:-1], float("nan")]}, "last ="),
        (lambda state: state | {"last": 3}, "last = 3"),
        (lambda state: state | {"higher": [float("inf"), 0.0, 0, 0]}, "higher ="),
        (lambda state: state | {"lower": [0.0, 0.0, 0]}, "lower ="),
        (lambda state: state | {"other": [0.0, 0.0, 0, "0"]}, "other ="),
        (lambda state: state | {"other": [0.0, [0.0], 0, 0]}, "other ="),
    ],
)
def test_a_damaged_state_is_refused(change: object, message: str) -> None:
    calibration = calibration_of(number / 100 for number in range(40))
    with pytest.raises(ValueError, match=message) as caught:
        ScoreDrift.from_state(calibration, change(ScoreDrift(calibration).state()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScoreDrift(calibration_of([0.1 * n for n in range(10)])), "has 10 pictures: .* calibrate with 20"),
        (lambda: ScoreDrift(calibration_of([0.1] * 30)), "Too few scores of the calibration differ"),
        (lambda: ScoreDrift(calibration_of(n / 40 for n in range(40)), pictures_to_false_alarm=0), "is 0; give"),
        (lambda: ScoreDrift(calibration_of(n / 40 for n in range(40))).add(float("nan")), "The score is nan"),
    ],
)
def test_what_cannot_be_watched_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
