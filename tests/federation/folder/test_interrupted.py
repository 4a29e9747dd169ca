"""Processes that are killed, run into a full disk or write at the same time lose nothing that was accepted."""

import json
import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count

import pytest

from anomalib_federated import registry
from anomalib_federated.federation.folder import FederationFolder, FolderError
from anomalib_federated.testing import example_bank

SPEC = {"class_path": "concatenate", "init_args": {}}


def aggregate(folder):
    return folder.aggregate(registry.build("strategy", SPEC), spec=SPEC)


@pytest.fixture
def at_every_step(tmp_path, agreed, killed_at):
    """Kill a process before each of its steps on files, each time in a new folder, until one comes to its end."""

    def run(prepare, action, check):
        for step in count(1):
            folder = FederationFolder.create(tmp_path / f"killed-{step}", agreed)
            prepare(folder)
            killed = killed_at(step, folder.path, partial(action, folder))
            check(FederationFolder.open(folder.path))
            if not killed:
                return step
        return None

    return run


def add(folder, *banks):
    for bank in banks:
        folder.accept(bank, site=bank.sites[0], via="flower")


def hidden(folder):
    return [path for path in folder.path.rglob(".*") if path.name != ".lock"]


def test_a_process_killed_while_a_bank_comes_leaves_the_old_or_the_new(at_every_step, bank_of):
    old, new = bank_of("a", seed=0), bank_of("a", seed=1)
    outcomes = []

    def check(folder):
        folder.note("asked", site="a")
        outcomes.append(folder.bank("a").digest)
        assert outcomes[-1] == folder.statuses()["a"].bank.digest
        assert hidden(folder) == []
        assert [path.name for path in (folder.path / "sites").iterdir()] == ["a.safetensors"]
        assert folder.accept(new, site="a", via="file") == (outcomes[-1] == old.digest)

    steps = at_every_step(lambda folder: add(folder, old), lambda folder: add(folder, new), check)
    assert steps > 5
    # Old up to some step, and new from there on.
    assert list(dict.fromkeys(outcomes)) == [old.digest, new.digest]
    assert outcomes == sorted(outcomes, key=[old.digest, new.digest].index)


def test_a_process_killed_while_the_first_bank_comes(at_every_step, bank_of):
    def check(folder):
        folder.note("asked", site="a")
        assert folder.sites() == (("a",) if (folder.path / "sites" / "a.safetensors").exists() else ())
        add(folder, bank_of("a"))
        assert folder.bank("a").digest == bank_of("a").digest

    at_every_step(lambda folder: None, lambda folder: add(folder, bank_of("a")), check)


def test_a_process_killed_while_it_aggregates_leaves_a_whole_version_or_none(at_every_step, bank_of):
    def check(folder):
        numbers = [version.number for version in folder.versions()]
        assert numbers in ([1], [1, 2])
        assert all(folder.version_bank(number).digest == bank_of("a").digest for number in numbers)
        assert aggregate(folder).number > numbers[-1]
        assert hidden(folder) == []

    at_every_step(lambda folder: (add(folder, bank_of("a")), aggregate(folder)), aggregate, check)


def test_a_process_killed_while_it_removes_a_site_can_be_finished(at_every_step, bank_of):
    other = bank_of("b", seed=1)
    rows = other.features[0].numpy().tobytes()

    def prepare(folder):
        add(folder, bank_of("a"), other)
        aggregate(folder)

    def check(folder):
        folder.note("expected", site="a")
        assert ("b" in folder.sites()) == (folder.path / "sites" / "b.safetensors").exists()
        if "b" in folder.sites() or any("b" in version.sites for version in folder.versions()):
            folder.remove_site("b", purge=True)
        assert folder.sites() == ("a",)
        assert folder.versions()[-1].digest == bank_of("a").digest
        aggregate(folder)
        assert hidden(folder) == []
        assert not any(rows in path.read_bytes() for path in folder.path.rglob("*") if path.is_file())

    at_every_step(prepare, lambda folder: folder.remove_site("b", purge=True), check)


def test_a_process_killed_while_it_notes_a_measurement(at_every_step, bank_of):
    measured = replace(bank_of("a"), covering_radius={"nut": 2.0})

    def record(folder):
        folder.record_measurement(1, measured, radius={"nut": 2.0}, by={"nut": ("a",)})

    def check(folder):
        assert folder.version_bank(1).digest in {bank_of("a").digest, measured.digest}
        record(folder)
        assert folder.version_bank(1).digest == measured.digest

    at_every_step(lambda folder: (add(folder, bank_of("a")), aggregate(folder)), record, check)


def test_a_process_killed_while_it_makes_the_folder(tmp_path, agreed, bank_of, killed_at):
    for step in count(1):
        path = tmp_path / f"made-{step}"
        killed = killed_at(step, path, partial(FederationFolder.create, path, agreed))
        add(FederationFolder.create(path, agreed), bank_of("a"))
        assert FederationFolder.open(path).sites() == ("a",)
        if not killed:
            break


# --- the journal ----------------------------------------------------------------------------------------------------


def test_a_last_line_that_was_torn_anywhere_does_not_count(folder):
    journal = folder.path / "events.jsonl"
    folder.note("asked", site="a")
    whole = journal.read_bytes()
    folder.note("failed", site="a", reason="no light")
    last = journal.read_bytes()[len(whole) :]
    for length in range(len(last)):
        journal.write_bytes(whole + last[:length])
        torn = FederationFolder.open(folder.path)
        assert torn.statuses()["a"].state == "asked"
        torn.note("left", site="a")
        assert torn.statuses()["a"].state == FederationFolder.open(folder.path).statuses()["a"].state == "left"
        assert [json.loads(line)["event"] for line in journal.read_bytes().splitlines()] == ["created", "asked", "left"]


def test_a_line_that_another_is_writing_is_read_when_it_is_whole(folder):
    journal = folder.path / "events.jsonl"
    watcher = FederationFolder.open(folder.path)
    before = journal.read_bytes()
    folder.note("asked", site="a")
    after = journal.read_bytes()
    journal.write_bytes(after[:-7])
    assert watcher.statuses() == {}
    journal.write_bytes(after)
    assert watcher.statuses()["a"].attempts == watcher.statuses()["a"].attempts == 1
    journal.write_bytes(before)
    with pytest.raises(FolderError, match=r"events\.jsonl has lost lines"):
        watcher.statuses()


@pytest.mark.parametrize(
    ("number", "line", "complaint"),
    [
        (
            0,
            b'{"event":"created","time":"2026-05-04T00:00:00Z","format":2}',
            "is written in format 2, .* reads format 1",
        ),
        (0, b'{"event":"sung","format":{"\\u001b[2J":1}}', r"is written in format \{'\\x1b\[2J': 1\}"),
        (0, b'{"event":"asked"}', "is not the journal of a federation"),
        (0, b"\x00\x00", "is not the journal of a federation"),
        (1, b"\x00\x00", "line 2 is no event of a federation"),
        (1, b'{"event":"\\u001b[2J"}', "line 2 is no event of a federation"),
        (1, b'{"event":"asked","\\u001b[2J":1}', "line 2 is no event of a federation"),
    ],
)
def test_a_damaged_journal_is_refused_by_line(folder, number, line, complaint):
    journal = folder.path / "events.jsonl"
    folder.note("asked", site="a")
    folder.note("left", site="a")
    lines = journal.read_bytes().splitlines()
    lines[number] = line
    journal.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(FolderError, match=complaint) as caught:
        FederationFolder.open(folder.path)
    assert str(caught.value).isprintable()


def test_hostile_words_are_kept_short_and_on_one_line(folder):
    folder.note("failed", node=3, reason="\x1b[2J\n\udc80[red]" + "x" * 10_000)
    folder.note("failed", site="a", reason="\u2028\r\n")
    again = FederationFolder.open(folder.path)
    assert len((folder.path / "events.jsonl").read_bytes().splitlines()) == 3
    assert again.unnamed_nodes()[3].reason.startswith("\x1b[2J\n\\udc80[red]xxx")
    assert len(again.unnamed_nodes()[3].reason) < 600
    for name in ("../a", "a\x1b[2J", "", "x" * 300):
        with pytest.raises(ValueError, match="site must be"):
            folder.note("asked", site=name)


# --- at the same time -----------------------------------------------------------------------------------------------


def test_processes_that_write_at_once_wait_for_each_other(folder, bank_of, in_child):
    def work(number):
        def write():
            mine = FederationFolder.open(folder.path)
            for turn in range(10):
                mine.note("asked", site=f"site-{number}")
                mine.accept(bank_of(f"site-{number}", seed=turn), site=f"site-{number}", via="flower", node=number)

        return write

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(in_child, map(work, range(4)))) == [0] * 4
    statuses = folder.statuses()
    assert {name: (status.state, status.attempts) for name, status in statuses.items()} == {
        f"site-{number}": ("in", 10) for number in range(4)
    }
    assert all(folder.bank(name).digest == bank_of(name, seed=9).digest for name in statuses)
    assert len((folder.path / "events.jsonl").read_bytes().splitlines()) == 1 + 4 * 10 * 3


def test_threads_may_share_a_folder(folder, bank_of):
    def work(number):
        for turn in range(10):
            folder.note("asked", node=100 + 10 * number + turn)
            folder.accept(bank_of(f"site-{number}", seed=turn), site=f"site-{number}", via="flower", node=number)
            assert f"site-{number}" in folder.sites()
            folder.unnamed_nodes()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(folder.unnamed_nodes()) == 40
    assert folder.statuses() == FederationFolder.open(folder.path).statuses()


# --- a full disk ----------------------------------------------------------------------------------------------------


def with_files_of_at_most(size, action):
    """Do something that must fail, in this process, in which no file can grow beyond a size."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        with pytest.raises(OSError, match="File too large"):
            action()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_bank_for_which_there_is_no_room_leaves_the_one_before(folder, in_child):
    folder.accept(example_bank(site="a", rows=20), site="a", via="file")
    large = example_bank(site="a", rows=40, dim=8, seed=3)
    journal = (folder.path / "events.jsonl").stat().st_size

    def fill():
        with_files_of_at_most(journal + 500, lambda: folder.accept(large, site="a", via="file"))

    assert len(large.to_bytes()) > journal + 500
    assert in_child(fill) == 0
    again = FederationFolder.open(folder.path)
    assert again.bank("a").digest == example_bank(site="a", rows=20).digest
    assert again.sites() == ("a",)
    assert again.accept(large, site="a", via="file")
    assert again.bank("a").digest == large.digest
    assert hidden(folder) == []


def test_an_event_for_which_there_is_no_room_does_not_count(folder, in_child):
    folder.note("asked", site="a")
    size = (folder.path / "events.jsonl").stat().st_size

    def fill():
        with_files_of_at_most(size + 20, lambda: folder.note("failed", site="a"))
        assert folder.statuses()["a"].state == "asked"
        folder.note("left", site="a")

    assert in_child(fill) == 0
    assert folder.statuses()["a"].state == "left"


def test_a_version_for_which_there_is_no_room_is_not_made(folder, bank_of, in_child):
    for name in "abcdef":
        folder.accept(bank_of(name), site=name, via="file")
    journal = (folder.path / "events.jsonl").stat().st_size
    assert in_child(lambda: with_files_of_at_most(journal + 300, lambda: aggregate(folder))) == 0
    assert folder.versions() == []
    assert list((folder.path / "versions").iterdir()) == []
    assert aggregate(folder).number == 2
