"""Resampled figures against figures of images that are really repeated, and intervals against known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from anomalib_federated.evaluation.figures import ImageFigures, Interval
from anomalib_federated.evaluation.measuring.bootstrap import Evidence, bootstrap, figures_of
from anomalib_federated.evaluation.measuring.pixel_counts import PixelCounts, ordered_keys
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.metrics import auc_spro, threshold_at_tnr
from tests.evaluation.scored import scored_test_set


def image(index: int, score: float, folder: str) -> ImageFigures:
    return ImageFigures(name=f"test/{folder}/{index:04d}.png", defect_type=folder, score=score)


def images_of(good: np.ndarray, defective: np.ndarray) -> list[ImageFigures]:
    return [image(i, float(s), "good") for i, s in enumerate(good)] + [
        image(i, float(s), "bent") for i, s in enumerate(defective)
    ]


@given(arrays(np.float32, 20, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_keys_are_in_the_order_of_the_scores(scores: np.ndarray) -> None:
    keys = ordered_keys(scores).astype(np.int64)
    assert np.array_equal(np.sign(keys[:, None] - keys), np.sign(scores[:, None].astype(np.float64) - scores))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=8),
)
def test_a_weight_of_n_is_an_image_n_times(good: list[tuple[int, int]], defective: list[tuple[int, int]]) -> None:
    good, defective = [*good, (2, 1)], [*defective, (2, 1)]  # each kind is there at least once
    scores = np.array([score for score, _ in good + defective], dtype=float)
    weights = np.array([weight for _, weight in good + defective])
    evidence = Evidence(images=images_of(scores[: len(good)], scores[len(good) :]))
    found = figures_of(evidence, weights[None].astype(float), np.ones((1, 0)))
    labels = np.repeat([0] * len(good) + [1] * len(defective), weights)
    assert found["image_auroc"][0] == pytest.approx(roc_auc_score(labels, np.repeat(scores, weights)), abs=1e-12)
    assert found["average_precision"][0] == pytest.approx(
        average_precision_score(labels, np.repeat(scores, weights)), abs=1e-12
    )


@pytest.mark.parametrize("strength", [1.0, 4.0])
def test_figures_of_pixels_are_near_the_exact_ones_of_repeated_images(strength: float) -> None:
    images = scored_test_set(strength=strength)
    counts = PixelCounts()
    for item in images:
        counts.add(item)
    evidence = Evidence(images=images_as_figures(images), pixels=counts.grid())
    weights = np.random.default_rng(1).integers(0, 3, size=(3, len(images))).astype(float)
    weights[:, [0, -1]] = 1
    found = figures_of(evidence, weights, np.ones((3, 0)))
    for row, weight in enumerate(weights.astype(int)):
        repeated = [item for item, times in zip(images, weight, strict=True) for _ in range(times)]
        exact = auc_spro([item.anomaly_map for item in repeated], [item.defects for item in repeated])
        assert found["auc_spro@0.05"][row] == pytest.approx(exact[0.05], abs=1e-3)
        labels = np.concatenate([item.covered().ravel() for item in repeated])
        scores = np.concatenate([item.anomaly_map.ravel() for item in repeated])
        assert found["pixel_auroc"][row] == pytest.approx(roc_auc_score(labels, scores), abs=1e-3)
        assert found["pixel_average_precision"][row] == pytest.approx(average_precision_score(labels, scores), abs=2e-3)


def images_as_figures(images: Sequence[ScoredImage]) -> list[ImageFigures]:
    return [ImageFigures(name=item.name, defect_type=item.defect_type, score=item.score) for item in images]


@pytest.mark.parametrize(
    ("scale", "offset", "most_entries", "within"),
    [
        (1, 0, 3_000_000, 1e-3),
        (1e-6, 0, 3_000_000, 1e-3),
        (1, 1000, 3_000_000, 1e-3),
        (1, -3, 3_000_000, 1e-3),
        (1, 0, 4_000, 1e-2),
        (1, -3, 4_000, 1e-2),
    ],
)
def test_cells_are_fine_enough_on_any_scale(scale: float, offset: float, most_entries: int, within: float) -> None:
    images = [
        replace(item, anomaly_map=item.anomaly_map * np.float32(scale) + np.float32(offset))
        for item in scored_test_set()
    ]
    counts = PixelCounts(most_entries=most_entries)
    for item in images:
        counts.add(item)
    evidence = Evidence(images=images_as_figures(images), pixels=counts.grid())
    found = figures_of(evidence, np.ones((1, len(images))), np.ones((1, 0)))
    exact = auc_spro([item.anomaly_map for item in images], [item.defects for item in images])
    assert found["auc_spro@0.05"][0] == pytest.approx(exact[0.05], abs=within)


def test_when_bits_are_dropped_does_not_depend_on_the_order_of_images() -> None:
    images = scored_test_set()
    grids = []
    for order in (images, images[::-1]):
        counts = PixelCounts(most_entries=4_000)
        for item in order:
            counts.add(item)
        grids.append(counts.grid())
    assert np.array_equal(grids[0].free, grids[1].free[::-1])
    assert np.array_equal(grids[0].spro, grids[1].spro[::-1])


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    truth = NormalDist().cdf(1.2 / np.sqrt(2))
    covered = 0
    for repetition in range(300):
        images = images_of(rng.normal(size=60), rng.normal(1.2, 1, size=60))
        exact = figures_of(Evidence(images=images), np.ones((1, 120)), np.ones((1, 0)))["image_auroc"][0]
        interval = bootstrap(Evidence(images=images), {"image_auroc": exact}, resamples=300, seed=repetition)
        covered += interval["image_auroc"].low <= truth <= interval["image_auroc"].high
    assert 0.91 <= covered / 300 <= 0.98


def test_intervals_of_a_rate_cover_it_with_the_threshold_resampled() -> None:
    rng = np.random.default_rng(0)
    truth = 1 - NormalDist(2, 1).cdf(NormalDist().inv_cdf(0.95))
    covered = narrow = 0
    for repetition in range(200):
        images = images_of(rng.normal(size=10), rng.normal(2, 1, size=100))
        evidence = Evidence(images=images, validation_scores=rng.normal(size=200).tolist())
        exact = figures_of(evidence, np.ones((1, 110)), np.ones((1, 200)))["tpr@tnr0.95"][0]
        interval = bootstrap(evidence, {"tpr@tnr0.95": exact}, resamples=300, seed=repetition)["tpr@tnr0.95"]
        covered += interval.low <= truth <= interval.high
        narrow += abs(truth - exact) <= 1.96 * np.sqrt(exact * (1 - exact) / 100)
    assert 0.90 <= covered / 200 <= 0.985
    assert narrow < covered  # what an interval that takes the threshold as given would reach


def test_the_order_of_images_changes_nothing_and_the_seed_something() -> None:
    images = scored_test_set()
    shuffled = [images[index] for index in np.random.default_rng(3).permutation(len(images))]
    found = []
    for order, seed in ((images, 0), (shuffled, 0), (images, 1)):
        counts = PixelCounts()
        for item in order:
            counts.add(item)
        evidence = Evidence(images=images_as_figures(order), pixels=counts.grid(), validation_scores=(2.0, 4.0, 6.0))
        exact = {"image_auroc": 0.8, "auc_spro@0.05": 0.5, "tpr@tnr0.95": 0.5, "pixel_auroc": 0.7}
        found.append(bootstrap(evidence, exact, resamples=200, seed=seed))
    for name, interval in found[0].items():
        assert (found[1][name].low, found[1][name].high) == pytest.approx((interval.low, interval.high), abs=1e-6)
    assert found[0] != found[2]


def test_blocks_do_not_change_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = Evidence(images=images_of(np.arange(5.0), np.arange(3, 9.0)))
    monkeypatch.setattr("anomalib_federated.evaluation.measuring.bootstrap._BLOCK_NUMBERS", 77)  # blocks of 7
    found = bootstrap(evidence, {"image_auroc": 0.9}, resamples=10)["image_auroc"]
    assert 0 <= found.low < found.high <= 1


def test_no_resamples_give_no_interval_and_bad_settings_are_refused() -> None:
    evidence = Evidence(images=images_of(np.arange(3.0), np.arange(3.0)))
    assert bootstrap(evidence, {"image_auroc": 0.5}, resamples=0) == {}
    for settings in ({"resamples": -1}, {"confidence": 1.0}):
        with pytest.raises(ValueError, match="give 0 or more"):
            bootstrap(evidence, {"image_auroc": 0.5}, **settings)


def test_every_resample_has_as_many_images_of_each_folder() -> None:
    images = [image(0, 1.0, "good"), image(0, 3.0, "bent"), image(0, 1.0, "missing")]
    evidence = Evidence(images=images, validation_scores=(2.0,))
    found = bootstrap(evidence, {"tpr@tnr0.95": 0.5, "image_auroc": 0.75}, resamples=50)
    assert found == {"tpr@tnr0.95": Interval(low=0.5, high=0.5), "image_auroc": Interval(low=0.75, high=0.75)}


@pytest.mark.parametrize("count", [1, 7, 19, 20, 40, 140])
def test_a_resampled_threshold_is_that_of_the_scores_drawn(count: int) -> None:
    rng = np.random.default_rng(count)
    validation, weights = rng.integers(0, 50, size=count).astype(float), rng.multinomial(count, [1 / count] * count, 9)
    defective = np.arange(50) + 0.5
    evidence = Evidence(images=images_of(np.empty(0), defective), validation_scores=validation.tolist())
    found = figures_of(evidence, np.ones((9, 50)), weights.astype(float))["tpr@tnr0.95"]
    thresholds = [threshold_at_tnr(np.repeat(validation, weight), 0.95) for weight in weights]
    assert found.tolist() == [np.mean(defective > threshold) for threshold in thresholds]
