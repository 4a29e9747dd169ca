"""Screenings in a live federation: who was refused is not asked about the bank, does not get it, leaves no trace."""

from dataclasses import replace

import pytest
import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.federation import client_app, measure_global_bank, simulate
from anomalib_federated.federation.in_process_grid import InProcessGrid
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from anomalib_federated_plugins.strategy.refinement import Refinement


class FarAway(Screening):
    """Refuses rows that lie far from where the rows of honest sites are; of one category, or of all."""

    def __init__(self, category=None):
        self.category = category

    def screen(self, banks):
        if self.category not in {None, banks[0].categories[0]}:
            return []
        masks = {bank.sites[0]: bank.features.mean(1) > 50 for bank in banks}
        return [Refusal(site=site, rows=mask, reason="far away") for site, mask in masks.items() if bool(mask.any())]


@pytest.fixture
def honest(make_site):
    return [make_site("north", seed=1, screw=4, nut=2), make_site("west", seed=2, screw=3)]


@pytest.fixture
def bad(make_site):
    return make_site("east", seed=3, offset=100.0, screw=3, nut=2)


def screened(strategy, *, category=None):
    strategy.screening = (("far_away", FarAway(category)),)
    return strategy


@pytest.mark.parametrize("strategy", [FederatedCoreset, Refinement])
def test_a_federation_is_as_if_the_refused_site_had_never_been_there(strategy, honest, bad, agreement):
    agreement = replace(agreement, budget=12)
    found = simulate([bad, *honest], screened(strategy(budget=10)), agreement)
    never = simulate(honest, strategy(budget=10), agreement)
    assert found.bank.digest == never.bank.digest
    assert found.bank.covering_radius == never.bank.covering_radius  # over the patches of the honest alone
    assert found.bank.sites == ("north", "west")
    # It is told nothing of the bank: in neither round, nor to measure it.
    assert {category: each.down for category, each in found.traffic["east"].items()} == {"nut": 0, "screw": 0}
    assert all(each.down > 0 for each in found.traffic["north"].values())
    rows = 12 if strategy is FederatedCoreset else 6
    assert [(each.screening, each.site, each.category, each.rows, each.of) for each in found.refused] == [
        ("far_away", "east", "nut", rows, rows),
        ("far_away", "east", "screw", rows, rows),
    ]


@pytest.mark.parametrize("strategy", [FederatedCoreset, Refinement])
def test_what_came_is_kept_so_that_it_can_be_merged_otherwise(strategy, honest, bad, agreement):
    agreement = replace(agreement, budget=12)
    found = simulate([bad, *honest], screened(strategy(budget=10)), agreement)
    assert list(found.site_banks) == ["east", "north", "west"]
    again = screened(strategy(budget=10)).merge(found.site_banks.values())
    assert torch.equal(again.features, found.bank.features)  # weights and radius were measured since
    assert again.contributions == found.bank.contributions
    admitted = strategy(budget=10).merge(found.site_banks.values())
    assert set(admitted.sites) == {"east", "north", "west"}
    assert bool((admitted.features.mean(1) > 50).any())


@pytest.mark.parametrize("strategy", [FederatedCoreset, Refinement])
def test_a_site_that_is_refused_in_one_category_takes_part_in_the_others(strategy, honest, bad, agreement):
    agreement = replace(agreement, budget=12)
    found = simulate([bad, *honest], screened(strategy(budget=10), category="screw"), agreement)
    assert [(each.site, each.category) for each in found.refused] == [("east", "screw")]
    assert {(item.site, item.category) for item in found.bank.contributions} == {
        ("east", "nut"), ("north", "nut"), ("north", "screw"), ("west", "screw"),
    }  # fmt: skip
    assert found.traffic["east"]["screw"].down == 0
    assert found.traffic["east"]["nut"].down > 0
    assert found.bank.covering_radius["screw"] < 50
    assert set(found.bank.covering_radius) == {"nut", "screw"}


def test_rows_of_an_admitted_site_can_be_refused(honest, make_site, agreement):
    mixed = make_site("east", seed=3, screw=3)
    patches = mixed.patches()
    patches.add(torch.full((1, agreement.space.dim, 4, 4), 100.0), ["screw"])
    found = simulate([mixed, *honest], screened(FederatedCoreset(budget=10)), replace(agreement, budget=12))
    (refused,) = found.refused
    assert (refused.site, refused.rows < refused.of) == ("east", True)
    assert not bool((found.bank.features.mean(1) > 50).any())
    # It is asked how well the bank covers its patches, those that were refused among them: it is a site like others.
    assert found.bank.covering_radius["screw"] > 50
    assert found.traffic["east"]["screw"].down > 0


def test_a_federation_of_which_all_is_refused_ends_with_an_error(bad, agreement):
    with pytest.raises(
        FederationError, match=r"no row of category 'nut': far_away refused 5 of 5 rows of east \(far away"
    ):
        simulate([bad], screened(FederatedCoreset(budget=10)), agreement)


def test_who_was_refused_is_not_asked_later_either(honest, bad, agreement):
    sites = dict(enumerate([bad, *honest], start=1))
    asked = []

    def site_of(context, space):
        asked.append(sites[context.node_id].name)
        return sites[context.node_id]

    found = simulate([bad, *honest], screened(FederatedCoreset(budget=10)), agreement)
    grid = InProcessGrid(client_app(site_of), {number: {} for number in sites})
    measured = measure_global_bank(grid, found.bank, {site.name: number for number, site in sites.items()})
    assert measured.radius == found.bank.covering_radius
    assert sorted(set(asked)) == ["north", "west"]
    assert measured.left_out == {}


def test_the_same_strategy_begins_anew(honest, bad, agreement):
    strategy = screened(FederatedCoreset(budget=10))
    simulate([bad, *honest], strategy, agreement)
    again = simulate(honest, strategy, agreement)
    assert again.refused == strategy.refused == ()


def test_measured_weights_count_the_patches_of_admitted_sites(honest, bad, agreement):
    found = simulate([bad, *honest], screened(FederatedCoreset(budget=10)), agreement)
    assert float(found.bank.for_category("screw").weights.sum()) == 7 * 16
    merged = screened(FederatedCoreset(budget=10)).merge(found.site_banks.values())
    kept = [found.site_banks[site].for_category("screw") for site in ("north", "west")]
    assert float(merged.for_category("screw").weights.sum()) == float(MemoryBank.merge(kept).weights.sum())
