"""Intervals of groups and of their gaps: around the value, as wide as chance asks for, from the same draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from anomalib_federated.evaluation.fairness.covering import ResampledRadius
from anomalib_federated.evaluation.fairness.division import Division, by_defect_type
from anomalib_federated.evaluation.fairness.figures import FIGURES, DividedFigures
from anomalib_federated.evaluation.fairness.measure import cut_of, measure_fairness
from anomalib_federated.evaluation.fairness.rates import drawn_rates
from anomalib_federated.evaluation.fairness.resampling import gap_interval
from anomalib_federated.evaluation.figures import ImageFigures
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.evaluation.measuring.scored_set import ScoredSet, collect
from tests.evaluation.scored import scored_test_set

VALIDATION = np.random.default_rng(5).gamma(3.0, 1.0, size=40).tolist()


@pytest.fixture(scope="module")
def images() -> list[ScoredImage]:
    return scored_test_set(strength=0.7, images=12)


def odd_and_even(images: Sequence[ScoredImage]) -> Division:
    groups = {item.name: "odd" if int(Path(item.name).stem) % 2 else "even" for item in images}
    return Division(by="group", groups=groups | {f"train/good/{i}.png": ("even", "odd")[i % 2] for i in range(14)})


def distances() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {f"train/good/{index}.png": rng.gamma(3, 1, size=60).astype(np.float32) for index in range(14)}


def measured(images: Sequence[ScoredImage], division: Division, **settings: object) -> DividedFigures:
    test_set = collect(images, with_counts=True, cut=lambda name: cut_of([division], name))
    settings = {"validation_scores": VALIDATION, "distances": distances(), "resamples": 150} | settings
    (found,) = measure_fairness(test_set, [division], method="mine", **settings).divisions
    return found


def test_every_figure_has_an_interval_around_it_and_so_has_every_gap(images: list[ScoredImage]) -> None:
    found = measured(images, odd_and_even(images))
    for group in found.groups:
        assert set(group.intervals) == set(FIGURES) - {"covering_radius"}  # no draw shows a larger distance
        for name, interval in group.intervals.items():
            assert 0 <= interval.low <= group.figures[name] <= interval.high
            assert interval.high <= 1 or name == "covering_p95"
    assert set(found.indices) == set(FIGURES)
    for name, indices in found.indices.items():
        values = [group.figures[name] for group in found.groups]
        assert indices.gap == pytest.approx(max(values) - min(values))
        if name == "covering_radius":
            assert indices.gap_interval is None
        else:
            assert 0 <= indices.gap_interval.low <= indices.gap <= indices.gap_interval.high


def test_one_group_of_all_has_about_the_intervals_of_the_whole(images: list[ScoredImage]) -> None:
    """The whole is drawn folder by folder and the group is not, so they are alike and not equal."""
    (group,) = measured(images, Division(by="group", groups={i.name: "all" for i in images}), resamples=1000).groups
    whole = measure(images, validation_scores=VALIDATION, resamples=1000).intervals
    for name in ("image_auroc", "average_precision", "pixel_auroc", "auc_spro@0.05"):
        own, other = group.intervals[name], whole[name]
        assert own.low == pytest.approx(other.low, abs=0.05)
        assert own.high == pytest.approx(other.high, abs=0.05)


def test_the_order_of_images_changes_nothing_and_the_seed_something(images: list[ScoredImage]) -> None:
    division = odd_and_even(images)
    found = measured(images, division)
    again, other = measured(images[::-1], division), measured(images, division, seed=1)
    for one, two in zip(found.groups, again.groups, strict=True):
        for name, interval in one.intervals.items():
            assert (two.intervals[name].low, two.intervals[name].high) == pytest.approx(
                (interval.low, interval.high), abs=1e-6
            )
    for name in ("image_auroc", "fpr@tnr0.9", "covering_p95"):
        assert found.groups[0].intervals[name] != other.groups[0].intervals[name]
    assert [group.figures for group in found.groups] == [group.figures for group in other.groups]


def test_few_pictures_have_intervals_of_rates_alone(images: list[ScoredImage]) -> None:
    groups = {item.name: "few" if item.name.endswith(("00.png", "01.png")) else "many" for item in images}
    few, many = measured(images, Division(by="group", groups=groups), distances={}).groups
    assert (few.good, few.defective) == (2, 4)
    assert set(few.intervals) == {name for name in FIGURES if "@tnr" in name}
    assert "image_auroc" in many.intervals


def test_gaps_are_intervals_only_if_all_groups_have_one(images: list[ScoredImage]) -> None:
    groups = {item.name: "few" if item.name.endswith(("00.png", "01.png")) else "many" for item in images}
    found = measured(images, Division(by="group", groups=groups), distances={})
    assert found.indices["image_auroc"].gap_interval is None
    assert found.indices["tpr@tnr0.95"].gap_interval is not None


def test_shared_pictures_move_all_groups_together(images: list[ScoredImage]) -> None:
    """With all pictures of a group in the other one too, nothing could ever part them."""
    twins = [item for item in images if item.good or item.defect_type == "bent"]
    copies = [
        ScoredImage(**(vars(item) | {"name": item.name.replace("bent", "twin"), "defect_type": "twin"}))
        for item in twins
        if not item.good
    ]
    own = [*twins, *copies]
    found = measured(own, by_defect_type({item.name: item.defect_type for item in own}), distances={})
    interval = found.indices["image_auroc"].gap_interval
    alone = [group.intervals["image_auroc"] for group in found.groups]
    assert found.indices["image_auroc"].gap == pytest.approx(0, abs=1e-12)
    # Were good pictures drawn for each apart, the range would be about as wide as both intervals together.
    assert interval.high < 0.9 * max(one.high - one.low for one in alone)


def images_of(good: np.ndarray, defective: np.ndarray, group: str) -> list[ImageFigures]:
    return [
        ImageFigures(name=f"test/{kind}/{group}{index}.png", defect_type=kind, score=float(score))
        for kind, scores in (("good", good), ("bent", defective))
        for index, score in enumerate(scores)
    ]


def test_an_interval_of_a_gap_holds_the_truth_and_nothing_if_groups_are_alike() -> None:
    rng = np.random.default_rng(0)
    for truth, groups in ((0.0, 4), (0.3, 3)):
        held = 0
        for repetition in range(120):
            values = np.array([0.5 + truth * (place == 0) for place in range(groups)])
            seen = values + 0.1 * rng.normal(size=groups)
            draws = 0.1 * np.random.default_rng(repetition).normal(size=(groups, 400))
            interval = gap_interval(float(np.ptp(seen)), list(draws), confidence=0.95)
            held += interval.low <= truth <= interval.high
        assert held / 120 >= 0.9, truth


def test_equal_groups_are_called_different_about_as_rarely_as_is_said() -> None:
    """From pictures on: six groups of one distribution, whose largest and smallest AUROC differ by chance alone."""
    rng = np.random.default_rng(1)
    wrong = 0
    for repetition in range(60):
        images = [item for group in "abcdef" for item in images_of(rng.normal(size=15), rng.normal(1, 1, 15), group)]
        found = _measured_scores(images, seed=repetition)
        wrong += found.indices["image_auroc"].gap_interval.low > 0
    assert wrong / 60 <= 0.12


def _measured_scores(images: list[ImageFigures], *, seed: int) -> DividedFigures:
    blank = np.zeros((1, 1), dtype=np.float32)
    scored = [
        ScoredImage(
            name=item.name,
            category="screw",
            defect_type=item.defect_type,
            score=item.score,
            anomaly_map=blank,
            defects=() if item.good else None,
            image_path=Path(item.name),
        )
        for item in images
    ]
    division = Division(by="group", groups={item.name: Path(item.name).stem[0] for item in images})
    test_set: ScoredSet = collect(scored, with_counts=True, cut=lambda name: cut_of([division], name))
    (found,) = measure_fairness(test_set, [division], method="mine", resamples=100, seed=seed).divisions
    return found


def test_rates_are_drawn_from_jeffreys_posterior() -> None:
    images = images_of(np.arange(4.0), np.array([1.0, 5.0, 6.0]), "a")
    thresholds = {0.95: np.full(20_000, 2.5)}
    drawn = drawn_rates(images, thresholds, np.random.default_rng(0))
    expected = {"tpr": (2, 3), "fpr": (1, 4), "called": (3, 7)}
    for rate, (above, count) in expected.items():
        for share in (0.025, 0.5, 0.975):
            exact = beta.ppf(share, above + 0.5, count - above + 0.5)
            assert np.quantile(drawn[f"{rate}@tnr0.95"], share) == pytest.approx(exact, abs=0.02)
    assert drawn_rates([], thresholds, np.random.default_rng(0)) == {}


def test_a_score_at_the_threshold_is_not_called_defective() -> None:
    images = images_of(np.array([1.0]), np.array([2.0, 3.0]), "a")
    drawn = drawn_rates(images, {0.9: np.full(5000, 2.0)}, np.random.default_rng(0))
    assert drawn["tpr@tnr0.9"].mean() == pytest.approx(1.5 / 3, abs=0.02)  # one of two is above


def test_the_resampled_radius_is_that_of_pictures_really_drawn_again() -> None:
    rng = np.random.default_rng(0)
    own = [rng.gamma(3, 1, size=size).astype(np.float32) for size in (30, 500, 70, 9000)]
    weights = rng.integers(0, 4, size=(8, 4))
    weights[:, 0] = 1
    found = ResampledRadius(own)(weights.astype(np.float64))
    for row, weight in enumerate(weights):
        drawn = np.concatenate([one for one, times in zip(own, weight, strict=True) for _ in range(times)])
        exact = np.quantile(drawn, 0.95, method="inverted_cdf")
        assert found[row] == pytest.approx(exact, rel=0.02)
