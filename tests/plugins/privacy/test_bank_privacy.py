"""``none`` and ``row_noise``: what they send, and that they promise no more than they keep."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.privacy import SiteRows
from anomalib_federated.privacy.gaussian import epsilon_of, mu_of
from anomalib_federated.privacy.ledger import Ledger, LedgerError, PrivacyBudget
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.privacy import CHECKS, ConstantNoise, noise_is_as_large_as_reported, seeded_noise
from anomalib_federated_plugins.privacy.none import NoPrivacy
from anomalib_federated_plugins.privacy.row_noise import RowNoise


class PerPicture(RowNoise):
    """Two rows of a picture, drawn blindly."""

    def __init__(self):
        super().__init__(epsilon=2.0, clip_norm=3.0, rows_per_picture=2)


def rows_of(bank, *, per_picture=2, blind=True):
    return SiteRows(bank=bank, units=torch.arange(len(bank)) // per_picture, chosen_blindly=blind)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance_with_several_rows_of_a_picture(check):
    check(PerPicture)


def test_none_sends_the_bank_and_says_so():
    rows = rows_of(example_bank(rows=4))
    assert NoPrivacy().protect(rows, noise=Noise()).to_bytes() == rows.bank.to_bytes()
    assert NoPrivacy().report(rows).unit == "none"


def test_noise_is_that_of_the_analytic_gaussian():
    """The notes' own figures: sigma 3.73 for epsilon 1 and delta 1e-5, times the clip."""
    bank = replace(example_bank(rows=2000, dim=8), features=torch.zeros(2000, 8))
    sent = RowNoise(epsilon=1.0, delta=1e-5, clip_norm=2.0).protect(rows_of(bank), noise=seeded_noise(0))
    assert sent.features.std() == pytest.approx(2.0 * 3.7306, rel=0.03)


def test_rows_are_clipped_and_the_rest_stays():
    bank = example_bank(rows=50, dim=8)
    sent = RowNoise(clip_norm=2.0).protect(rows_of(bank), noise=ConstantNoise(0))
    norms = bank.features.norm(dim=1, keepdim=True)
    assert torch.allclose(sent.features, bank.features * (2.0 / norms).clamp_max(1), atol=1e-4)
    assert replace(sent, features=bank.features).to_bytes() == bank.to_bytes()


def test_per_row_it_promises_nothing_about_a_picture():
    report = RowNoise(epsilon=1.0).report(rows_of(example_bank(rows=4)))
    assert (report.unit, report.epsilon) == ("row", pytest.approx(1.0))
    assert "promises nothing about a picture" in " ".join(report.in_words)
    assert report.exposes


@pytest.mark.parametrize("most", [1, 4, 64])
def test_per_picture_epsilon_is_the_honest_one(most):
    """Another picture changes ``most`` rows by twice the clip: mu is 2 sqrt(most) times that of one row."""
    report = RowNoise(epsilon=1.0, rows_per_picture=most).report(rows_of(example_bank(rows=4)))
    mu = 2 * math.sqrt(most) / 3.7306316  # the noise for epsilon 1, by the notes

    def delta(epsilon):
        return norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)

    assert (report.unit, report.adjacency) == ("picture", "replace")
    assert delta(report.epsilon) == pytest.approx(1e-5, rel=1e-3)


def test_chosen_rows_get_no_promise_per_picture():
    rows = rows_of(example_bank(rows=4), blind=False)
    with pytest.raises(ValueError, match="coreset 'example' looks at the features"):
        RowNoise(rows_per_picture=1).report(rows)
    assert RowNoise().report(rows).unit == "row"


@pytest.mark.parametrize("most", [1, 2, 3, 9])
def test_no_more_rows_of_a_picture_than_promised(most):
    bank, units = example_bank(rows=12), torch.tensor([5, 7, 5, 5, 7, 9, 5, 5, 7, 9, 9, 1])
    rows = SiteRows(bank=bank, units=units, chosen_blindly=True)
    sent = RowNoise(clip_norm=100.0, rows_per_picture=most).protect(rows, noise=ConstantNoise(0))
    kept = [row for row, unit in enumerate(units.tolist()) if units[:row].tolist().count(unit) < most]
    assert torch.allclose(sent.features, bank.features[kept], atol=1e-2)


def test_what_was_measured_on_pictures_is_not_sent_under_a_promise_per_picture():
    rows = rows_of(MemoryBank.merge([example_bank(rows=4, category="nut"), example_bank(rows=6, category="screw")]))
    sent = PerPicture().protect(rows, noise=Noise())
    assert sent.covering_radius == {}
    assert {(item.covering_radius, item.mean_distance) for item in sent.contributions} == {(None, None)}
    assert {item.seconds for item in sent.contributions} == {0.0}
    for category in sent.categories:
        weights = sent.for_category(category).weights
        assert len(weights.unique()) == 1
        item = next(item for item in rows.bank.contributions if item.category == category)
        assert float(weights.sum()) == pytest.approx(item.patches, rel=1e-5)


class HalfTheNoise(RowNoise):
    def protect(self, rows, *, noise):
        sent = super().protect(rows, noise=ConstantNoise(0))
        return replace(sent, features=(sent.features + super().protect(rows, noise=noise).features) / 2)


class TwoOfThree(PerPicture):
    """Sends more rows of a picture than it counts."""

    def protect(self, rows, *, noise):
        self.rows_per_picture = 4
        try:
            return super().protect(rows, noise=noise)
        finally:
            self.rows_per_picture = 2


class TellsTheRadius(PerPicture):
    def protect(self, rows, *, noise):
        sent = super().protect(rows, noise=noise)
        found = float(rows.bank.features.norm(dim=1).max())
        return replace(sent, covering_radius=dict.fromkeys(sent.categories, found))


@pytest.mark.parametrize("plugin", [HalfTheNoise, TwoOfThree, TellsTheRadius])
def test_the_check_catches_who_promises_too_much(plugin):
    with pytest.raises(AssertionError, match="may change"):
        noise_is_as_large_as_reported(plugin)


def test_a_site_with_a_budget_sends_no_bank_without_a_promise(tmp_path):
    ledger, rows = Ledger(tmp_path, PrivacyBudget(epsilon=2.0)), rows_of(example_bank(rows=4))
    for privacy in (NoPrivacy(), RowNoise()):
        with pytest.raises(LedgerError, match="so it sends nothing"):
            ledger.spend(privacy.report(rows), ["screw"], release="bank")


def test_a_site_may_spend_on_rows_drawn_blindly(tmp_path):
    ledger = Ledger(tmp_path, PrivacyBudget(epsilon=8.0, adjacency="replace"))
    report = RowNoise(epsilon=1.0, rows_per_picture=1).report(rows_of(example_bank(rows=4)))
    ledger.spend(report, ["screw"], release="bank")
    assert ledger.epsilons()["screw"] == pytest.approx(epsilon_of(2 * mu_of(1.0, 1e-5), 1e-5))


@pytest.mark.parametrize(
    "arguments",
    [
        {"epsilon": 0}, {"delta": 0}, {"clip_norm": 0.0}, {"clip_norm": math.nan}, {"rows_per_picture": 0},
        {"rows_per_picture": 1.5}, {"rows_per_picture": True}, {"epsilon": 1e9},
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="give"):
        RowNoise(**arguments)


def test_two_sites_draw_different_noise():
    rows = rows_of(example_bank(rows=4))
    first, second = (RowNoise().protect(rows, noise=Noise()).features.numpy() for _ in range(2))
    assert not np.isclose(first, second).any()


@pytest.mark.parametrize("change", [{"image_size": None}, {"keep_aspect_ratio": True}])
def test_no_promise_per_picture_where_pictures_may_have_different_numbers_of_patches(change):
    bank = example_bank(rows=4)
    bank = replace(bank, space=replace(bank.space, **change))
    with pytest.raises(ValueError, match="equally many patches"):
        RowNoise(rows_per_picture=1).report(rows_of(bank))


def test_no_promise_per_part_by_rows():
    rows = replace(rows_of(example_bank(rows=4)), unit="part")
    with pytest.raises(ValueError, match="pictures as units"):
        RowNoise(rows_per_picture=1).report(rows)
