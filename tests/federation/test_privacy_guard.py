"""Spent before sent, kept before sent again, refused beyond the budget or the terms."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from anomalib_federated.federation.privacy_guard import STATEMENT, PrivacyError, PrivacyGuard
from anomalib_federated.federation.privacy_terms import PrivacyTerms
from anomalib_federated.privacy.ledger import BudgetExceededError, Ledger, LedgerError, PrivacyBudget
from anomalib_federated.testing.privacy import example_report

ONE = example_report(epsilon=1.0)


def guard(folder, **terms):
    return PrivacyGuard(PrivacyTerms(folder=folder, **terms))


def ask(guarded, key, made=b"noise", *, promise=ONE, spent=ONE):
    return guarded.release(
        lambda: made, key=key, promise=promise, spent=spent, categories=["screw"], what="a test"
    )  # fmt: skip


def spent(folder, epsilon=1.0):
    return Ledger(folder, PrivacyBudget(epsilon=epsilon)).epsilons().get("screw", 0.0)


def test_asked_the_same_again_it_sends_the_same_and_spends_nothing(tmp_path):
    first = ask(guard(tmp_path), "a", b"one")
    assert ask(guard(tmp_path), "a", b"two") == first == b"one"
    assert spent(tmp_path) == pytest.approx(1.0)


def test_a_second_release_above_the_budget_is_refused_and_nothing_is_made(tmp_path):
    ask(guard(tmp_path), "a")

    def never():
        pytest.fail("noise was drawn for a release that was not paid for")

    with pytest.raises(BudgetExceededError, match="nothing was sent"):
        guard(tmp_path).release(never, key="b", promise=ONE, spent=ONE, categories=["screw"], what="more")
    assert spent(tmp_path) == pytest.approx(1.0)
    guard(tmp_path).release(lambda: b"x", key="c", promise=ONE, spent=ONE, categories=["nut"], what="other pictures")


def test_the_budget_of_the_terms_counts_not_that_of_the_promise(tmp_path):
    with pytest.raises(BudgetExceededError):
        ask(guard(tmp_path, epsilon=0.5), "a")
    generous = guard(tmp_path / "generous", epsilon=3.0)
    for key in "abc":
        ask(generous, key)


def test_a_statement_tells_a_person_what_was_spent(tmp_path):
    ask(guard(tmp_path), "a")
    told = json.loads((tmp_path / STATEMENT).read_text())
    assert told["epsilon_spent"]["screw"] == pytest.approx(1.0)
    assert told["budget"]["unit"] == "picture"
    assert told["promise"]["noise_multipliers"] == list(ONE.noise_multipliers)
    assert "one picture" in told["in_words"][0]


KILLED = """
import os, signal, sys
from pathlib import Path
from anomalib_federated.federation.privacy_guard import PrivacyGuard
from anomalib_federated.federation.privacy_terms import PrivacyTerms
from anomalib_federated.testing.privacy import example_report

one = example_report(epsilon=1.0)
guard = PrivacyGuard(PrivacyTerms(folder=Path(sys.argv[1])))
guard.release(
    lambda: os.kill(os.getpid(), signal.SIGKILL), key="a", promise=one, spent=one, categories=["screw"], what="killed"
)
"""


def test_a_process_killed_between_spending_and_sending_has_spent(tmp_path):
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, env=dict(os.environ))
    assert ended.returncode == -signal.SIGKILL
    assert spent(tmp_path) == pytest.approx(1.0)
    with pytest.raises(BudgetExceededError):
        ask(guard(tmp_path), "a")


def test_a_full_disk_sends_nothing_and_counts_as_spent(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anomalib_federated.federation.privacy_guard.write_file", full)
    with pytest.raises(OSError, match="No space left"):
        ask(guard(tmp_path), "a")
    assert spent(tmp_path) == pytest.approx(1.0)


@pytest.mark.parametrize("noise_by", ["each_site", "honest_sites", "centre"])
@pytest.mark.parametrize("accepted", ["each_site", "honest_sites", "centre"])
def test_no_weaker_promise_than_the_terms_accept(tmp_path, noise_by, accepted):
    order = ["each_site", "honest_sites", "centre"]
    promise = replace(ONE, noise_by=noise_by)
    terms = {"noise_by": accepted} | ({"honest_sites": 3} if accepted == "honest_sites" else {})
    if order.index(noise_by) <= order.index(accepted):
        assert ask(guard(tmp_path, **terms), "a", promise=promise)
    else:
        with pytest.raises(PrivacyError, match=f"trusts no more than '{accepted}'"):
            ask(guard(tmp_path, **terms), "a", promise=promise)


def test_noise_is_shared_among_no_more_than_the_terms_trust(tmp_path):
    promise = replace(ONE, noise_by="honest_sites", honest_sites=4)
    ask(guard(tmp_path / "four", noise_by="honest_sites", honest_sites=4), "a", promise=promise)
    with pytest.raises(PrivacyError, match="among 4 sites, but this site trusts no more than 3"):
        ask(guard(tmp_path / "three", noise_by="honest_sites", honest_sites=3), "a", promise=promise)


def test_a_promise_about_another_unit_is_refused(tmp_path):
    with pytest.raises(PrivacyError, match="protects one part, but this site asks for one picture"):
        ask(guard(tmp_path), "a", promise=replace(ONE, unit="part"))
    ask(guard(tmp_path), "a")
    replaced = replace(ONE, adjacency="replace")
    with pytest.raises(LedgerError, match="cannot be added up"):
        ask(guard(tmp_path), "b", promise=replaced, spent=replaced)


def test_what_no_promise_covers_is_refused_once_there_is_one(tmp_path):
    guard(tmp_path).refuse_unprotected("anything")
    with pytest.raises(PrivacyError, match="does not tell anything"):
        guard(tmp_path, epsilon=1.0).refuse_unprotected("anything")
    ask(guard(tmp_path), "a")
    with pytest.raises(PrivacyError, match="does not tell anything"):
        guard(tmp_path).refuse_unprotected("anything")
