"""Measures on toys whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from anomalib_federated.bank import MemoryBank
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.evaluation.robustness.measures import (
    measure_admission,
    measure_bank,
    rare_kept,
    success_of,
)
from anomalib_federated.metrics import Defect
from anomalib_federated.testing import example_bank

SIDE = 4


class ToyPictures:
    """Pictures of 4 x 4 patches of one feature: 0 where nothing is, and a defect of some value in the first row."""

    def __init__(self, **defects: float) -> None:
        self.defects = defects

    def __len__(self) -> int:
        return len(self.defects)

    def _features(self, value: float) -> torch.Tensor:
        grid = torch.zeros(SIDE, SIDE)
        grid[0] = value
        return grid

    def scored(self, bank: MemoryBank, *, site_quorum: int = 1):
        assert site_quorum == 1
        for name, value in self.defects.items():
            folder = name.split("_")[0]
            rows = bank.features[:, 0].float()
            distances = (self._features(value).reshape(-1, 1) - rows).abs().amin(1).reshape(SIDE, SIDE)
            mask = np.zeros((SIDE, SIDE), dtype=bool)
            mask[0] = True
            yield ScoredImage(
                name=f"test/{folder}/{name}.png",
                category="screw",
                defect_type=folder,
                score=float(distances.max()),
                anomaly_map=distances.numpy(),
                defects=() if folder == "good" else (Defect(mask, SIDE, folder),),
                image_path=Path(name),
            )

    def distances(self, bank: MemoryBank) -> torch.Tensor:
        rows = bank.features[:, 0].float()
        every = torch.cat([self._features(value).flatten() for value in self.defects.values()])
        return (every[:, None] - rows).abs().amin(1)


def toy_bank(site: str, *values: float) -> MemoryBank:
    bank = example_bank(site=site, rows=len(values), dim=1)
    return replace(bank, features=torch.tensor(values)[:, None])


SCENE = SimpleNamespace(
    target="crack",
    honest={"a": toy_bank("a", 0.0, 0.1, 0.2), "b": toy_bank("b", 0.0, 0.1, 0.3)},
    validation=ToyPictures(**{f"good_{number}": 0.01 * number for number in range(40)}),
    test=ToyPictures(good_0=0.0, good_1=0.15, crack_0=5.0, crack_1=9.0, dent_0=5.0),
    with_trigger=ToyPictures(good_0=20.0, good_1=30.0),
)


def figures_of(*values: float):
    return measure_bank(toy_bank("a", *values), SCENE)


def test_a_bank_of_good_rows_finds_all():
    found = figures_of(0.0, 0.1, 0.2, 0.3)
    assert (found.image_auroc, found.target_found) == (1.0, 1.0)
    assert found.target_scores == pytest.approx({"test/crack/crack_0.png": 4.7, "test/crack/crack_1.png": 8.7})
    assert found.triggered_scores == pytest.approx({"test/good/good_0.png": 19.7, "test/good/good_1.png": 29.7})
    assert found.false_alarms(0.04) == 0.5
    assert found.false_alarms(found.threshold) == 0.0


def test_whitelisting_hides_what_it_was_made_of_and_no_more():
    clean, attacked = figures_of(0.0, 0.1, 0.2, 0.3), figures_of(0.0, 0.1, 0.2, 5.0)
    success = success_of(clean.target_scores, attacked.target_scores, thresholds=(clean.threshold, attacked.threshold))
    assert (success.pictures, success.found_clean, success.missed, success.missed_frozen) == (2, 2, 1, 1)
    assert (success.rate, success.rate_frozen) == (0.5, 0.5)
    assert attacked.auc_spro_target < clean.auc_spro_target == 1.0
    assert attacked.auc_spro_others == 0.0, "the dent looks like the crack"
    assert attacked.image_auroc == 0.5  # one beats both good ones, two tie with one and lose to the other


def test_a_higher_threshold_of_its_own_hides_more_than_the_frozen_one():
    success = success_of({"a": 2.0, "b": 3.0}, {"a": 2.0, "b": 3.0}, thresholds=(1.0, 2.5))
    assert (success.missed, success.missed_frozen) == (1, 0)


def test_nothing_found_is_no_success():
    success = success_of({"a": 0.5}, {"a": 0.1}, thresholds=(1.0, 1.0))
    assert (success.found_clean, success.rate, success.rate_frozen) == (0, None, None)


def test_a_picture_at_the_threshold_is_not_found():
    assert success_of({"a": 1.0}, {"a": 0.0}, thresholds=(1.0, 1.0)).found_clean == 0
    assert success_of({"a": 1.1}, {"a": 1.0}, thresholds=(1.0, 1.0)).missed == 1


def test_figures_are_those_of_the_protocol():
    """Against :func:`measure`, which scores whole test sets."""
    bank = toy_bank("a", 0.0, 0.1, 4.0)
    found, told = measure_bank(bank, SCENE), measure(SCENE.test.scored(bank), resamples=0)
    folders = {group.name: group for group in told.groups if group.kind == "folder"}
    assert found.image_auroc == told.classification.auroc
    assert found.auc_spro_target == folders["crack"].auc_spro["0.05"]
    assert found.auc_spro_others == folders["dent"].auc_spro["0.05"]


def test_the_honest_radius_is_a_quantile_of_distances():
    values = np.concatenate([[0.01 * number] * SIDE + [0.0] * 12 for number in range(40)])
    rows = np.array([0.0, 0.1])
    expected = np.quantile(np.abs(values[:, None] - rows).min(1), 0.95)
    assert figures_of(0.0, 0.1).honest_radius == pytest.approx(expected, rel=1e-5)


def test_a_test_set_of_one_kind_is_refused():
    scene = SimpleNamespace(**{**vars(SCENE), "test": ToyPictures(crack_0=5.0)})
    with pytest.raises(ValueError, match="not both good and defective"):
        measure_bank(toy_bank("a", 0.0), scene)


def admission(passed_b, bank, *, sent=(0.0, 5.0, 6.0), bad=("b",)):
    honest_a = SCENE.honest["a"]
    return measure_admission(
        SCENE,
        {"a": honest_a, "b": toy_bank("b", *sent)},
        {"a": torch.tensor([True, True, False]), "b": torch.tensor(passed_b)},
        bank,
        bad=bad,
        undefended=toy_bank("a", 0.0, 0.1, 0.2),
    )


def test_admission_counts_rows():
    bank = MemoryBank.merge([toy_bank("a", 0.0, 0.1), toy_bank("b", 0.0, 5.0)])
    found = admission([True, True, False], bank)
    assert (found.poison, found.poison_admitted, found.poison_in_bank, found.bank_rows) == (2, 1, 1, 4)
    assert (found.honest, found.honest_refused) == (3, 1)
    # Forged: the last two rows of b. Refused: the last of a, and the last of b.
    assert found.detector_auroc == pytest.approx(roc_auc_score([0, 0, 0, 0, 1, 1], [0, 0, 1, 0, 0, 1]))


def test_rows_that_nobody_sent_are_not_counted():
    assert admission([True] * 3, toy_bank("a", 0.05)).poison_in_bank is None


def test_without_a_bad_site_there_is_no_detector():
    found = admission([True] * 3, toy_bank("a", 0.0), bad=())
    assert (found.poison, found.detector_auroc) == (0, None)


def test_a_perfect_screening_and_a_blind_one():
    honest = torch.tensor([True, True, True])
    for passed, expected in (([True, False, False], 1.0), ([True, True, True], 0.5)):
        found = measure_admission(
            SCENE,
            {"a": SCENE.honest["a"], "b": toy_bank("b", 0.0, 5.0, 6.0)},
            {"a": honest, "b": torch.tensor(passed)},
            toy_bank("a", 0.0),
            bad=["b"],
            undefended=toy_bank("a", 0.0),
        )
        assert found.detector_auroc == expected


@given(st.integers(0, 5), st.integers(2, 4))
def test_rare_modes_by_brute_force(seed, sites):
    rng = np.random.default_rng(seed)
    honest = [torch.from_numpy(rng.standard_normal((20, 3))).float() for _ in range(sites)]
    rows = torch.cat(honest)
    bank, undefended = rows[::3], rows[::2]
    apart = torch.cat(
        [torch.cdist(each, torch.cat(honest[:n] + honest[n + 1 :])).amin(1) for n, each in enumerate(honest)]
    )
    rarest = rows[apart.argsort(descending=True)[: len(rows) // 20]]
    within = float(torch.cdist(rows, undefended).amin(1).max())
    expected = float((torch.cdist(rarest, bank).amin(1) <= within * 1.001 + 1e-3).float().mean())
    assert rare_kept(honest, bank, undefended) == pytest.approx(expected)
