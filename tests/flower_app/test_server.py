"""The shipped apps against a federation that was put together by hand, and against what can go wrong."""

import json

import pytest
from deployed import PLANTS, SIDE

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.federation import make_agreement, make_sites, simulate
from anomalib_federated.federation.settings import FederationSettings
from anomalib_federated.flower_app.course import EVALUATION, wait_for_sites
from anomalib_federated.interfaces.partitioner import Partitioner
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.models import FederatedPatchcore


class OnePlantEach(Partitioner):
    """Each plant makes one category, as in the deployment's files."""

    def partition(self, images, *, seed=0):
        return {
            plant: [number for number, image in enumerate(images) if image.category == category]
            for plant, category in PLANTS.items()
        }


@pytest.fixture(scope="module")
def simulated(demo_root):
    """``simulated("name")`` is the same federation without any file of a deployment."""
    data = AutoVI(demo_root, list(PLANTS.values()))
    data.setup()
    model = FederatedPatchcore(budget=60, image_size=(SIDE, SIDE))

    def simulate_with(strategy):
        sites = make_sites(data, OnePlantEach(), extractor=model.model)
        return simulate(sites, registry.build("strategy", strategy, budget=50), make_agreement(model))

    return simulate_with


@pytest.mark.parametrize("strategy", ["federated_coreset", "refinement"])
def test_the_bank_is_that_of_the_same_sites_in_one_process(strategy, simulated, federate):
    folder = federate(*PLANTS, strategy={"class_path": strategy, "init_args": {"budget": 50}})
    (version,) = folder.versions()
    expected = simulated(strategy)
    assert folder.version_bank(1).digest == expected.bank.digest
    assert {site: folder.bank(site).digest for site in folder.sites()} == {
        site: bank.digest for site, bank in expected.site_banks.items()
    }
    assert version.measured.radius == expected.bank.covering_radius
    assert list(version.sites) == list(PLANTS)


def test_what_the_sites_say_of_the_bank_is_kept_beside_it(simulated, federate):
    told = json.loads(federate(*PLANTS).version_path(1).with_name(EVALUATION).read_text())
    expected = simulated("federated_coreset")
    assert told["radius"] == expected.bank.covering_radius
    assert told["measured_by"] == {category: [plant] for plant, category in PLANTS.items()}
    assert told["not_measured_by"] == told["not_scored_by"] == {}
    for plant, category in PLANTS.items():
        scores = told["scores"][plant][category]
        assert scores["good"] == 3
        assert scores["defective"] >= 2
        assert 0 <= scores["auroc"] <= 1
        bank = expected.site_banks[plant]
        # What came up is the bank, and the few numbers of the two questions about the global bank.
        assert 0 < told["bytes"][plant][category]["up"] - len(bank.to_bytes()) < 1500
        assert told["bytes"][plant][category]["down"] > 2 * 50 * bank.space.dim * 2  # the global bank, twice


def test_a_second_run_asks_only_who_is_missing(federate):
    federate("plant-a", sites=["plant-a"])
    folder = federate("plant-b")  # plant-a is not there to answer again
    first, second = folder.versions()
    assert list(first.sites) == ["plant-a"]
    assert list(second.sites) == ["plant-a", "plant-b"]
    assert second.measured.by == {"tank_screw": ("plant-b",)}
    assert folder.statuses()["plant-a"].attempts == 1


def test_a_strategy_without_site_banks_is_refused_before_anybody_is_asked(federate):
    with pytest.raises(FederationError, match="ExactKCenter leaves no banks of sites"):
        federate(strategy="exact_k_center")


def test_a_site_that_is_not_expected_has_no_part(federate):
    assert federate(*PLANTS, sites=["plant-b"]).version_bank(1).sites == ("plant-b",)


def test_rounds_wait_for_all_sites_until_the_deadline(write_federation, make_grid, tmp_path):
    settings = FederationSettings.read(write_federation(deadline=10.0, poll=3.0))
    now = [0.0]
    with pytest.raises(FederationError, match="1 of 2 sites were online within 10 s"):
        wait_for_sites(
            make_grid(tmp_path), settings, clock=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds)
        )
    assert now == [12.0]
    wait_for_sites(make_grid(tmp_path, tmp_path), settings, clock=lambda: 0.0)
