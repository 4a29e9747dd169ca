"""Banks of sites that come and go, gathered into a folder."""

import threading
from dataclasses import replace

import httpx
import pytest
import torch
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.supercore.run import RunNotRunningException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plants import Plants, Time, bank_of, reply_of

from anomalib_federated import messages
from anomalib_federated.federation.collection import collect
from anomalib_federated.federation.collection_plan import CollectionPlan
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from tests.federation.pieces import files_in, pieces_of

PLAN = CollectionPlan(sites=("a", "b", "c"), deadline=1000, quorum=2, attempts=3, backoff=20, poll=1)


@pytest.fixture
def agreement():
    return Agreement(space=bank_of("a").space, dtype="float32", budget=4)


@pytest.fixture
def folder(tmp_path, agreement):
    return FederationFolder.create(tmp_path / "folder", agreement)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def banks():
    return {site: bank_of(site, seed=seed) for seed, site in enumerate("abc")}


def run(grid, folder, plan=PLAN):
    return collect(grid, folder, plan, clock=grid.time.clock, sleep=grid.time.sleep)


def digests(folder):
    return {site: folder.bank(site).digest for site in folder.sites()}


def of(banks, *sites):
    return {site: banks[site].digest for site in sites}


# --- who is waited for ----------------------------------------------------------------------------------------------


def test_it_ends_when_all_expected_sites_are_in(folder, time, banks):
    grid = Plants({1: banks["a"], 2: banks["b"], 3: banks["c"]}, time=time)
    collected = run(grid, folder)
    assert collected.sites == ("a", "b", "c")
    assert not collected.missing
    assert not collected.strangers
    assert collected.seconds <= 3 * PLAN.poll
    assert digests(folder) == of(banks, "a", "b", "c")
    assert sorted(grid.nodes_asked()) == [1, 2, 3]
    assert all(0 < ttl <= PLAN.deadline for ttl in grid.ttls)
    assert collected.received == {
        site: {"screw": len(bank.for_category("screw").to_bytes())} for site, bank in banks.items()
    }
    assert collected.asked == {"a": 1, "b": 1, "c": 1}
    assert {(status.state, status.via) for status in folder.statuses().values()} == {("in", "flower")}


def test_at_the_deadline_a_quorum_goes_on(folder, time, banks):
    grid = Plants({1: banks["a"], 2: None, 3: banks["c"]}, time=time)
    collected = run(grid, folder)
    assert collected.sites == ("a", "c")
    assert collected.missing == {"b": "No node that was online spoke for it."}
    assert collected.strangers == {2: "It was asked, but has not answered."}
    assert collected.seconds == PLAN.deadline
    assert folder.statuses()["b"].state == "missing"


def test_below_the_quorum_what_came_is_kept_and_the_next_run_goes_on(folder, time, banks):
    grid = Plants({1: banks["a"], 2: None}, time=time, names={2: "b"})
    with pytest.raises(FederationError) as caught:
        run(grid, folder)
    text = str(caught.value)
    assert "1 of the 2 banks that are needed came within 1000 s (a)" in text
    assert "b: It was asked, but has not answered." in text
    assert "c: No node that was online spoke for it." in text
    assert f"What came is kept in {folder.path}: start the server again" in text
    assert digests(folder) == of(banks, "a")
    again = Plants({1: banks["a"], 2: banks["b"], 3: banks["c"]}, time=time)
    assert run(again, FederationFolder.open(folder.path)).sites == ("a", "b", "c")
    assert sorted(again.nodes_asked()) == [2, 3]


def test_nobody_is_asked_when_all_are_in(folder, time, banks):
    for site, bank in banks.items():
        folder.accept(bank, site=site, via="file")
    grid = Plants({1: banks["a"]}, time=time)
    assert run(grid, folder).sites == ("a", "b", "c")
    assert not grid.asked


def test_without_expected_sites_any_comes_in_until_the_deadline(folder, time, banks):
    grid = Plants({1: banks["a"], 2: banks["b"]}, time=time)
    collected = run(grid, folder, replace(PLAN, sites=()))
    assert collected.sites == ("a", "b")
    assert collected.seconds == PLAN.deadline
    assert sorted(grid.nodes_asked()) == [1, 2]


def test_a_bank_that_is_added_as_a_file_meanwhile_counts(folder, time, banks):
    grid = Plants({1: banks["a"], 2: banks["b"]}, time=time)
    other = FederationFolder.open(folder.path)
    time.at[1100.0] = lambda: other.accept(banks["c"], site="c", via="file")
    collected = run(grid, folder)
    assert collected.sites == ("a", "b", "c")
    assert collected.seconds == pytest.approx(100, abs=3)


def test_no_site_is_expected_that_was_removed(folder, time, banks):
    folder.accept(banks["a"], site="a", via="file")
    folder.remove_site("a")
    grid = Plants({1: banks["a"], 2: banks["b"]}, time=time)
    with pytest.raises(FederationError, match="Site 'a' is expected, but was removed from"):
        run(grid, folder)
    collected = run(grid, folder, replace(PLAN, sites=(), quorum=1))
    assert collected.sites == ("b",)
    assert "Site 'a' was removed" in collected.strangers[1]
    assert grid.nodes_asked().count(1) == 1


def test_a_site_that_is_removed_while_it_answers_stays_out(folder, time, banks):
    folder.accept(banks["b"], site="b", via="flower", node=9)

    def remove_and_answer(message):
        FederationFolder.open(folder.path).remove_site("b")
        return reply_of(message, banks["b"])

    grid = Plants({1: banks["a"], 2: remove_and_answer, 3: banks["c"]}, time=time, names={2: "b"})
    run(grid, folder, replace(PLAN, sites=()))
    assert 2 in grid.nodes_asked()
    assert folder.sites() == ("a", "c")
    assert folder.statuses()["b"].state == "removed"


# --- sites that fail ------------------------------------------------------------------------------------------------


def test_a_node_that_fails_is_asked_again_ever_later_and_delays_nobody(folder, time, banks):
    broken = OSError("the camera is \x1b[2Junplugged")
    grid = Plants({1: [broken, broken, banks["a"]], 2: banks["b"], 3: banks["c"]}, time=time)
    seen = {}
    time.at[1010.0] = lambda: seen.update(early=folder.sites())
    collected = run(grid, folder)
    assert seen["early"] == ("b", "c")
    assert collected.sites == ("a", "b", "c")
    assert collected.asked["a"] == 3
    first, second, third = [when for node, when in grid.asked if node == 1]
    assert second - first == pytest.approx(20, abs=3)
    assert third - second == pytest.approx(40, abs=3)
    assert folder.statuses()["a"].attempts == 3


def test_a_node_is_asked_no_more_than_agreed_until_it_comes_back(folder, time, banks):
    grid = Plants({1: OSError("the \x1b[2J camera")}, time=time, names={1: "a"})
    with pytest.raises(FederationError) as caught:
        run(grid, folder)
    assert len(grid.asked) == PLAN.attempts
    assert "a: Node 1 failed:" in str(caught.value)
    assert str(caught.value).isprintable()
    assert folder.statuses()["a"].state == "failed"

    mended = Plants({1: [OSError("again")] * 3 + [banks["a"]]}, time=time, names={1: "a"})
    time.at[time.now + 300] = mended.online.clear
    time.at[time.now + 400] = lambda: mended.online.add(1)
    collected = run(mended, folder, replace(PLAN, quorum=1))
    assert collected.sites == ("a",)
    assert len(mended.asked) == 4
    assert mended.asked[-1][1] == pytest.approx(time.now - 600, abs=3)


@pytest.mark.parametrize("error", [httpx.ReadError("reset"), OSError("no route"), httpx.PoolTimeout("busy")])
@pytest.mark.parametrize("call", ["get_nodes", "push_messages", "pull_messages"])
def test_a_call_that_does_not_get_through_is_made_again(folder, time, banks, call, error):
    left = [call, call]

    class Unsteady(Plants):
        def __getattribute__(self, name):
            if name in left:
                left.remove(name)
                raise error
            return super().__getattribute__(name)

    grid = Unsteady({1: banks["a"], 2: banks["b"], 3: banks["c"]}, time=time)
    collected = run(grid, folder)
    assert collected.sites == ("a", "b", "c")
    assert not left
    assert sorted(grid.nodes_asked()) == [1, 2, 3]
    assert set(collected.asked.values()) == {1}


def test_an_answer_that_cannot_be_taken_apart_is_asked_for_again(folder, time, banks):
    class Mangled(Plants):
        def pull_messages(self, message_ids):
            if self.pulled[self.node_of[message_ids[0]]] == 0:
                self.pulled[self.node_of[message_ids[0]]] += 1
                msg = "no such \x1b object"
                raise ValueError(msg)
            return super().pull_messages(message_ids)

    grid = Mangled({1: banks["a"]}, time=time)
    assert run(grid, folder, replace(PLAN, sites=("a",), quorum=1)).asked == {"a": 2}
    assert folder.statuses()["a"].attempts == 2


@pytest.mark.parametrize("ids", [[], [""], [None]])
def test_a_message_that_is_not_delivered_is_sent_again(folder, time, banks, ids):
    class Lossy(Plants):
        def push_messages(self, messages):
            pushed = super().push_messages(messages)
            return ids if len(self.asked) == 1 else pushed

    grid = Lossy({1: banks["a"]}, time=time)
    assert run(grid, folder, replace(PLAN, sites=("a",), quorum=1)).asked == {"a": 2}
    assert grid.asked[1][1] - grid.asked[0][1] == pytest.approx(PLAN.backoff, abs=3)


def test_a_bank_that_cannot_be_stored_is_asked_for_again(folder, time, banks):
    (folder.path / "sites").write_text("in the way")
    time.at[1010.0] = (folder.path / "sites").unlink
    grid = Plants({1: banks["a"]}, time=time)
    assert run(grid, folder, replace(PLAN, sites=("a",), quorum=1)).asked == {"a": 2}
    assert digests(folder) == of(banks, "a")


def test_a_run_that_was_stopped_ends_the_collection(folder, time, banks):
    class Stopped(Plants):
        def get_nodes(self):
            if self.time.now > 1010:
                raise RunNotRunningException
            return super().get_nodes()

    with pytest.raises(RunNotRunningException):
        run(Stopped({1: banks["a"]}, time=time), folder)
    assert digests(folder) == of(banks, "a")


def test_an_interrupt_loses_nothing_that_came(folder, time, banks):
    def interrupt():
        raise KeyboardInterrupt

    time.at[1050.0] = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(Plants({1: banks["a"], 2: None}, time=time, names={2: "b"}), folder)
    assert digests(folder) == of(banks, "a")
    assert folder.statuses()["b"].state == "asked"


# --- sites that come and go -----------------------------------------------------------------------------------------


def test_a_node_that_appears_late_is_asked_then(folder, time, banks):
    grid = Plants({1: banks["a"], 2: banks["b"], 3: banks["c"]}, time=time)
    grid.online.discard(3)
    time.at[1500.0] = lambda: grid.online.add(3)
    collected = run(grid, folder)
    assert collected.sites == ("a", "b", "c")
    assert dict(grid.asked)[3] == pytest.approx(1500, abs=3)
    assert grid.ttls[-1] == pytest.approx(500, abs=3)


def test_a_site_that_comes_back_as_another_node_gets_in(folder, time, banks):
    grid = Plants({1: banks["a"], 2: None, 7: banks["b"]}, time=time)
    grid.online.discard(7)
    time.at[1100.0] = lambda: grid.online.discard(2)
    time.at[1200.0] = lambda: grid.online.add(7)
    assert run(grid, folder, replace(PLAN, sites=("a", "b"))).sites == ("a", "b")
    assert digests(folder) == of(banks, "a", "b")
    assert folder.statuses()["b"].node == 7


def test_a_node_that_goes_offline_while_it_works_may_still_answer(folder, time, banks):
    grid = Plants({1: banks["a"], 2: banks["b"]}, time=time, names={2: "b"})
    time.at[1001.0] = lambda: grid.online.discard(2)
    time.at[1700.0] = lambda: grid.online.add(2)
    assert run(grid, folder, replace(PLAN, sites=("a", "b"))).sites == ("a", "b")
    assert grid.nodes_asked().count(2) == 1


def test_who_left_without_an_answer_is_told(folder, time, banks):
    grid = Plants({1: banks["a"], 2: None}, time=time, names={2: "b"})
    time.at[1100.0] = lambda: grid.online.discard(2)
    collected = run(grid, folder, replace(PLAN, quorum=1))
    assert collected.missing["b"] == "It was asked, but went offline before it answered."


def test_an_answer_that_came_after_the_deadline_is_kept(folder, time, banks):
    class Slow(Plants):
        def pull_messages(self, message_ids):
            if self.node_of[message_ids[0]] == 2:
                self.time.now += 2000
            return super().pull_messages(message_ids)

    collected = run(Slow({1: banks["a"], 2: banks["b"], 3: banks["c"]}, time=time), folder)
    assert collected.sites == ("a", "b", "c")
    assert digests(folder) == of(banks, "a", "b", "c")
    assert folder.statuses()["a"].reason == ""
    assert folder.statuses()["b"].reason == "late: It came after the deadline."


# --- calls that block -----------------------------------------------------------------------------------------------


class Blocking(Plants):
    """Calls about these nodes block; 0 is the list of nodes."""

    def __init__(self, *args, blocked, **kwargs):
        super().__init__(*args, **kwargs)
        self.blocked, self.freed = set(blocked), threading.Event()
        self.most, self.now_pulling = 0, 0

    def get_nodes(self):
        if 0 in self.blocked:
            self.time.hold(self.freed)
        return super().get_nodes()

    def pull_messages(self, message_ids):
        if self.node_of[message_ids[0]] in self.blocked:
            self.time.hold(self.freed)
            return super().pull_messages(message_ids)
        self.now_pulling += 1
        self.most = max(self.most, self.now_pulling)
        try:
            return super().pull_messages(message_ids)
        finally:
            self.now_pulling -= 1


def test_pulls_that_block_delay_nobody(folder, time, banks):
    grid = Blocking({1: None, 2: None, 3: banks["a"], 4: None, 5: banks["b"]}, time=time, blocked={1, 2, 4})
    seen = {}
    time.at[1050.0] = lambda: seen.update(early=folder.sites())
    collected = run(grid, folder)
    assert seen["early"] == ("a", "b")
    assert collected.seconds == PLAN.deadline
    held = [thread for thread in threading.enumerate() if thread.name in time.held]
    assert len(held) == 3
    assert all(thread.daemon for thread in held)
    grid.freed.set()
    for thread in held:
        thread.join(10)
        assert not thread.is_alive()


def test_of_large_banks_two_are_waited_for_side_by_side(tmp_path, folder, time, banks):
    large = FederationFolder.create(tmp_path / "large", replace(folder.agreement, budget=1.0))
    grid = Blocking(dict.fromkeys((1, 2, 3, 4)), time=time, blocked={1, 2, 3, 4})
    with pytest.raises(FederationError, match="0 of the 1 banks"):
        run(grid, large, replace(PLAN, quorum=1))
    held = [thread for thread in threading.enumerate() if thread.name in time.held]
    assert len(held) == 2
    grid.freed.set()
    for thread in held:
        thread.join(10)


def test_what_a_blocked_pull_brings_in_time_is_taken_in(folder, time, banks):
    grid = Blocking({1: banks["a"], 2: banks["b"]}, time=time, blocked={1})

    def free():
        time.held.clear()
        grid.freed.set()

    time.at[1200.0] = free
    collected = run(grid, folder, replace(PLAN, sites=("a", "b")))
    assert collected.sites == ("a", "b")
    assert collected.seconds == pytest.approx(200, abs=5)


def test_what_a_blocked_pull_brings_after_the_end_is_not_taken_in(folder, time, banks):
    grid = Blocking({1: banks["a"], 2: banks["b"], 3: banks["c"]}, time=time, blocked={1})
    assert run(grid, folder).sites == ("b", "c")
    held = [thread for thread in threading.enumerate() if thread.name in time.held]
    grid.freed.set()
    for thread in held:
        thread.join(10)
    assert grid.pulled[1] == 1
    assert folder.sites() == ("b", "c")
    assert folder.statuses()["a"].state == "missing"


def test_a_list_of_nodes_that_never_comes_ends_at_the_deadline(folder, time, banks):
    grid = Blocking({1: banks["a"]}, time=time, blocked={0})
    with pytest.raises(FederationError, match=r"0 of the 2 banks that are needed came within 1000 s \(none\)"):
        run(grid, folder)
    assert len(time.held) == 1
    grid.freed.set()


def test_banks_are_pulled_one_at_a_time(folder, time, banks):
    grid = Blocking({1: banks["a"], 2: banks["b"], 3: banks["c"]}, time=time, blocked=())
    run(grid, folder)
    assert grid.most == 1


# --- who may speak for whom -----------------------------------------------------------------------------------------


def test_the_first_node_that_speaks_for_a_site_is_believed(folder, time, banks):
    forged = bank_of("a", seed=99)
    grid = Plants({1: banks["a"], 2: forged, 3: banks["b"]}, time=time)
    collected = run(grid, folder)
    assert digests(folder) == of(banks, "a", "b")
    assert "Node 2 speaks for site 'a', whose bank is in already from node 1" in collected.strangers[2]
    assert grid.nodes_asked().count(2) == 1
    assert folder.statuses()["a"].state == "in"


def test_a_bank_of_an_earlier_run_is_not_replaced_by_another_node(folder, time, banks):
    folder.accept(banks["a"], site="a", via="flower", node=1)
    folder.accept(banks["b"], site="b", via="file")
    forged = {2: bank_of("a", seed=99), 3: bank_of("b", seed=99)}
    run(Plants(forged, time=time), folder)
    assert digests(folder) == of(banks, "a", "b")


def test_a_registered_node_takes_its_sites_place_back(folder, time, banks):
    forged = bank_of("a", seed=99)
    grid = Plants({1: forged, 2: banks["a"], 3: bank_of("a", seed=98)}, time=time, names={2: "a", 3: "a"})
    run(grid, folder, replace(PLAN, quorum=1))
    assert digests(folder) == of(banks, "a")
    assert folder.statuses()["a"].node == 2


def test_a_registered_node_speaks_for_its_own_site_only(folder, time, banks):
    grid = Plants({1: banks["a"], 2: banks["b"], 3: banks["c"]}, time=time, names={1: "a", 2: "c", 3: "c"})
    collected = run(grid, folder)
    assert collected.sites == ("a", "c")
    status = folder.statuses()["b"]
    assert status.state == "missing"
    assert grid.nodes_asked().count(2) == 1


def test_a_site_that_is_not_expected_is_refused(folder, time, banks):
    grid = Plants({1: banks["a"], 2: banks["b"], 3: bank_of("stranger"), 4: bank_of("d")}, time=time, names={4: "d"})
    collected = run(grid, folder)
    assert collected.sites == ("a", "b")
    assert "Site 'stranger' is not one of those expected: a, b, c." in collected.strangers[3]
    assert "Site 'd' is not one of those expected" in collected.strangers[4]
    assert 4 not in grid.nodes_asked()
    assert folder.sites() == ("a", "b")


@pytest.mark.parametrize("name", ["../a", "a\x1b[2J", "x" * 300])
def test_a_node_of_an_impossible_name_is_not_asked(folder, time, banks, name):
    grid = Plants({1: banks["a"], 2: banks["b"], 3: banks["c"]}, time=time, names={3: name})
    collected = run(grid, folder)
    assert "It is registered under a name that no site can have" in collected.strangers[3]
    assert collected.strangers[3].isprintable()
    assert 3 not in grid.nodes_asked()


# --- what is no valid bank ------------------------------------------------------------------------------------------


def other_space(bank):
    return replace(bank, space=replace(bank.space, weights="1" * 64))


def not_a_number(message, bank):
    reply = reply_of(message, bank)
    (data,) = files_in(reply.content).values()
    first = bank.features[0, 0].numpy().tobytes()
    nan = torch.tensor(float("nan")).numpy().tobytes()
    reply.content.update(pieces_of({"screw": data.replace(first, nan, 1)}))
    return reply


def hollow(message, bank):
    reply = reply_of(message, bank)
    reply.__dict__["_content"] = None
    return reply


def without(message, bank, name):
    reply = reply_of(message, bank)
    reply.content.pop(name)
    return reply


REFUSED = {
    "NaN": (not_a_number, "row 0 of features holds a NaN"),
    "too many rows": (lambda m, b: reply_of(m, example_bank(site="a", rows=9)), "holds 9 rows"),
    "another space": (lambda m, b: reply_of(m, other_space(b)), "was made by other settings than agreed"),
    "another type": (lambda m, b: reply_of(m, b.to(torch.float16)), "holds features in torch.float16"),
    "another's rows": (lambda m, b: reply_of(m, bank_of("c"), site="a"), "sent rows that it says are of c"),
    "no content": (hollow, "Its answer cannot be read"),
    "no bank": (lambda m, b: without(m, b, "bank.000000"), "There is no bank in the message from site 'a'"),
    "no name": (lambda m, b: without(m, b, messages.SITE), "has no ConfigRecord named 'site'"),
    "hostile name": (lambda m, b: reply_of(m, b, site="a\x1b[2J"), "does not name its site"),
    "nothing": (lambda m, b: Message(RecordDict(), reply_to=m), "has no ConfigRecord named 'site'"),
    "an empty bank": (
        lambda m, b: Message(
            RecordDict({messages.SITE: ConfigRecord({"name": "a"}), **pieces_of({"screw": b""})}), reply_to=m
        ),
        "piece 0 of a bank must name a category and hold 1 to 4194304 bytes",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_valid_bank_is_refused_with_the_reason(folder, time, banks, case):
    make, reason = REFUSED[case]
    answers = [lambda message: make(message, banks["a"])] * 2 + [banks["a"]]
    grid = Plants({1: answers, 2: banks["b"], 3: banks["c"]}, time=time)
    noted = {}
    time.at[1015.0] = lambda: noted.update({**folder.statuses(), **folder.unnamed_nodes()})
    collected = run(grid, folder)
    status = noted["a" if noted["a"].state == "refused" else 1]
    assert status.state == "refused"
    assert reason in status.reason
    assert status.reason.isprintable()
    assert (noted["a"].state == "refused") == (case not in {"no name", "hostile name", "nothing", "no content"})
    assert collected.asked["a"] == 3
    assert digests(folder) == of(banks, "a", "b", "c")


# --- whatever the order ---------------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations([1, 2, 3]),
    failures=st.tuples(*[st.integers(0, 2)] * 3),
    late=st.tuples(*[st.sampled_from([0, 1, 50, 400])] * 3),
)
def test_whatever_the_order_and_the_failures_the_global_bank_is_the_same(tmp_path_factory, order, failures, late):
    time, banks = Time(), {site: bank_of(site, seed=seed) for seed, site in enumerate("abc")}
    agreed = Agreement(space=banks["a"].space, dtype="float32", budget=4)
    place = FederationFolder.create(tmp_path_factory.mktemp("order") / "folder", agreed)
    answers = {
        node: [OSError("not yet")] * count + [banks[site]]
        for node, count, site in zip(order, failures, "abc", strict=True)
    }
    grid = Plants(answers, time=time)
    for node, when in zip(order, late, strict=True):
        if when:
            grid.online.discard(node)
            time.at[time.now + when + node / 10] = lambda node=node: grid.online.add(node)
    collected = run(grid, place, replace(PLAN, poll=5))
    assert collected.sites == ("a", "b", "c")
    assert collected.asked == {site: count + 1 for site, count in zip("abc", failures, strict=True)}
    strategy = FederatedCoreset(budget=5)
    version = place.aggregate(strategy, spec={"class_path": "federated_coreset", "init_args": {"budget": 5}})
    assert version.digest == FederatedCoreset(budget=5).merge(banks.values()).digest


# --- plans ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sites", ["a"]), ("sites", ("a", "a")), ("sites", ("../a",)), ("sites", (1,)),
        ("deadline", 0), ("deadline", float("inf")), ("deadline", "1"),
        ("quorum", 0), ("quorum", 4), ("quorum", True), ("attempts", 0), ("attempts", 101), ("backoff", -1.0),
        ("backoff", float("nan")), ("poll", 0),
    ],
)  # fmt: skip
def test_an_impossible_plan_is_refused_by_its_field(field, value):
    with pytest.raises(ValueError, match=f"A collection cannot be planned so: {field} is "):
        replace(PLAN, **{field: value})
