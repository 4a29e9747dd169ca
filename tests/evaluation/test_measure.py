"""All figures against scikit-learn and against AUC-sPRO of lists of maps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from anomalib_federated.evaluation.figures import HEADLINES, Group
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.metrics import Defect, auc_spro
from tests.evaluation.scored import scored_test_set

KINDS = {"bent": "structural", "missing": "logical"}


@pytest.fixture(scope="module")
def images() -> list[ScoredImage]:
    return scored_test_set(strength=0.7)


def auroc(images: Sequence[ScoredImage]) -> float:
    return roc_auc_score([not item.good for item in images], [item.score for item in images])


def spro(images: Sequence[ScoredImage]) -> dict[str, float]:
    found = auc_spro([item.anomaly_map for item in images], [item.defects or () for item in images])
    return {str(limit): value for limit, value in found.items()}


def test_figures_of_images_and_pixels(images: list[ScoredImage]) -> None:
    figures = measure(iter(images), resamples=0)
    labels, scores = [not item.good for item in images], [item.score for item in images]
    assert figures.classification.auroc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert figures.classification.average_precision == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    pixels = np.concatenate([item.anomaly_map.ravel() for item in images])
    masks = np.concatenate([item.covered().ravel() for item in images])
    assert figures.localization.pixel_auroc == pytest.approx(roc_auc_score(masks, pixels), abs=1e-9)
    assert figures.localization.pixel_average_precision == pytest.approx(
        average_precision_score(masks, pixels), abs=1e-9
    )
    assert figures.localization.auc_spro == pytest.approx(spro(images), abs=1e-12)
    assert list(figures.localization.auc_spro) == ["0.01", "0.05", "0.1", "0.3", "1.0"]
    assert (figures.counts.good, figures.counts.defective, figures.counts.channels) == (6, 12, 18)
    assert [(item.name, item.score) for item in figures.images] == sorted((item.name, item.score) for item in images)
    assert figures.intervals == {}
    assert figures.operating_points == ()


def test_groups_hold_all_good_images_and_their_own_defective_ones(images: list[ScoredImage]) -> None:
    groups = {(group.kind, group.name): group for group in measure(images, resamples=0, groups=KINDS).groups}
    assert list(groups) == [
        ("defect type", "hole"), ("defect type", "scratch"), ("folder", "bent"), ("folder", "missing"),
        ("kind", "logical"), ("kind", "structural"),
    ]  # fmt: skip
    good = [item for item in images if item.good]
    for folder, kind in KINDS.items():
        own = [*good, *(item for item in images if item.defect_type == folder)]
        for group in (groups["folder", folder], groups["kind", kind]):
            assert group.classification.auroc == pytest.approx(auroc(own), abs=1e-12)
            assert group.auc_spro == pytest.approx(spro(own), abs=1e-12)
            assert group.images == 6
    assert groups["folder", "missing"].channels == 12


def test_a_defect_type_is_scored_beside_the_pixels_free_of_every_defect(images: list[ScoredImage]) -> None:
    group = next(group for group in measure(images, resamples=0).groups if group.name == "hole")
    own = [item for item in images if item.good or item.defect_type == "missing"]
    assert (group.images, group.channels) == (6, 6)
    assert group.classification.auroc == pytest.approx(auroc(own), abs=1e-12)
    assert group.auc_spro["0.05"] == pytest.approx(brute_force_spro(own, "hole", limit=0.05), abs=1e-9)


def brute_force_spro(images: Sequence[ScoredImage], name: str, *, limit: float) -> float:
    """By every threshold there is."""
    free = np.concatenate([item.anomaly_map[~item.covered()] for item in images])
    channels = [
        (item.anomaly_map[defect.mask], defect.saturation_area)
        for item in images
        for defect in item.defects
        if defect.name == name
    ]
    thresholds = np.unique(np.concatenate([item.anomaly_map.ravel() for item in images]))[::-1]
    fpr = [0.0, *((free > t).mean() for t in thresholds), 1.0]
    heights = [0.0, *(np.mean([min((s > t).sum() / area, 1) for s, area in channels]) for t in thresholds), 1.0]
    x = np.append([f for f in fpr if f < limit], limit)
    y = np.append(heights[: len(x) - 1], np.interp(limit, fpr, heights))
    return float(np.trapezoid(y, x)) / limit


def test_operating_points_come_from_validation_scores(images: list[ScoredImage]) -> None:
    validation = np.random.default_rng(5).gamma(3.0, 1.0, size=40).tolist()
    points = measure(images, validation_scores=validation, resamples=0).operating_points
    assert [point.tnr for point in points] == [0.99, 0.95, 0.9]
    for point in points:
        passing = [sum(score <= t for score in validation) / 41 >= point.tnr - 1e-9 for t in sorted(validation)]
        assert point.threshold == (sorted(validation)[passing.index(True)] if any(passing) else max(validation))
        assert point.tpr == np.mean([item.score > point.threshold for item in images if not item.good])
        assert point.test_tnr == np.mean([item.score <= point.threshold for item in images if item.good])
        assert point.validation_images == 40


def test_every_headline_has_an_interval_around_it(images: list[ScoredImage]) -> None:
    figures = measure(images, validation_scores=[4.0, 5.0, 6.0], resamples=300)
    assert set(figures.intervals) == {*HEADLINES, "pixel_average_precision"}
    for name, interval in figures.intervals.items():
        assert 0 <= interval.low <= figures.headline(name) <= interval.high <= 1
    wider = measure(images, resamples=300, confidence=0.99).intervals["image_auroc"]
    assert wider.low < figures.intervals["image_auroc"].low


def test_the_curve_is_the_one_that_is_scored(images: list[ScoredImage]) -> None:
    figures = measure(images, resamples=0)
    assert len(figures.curve.fpr) == 200
    assert (figures.curve.fpr[0], figures.curve.fpr[-1], figures.curve.spro[-1]) == (0, 1, 1)
    assert np.trapezoid(figures.curve.spro, figures.curve.fpr) == pytest.approx(
        figures.localization.auc_spro["1.0"], abs=2e-3
    )


def test_the_order_of_images_changes_nothing(images: list[ScoredImage]) -> None:
    found = measure(images, resamples=0, validation_scores=[3.0])
    again = measure(images[::-1], resamples=0, validation_scores=[3.0])
    assert again.images == found.images
    assert again.localization.auc_spro == pytest.approx(found.localization.auc_spro, abs=1e-12)
    assert [strip(group) for group in again.groups] == [strip(group) for group in found.groups]


def strip(group: Group) -> tuple[str, str, int, int]:
    return group.kind, group.name, group.images, group.channels


def test_images_without_masks_have_figures_of_images_only(
    images: list[ScoredImage], caplog: pytest.LogCaptureFixture
) -> None:
    bare = [item if item.good else replace(item, defects=None) for item in images]
    with caplog.at_level(logging.WARNING):
        figures = measure(bare, resamples=20)
    assert "screw: 12 of 18 test images have no masks" in caplog.text
    assert figures.localization.auc_spro is None
    assert figures.localization.pixel_auroc is None
    assert figures.curve is None
    assert set(figures.intervals) == {"image_auroc", "average_precision"}
    assert {group.kind for group in figures.groups} == {"folder", "kind"}
    assert all(group.auc_spro is None for group in figures.groups)


@pytest.mark.parametrize("which", ["good", "bent", ""])
def test_figures_that_the_images_do_not_define_are_none(
    images: list[ScoredImage], which: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        figures = measure([item for item in images if item.defect_type == which], validation_scores=[3.0], resamples=10)
    assert "image AUROC and AP are not defined" in caplog.text
    assert figures.classification.auroc is None
    (tpr,) = {point.tpr is None for point in figures.operating_points}
    (tnr,) = {point.test_tnr is None for point in figures.operating_points}
    assert (tpr, tnr) == (which != "bent", which != "good")
    assert (figures.localization.auc_spro is None) == (which != "bent")
    assert all(figures.headline(name) is not None for name in figures.intervals)


def test_masks_that_cover_everything_leave_figures_of_pixels_undefined(
    images: list[ScoredImage], caplog: pytest.LogCaptureFixture
) -> None:
    whole = np.ones(images[0].anomaly_map.shape, dtype=bool)
    covered = [replace(item, defects=(Defect(whole, 5),)) for item in images if not item.good]
    with caplog.at_level(logging.WARNING):
        assert measure(covered, resamples=10).localization.auc_spro is None
    assert "cover every pixel" in caplog.text


def test_what_cannot_be_measured_together_is_refused(images: list[ScoredImage]) -> None:
    with pytest.raises(ValueError, match="comes twice"):
        measure([images[0], images[0]])
    with pytest.raises(ValueError, match="measure each category alone"):
        measure([images[0], replace(images[1], category="nut")])
    with pytest.raises(ValueError, match="not finite"):
        measure(images, validation_scores=[float("nan")])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anomaly_map": np.zeros((3, 4))}, "must be float32"),
        ({"anomaly_map": np.full((24, 30), np.nan, dtype=np.float32)}, "NaN or infinite"),
        ({"score": float("inf")}, "NaN or infinite"),
        ({"anomaly_map": np.zeros((3, 4), dtype=np.float32)}, r"is \(3, 4\), its mask \(24, 30\)"),
    ],
)
def test_a_scored_image_that_makes_no_sense_is_refused(images: list[ScoredImage], change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(images[-1], **change)
