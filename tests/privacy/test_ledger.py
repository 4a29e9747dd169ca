"""Spent before sent: nothing that a site gave away is forgotten, and nothing beyond its budget leaves."""

import fcntl
import json
import math
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomalib_federated.line_file import LineFile
from anomalib_federated.privacy.ledger import LEDGER, BudgetExceededError, Ledger, LedgerError, PrivacyBudget
from anomalib_federated.sole_writer import LOCK
from anomalib_federated.testing.privacy import example_report

BUDGET = PrivacyBudget(epsilon=2.0)
ONE = example_report(epsilon=1.0)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path, BUDGET)


def spend_until_refused(ledger):
    for count in range(100):
        try:
            ledger.spend(ONE, ["screw"], release=f"number {count}")
        except BudgetExceededError:
            return count
    return None


def test_releases_add_up_as_gaussians_do(ledger):
    for _ in range(3):
        ledger.spend(ONE, ["screw"], release="one")
    assert ledger.spent()["screw"] == pytest.approx(math.sqrt(3) * ONE.mu)
    assert 1.0 < ledger.epsilons()["screw"] < 2.0


def test_two_releases_above_the_budget_are_refused(ledger):
    ledger.spend(example_report(epsilon=1.7), ["screw"], release="first")
    before = ledger.spendings()
    with pytest.raises(BudgetExceededError, match=r"allows 2, of which 1\.7 is spent; nothing was sent"):
        ledger.spend(example_report(epsilon=1.7), ["screw"], release="second")
    assert ledger.spendings() == before


def test_the_whole_budget_can_be_spent_in_rounds_and_no_more(ledger):
    shares = [0.12, 0.15, 0.33, 0.4]
    for share in shares:
        ledger.spend(replace(ONE, noise_multipliers=(1 / (BUDGET.mu * share**0.5),), epsilon=2.0), ["a"], release="r")
    with pytest.raises(BudgetExceededError):
        ledger.spend(example_report(epsilon=0.01), ["a"], release="a little more")


def test_categories_are_different_pictures(ledger):
    ledger.spend(example_report(epsilon=1.9), ["screw"], release="one")
    ledger.spend(example_report(epsilon=1.9), ["nut"], release="two")
    with pytest.raises(BudgetExceededError, match="screw"):
        ledger.spend(ONE, ["screw", "bolt"], release="three")
    assert set(ledger.spent()) == {"screw", "nut"}


def test_it_survives_the_process(ledger, tmp_path):
    expected = spend_until_refused(ledger)
    assert expected == 3
    assert spend_until_refused(Ledger(tmp_path, BUDGET)) == 0
    assert Ledger(tmp_path, PrivacyBudget(epsilon=8.0)).epsilons() == ledger.epsilons()


def killed_at(step, folder, action):
    """Do something in a process of its own, which is killed before its n-th change of files; whether it was."""
    pid = os.fork()
    if pid == 0:
        steps = 0

        def hook(event, arguments):
            nonlocal steps
            writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if (writes or event in {"os.rename", "os.remove", "os.truncate"}) and str(folder) in str(arguments[0]):
                steps += 1
                if steps == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_whatever_was_sent_was_spent_before(tmp_path):
    """A process is killed before each of its steps on files, the last of which is to send."""
    seen = set()
    for step in range(1, 30):
        folder = tmp_path / f"killed-{step}"

        def spend_and_send(folder=folder):
            Ledger(folder, BUDGET).spend(example_report(epsilon=1.9), ["screw"], release="x")
            (folder / "sent").write_bytes(b"noisy")

        killed = killed_at(step, folder, spend_and_send)
        spent = bool(Ledger(folder, BUDGET).spendings())
        seen.add((killed, spent, (folder / "sent").exists()))
        if not killed:
            break
    # Killed before it was spent; between spending and sending; and not at all.
    assert seen == {(True, False, False), (True, True, False), (False, True, True)}


@pytest.mark.parametrize("kept", [1, 20, 60, -1])
def test_half_a_line_was_never_sent(ledger, kept):
    ledger.spend(ONE, ["screw"], release="whole")
    whole = (ledger.folder / LEDGER).read_bytes()
    ledger.spend(ONE, ["screw"], release="half")
    more = (ledger.folder / LEDGER).read_bytes()[len(whole) :]
    (ledger.folder / LEDGER).write_bytes(whole + more[:kept])
    again = Ledger(ledger.folder, BUDGET)
    assert [entry.release for entry in again.spendings()] == ["whole"]
    again.spend(ONE, ["screw"], release="next")
    assert [entry.release for entry in again.spendings()] == ["whole", "next"]


def test_writers_wait_for_each_other(tmp_path):
    """Of 40 releases from several threads and processes, exactly as many get through as fit the budget."""
    Ledger(tmp_path, BUDGET)
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(lambda _: spend_until_refused(Ledger(tmp_path, BUDGET)), range(4)))
    assert sum(outcomes) == 3
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        refused = pool.map(_spend_in_a_process, [str(tmp_path)] * 4)
    assert refused == [0] * 4


def _spend_in_a_process(folder):
    return spend_until_refused(Ledger(Path(folder), BUDGET))


def test_nobody_writes_between_check_and_entry(ledger, monkeypatch):
    """The lock is held from the check of the budget to the end of the entry."""
    held = []

    def noting(wrapped):
        def run(*arguments):
            with (ledger.folder / LOCK).open("ab") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held.append(False)
                except BlockingIOError:
                    held.append(True)
            return wrapped(*arguments)

        return run

    monkeypatch.setattr(Ledger, "_check_budget", noting(Ledger._check_budget))
    monkeypatch.setattr(LineFile, "append", noting(LineFile.append))
    ledger.spend(ONE, ["screw"], release="one")
    assert held == [True, True]


def test_a_full_disk_refuses_and_keeps_what_was_there(ledger, monkeypatch):
    ledger.spend(ONE, ["screw"], release="one")
    monkeypatch.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        ledger.spend(ONE, ["screw"], release="two")


@pytest.mark.parametrize("line", [b"", b"{}", b"null", b"\xff", b'{"losses": {"screw": -1}}'])
def test_a_damaged_line_stops_everything(ledger, line):
    ledger.spend(ONE, ["screw"], release="one")
    with (ledger.folder / LEDGER).open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(LedgerError, match="line 3 is no entry"):
        ledger.spend(ONE, ["screw"], release="two")
    with pytest.raises(LedgerError, match="line 3"):
        Ledger(ledger.folder, BUDGET)


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"format":2,"unit":"picture","adjacency":"replace"}\n', b"\x00\n"])
def test_a_damaged_beginning_stops_everything(ledger, content):
    (ledger.folder / LEDGER).write_bytes(content)
    with pytest.raises(LedgerError, match=r"restore it|format 2"):
        Ledger(ledger.folder, BUDGET)


def test_a_ledger_that_vanished_is_missed(ledger):
    (ledger.folder / LEDGER).unlink()
    with pytest.raises(LedgerError, match="gone or empty"):
        ledger.spend(ONE, ["screw"], release="one")


def test_ledgers_of_other_promises_are_not_mixed(ledger):
    with pytest.raises(LedgerError, match="cannot be added up"):
        Ledger(ledger.folder, PrivacyBudget(epsilon=2.0, unit="part"))
    with pytest.raises(LedgerError, match="cannot be added up"):
        Ledger(ledger.folder, PrivacyBudget(epsilon=2.0, adjacency="replace"))
    with pytest.raises(LedgerError, match=r"protects one picture \(replace\)"):
        ledger.spend(replace(ONE, adjacency="replace"), ["screw"], release="x")


@pytest.mark.parametrize("report", [replace(ONE, unit="row"), replace(ONE, unit="part")])
def test_what_promises_something_else_is_not_sent(ledger, report):
    with pytest.raises(LedgerError, match="so it sends nothing"):
        ledger.spend(report, ["screw"], release="x")
    assert ledger.spendings() == []


@pytest.mark.parametrize("arguments", [{"release": ""}, {"release": "x" * 501}])
def test_entries_that_could_not_be_read_again_are_not_written(ledger, arguments):
    with pytest.raises(ValueError, match="release"):
        ledger.spend(ONE, ["screw"], **arguments)
    assert ledger.spendings() == []


@pytest.mark.parametrize("fields", [{"epsilon": 0.0}, {"epsilon": math.nan}, {"delta": 0.0}, {"unit": "row"},
                                    {"adjacency": "none"}])  # fmt: skip
def test_impossible_budgets_are_refused(fields):
    with pytest.raises(ValueError, match=r"epsilon|delta|budget"):
        PrivacyBudget(**{"epsilon": 2.0, **fields})


def test_the_statement_is_json(ledger):
    ledger.spend(ONE, ["screw"], release="one")
    told = json.loads(json.dumps(ledger.statement(), allow_nan=False))
    assert told["budget"]["epsilon"] == 2.0
    assert told["epsilon_spent"]["screw"] == pytest.approx(1.0)
    assert told["releases"][0]["plugin"] == "example"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(epsilons=st.lists(st.floats(0.05, 1.5), max_size=6))
def test_the_budget_is_never_exceeded(tmp_path_factory, epsilons):
    ledger = Ledger(tmp_path_factory.mktemp("ledger"), BUDGET)
    accepted = []
    for epsilon in epsilons:
        try:
            ledger.spend(example_report(epsilon=epsilon), ["a"], release="x")
        except BudgetExceededError:
            continue
        accepted.append(example_report(epsilon=epsilon).mu)
    assert math.sqrt(sum(mu**2 for mu in accepted)) <= BUDGET.mu * (1 + 1e-8)
    assert len(ledger.spendings()) == len(accepted)
