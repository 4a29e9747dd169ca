"""Where sites stand after what happened, in whatever order."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_federated.federation.folder.events import NOTES, Event, StoredBank, from_line, to_line
from anomalib_federated.federation.folder.site_status import Ledger

START = datetime(2026, 5, 4, tzinfo=UTC)
BANK = StoredBank(digest="0" * 64, rows=3, bytes=100, images=2)


def ledger(*events):
    found = Ledger()
    found.replay(Event(time=START + timedelta(minutes=number), **fields) for number, fields in enumerate(events))
    return found


def note(event, **fields):
    return {"event": event, "site": "a", **fields}


def came(**fields):
    return {"event": "in", "site": "a", "via": "flower", "node": 7, "bank": BANK, **fields}


def test_a_site_without_a_bank_stands_where_it_was_last():
    status = ledger(note("expected"), note("asked"), note("failed", reason="no light"), note("asked")).sites["a"]
    assert (status.state, status.attempts, status.reason) == ("asked", 2, "no light")
    assert status.since == START + timedelta(minutes=3)
    assert ledger(note("failed", reason="no light"), note("left")).sites["a"].reason == ""
    assert ledger(note("failed"), note("expected")).sites["a"].state == "failed"


def test_a_site_that_is_in_stays_in_and_tells_of_later_trouble():
    status = ledger(note("asked"), came(), note("asked"), note("refused", reason="NaN")).sites["a"]
    assert (status.state, status.attempts, status.reason, status.bank) == ("in", 2, "refused: NaN", BANK)
    assert status.since == START + timedelta(minutes=1)
    assert ledger(came(), note("failed", reason="x"), came()).sites["a"].reason == ""


def test_a_removed_site_has_no_bank():
    status = ledger(note("asked"), came(), note("removing"), note("removed"), note("asked")).sites["a"]
    assert (status.state, status.bank, status.attempts, status.node) == ("removed", None, 2, None)


def test_what_happened_to_a_node_happened_to_its_site_once_that_is_known():
    asked, failed = {"event": "asked", "node": 7}, {"event": "failed", "node": 7, "reason": "no light"}
    before = ledger(asked, failed, asked)
    assert before.sites == {}
    assert (before.unnamed[7].attempts, before.unnamed[7].state) == (2, "asked")
    after = ledger(asked, failed, asked, came(), asked, failed)
    assert after.unnamed == {}
    assert (after.sites["a"].attempts, after.sites["a"].reason) == (3, "failed: no light")


def test_a_node_that_claims_a_name_in_vain_does_not_become_that_site():
    told = ledger(came(), note("refused", node=9, reason="twice"), {"event": "failed", "node": 9, "reason": "x"})
    assert told.sites["a"].node == 7
    assert told.unnamed[9].state == "failed"


@given(
    st.lists(
        st.one_of(
            st.builds(note, st.sampled_from(NOTES)),
            st.builds(came, node=st.integers(1, 3)),
            st.builds(lambda node: {"event": "asked", "node": node}, st.integers(1, 3)),
            st.builds(note, st.sampled_from(["removing", "removed"])),
        ),
        min_size=1,
    )
)
def test_what_is_told_is_what_a_count_finds(events):
    found = ledger(*events)
    asked = [fields for fields in events if fields["event"] == "asked"]
    known = [*found.sites.values(), *found.unnamed.values()]
    assert sum(status.attempts for status in known) == len(asked)
    banks = [fields for fields in events if fields["event"] in {"in", "removed"}]
    if banks:
        assert (found.sites["a"].bank is not None) == (banks[-1]["event"] == "in")
        assert (found.sites["a"].state == "in") == (banks[-1]["event"] == "in")


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "asked"},
        {"event": "in", "site": "a", "via": "file"},
        {"event": "in", "site": "a", "bank": BANK},
        {"event": "removed"},
        {"event": "aggregating"},
        {"event": "asked", "site": "../a"},
        {"event": "asked", "site": "a\x1b[2J"},
    ],
)
def test_an_event_that_lacks_something_is_refused(fields):
    with pytest.raises(ValueError, match=r"names not|site must be"):
        Event(time=START, **fields)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"event":"asked","site":"a"}',
        b'{"event":"asked","site":"a","time":"2026-05-04T00:00:00"}',
        b'{"event":"asked","site":"a","time":1}',
        b'{"event":"danced","site":"a","time":"2026-05-04T00:00:00Z"}',
        b'{"event":"asked","site":"a","time":"2026-05-04T00:00:00Z","more":1}',
        b'{"event":"asked","site":"a","time":"2026-05-04T00:00:00Z","sent":-1}',
        b'{"event":"asked","site":"a","time":"2026-05-04T00:00:00Z","node":"7"}',
        b'{"event":"asked","site":"a/b","time":"2026-05-04T00:00:00Z"}',
        b'{"event":"in","site":"a","via":"pigeon","time":"2026-05-04T00:00:00Z"}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_event_is_refused(line):
    with pytest.raises(ValueError, match="validation error"):
        from_line(line)


@given(st.text(max_size=60).filter(lambda text: text.isprintable() or True), st.integers(0, 2**64 - 1))
def test_a_line_gives_its_event_back_whatever_the_words(reason, node):
    reason = reason.encode("utf-8", "backslashreplace").decode()
    event = Event(event="failed", time=START, node=node, reason=reason)
    line = to_line(event)
    assert from_line(line) == event
    assert line.count(b"\n") == 1
