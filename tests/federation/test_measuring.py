"""Sites that are online measure a global bank; others are left out, and named."""

import re
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
import torch
from flwr.app import Message, MessageType
from flwr.server.superlink.linkstate.utils import create_message_error_unavailable_res_message

from anomalib_federated import messages
from anomalib_federated.bank import MemoryBank
from anomalib_federated.federation import InProcessGrid, asking, in_process_grid, measure_global_bank, run_federation
from anomalib_federated.testing.privacy import example_report
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from tests.federation.pieces import files_in

NODES = {"north": 1, "south": 2, "west": 3}


@pytest.fixture
def sites(make_site):
    return [
        make_site("north", seed=1, screw=3),
        make_site("south", seed=2, offset=1.0, screw=2, nut=2),
        make_site("west", seed=3, nut=1),
    ]


@pytest.fixture
def bank(sites, agreement):
    return FederatedCoreset(budget=4).merge(site.build_bank(agreement) for site in sites)


class FaultyGrid(InProcessGrid):
    """Some nodes are offline, and replies may be dropped or changed."""

    def __init__(self, sites, *, offline=(), change=lambda reply: reply):
        grid = in_process_grid(sites)
        super().__init__(grid.app, {node: context.node_config for node, context in grid.contexts.items()})
        self.offline, self.change = offline, change
        self.asked = []

    def get_node_ids(self):
        return [node for node in super().get_node_ids() if node not in self.offline]

    def push_messages(self, messages):
        messages = list(messages)
        self.asked += messages
        return super().push_messages(messages)

    def pull_messages(self, message_ids):
        pending = [number for number in message_ids if number in self._pending]
        replies = [self.change(reply) for reply in super().pull_messages(pending)]
        return [reply for reply in replies if reply is not None]


def patches_of(sites, category):
    own = [site.patches().rows(category) for site in sites if category in site.patches().categories]
    return torch.cat([rows.read(slice(0, len(rows))) for rows in own]).double()


def test_measured_by_all_it_is_the_bank_of_the_federation(sites, agreement, bank):
    measured = measure_global_bank(FaultyGrid(sites), bank, NODES, timeout=9)
    whole = run_federation(in_process_grid(sites), FederatedCoreset(budget=4), agreement)
    assert measured.applied_to(bank).digest == whole.bank.digest
    assert measured.by == {"nut": ("south", "west"), "screw": ("north", "south")}
    assert measured.left_out == {}
    assert measured.radius_of == {
        site.name: {name: found.radius for name, found in site.covering(bank).items()} for site in sites
    }


def test_a_site_that_is_offline_is_left_out_and_named(sites, bank):
    grid = FaultyGrid(sites, offline=[1])
    measured = measure_global_bank(grid, bank, NODES, timeout=9)
    assert measured.left_out == {"north": "its node 1 is not online"}
    assert measured.by == {"nut": ("south", "west"), "screw": ("south",)}
    assert [message.metadata.dst_node_id for message in grid.asked] == [2, 3]
    for category in ("nut", "screw"):
        rows = bank.for_category(category).features.double()
        distances = (patches_of(sites[1:], category)[:, None] - rows[None]).norm(dim=2)
        assert measured.radius[category] == pytest.approx(float(distances.amin(1).max()), rel=1e-4)
        assert measured.patches[category].tolist() == torch.bincount(distances.argmin(1), minlength=4).tolist()
    # What not all sites measured is not known of the bank.
    applied = measured.applied_to(bank)
    assert set(applied.covering_radius) == {"nut"}
    assert torch.equal(applied.for_category("screw").weights, bank.for_category("screw").weights)
    assert float(applied.for_category("nut").weights.sum()) == 3 * 16


def test_a_site_without_a_node_is_left_out(sites, bank):
    measured = measure_global_bank(FaultyGrid(sites), bank, {"north": 1, "west": 3}, timeout=9)
    assert measured.left_out == {"south": "no node of it is known"}
    assert measured.by == {"nut": ("west",), "screw": ("north",)}


def test_nobody_online_is_nothing_measured(sites, bank):
    measured = measure_global_bank(FaultyGrid(sites, offline=[1, 2, 3]), bank, NODES, timeout=9)
    assert (measured.radius, list(measured.left_out)) == ({}, ["north", "south", "west"])
    assert measured.applied_to(bank).digest == bank.digest


def altered(node, change):
    def alter(reply):
        if reply.metadata.src_node_id == node:
            change(reply.content)
        return reply

    return alter


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda reply: None if reply.metadata.src_node_id == 2 else reply, "node 2 did not answer within 0.05 s"),
        (altered(2, lambda content: content.pop(messages.RADIUS)), "node 2 has no MetricRecord named 'radius'"),
        (altered(2, lambda content: content[messages.RADIUS].update({"nut": float("nan")})), "reports nan as covering"),
        (altered(2, lambda content: content[messages.RADIUS].update({"b\x1b[2J": 1.0})), r"of 'b\\x1b\[2J'"),
        (
            altered(2, lambda content: content[messages.WEIGHTS].update({"nut": [3]})),
            "patches of 1 rows of 'nut'",
        ),
        (
            altered(2, lambda content: content.update({messages.SITE: messages.site_record("west")})),
            "Node 2 answers as site 'west', not as 'south'",
        ),
    ],
)
def test_a_bad_answer_leaves_its_site_out(sites, bank, change, reason):
    measured = measure_global_bank(FaultyGrid(sites, change=change), bank, NODES, timeout=0.05)
    assert list(measured.left_out) == ["south"]
    assert re.search(reason, measured.left_out["south"])
    assert measured.left_out["south"].isprintable()
    assert measured.by == {"nut": ("west",), "screw": ("north",)}
    assert set(measured.traffic) == {"north", "west"}


def test_a_site_that_fails_leaves_the_others(sites, bank):
    sites[0].extractor = SimpleNamespace(space=replace(bank.space, pooling=5))
    measured = measure_global_bank(FaultyGrid(sites), bank, NODES, timeout=9)
    assert measured.left_out["north"].startswith("Node 1 failed: Site 'north' is set up differently")
    assert measured.by == {"nut": ("south", "west"), "screw": ("south",)}


def raises(error):
    def fail(reply):
        if reply.metadata.src_node_id == 2:
            raise error
        return reply

    return fail


def test_an_answer_that_cannot_be_taken_apart_leaves_its_site_out(sites, bank):
    grid = FaultyGrid(sites, change=raises(ValueError("no such \x1b object")))
    measured = measure_global_bank(grid, bank, NODES, timeout=9)
    assert measured.left_out == {"south": r"its answer cannot be taken apart: no such \x1b object"}
    assert measured.by == {"nut": ("west",), "screw": ("north",)}


@pytest.mark.parametrize("error", [httpx.ReadError("reset"), OSError("no route")])
def test_an_answer_is_fetched_again_when_the_superlink_was_out_of_reach(sites, bank, error, monkeypatch):
    monkeypatch.setattr(asking, "POLL", 0.01)
    failing = [error, error]

    class Unsteady(FaultyGrid):
        def pull_messages(self, message_ids):
            if failing:
                raise failing.pop()
            return super().pull_messages(message_ids)

    measured = measure_global_bank(Unsteady(sites), bank, NODES, timeout=9)
    assert measured.left_out == {}
    assert not failing


@pytest.mark.parametrize("ids", [[], [None, "1", "2"]])
def test_a_question_that_is_not_delivered_leaves_its_site_out(sites, bank, ids):
    class Lossy(FaultyGrid):
        def push_messages(self, messages):
            messages = list(messages)
            super().push_messages(messages[len(messages) - len(ids[1:]) :])
            return ids

    measured = measure_global_bank(Lossy(sites), bank, NODES, timeout=9)
    lost = ["north", "south", "west"][: 1 if ids else 3]
    assert measured.left_out == dict.fromkeys(lost, "the message to it could not be delivered")


def test_where_flower_answers_in_a_nodes_place_the_node_that_was_asked_is_named(sites, bank):
    def gone(reply):
        if reply.metadata.src_node_id != 2:
            return reply
        return create_message_error_unavailable_res_message(reply.metadata, "node_unavail")

    measured = measure_global_bank(FaultyGrid(sites, change=gone), bank, NODES, timeout=9)
    assert measured.left_out["south"].startswith("Node 2 failed: Error: Node Unavailable")


def test_two_sites_cannot_speak_through_one_node(sites, bank):
    measured = measure_global_bank(FaultyGrid(sites), bank, {**NODES, "west": 2}, timeout=9)
    assert measured.left_out == {"west": "Node 2 answers as site 'south', not as 'west'."}


def test_each_site_is_sent_its_own_categories_for_as_long_as_is_waited(sites, bank):
    grid = FaultyGrid(sites)
    measured = measure_global_bank(grid, bank, NODES, timeout=9)
    assert [sorted(files_in(message.content)) for message in grid.asked] == [["screw"], ["nut", "screw"], ["nut"]]
    assert all(isinstance(message, Message) and message.metadata.ttl == 9 for message in grid.asked)
    assert {message.metadata.message_type for message in grid.asked} == {MessageType.EVALUATE}
    for site, categories in measured.traffic.items():
        for category, cost in categories.items():
            assert cost.down == len(bank.for_category(category).to_bytes()), site
            assert 10 < cost.up < 200


def own_distance(bank):
    nut = bank.for_category("nut")
    placed = replace(nut, row_place=torch.rand(len(nut), 2, generator=torch.Generator().manual_seed(0)))
    return MemoryBank.merge([bank.for_category("screw"), placed])


def promised(bank):
    return replace(bank, privacy={"north": example_report(epsilon=2.0)})


@pytest.mark.parametrize(
    ("change", "reason"), [(own_distance, "category 'nut' are measured"), (promised, "a promise was made")]
)
def test_a_bank_that_has_no_radius_to_tell_is_not_measured(sites, bank, change, reason):
    grid, bank = FaultyGrid(sites), change(bank)
    measured = measure_global_bank(grid, bank, NODES, timeout=9)
    assert grid.asked == []
    assert set(measured.left_out) == set(bank.sites)
    assert all(reason in said for said in measured.left_out.values())
    assert measured.applied_to(bank).digest == bank.digest
