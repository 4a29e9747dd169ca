"""Thresholds of a station against numpy, its file against being damaged in every way."""

from __future__ import annotations

import json
import math
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from anomalib_federated.deploy.calibration import Calibration, CalibrationError, calibrate
from anomalib_federated.false_alarms import making_sure

SCORES = st.floats(0, 1, exclude_max=True) | st.integers(0, 4).map(lambda fifth: fifth / 5)
RNG = np.random.default_rng(0)
DRAWN = [RNG.beta(5, 8, size=100).tolist() for _ in range(2)]


def calibrated(**settings: object) -> Calibration:
    return calibrate(
        *DRAWN,
        **{"category": "pipe_clip", "model_version": "0a1b", "station": "line 3", "false_alarm_rate": 0.05} | settings,
    )


def test_thresholds_are_the_conformal_quantiles() -> None:
    found = calibrated()
    assert found.pictures == 100
    for threshold, values in zip((found.threshold, found.pixel_threshold), DRAWN, strict=True):
        expected = np.quantile(values, math.ceil(101 * 0.95) / 100, method="inverted_cdf")
        assert threshold == pytest.approx(expected, abs=1e-4)
        assert threshold > expected
        assert sum(value > threshold for value in values) == 4
    assert found.expected_rate == pytest.approx(5 / 101)
    assert found.upper_bound == pytest.approx(beta.ppf(0.95, 5, 96))
    assert found.promise.keeps(0.05)


def test_another_confidence_and_being_sure() -> None:
    assert calibrated(confidence=0.8).upper_bound == pytest.approx(beta.ppf(0.8, 5, 96))
    sure = calibrated(false_alarm_rate=making_sure(100, 0.05).expected_rate)
    assert sum(score > sure.threshold for score in sure.scores) == 1
    assert sure.upper_bound <= 0.05
    assert sure.threshold > calibrated().threshold


def test_too_few_pictures_say_so() -> None:
    few = calibrate([0.3, 0.2], [0.1, 0.4], category="a", model_version="b", false_alarm_rate=0.01)
    assert (few.threshold, few.pixel_threshold) == (pytest.approx(0.3, abs=1e-4), pytest.approx(0.4, abs=1e-4))
    assert not few.promise.keeps(0.01)
    assert (few.expected_rate, few.upper_bound) == (pytest.approx(1 / 3), pytest.approx(1 - 0.05**0.5))


@given(st.lists(SCORES, min_size=1, max_size=40), st.sampled_from([0.01, 0.1, 0.5]))
def test_no_picture_alarms_by_rounding_and_one_always_can(scores: list[float], rate: float) -> None:
    found = calibrate(scores, scores, category="a", model_version="b", false_alarm_rate=rate)
    assert sum(score > found.threshold for score in scores) <= rate * len(scores)
    set_by = max(score for score in scores if score <= found.threshold)
    assert found.threshold >= set_by * (1 + 1e-6 * (1 - set_by))
    assert found.threshold <= 1


@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_order_does_not_matter(pairs: list[tuple[float, float]], random: object) -> None:
    scores, peaks = zip(*pairs, strict=True)
    settings = {"category": "a", "model_version": "b", "false_alarm_rate": 0.1}
    shuffled = random.sample(scores, len(scores)), random.sample(peaks, len(peaks))
    assert calibrate(*shuffled, **settings) == calibrate(scores, peaks, **settings)


@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=30), st.floats(0.001, 0.999), st.text())
def test_the_file_gives_back_what_was_saved(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[float, float]], rate: float, name: str
) -> None:
    scores, peaks = zip(*pairs, strict=True)
    station = name if name.isprintable() else ""
    found = calibrate(scores, peaks, category="a", model_version="b", station=station, false_alarm_rate=rate)
    path = tmp_path_factory.mktemp("saved") / "line" / "a.json"
    assert found.save(path) == path
    assert Calibration.load(path) == found
    assert Calibration.load(path).digest == found.digest


def test_the_file_is_for_people_too(tmp_path: Path) -> None:
    content = json.loads(calibrated().save(tmp_path / "a.json").read_text())
    assert list(content)[:5] == ["format", "category", "station", "model_version", "false_alarm_rate"]
    assert content["threshold"] == calibrated().threshold
    assert content["upper_bound"] == pytest.approx(beta.ppf(0.95, 5, 96))


def test_another_calibration_has_another_digest() -> None:
    digests = {calibrated(**change).digest for change in ({}, {"station": "4"}, {"false_alarm_rate": 0.1})}
    assert len(digests) == 3


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = calibrated().save(tmp_path / "a.json")
    before = path.read_bytes()
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, usual[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            calibrated(station="4").save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def without(name: str) -> object:
    return lambda content: {key: value for key, value in content.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: [content], "its format is"),
        (lambda content: content | {"format": 1}, "its format is 1, but this version reads 2"),
        (without("scores"), "the field 'scores' is missing"),
        (lambda content: content | {"more": 1}, "the field 'more' is not known"),
        (lambda content: content | {"category": ""}, "category is ''"),
        (lambda content: content | {"category": "a\nb"}, r"category is 'a\\nb'"),
        (lambda content: content | {"station": 3}, "station is 3"),
        (lambda content: content | {"model_version": None}, "model_version is None"),
        (lambda content: content | {"false_alarm_rate": "0.05"}, "false_alarm_rate is '0.05'"),
        (lambda content: content | {"false_alarm_rate": 0}, "false-alarm rate is 0"),
        (lambda content: content | {"confidence": 2}, "confidence is 2"),
        (lambda content: content | {"scores": 3}, "scores is 3, not a list"),
        (lambda content: content | {"scores": []}, "scores has 0 pictures"),
        (lambda content: content | {"scores": content["scores"][:-1]}, "99 scores but 100 peaks"),
        (lambda content: content | {"scores": content["scores"][::-1]}, "scores do not ascend"),
        (lambda content: content | {"peaks": [*content["peaks"][:-1], 1.5]}, "peaks has 1.5"),
        (lambda content: content | {"scores": [*content["scores"][:-1], True]}, "scores has True"),
        (lambda content: content | {"scores": [*content["scores"][:-1], 10**400]}, "scores has 1000"),
        (lambda content: content | {"scores": [*content["scores"][:-1], "1"]}, "scores has '1'"),
        (lambda content: content | {"threshold": 0.9}, "threshold is 0.9, but .* follows from the scores"),
        (lambda content: content | {"pixel_threshold": None}, "pixel_threshold is None, but"),
        (lambda content: content | {"upper_bound": 0.01}, "upper_bound is 0.01, but"),
        (lambda content: content | {"pictures": 101}, "pictures is 101, but 100 follows"),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path: Path, change: object, message: str) -> None:
    path = calibrated().save(tmp_path / "a.json")
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(CalibrationError, match=rf"^The calibration .*a\.json cannot be used .*{message}") as caught:
        Calibration.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": 1, "format": 1}', b"NaN", b"3"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(CalibrationError, match=r"a\.json cannot be used"):
        Calibration.load(tmp_path / "a.json")


def test_a_file_that_is_huge_or_missing_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(CalibrationError, match="it is larger than"):
        Calibration.load(tmp_path / "a.json")
    with pytest.raises(CalibrationError, match=r"cannot be read \(No such file"):
        Calibration.load(tmp_path / "none.json")
    with pytest.raises(CalibrationError, match=r"cannot be read \(Is a directory"):
        Calibration.load(tmp_path)


@pytest.mark.parametrize(
    ("scores", "peaks", "message"),
    [
        ([], [], "scores has 0 pictures"),
        ([0.1], [0.1, 0.2], "1 scores but 2 peaks"),
        ([math.nan], [0.1], "A score is nan"),
        ([0.1], [math.inf], "A score is inf"),
        ([-0.1], [0.1], "scores has -0.1"),
    ],
)
def test_scores_that_cannot_be_are_refused(scores: list[float], peaks: list[float], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        calibrate(scores, peaks, category="a", model_version="b", false_alarm_rate=0.1)


@pytest.mark.parametrize("scores", [[1.0], [1.0] * 40])
def test_a_threshold_that_nothing_can_exceed_is_refused(scores: list[float]) -> None:
    with pytest.raises(CalibrationError, match="no part could score above it"):
        calibrate(scores, [0.5] * len(scores), category="a", model_version="b", false_alarm_rate=0.05)
