"""Thresholds from normal pictures and what they make of scores."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from anomalib.data import ImageBatch, InferenceBatch
from anomalib.post_processing import PostProcessor
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anomalib_federated.data.batch import InspectionBatch
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
def test_the_threshold_is_the_higher_quantile(count: int, rate: float) -> None:
    rng = np.random.default_rng(count)
    scores, peaks = (rng.random(count).astype(np.float32) for _ in range(2))
    cut = (count + 1) // 2
    parts = [slice(cut), *([slice(cut, None)] if count > 1 else [])]
    batches = [batch_of(scores[part].tolist(), peaks=peaks[part].tolist()) for part in parts]
    processor = calibrated(*batches, rate=rate)
    expected = [np.quantile(values, 1 - rate, method="higher") for values in (scores, peaks)]
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
    assert {type(value) for pair in config["thresholds"].values() for value in pair} == {float}
    restored = NormalQuantilePostProcessor()
    restored.load_checkpoint_config(config)
    assert restored.thresholds == processor.thresholds
    assert restored.false_alarm_rate == 0.25
    assert isinstance(restored, PostProcessor)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 5, float("nan")])
def test_a_false_alarm_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="false_alarm_rate is"):
        NormalQuantilePostProcessor(false_alarm_rate=rate)
