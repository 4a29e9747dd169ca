"""Federations whose rows travel in int8: a quarter of the bytes, the same bank by network and by file, honest radii."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load

from anomalib_federated import messages
from anomalib_federated.bank import MemoryBank
from anomalib_federated.federation import simulate
from anomalib_federated_plugins.strategy.concatenate import Concatenate
from anomalib_federated_plugins.strategy.exact_k_center import ExactKCenter
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from anomalib_federated_plugins.strategy.refinement import Refinement
from tests.federation.pieces import files_in


@pytest.fixture
def sites(make_site):
    return [make_site("north", seed=1, screw=3), make_site("south", seed=2, offset=1.0, screw=2, nut=2)]


@pytest.fixture
def agreed(agreement):
    return replace(agreement, dtype="int8", budget=8)


def patches_of(sites, category):
    rows = [site.patches().rows(category) for site in sites if category in site.patches().categories]
    return torch.cat([block for each in rows for _, block in each.blocks()]).double()


def test_a_file_brings_the_bank_that_the_network_brings(sites, agreed, tmp_path):
    live = simulate(sites, FederatedCoreset(budget=6), agreed)
    files = [site.build_bank(agreed).save(tmp_path / f"{site.name}.safetensors") for site in sites]
    dropped = [MemoryBank.load(path) for path in reversed(files)]
    assert {bank.sites[0]: bank.digest for bank in dropped} == {
        site: bank.digest for site, bank in live.site_banks.items()
    }
    merged = FederatedCoreset(budget=6).merge(dropped)
    assert merged.digest == FederatedCoreset(budget=6).merge(live.site_banks.values()).digest
    assert torch.equal(merged.features, live.bank.features)


@pytest.mark.parametrize(
    "strategy", [Concatenate(), FederatedCoreset(budget=6), ExactKCenter(budget=6, candidates=4), Refinement(budget=6)]
)
def test_every_strategy_keeps_rows_in_int8_and_measures_what_they_cover(sites, agreed, strategy):
    bank = simulate(sites, strategy, agreed).bank
    for data in files_in(messages.bank_records(bank)).values():
        assert load(data)["features"].dtype == torch.int8
    for category in ("nut", "screw"):
        rows = bank.for_category(category).features.double()
        farthest = torch.cdist(patches_of(sites, category), rows).min(1).values.max()
        assert bank.covering_radius[category] == pytest.approx(float(farthest), rel=1e-4)


def test_a_sites_own_radius_is_no_less_than_its_rounded_rows_have(sites, agreed):
    for site in sites:
        bank = site.build_bank(agreed)
        for category, found in site.covering(bank).items():
            assert found.radius <= bank.covering_radius[category] < found.radius * 1.5


def test_bytes_are_a_quarter_of_those_of_float32(sites, agreed):
    sizes = {
        dtype: sum(len(site.build_bank(replace(agreed, dtype=dtype)).to_bytes()) for site in sites)
        for dtype in ("float32", "float16", "int8")
    }
    rows = sum(len(site.build_bank(agreed)) for site in sites)
    assert sizes["float32"] - sizes["int8"] == pytest.approx(rows * (3 * agreed.space.dim - 4), abs=300)
    assert sizes["float16"] - sizes["int8"] == pytest.approx(rows * (agreed.space.dim - 4), abs=300)
