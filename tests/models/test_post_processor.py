"""Thresholds from normal pictures and what they make of scores."""

from __future__ import annotations

import json
import logging
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from anomalib.data import ImageBatch, InferenceBatch
from anomalib.post_processing import PostProcessor
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from anomalib_federated.data.batch import InspectionBatch
from anomalib_federated.false_alarms import FalseAlarms
from anomalib_federated.models.post_processor import (
    ROUNDING_MARGIN,
    NormalQuantilePostProcessor,
    Thresholds,
    normalise,
)


def batch_of(
    scores: list[float],
    *,
    peaks: list[float] | None = None,
    labels: list[int] | None = None,
    category: str | None = "a",
) -> ImageBatch:
    """Pictures whose maps are zero but for one pixel, the peak."""
    maps = torch.zeros(len(scores), 4, 4)
    maps[:, 1, 2] = torch.tensor(scores if peaks is None else peaks)
    common = {
        "image": torch.zeros(len(scores), 3, 4, 4),
        "pred_score": torch.tensor(scores),
        "anomaly_map": maps,
        "gt_label": torch.tensor([0] * len(scores) if labels is None else labels),
    }
    return ImageBatch(**common) if category is None else InspectionBatch(**common, category=[category] * len(scores))


def just_above(image: float, pixel: float) -> object:
    """The thresholds that normal scores set; the margin is so small that it means no other picture."""
    return pytest.approx((image * (1 + ROUNDING_MARGIN), pixel * (1 + ROUNDING_MARGIN)), rel=1e-9)


def of(processor: NormalQuantilePostProcessor) -> dict[str, tuple[float, float]]:
    return {name: (value.image, value.pixel) for name, value in processor.thresholds.items()}


def with_thresholds(**thresholds: Thresholds) -> NormalQuantilePostProcessor:
    processor = NormalQuantilePostProcessor()
    processor.thresholds = thresholds
    return processor


def calibrated(*batches: ImageBatch, rate: float = 0.05) -> NormalQuantilePostProcessor:
    processor = NormalQuantilePostProcessor(false_alarm_rate=rate)
    for batch in batches:
        processor.observe(batch)
    processor.calibrate()
    return processor


@pytest.mark.parametrize(("count", "rate"), [(1, 0.05), (2, 0.05), (20, 0.05), (33, 0.1), (100, 0.05), (101, 0.25)])
def test_the_threshold_is_the_conformal_quantile(count: int, rate: float) -> None:
    rng = np.random.default_rng(count)
    scores, peaks = (rng.random(count).astype(np.float32) for _ in range(2))
    cut = (count + 1) // 2
    parts = [slice(cut), *([slice(cut, None)] if count > 1 else [])]
    batches = [batch_of(scores[part].tolist(), peaks=peaks[part].tolist()) for part in parts]
    processor = calibrated(*batches, rate=rate)
    level = min(1.0, math.ceil(round((count + 1) * (1 - rate), 9)) / count)  # of split conformal prediction
    expected = [np.quantile(values, level, method="inverted_cdf") for values in (scores, peaks)]
    assert of(processor) == {"a": just_above(*map(float, expected))}


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.integers(0, 30).map(float), min_size=1, max_size=60),
    rate=st.sampled_from([0.01, 0.05, 0.1, 0.5, 0.9]),
)
def test_no_more_normal_pictures_than_promised_exceed_the_threshold(scores: list[float], rate: float) -> None:
    threshold = calibrated(batch_of(scores), rate=rate).thresholds["a"].image
    assert round(threshold) in scores
    assert threshold == pytest.approx(round(threshold), rel=2 * ROUNDING_MARGIN)
    assert sum(value > threshold for value in scores) <= Fraction(rate) * len(scores)
    lower = [score for score in scores if score < round(threshold)]
    if lower:  # the next lower threshold promises too little
        assert sum(value > max(lower) for value in scores) + 1 > Fraction(str(rate)) * (len(scores) + 1)


def test_defective_pictures_do_not_count() -> None:
    processor = calibrated(batch_of([1, 9, 2, 8], labels=[0, 1, 0, 1]))
    assert of(processor) == {"a": just_above(2, 2)}


def test_pictures_without_labels_count_as_normal() -> None:
    batch = batch_of([1.0, 2.0])
    batch.gt_label = None
    assert of(calibrated(batch)) == {"a": just_above(2, 2)}


def test_the_picture_that_sets_the_threshold_is_normal_whatever_rounds() -> None:
    processor = calibrated(batch_of([0.3, 0.7]))
    again = batch_of([0.7, 0.7 * (1 + 1e-5), 0.7 * (1 + 1e-3)])
    processor.post_process_batch(again)
    assert again.pred_label.tolist() == [False, False, True]
    assert again.pred_mask.any(2).any(1).tolist() == [False, False, True]


def test_every_category_has_its_own() -> None:
    processor = calibrated(batch_of([1, 2], category="a"), batch_of([5, 9], category="b"), batch_of([3], category="a"))
    assert of(processor) == {"a": just_above(3, 3), "b": just_above(9, 9)}
    mixed = batch_of([3, 3])
    mixed.category = ["a", "b"]
    processor.post_process_batch(mixed)
    assert mixed.pred_score.tolist() == pytest.approx([3 / 6, 3 / 12], rel=1e-4)
    assert mixed.anomaly_map[:, 1, 2].tolist() == pytest.approx([3 / 6, 3 / 12], rel=1e-4)


def test_calibrating_anew_forgets_the_scores_before() -> None:
    processor = calibrated(batch_of([100.0]))
    processor.observe(batch_of([1.0]))
    processor.calibrate()
    assert of(processor) == {"a": just_above(1, 1)}


def test_a_data_set_without_categories_has_one() -> None:
    processor = calibrated(batch_of([1, 2], category=None))
    assert list(processor.thresholds) == ["default"]
    batch = batch_of([2, 6], category=None)
    processor.post_process_batch(batch)
    assert batch.pred_score.tolist() == pytest.approx([0.5, 0.75], rel=1e-4)


def test_labels_and_masks_tell_who_is_above() -> None:
    processor = with_thresholds(a=Thresholds(4.0, 8.0))
    batch = batch_of([3.9, 4.0, 4.1, 40], peaks=[8.1, 8.0, 7.9, 80])
    processor.post_process_batch(batch)
    assert batch.pred_score[1] == 0.5
    assert batch.pred_label.tolist() == [False, False, True, True]
    assert batch.anomaly_map[1, 1, 2] == 0.5
    assert batch.pred_mask.sum((1, 2)).tolist() == [1, 0, 0, 1]
    assert float(batch.anomaly_map[:, 0].max()) == 0


def test_the_exported_form_gives_the_same() -> None:
    processor = calibrated(batch_of([4.0], peaks=[8.0]))
    raw = batch_of([0, 3, 4, 5, 1000], peaks=[0, 8, 9, 1, 7])
    exported = processor(InferenceBatch(pred_score=raw.pred_score, anomaly_map=raw.anomaly_map), "a")
    processor.post_process_batch(raw)
    for field in ("pred_score", "pred_label", "anomaly_map", "pred_mask"):
        assert torch.equal(getattr(exported, field), getattr(raw, field)), field


@given(
    values=st.lists(st.floats(0, 1e6, width=32), min_size=2, max_size=20), threshold=st.floats(2**-10, 1e6, width=32)
)
@example(values=[449390.0, 524288.0], threshold=0.09375)  # s / (s + t) would turn these two around
def test_normalised_scores_keep_their_order(values: list[float], threshold: float) -> None:
    ordered = torch.tensor(sorted([*values, threshold]))
    normalised = normalise(ordered, torch.tensor(threshold))
    assert bool((normalised.diff() >= 0).all())
    assert float(normalised[0]) >= 0
    assert float(normalised[-1]) <= 1
    assert float(normalise(torch.tensor(threshold), torch.tensor(threshold))) == 0.5
    # Scores that differ by more than rounding stay apart.
    apart = torch.tensor([threshold, threshold * 1.001])
    assert float(normalise(apart, torch.tensor(threshold)).diff()) > 0


def test_a_threshold_of_zero_divides_nothing_by_nothing() -> None:
    processor = calibrated(batch_of([0.0, 0.0]))
    batch = batch_of([0.0, 1e-3, 5.0])
    processor.post_process_batch(batch)
    assert batch.pred_score.tolist() == [0, 1, 1]
    assert batch.pred_label.tolist() == [False, True, True]
    assert bool(torch.isfinite(batch.anomaly_map).all())


def test_without_calibration_nothing_is_judged() -> None:
    processor = NormalQuantilePostProcessor()
    with pytest.raises(ValueError, match=r"'a' has no threshold; validate the model on .*\(calibrated: none\)"):
        processor.post_process_batch(batch_of([1.0]))
    known = calibrated(batch_of([1.0], category="b"))
    raw = batch_of([1.0])
    with pytest.raises(ValueError, match=r"'a' has no threshold.*\(calibrated: b\)"):
        known(InferenceBatch(pred_score=raw.pred_score, anomaly_map=raw.anomaly_map), "a")


def test_only_defective_pictures_give_no_threshold() -> None:
    assert calibrated(batch_of([1.0], labels=[1])).thresholds == {}


def test_the_checkpoint_form_is_plain_and_restores_everything() -> None:
    processor = calibrated(batch_of([1, 2]), batch_of([7], peaks=[math.pi], category="b"), rate=0.25)
    config = processor.checkpoint_config()
    points = [point for category in config["operating_points"].values() for point in category.values()]
    assert {type(value) for point in (*config["thresholds"].values(), *points) for value in point} == {float, int}
    restored = NormalQuantilePostProcessor()
    restored.load_checkpoint_config(config)
    assert restored.thresholds == processor.thresholds
    assert restored.operating_points == processor.operating_points
    assert restored.false_alarm_rate == 0.25
    assert isinstance(restored, PostProcessor)


def test_a_checkpoint_from_before_operating_points_is_read() -> None:
    processor = NormalQuantilePostProcessor()
    processor.load_checkpoint_config({"false_alarm_rate": 0.1, "thresholds": {"a": (4.0, 8.0)}})
    assert processor.thresholds == {"a": Thresholds(4.0, 8.0)}
    assert processor.operating_points == {}
    assert processor.description("a") == {
        "image_threshold": 4.0,
        "pixel_threshold": 8.0,
        "threshold_source": {"false_alarm_rate": 0.1, "from": "elsewhere"},
        "operating_points": {},
    }


def test_a_checkpoint_file_without_pickled_classes_restores_them(tmp_path: Path) -> None:
    processor = calibrated(batch_of([float(number) for number in range(120)]))
    torch.save(processor.checkpoint_config(), tmp_path / "config.pt")
    restored = NormalQuantilePostProcessor()
    restored.load_checkpoint_config(torch.load(tmp_path / "config.pt", weights_only=True))
    assert restored.description("a") == processor.description("a")


def test_the_export_is_told_what_thresholds_promise() -> None:
    scores = [float(number) for number in range(1, 121)]
    described = json.loads(json.dumps(calibrated(batch_of(scores), rate=0.25).description("a")))
    margin = 1 + ROUNDING_MARGIN
    # The j-th highest of 120 has an expectation of j / 121: 1, 6, 12 and 30 are the most that the rates allow.
    assert described["image_threshold"] == pytest.approx(91 * margin)
    source = described["threshold_source"]
    assert (source["from"], source["pictures"], source["false_alarm_rate"]) == ("validation", 120, 0.25)
    assert source["expected_rate"] == pytest.approx(30 / 121)
    assert source["upper_bound"] == pytest.approx(beta.ppf(source["confidence"], 30, 91))
    adopting = NormalQuantilePostProcessor()
    adopting.adopt("a", described)
    assert adopting.description("a") == described
    points = described["operating_points"]
    assert {rate: point["image_threshold"] for rate, point in points.items()} == {
        "0.01": pytest.approx(120 * margin),
        "0.05": pytest.approx(115 * margin),
        "0.1": pytest.approx(109 * margin),
    }
    assert points["0.05"]["upper_bound"] == pytest.approx(beta.ppf(0.95, 6, 115))


@pytest.mark.parametrize(
    "change",
    [
        {"threshold_source": None},
        {"threshold_source": {"rank": 1}},
        {"threshold_source": {"pictures": 3, "rank": "1", "confidence": 0.95}},
        {"threshold_source": {"pictures": 3, "rank": 1, "confidence": "high"}},
        {"image_threshold": None},
        {"image_threshold": "high"},
        {"operating_points": [0.05]},
        {"operating_points": {"0.05": {}}},
        {"operating_points": {"low": {}}},
    ],
)
def test_thresholds_told_by_somebody_else_are_refused(change: dict[str, object]) -> None:
    processor = calibrated(batch_of([float(number) for number in range(30)]))
    with pytest.raises(ValueError, match=r"told in a form|rank is|could not convert"):
        processor.adopt("a", processor.description("a") | change)


def test_operating_points_that_pictures_cannot_tell_are_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        processor = calibrated(batch_of([float(number) for number in range(12)]))
    assert list(processor.operating_points["a"]) == [0.1]
    assert processor.thresholds["a"].promise == FalseAlarms(pictures=12, rank=1)
    assert "12 normal validation images are too few for a false-alarm rate of 0.05" in caplog.text
    assert "it takes 19 images" in caplog.text


@pytest.mark.parametrize("rate", [0, 1, -0.1, 5, float("nan")])
def test_a_false_alarm_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="false_alarm_rate is"):
        NormalQuantilePostProcessor(false_alarm_rate=rate)
