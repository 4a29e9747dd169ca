"""The shipped apps against a federation that was put together by hand, and against what can go wrong."""

import json
from dataclasses import replace

import httpx
import pytest
from deployed import PLANTS, SIDE
from flwr.app import Context, MessageType, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.proto.node_pb2 import NodeInfo

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.federation import InProcessGrid, make_agreement, make_sites, simulate
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.federation.privacy_guard import PrivacyError
from anomalib_federated.federation.scoring import METRICS
from anomalib_federated.federation.settings import FederationSettings, SettingsError, SiteSettings
from anomalib_federated.flower_app import client, server
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
    assert told["radius_of"] == {
        plant: {category: expected.bank.covering_radius[category]} for plant, category in PLANTS.items()
    }
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
    told = json.loads(folder.version_path(2).with_name(EVALUATION).read_text())
    assert told["not_measured_by"] == told["not_scored_by"] == {"plant-a": "its node 1 is not online"}
    assert folder.statuses()["plant-a"].attempts == 1


class CutOff(InProcessGrid):
    """Messages of some types do not reach the SuperLink any more."""

    cut: tuple[str, ...] = ()
    error: Exception = OSError()

    def push_messages(self, messages):
        messages = list(messages)
        if {message.metadata.message_type for message in messages} & set(self.cut):
            raise self.error
        return super().push_messages(messages)


@pytest.mark.parametrize(
    ("cut", "error"),
    [
        ((MessageType.EVALUATE, METRICS), httpx.ReadTimeout("no \x1b answer")),
        ((METRICS,), ConnectionResetError("no \x1b answer")),
    ],
)
def test_a_bank_is_not_lost_with_the_connection(cut, error, federate):
    grid = type("Grid", (CutOff,), {"cut": cut, "error": error})
    folder = federate(*PLANTS, grid=grid)
    (version,) = folder.versions()
    told = json.loads(folder.version_path(1).with_name(EVALUATION).read_text())
    unheard = dict.fromkeys(PLANTS, r"the SuperLink could not be reached (no \x1b answer)")
    for question, left_out in ((MessageType.EVALUATE, "not_measured_by"), (METRICS, "not_scored_by")):
        assert told[left_out] == (unheard if question in cut else {})
    assert (version.measured is None) == (MessageType.EVALUATE in cut)
    assert list(told["scores"]) == ([] if METRICS in cut else list(PLANTS))
    assert set(told["bytes"]) == set(PLANTS)


def test_that_nobody_can_be_seen_at_the_end_loses_nothing(federate):
    class Blind(InProcessGrid):
        def get_nodes(self):
            if self._sent == len(PLANTS):  # all were asked for their banks
                msg = "connection refused"
                raise httpx.ConnectError(msg)
            return super().get_nodes()

    folder = federate(*PLANTS, grid=Blind)
    told = json.loads(folder.version_path(1).with_name(EVALUATION).read_text())
    assert set(told["not_measured_by"].values()) == {"the SuperLink could not be reached (connection refused)"}
    assert list(told["not_scored_by"]) == list(PLANTS)


class Named(InProcessGrid):
    """Its first node is registered as plant-a, the other under no name."""

    def get_nodes(self):
        return [NodeInfo(node_id=node, name="plant-a" if node == 1 else "") for node in self.get_node_ids()]


@pytest.mark.parametrize("grid", [InProcessGrid, Named])
def test_a_site_whose_bank_came_as_a_file_measures_if_its_node_is_known_by_name(
    grid, federate, write_site, write_federation
):
    settings = FederationSettings.read(write_federation())
    site = SiteSettings.read(write_site("plant-a")).make_site(settings.agreement().space)
    folder = FederationFolder.create(settings.output, settings.agreement())
    folder.accept(site.build_bank(folder.agreement), site="plant-a", via="file")
    site.close()
    federate(*PLANTS, grid=grid)
    told = json.loads(folder.version_path(1).with_name(EVALUATION).read_text())
    if grid is Named:
        assert told["not_measured_by"] == told["not_scored_by"] == {}
        assert told["measured_by"] == {category: [plant] for plant, category in PLANTS.items()}
    else:
        assert told["not_measured_by"] == told["not_scored_by"] == {"plant-a": "no node of it is known"}


def test_a_run_that_changes_nothing_makes_no_version_and_has_the_last_one_measured(federate):
    cut_off = type("Grid", (CutOff,), {"cut": (MessageType.EVALUATE,)})
    folder = federate(*PLANTS, grid=cut_off)
    (first,) = folder.versions()
    assert first.measured is None
    federate(*PLANTS)
    (second,) = folder.versions()
    assert (second.number, second.time, second.digest) == (1, first.time, first.digest)
    by = {category: (plant,) for plant, category in PLANTS.items()}
    assert second.measured.by == by
    bank = folder.version_bank(1).digest
    federate("plant-b")  # who is offline now has measured before
    (third,) = folder.versions()
    assert third == second
    assert folder.version_bank(1).digest == bank
    told = json.loads(folder.version_path(1).with_name(EVALUATION).read_text())
    assert told["measured_by"] == {PLANTS["plant-b"]: ["plant-b"]}


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


def test_waiting_goes_on_while_nobody_can_be_seen(write_federation):
    settings = FederationSettings.read(write_federation(deadline=10.0, poll=3.0))
    errors = [httpx.ConnectError("refused"), OSError("no route")]

    class Unsteady(InProcessGrid):
        def get_node_ids(self):
            if errors:
                raise errors.pop()
            return super().get_node_ids()

    grid = Unsteady(client.app, {1: {}, 2: {}})
    wait_for_sites(grid, settings, clock=lambda: 0.0, sleep=lambda seconds: None)
    assert not errors


NOISY = {"class_path": "adaptive_gaussian", "init_args": {"epsilon": 8.0}}


@pytest.fixture
def guarded_site(write_site, tmp_path, monkeypatch):
    """Sites that set privacy terms, with a ledger each, and send nothing without a promise."""

    def write(name, **changed):
        terms = {"folder": str(tmp_path / name / "privacy"), "epsilon": 8.0}
        return write_site(name, **({"privacy": terms} | changed))

    return write


@pytest.fixture
def federate_guarded(guarded_site, write_federation):
    def run(**changed):
        path = write_federation(**changed)
        context = Context(1, SUPERLINK_NODE_ID, node_config={}, state=RecordDict(), run_config={"config": str(path)})
        configs = {number: {"config": str(guarded_site(name))} for number, name in enumerate(PLANTS, 1)}
        server.app(InProcessGrid(client.app, configs), context)
        return FederationFolder.open(path.with_name("folder"))

    return run


def test_sums_become_a_version_of_which_no_site_measures_anything(federate_guarded, tmp_path):
    folder = federate_guarded(strategy="noisy_sums", privacy=NOISY)
    (version,) = folder.versions()
    bank = folder.version_bank(1)
    assert not folder.sites()
    assert set(bank.categories) == set(PLANTS.values())
    assert [promise.epsilon for promise in bank.privacy.values()] == [pytest.approx(8.0)]
    assert version.measured is None
    told = json.loads(folder.version_path(1).with_name(EVALUATION).read_text())
    assert told["scores"] == told["measured_by"] == {}
    assert set(told["bytes"]) == set(PLANTS)
    for plant, category in PLANTS.items():
        spent = json.loads((tmp_path / plant / "privacy" / "privacy_budget.json").read_text())
        assert spent["epsilon_spent"] == {category: pytest.approx(8.0)}


def test_a_second_run_costs_nothing_and_learns_the_same(federate_guarded):
    first = federate_guarded(strategy="noisy_sums", privacy=NOISY).versions()[-1]
    again = federate_guarded(strategy="noisy_sums", privacy=NOISY).versions()[-1]
    assert (again.number, again.digest) == (first.number + 1, first.digest)


@pytest.mark.slow
def test_a_site_with_terms_sends_no_bare_bank(federate_guarded):
    with pytest.raises(FederationError, match="nothing about its pictures without noise"):
        federate_guarded()


def test_terms_that_leave_the_budget_open_are_refused(guarded_site, tmp_path):
    path = guarded_site("plant-a", privacy={"folder": str(tmp_path / "privacy")})
    with pytest.raises(SettingsError, match=r"privacy\.epsilon is missing"):
        SiteSettings.read(path)


def test_features_that_overflow_under_made_up_scales_tell_nothing(guarded_site):
    space = SiteSettings.read(guarded_site("plant-a")).make_site(FederatedPatchcore(image_size=(SIDE, SIDE)).space)
    space.close()
    made_up = replace(space.extractor.space, layer_scales=(1e-3, 1e-3))
    with pytest.raises(PrivacyError, match="own layer scales"):
        SiteSettings.read(guarded_site("plant-b")).make_site(made_up)
