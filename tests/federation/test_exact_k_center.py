"""Exact federated k-center, by real apps and messages, against greedy on the pooled patches in float64."""

import pytest
import torch

from anomalib_federated.federation import Agreement, client_app, simulate
from anomalib_federated.federation.in_process_grid import InProcessGrid
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated_plugins.strategy import exact_k_center
from anomalib_federated_plugins.strategy.exact_k_center import ExactKCenter


@pytest.fixture
def sites(make_site):
    return [
        make_site("north", seed=1, screw=6),
        make_site("south", seed=2, offset=0.3, screw=4, nut=3),
        make_site("west", seed=3, nut=2, screw=1),
    ]


@pytest.fixture
def agreement(extractor):
    return Agreement(space=extractor.space, budget=500, dtype="float16")


def pooled(sites, category):
    holders = [site for site in sites if category in site.patches().categories]
    rows = [site.patches().rows(category) for site in holders]
    return torch.cat([each.read(slice(0, len(each))) for each in rows]).double()


def naive(features, first, k):
    """Picks by looking at every row for every pick."""
    start = int((features - first.double()).norm(dim=1).argmin())
    picks, distances = [start], (features - features[start]).norm(dim=1)
    while len(picks) < k:
        picks.append(int(distances.argmax()))
        distances = torch.minimum(distances, (features - features[picks[-1]]).norm(dim=1))
    return features[picks], float(distances.max())


@pytest.mark.parametrize("candidates", [1, 7, 64, 512])
def test_the_picks_are_those_of_pooled_training(sites, agreement, candidates):
    bank = simulate(sites, ExactKCenter(budget=40, candidates=candidates), agreement).bank
    for category in ("nut", "screw"):
        ours, features = bank.for_category(category), pooled(sites, category)
        expected, radius = naive(features, ours.features[0], 40)
        assert torch.equal(ours.features.double(), expected)
        assert bank.covering_radius[category] == pytest.approx(radius, rel=1e-5)
        assert float(ours.weights.sum()) == len(features)
        nearest = torch.cdist(features, expected, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
        assert torch.equal(ours.weights, torch.bincount(nearest, minlength=40).float())


def test_every_row_says_its_site(sites, agreement):
    bank = simulate(sites, ExactKCenter(budget=30), agreement).bank.for_category("screw")
    for name, number in zip(bank.sites, range(3), strict=True):
        rows = next(site for site in sites if site.name == name).patches().rows("screw")
        own = rows.read(slice(0, len(rows)))
        for row in bank.features[bank.row_site == number].float():
            assert float((own - row).norm(dim=1).min()) == 0
    held = torch.bincount(bank.row_site.long(), minlength=3).tolist()
    assert {item.site: item.rows for item in bank.contributions} == {
        name: max(1, count) for name, count in zip(bank.sites, held, strict=True)
    }


def test_neither_order_of_sites_nor_number_of_candidates_changes_the_bank(sites, agreement):
    first = simulate(sites, ExactKCenter(budget=25, candidates=100), agreement).bank
    second = simulate(sites[::-1], ExactKCenter(budget=25, candidates=9), agreement).bank
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.weights, second.weights)


def test_another_seed_begins_elsewhere(sites, agreement):
    banks = [simulate(sites, ExactKCenter(budget=5, seed=seed), agreement).bank for seed in range(6)]
    assert len({float(bank.features[0].sum()) for bank in banks}) > 1


def test_a_target_radius_needs_no_row_more_than_it_takes(sites, agreement):
    features = pooled(sites, "nut")
    strategy = ExactKCenter(budget={"radius": 16.0, "rows": 60})
    bank = simulate(sites, strategy, agreement).bank
    ours = bank.for_category("nut")
    assert 1 < len(ours) < 60
    assert bank.covering_radius["nut"] <= 16.0
    assert naive(features, ours.features[0], len(ours) - 1)[1] > 16.0


def test_a_budget_above_all_patches_keeps_each_once(sites, agreement):
    bank = simulate(sites, ExactKCenter(budget=1000), agreement).bank.for_category("nut")
    assert len(bank) == len(pooled(sites, "nut")) == 80
    assert len(torch.unique(bank.features, dim=0)) == 80


def test_equal_patches_end_the_rounds(make_site, agreement):
    site = make_site("north", screw=2)
    rows = site.patches().rows("screw")
    constant = rows.read(slice(0, 1)).T.reshape(1, -1, 1, 1).expand(1, -1, 4, 4)
    site.close()
    site = make_site("north")
    site._patches.add(constant, ["screw"])
    bank = simulate([site], ExactKCenter(budget=9), agreement).bank
    assert len(bank) == 1
    assert bank.weights.tolist() == [16.0]


def test_a_small_pool_changes_nothing(monkeypatch, sites, agreement):
    expected = simulate(sites, ExactKCenter(budget=40, candidates=64), agreement).bank
    monkeypatch.setattr(exact_k_center, "LARGEST_POOL", 20)
    assert torch.equal(
        simulate(sites, ExactKCenter(budget=40, candidates=64), agreement).bank.features, expected.features
    )


def test_no_site_sends_more_than_was_agreed(sites, extractor):
    agreement = Agreement(space=extractor.space, budget=5, dtype="float16")
    bank = simulate(sites, ExactKCenter(budget=20, candidates=512), agreement).bank
    expected, _ = naive(pooled(sites, "screw"), bank.for_category("screw").features[0], 20)
    assert torch.equal(bank.for_category("screw").features.double(), expected)


def test_too_few_rounds_are_said(sites, agreement, caplog):
    bank = simulate(sites, ExactKCenter(budget=40, candidates=2, rounds=3), agreement).bank
    assert len(bank.for_category("screw")) < 40
    assert "allow more rounds" in caplog.text
    assert set(bank.covering_radius) == {"nut", "screw"}


def test_bytes_of_all_rounds_are_counted(sites, agreement):
    few = simulate(sites, ExactKCenter(budget=20, candidates=4), agreement)
    once = simulate(sites, ExactKCenter(budget=1, candidates=4), agreement)
    for site, categories in once.traffic.items():
        for category, cost in categories.items():
            assert few.traffic[site][category].up > cost.up > 0
            assert few.traffic[site][category].down > cost.down > 0
    assert few.site_banks == {}


class SilentBounds(InProcessGrid):
    """One site does not say how far its other patches are."""

    def send_and_receive(self, messages, *, timeout=None):
        replies = super().send_and_receive(messages, timeout=timeout)
        for reply in replies[:1]:
            for name in reply.content.get("bound", {}):
                reply.content["bound"][name] = float("nan")
        return replies


def test_a_site_without_a_bound_is_refused(monkeypatch, sites, agreement):
    by_name = {site.name: site for site in sites}
    app = client_app(lambda context, space: by_name[context.node_config["site"]])
    grid = SilentBounds(app, {number: {"site": site.name} for number, site in enumerate(sites, start=1)})
    from anomalib_federated.federation import run_federation

    with pytest.raises(FederationError, match="say how far their other patches"):
        run_federation(grid, ExactKCenter(budget=20, candidates=4), agreement)


@pytest.mark.parametrize("arguments", [{"candidates": 0}, {"rounds": 0}, {"candidates": True}, {"budget": 0}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="is"):
        ExactKCenter(**arguments)
