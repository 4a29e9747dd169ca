"""Collect the banks of many sites into a federation's folder, and aggregate them: time and memory as the sites grow.

The sites live in the server's process: real Flower apps and messages, but made banks, which each site makes when it is
asked. Every bank is on disk before the next one is taken in. Each number of sites runs in a process of its own, whose
memory includes that of the libraries (``bare_bytes``). Prints one JSON line.

Example:
    python benchmarks/collection_scale.py --sites 10 100 1000
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from circumstances import circumstances
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from watched_process import run_watched

from anomalib_federated import messages, registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.federation import Agreement, CollectionPlan, InProcessGrid, collect
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.testing import example_bank


@dataclass
class MadeSites:
    """Sites that make their banks out of nothing.

    Attributes:
        names: Per node id, the name of its site.
        rows: Rows of each bank.
        dim: Their dimensions.
        app: The client app of all nodes.
        seconds: What making the banks took.
    """

    names: dict[int, str]
    rows: int
    dim: int
    app: ClientApp = field(default_factory=ClientApp)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.app.train()(self._train)

    def bank(self, node_id: int) -> MemoryBank:
        """Equal for equal nodes."""
        return example_bank(rows=self.rows, dim=self.dim, site=self.names[node_id], seed=node_id, dtype=torch.float16)

    def _train(self, message: Message, context: Context) -> Message:
        began = time.perf_counter()
        records = {
            messages.SITE: messages.site_record(self.names[context.node_id]),
            **messages.bank_records(self.bank(context.node_id)),
        }
        self.seconds += time.perf_counter() - began
        return Message(RecordDict(dict(records)), reply_to=message)


def federate(count: int, options: argparse.Namespace, parent: Path) -> dict[str, Any]:
    sites = MadeSites({n: f"site-{n:05d}" for n in range(1, count + 1)}, rows=options.rows, dim=options.dim)
    agreement = Agreement(space=sites.bank(1).space, budget=options.rows)
    folder = FederationFolder.create(parent / str(count), agreement)
    plan = CollectionPlan(sites=tuple(sites.names.values()), deadline=options.deadline, quorum=count, poll=0.01)
    collected = collect(InProcessGrid(sites.app, {n: {} for n in sites.names}), folder, plan)
    spec = {"class_path": "federated_coreset", "init_args": {"budget": options.budget}}
    strategy = registry.build("strategy", spec)
    began = time.perf_counter()
    version = folder.aggregate(strategy, spec=spec)
    return {
        "sites": count,
        "bytes_received": sum(sum(each.values()) for each in collected.received.values()),
        "seconds_making_banks": sites.seconds,
        "seconds_collecting": collected.seconds - sites.seconds,
        "seconds_aggregating": time.perf_counter() - began,
        "global_rows": version.rows,
    }


def nothing() -> None:
    """What a process takes that has only imported all this."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rows", type=int, default=500, help="of each site's bank")
    parser.add_argument("--dim", type=int, default=152)
    parser.add_argument("--budget", type=int, default=1000, help="rows of the global bank")
    parser.add_argument("--deadline", type=float, default=3600, help="seconds after which a collection is given up")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    _, bare = run_watched(nothing)
    measured = []
    with tempfile.TemporaryDirectory() as parent:
        for count in options.sites:
            figures, memory = run_watched(federate, count, options, Path(parent))
            measured.append({**figures, **asdict(memory)})
    report = {
        "measures": "collecting made banks of many in-process sites into a federation folder, then federated_coreset",
        "rows": options.rows,
        "dimensions": options.dim,
        "dtype": "float16",
        "budget": options.budget,
        "bare_bytes": bare.peak_bytes_kernel,
        "runs": measured,
        "repeats": 1,
        **circumstances("flwr"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
