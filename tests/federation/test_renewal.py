"""A site whose bank is in is asked for a new one: the old one stays in force until the new one is in."""

import re
from dataclasses import replace

import pytest
from plants import Plants, Time, bank_of, reply_of

from anomalib_federated.federation.collection import collect
from anomalib_federated.federation.collection_plan import CollectionPlan
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.messages.agreement import Agreement

PLAN = CollectionPlan(sites=("a", "b"), deadline=1000, quorum=2, attempts=3, backoff=20, poll=1)
RENEWING = replace(PLAN, renew=("a",))
OLD, NEW = bank_of("a"), bank_of("a", seed=5)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def folder(tmp_path):
    """Banks of a and b came over Flower, from nodes 1 and 2."""
    folder = FederationFolder.create(tmp_path / "folder", Agreement(space=OLD.space, dtype="float32", budget=4))
    folder.accept(OLD, site="a", via="flower", node=1)
    folder.accept(bank_of("b", seed=1), site="b", via="flower", node=2)
    return folder


def run(grid, folder, plan=RENEWING):
    return collect(grid, folder, plan, clock=grid.time.clock, sleep=grid.time.sleep)


@pytest.mark.parametrize("names", [{}, {1: "a", 2: "b"}])
def test_it_replaces_the_bank_and_asks_nobody_else(folder, time, names):
    grid = Plants({1: NEW, 2: bank_of("b", seed=7)}, time=time, names=names)
    collected = run(grid, folder)
    assert grid.nodes_asked() == [1]
    assert (collected.sites, collected.kept) == (("a", "b"), {})
    assert collected.seconds <= 3 * PLAN.poll
    assert folder.bank("a").digest == NEW.digest
    assert folder.bank("b").digest == bank_of("b", seed=1).digest
    assert list(collected.received) == ["a"]
    # The next run wants none.
    assert run(grid, folder, PLAN).received == {}
    assert grid.nodes_asked() == [1]


def test_the_very_same_bank_again_is_an_answer(folder, time):
    collected = run(Plants({1: OLD, 2: None}, time=time), folder)
    assert (collected.kept, list(collected.received)) == ({}, ["a"])
    assert collected.seconds <= 3 * PLAN.poll


@pytest.mark.parametrize("names", [{}, {1: "a", 2: "b"}])
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "It was asked, but has not answered."),
        (OSError("no light"), "Node 1 failed: no light"),
        (bank_of("a", seed=5, category="nut", dim=4), "made by other settings than agreed"),
        (lambda message: reply_of(message, bank_of("b", seed=9)), "speaks? for site 'b'"),
    ],
)
def test_without_a_good_answer_the_old_bank_stays_and_the_site_is_named(folder, time, answer, reason, names):
    collected = run(Plants({1: answer, 2: None}, time=time, names=names), folder)
    assert collected.sites == ("a", "b")
    assert list(collected.kept) == ["a"]
    assert folder.bank("a").digest == OLD.digest
    status = folder.statuses()["a"]
    assert (status.state, status.node) == ("in", 1)
    assert re.search(reason, collected.kept["a"])
    assert status.reason == f"missing: {collected.kept['a']}"
    assert collected.seconds == PLAN.deadline


def test_a_site_that_is_never_online_keeps_its_bank(folder, time):
    collected = run(Plants({2: None}, time=time), folder)
    assert collected.kept == {"a": "No node that was online spoke for it."}
    assert folder.bank("a").digest == OLD.digest


def test_of_a_file_only_the_node_registered_under_the_sites_name_makes_a_newer_bank(folder, time):
    folder.accept(OLD, site="a", via="file")
    collected = run(Plants({3: NEW}, time=time), folder)
    assert "bank is in already as a file; it is kept" in collected.strangers[3]
    assert folder.bank("a").digest == OLD.digest
    assert run(Plants({4: NEW}, time=time, names={4: "a"}), folder).kept == {}
    assert folder.bank("a").digest == NEW.digest


def test_no_other_node_takes_the_chance(folder, time):
    grid = Plants({1: None, 3: NEW, 4: NEW}, time=time, names={4: "b"})
    collected = run(grid, folder)
    assert list(collected.kept) == ["a"]
    assert folder.bank("a").digest == OLD.digest


def test_a_site_that_is_not_in_yet_is_waited_for_as_ever(folder, time):
    plan = replace(PLAN, sites=("a", "b", "c"), renew=("c",))
    collected = run(Plants({3: bank_of("c", seed=2)}, time=time), folder, plan)
    assert (collected.sites, collected.kept) == (("a", "b", "c"), {})


@pytest.mark.parametrize("renew", [("x",), ("a", "a"), ["a"], ("a/b",)])
def test_only_sites_that_are_expected_can_be_renewed(renew):
    with pytest.raises(ValueError, match=r"renew is .*; give names of sites that are expected, none twice"):
        replace(PLAN, renew=renew)
