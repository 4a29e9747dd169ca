"""A server that is killed for real while it collects, and goes on when it is started again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plants import bank_of

from anomalib_federated.federation.folder import FederationFolder

pytestmark = pytest.mark.slow

SCRIPT = """
import sys, threading
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.federation.collection import collect
from anomalib_federated.federation.collection_plan import CollectionPlan
from anomalib_federated.federation.folder import FederationFolder
from plants import Plants, Time, bank_of

class Blocking(Plants):
    def pull_messages(self, message_ids):
        if self.node_of[message_ids[0]] == 3:
            threading.Event().wait()
        return super().pull_messages(message_ids)

path, deadline = sys.argv[1], float(sys.argv[2])
folder = FederationFolder.create(path, Agreement(space=bank_of("a").space, dtype="float32", budget=4))
grid = Blocking({number: bank_of(site, seed=number) for number, site in enumerate("abc", start=1)}, time=Time())
plan = CollectionPlan(sites=("a", "b", "c"), deadline=deadline, quorum=2, poll=0.05)
print(collect(grid, folder, plan).sites, sorted(grid.nodes_asked()))
"""


def start(folder, deadline):
    arguments = [sys.executable, "-c", SCRIPT, str(folder), str(deadline)]
    return subprocess.Popen(arguments, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True)


def test_a_server_that_is_killed_goes_on_and_a_blocked_call_does_not_keep_it_from_ending(tmp_path):
    path = tmp_path / "folder"
    with start(path, 3600) as killed:
        journal = path / "events.jsonl"
        while not journal.is_file() or journal.read_text().count('"event":"in"') < 2:
            assert killed.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    folder = FederationFolder.open(path)
    expected = {site: bank_of(site, seed=number).digest for number, site in enumerate("ab", start=1)}
    assert {site: folder.bank(site).digest for site in folder.sites()} == expected

    with start(path, 5) as again:
        assert again.stdout.read() == "('a', 'b') [3]\n"
    assert again.returncode == 0
    assert {site: status.state for site, status in folder.statuses().items()} == {"a": "in", "b": "in", "c": "missing"}
