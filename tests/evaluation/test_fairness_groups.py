"""Figures of groups against those of measuring the subsets alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from anomalib_federated.data.grouping import Grouping, Picture
from anomalib_federated.evaluation.fairness.covering import radii
from anomalib_federated.evaluation.fairness.division import Division, by_defect_type, by_grouping, by_site
from anomalib_federated.evaluation.fairness.figures import FIGURES, Fairness, GroupFigures
from anomalib_federated.evaluation.fairness.measure import cut_of, measure_fairness
from anomalib_federated.evaluation.measuring.measure import measure, measure_set
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.evaluation.measuring.scored_set import collect
from anomalib_federated.interfaces.partitioner import Partitioner, TrainingImage
from anomalib_federated.metrics import auc_spro, threshold_at_tnr
from tests.evaluation.scored import scored_test_set

VALIDATION = np.random.default_rng(5).gamma(3.0, 1.0, size=40).tolist()


class ByNumber(Grouping):
    """Odd and even pictures."""

    def group_of(self, picture: Picture) -> str:
        return "odd" if int(Path(picture.name).stem) % 2 else "even"


class ByFirst(Partitioner):
    """A site whose pictures begin with its name; others are not told."""

    def partition(self, images: Sequence[TrainingImage], *, seed: int = 0) -> dict[str, list[int]]:
        raise NotImplementedError

    def site_of(self, image: TrainingImage) -> str | None:
        number = int(Path(image.name).stem)
        return None if number == 0 else f"site_{number % 2}"


@pytest.fixture(scope="module")
def images() -> list[ScoredImage]:
    return scored_test_set(strength=0.7, images=7)


def pictures(images: Sequence[ScoredImage]) -> dict[str, Picture]:
    return {item.name: Picture(f"{item.category}/{item.name}", item.category) for item in images}


def fairness_of(images: Sequence[ScoredImage], *divisions: Division, **settings: object) -> Fairness:
    settings = {"resamples": 0, "validation_scores": VALIDATION} | settings
    test_set = collect(images, with_counts=settings["resamples"] > 0, cut=lambda name: cut_of(divisions, name))
    return measure_fairness(test_set, divisions, method="mine", **settings)


def groups_of(fairness: Fairness, by: str = "group") -> dict[str, GroupFigures]:
    return {group.name: group for group in fairness.by(by).groups}


def test_each_group_is_measured_as_if_it_were_alone(images: list[ScoredImage]) -> None:
    groups = groups_of(fairness_of(images, by_grouping(ByNumber(), pictures(images)), by_defect_type({})))
    assert list(groups) == ["even", "odd"]
    for name, remainder in (("even", 0), ("odd", 1)):
        own = [item for item in images if int(Path(item.name).stem) % 2 == remainder]
        labels, scores = [not item.good for item in own], [item.score for item in own]
        masks = np.concatenate([item.covered().ravel() for item in own])
        pixels = np.concatenate([item.anomaly_map.ravel() for item in own])
        spro = auc_spro([item.anomaly_map for item in own], [item.defects for item in own])
        expected = {
            "image_auroc": roc_auc_score(labels, scores),
            "average_precision": average_precision_score(labels, scores),
            "pixel_auroc": roc_auc_score(masks, pixels),
            "pixel_average_precision": average_precision_score(masks, pixels),
            **{f"auc_spro@{limit}": value for limit, value in spro.items()},
        }
        for tnr in (0.99, 0.95, 0.9):
            called = np.array(scores) > threshold_at_tnr(VALIDATION, tnr)  # of all normal pictures, whatever the group
            expected[f"tpr@tnr{tnr}"] = called[np.array(labels)].mean()
            expected[f"fpr@tnr{tnr}"] = called[~np.array(labels)].mean()
            expected[f"called@tnr{tnr}"] = called.mean()
        found = groups[name].figures
        assert {figure: found[figure] for figure in expected} == pytest.approx(expected, abs=1e-9)
        assert (groups[name].good, groups[name].defective) == (len(own) - sum(labels), sum(labels))
        assert groups[name].channels == sum(len(item.defects) for item in own)
        assert list(found) == list(FIGURES)
        alone = measure(own, validation_scores=VALIDATION, resamples=0)
        assert found["auc_spro@0.05"] == pytest.approx(alone.headline("auc_spro@0.05"), abs=1e-12)


def test_all_in_one_group_is_the_whole_and_is_not_compared(images: list[ScoredImage]) -> None:
    one = Division(by="group", groups={item.name: "all" for item in images})
    fairness = fairness_of(images, one)
    whole = measure(images, validation_scores=VALIDATION, resamples=0)
    (group,) = fairness.by("group").groups
    for figure in ("image_auroc", "average_precision", "pixel_auroc", "auc_spro@0.3", "tpr@tnr0.99"):
        assert group.figures[figure] == pytest.approx(whole.headline(figure), abs=1e-12)
    assert fairness.by("group").indices == {}
    assert fairness.by("site") is None
    assert fairness.thresholds == {str(point.tnr): point.threshold for point in whole.operating_points}


def test_cutting_the_images_into_groups_changes_no_figure_of_the_whole(images: list[ScoredImage]) -> None:
    division = by_grouping(ByNumber(), pictures(images))
    cut = collect(images, with_counts=False, cut=lambda name: cut_of([division], name))
    found, whole = measure_set(cut, resamples=0), measure(images, resamples=0)
    assert found.localization.auc_spro == pytest.approx(whole.localization.auc_spro, abs=1e-12)
    assert found.localization.pixel_auroc == pytest.approx(whole.localization.pixel_auroc, abs=1e-12)
    assert found.images == whole.images
    assert len(found.groups) == len(whole.groups)


def test_a_type_of_defect_is_measured_with_all_good_images(images: list[ScoredImage]) -> None:
    groups = groups_of(fairness_of(images, by_defect_type({i.name: i.defect_type for i in images})), "defect type")
    folders = {group.name: group for group in measure(images, resamples=0).groups if group.kind == "folder"}
    assert list(groups) == ["bent", "missing"]
    for name, group in groups.items():
        assert group.figures["image_auroc"] == pytest.approx(folders[name].classification.auroc, abs=1e-12)
        assert group.figures["auc_spro@0.05"] == pytest.approx(folders[name].auc_spro["0.05"], abs=1e-12)
        assert group.figures["fpr@tnr0.95"] is None  # the good images are everybody's
        assert group.figures["called@tnr0.95"] is None
        assert group.figures["tpr@tnr0.95"] is not None


def test_sites_are_told_by_names_and_pictures_of_none_are_counted(
    images: list[ScoredImage], caplog: pytest.LogCaptureFixture
) -> None:
    division = by_site(ByFirst(), pictures(images))
    with caplog.at_level(logging.WARNING):
        fairness = fairness_of(images, division)
    assert [group.name for group in fairness.by("site").groups] == ["site_0", "site_1"]
    assert fairness.by("site").of_no_group == 3  # number 0 of three folders
    assert sum(group.good + group.defective for group in fairness.by("site").groups) == len(images) - 3
    assert "3 test images are of no site" in caplog.text


def test_a_partitioner_that_draws_tells_no_sites(images: list[ScoredImage]) -> None:
    class Draws(ByFirst):
        site_of = Partitioner.site_of

    assert by_site(Draws(), pictures(images)) is None


def test_a_group_without_defects_is_left_out_of_what_it_does_not_define(images: list[ScoredImage]) -> None:
    groups = {item.name: "clean" if item.good and item.name.endswith("0.png") else "rest" for item in images}
    fairness = fairness_of(images, Division(by="group", groups=groups), resamples=20)
    clean = groups_of(fairness)["clean"]
    assert (clean.good, clean.defective, clean.channels) == (1, 0, 0)
    defined = {name for name, value in clean.figures.items() if value is not None}
    assert defined == {f"{rate}@tnr{tnr}" for rate in ("fpr", "called") for tnr in (0.99, 0.95, 0.9)}
    assert set(clean.intervals) == defined
    assert set(fairness.by("group").indices) == defined
    assert "image_auroc" not in fairness.by("group").indices


def test_one_picture_and_a_group_of_held_out_pictures_alone(images: list[ScoredImage]) -> None:
    one = next(item for item in images if not item.good)
    groups = {item.name: "rest" for item in images} | {one.name: "one", "train/good/0.png": "elsewhere"}
    distances = {"train/good/0.png": np.array([1.0, 3.0], dtype=np.float32)}
    found = groups_of(fairness_of(images, Division(by="group", groups=groups), distances=distances, resamples=20))
    assert found["one"].figures["tpr@tnr0.9"] in {0.0, 1.0}
    assert found["one"].figures["fpr@tnr0.9"] is None
    assert found["one"].figures["image_auroc"] is None
    assert found["one"].figures["auc_spro@0.05"] is not None  # its own pixels free of defects are there
    assert "auc_spro@0.05" not in found["one"].intervals
    low, high = found["one"].intervals["tpr@tnr0.9"].low, found["one"].intervals["tpr@tnr0.9"].high
    assert high - low > 0.8  # one picture tells next to nothing, and the interval says so
    elsewhere = found["elsewhere"]
    assert (elsewhere.good, elsewhere.defective, elsewhere.held_out) == (0, 0, 1)
    assert elsewhere.figures["covering_radius"] == 3
    assert {name for name, value in elsewhere.figures.items() if value is not None} == {
        "covering_radius",
        "covering_p95",
    }


def test_radii_are_those_of_all_patches_of_the_group() -> None:
    rng = np.random.default_rng(0)
    distances = {f"train/good/{index}.png": rng.gamma(3, 1, size=40).astype(np.float32) for index in range(6)}
    images = scored_test_set(images=2)
    groups = {name: "ab"[index % 2] for index, name in enumerate(distances)} | {item.name: "a" for item in images}
    found = groups_of(fairness_of(images, Division(by="group", groups=groups), distances=distances))
    for index, name in enumerate("ab"):
        every = np.sort(np.concatenate(list(distances.values())[index::2]))
        assert found[name].figures["covering_radius"] == every[-1]
        assert found[name].figures["covering_p95"] == every[int(np.ceil(0.95 * len(every))) - 1]
        assert found[name].held_out == 3
    assert radii([np.array([2.0], dtype=np.float32)]) == (2.0, 2.0)


def test_without_validation_images_there_are_no_rates(images: list[ScoredImage]) -> None:
    fairness = fairness_of(images, by_grouping(ByNumber(), pictures(images)), validation_scores=(), resamples=10)
    assert fairness.thresholds == {}
    for group in fairness.by("group").groups:
        assert {name for name, value in group.figures.items() if value is None} == {
            *(name for name in FIGURES if "@tnr" in name),
            "covering_p95",
            "covering_radius",
        }


def test_images_without_masks_have_figures_of_images_in_their_group_only(images: list[ScoredImage]) -> None:
    bare = [replace(item, defects=None) if not item.good and int(Path(item.name).stem) % 2 else item for item in images]
    found = groups_of(fairness_of(bare, by_grouping(ByNumber(), pictures(images)), resamples=10))
    assert found["odd"].figures["auc_spro@0.05"] is None
    assert found["odd"].figures["image_auroc"] is not None
    assert found["even"].figures["auc_spro@0.05"] is not None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"resamples": -1}, "give 0 or more"),
        ({"confidence": 1.0}, "a share between 0 and 1"),
        ({"validation_scores": [float("nan")]}, "finite"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    images: list[ScoredImage], settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        fairness_of(images, by_grouping(ByNumber(), pictures(images)), **settings)
