"""Run the deployment with nothing beside it and with a busy process per core: the same rows, in what time and memory?

A gate, SuperLink, SuperExec and three SuperNodes over TLS, whose plants make different parts. Each deployment runs a
federation of one exchange, then one of two rounds (``refinement``), for which the patch features are there already.
Both must end with the bank of the same sites in one process. Memory is the kernel's high-water mark of each process,
read every quarter of a second. Prints one JSON line; ends with 1 if a bank differs.

Example:
    PYTHONPATH=examples/deployment python benchmarks/deployment_load.py --images 60
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from circumstances import circumstances
from fault_outcome import Federation
from loopback import PLANTS, LoopbackError
from running_deployment import Deployment, Pictures

from anomalib_federated.federation import simulate
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.federation.settings import FederationSettings, SiteSettings

STRATEGIES = ("federated_coreset", "refinement")
SECONDS_BETWEEN = 0.25
DEADLINE = 1800.0
"""Seconds for which a federation collects."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60, help="training pictures of each plant")
    parser.add_argument("--scale", type=float, default=0.32, help="size of the drawn pictures, in (0, 1]")
    parser.add_argument("--side", type=int, default=320, help="side to which pictures are resized")
    parser.add_argument("--rows", type=int, default=2000, help="that each plant sends, and that the global bank keeps")
    parser.add_argument("--output", type=Path, default=Path("results/deployment_load"), help="folder to write, new")
    options = parser.parse_args()
    output = options.output.absolute()
    output.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped then, too
    pictures = Pictures(side=options.side, scale=options.scale, images=options.images)
    found = {}
    for name, busy in (("quiet", 0), ("busy", os.cpu_count() or 1)):
        with Deployment(output / name, pictures) as deployment:
            deployment.join(*PLANTS)
            federations = {strategy: federation_of(deployment, strategy, rows=options.rows) for strategy in STRATEGIES}
            with busy_processes(busy):
                found[name] = {
                    strategy: run_and_watch(deployment, federation) for strategy, federation in federations.items()
                }
        print(json.dumps({name: found[name]}), file=sys.stderr)
    expected = in_process(deployment, federations)  # the pictures of both deployments are the same
    for parts in found.values():
        for strategy, part in parts.items():
            part["same_bank"] = part.pop("digest") == expected[strategy]
    report = {
        "measures": "a deployment on loopback: a centre and three plants, TLS, nodes known by their keys",
        "images": options.images,
        "side": options.side,
        "rows": options.rows,
        **found,
        "repeats": 1,
        **circumstances("flwr"),
    }
    print(json.dumps(report))
    sys.exit(not all(part["same_bank"] for parts in found.values() for part in parts.values()))


def federation_of(deployment: Deployment, strategy: str, *, rows: int) -> Federation:
    """A federation of the plants; each sends, and the global bank keeps, as many rows."""
    return deployment.federation(
        deadline=DEADLINE,
        folder=deployment.centre.folder / strategy,
        model={"budget": rows},
        strategy={"class_path": strategy, "init_args": {"budget": rows}},
    )


def run_and_watch(deployment: Deployment, federation: Federation) -> dict[str, Any]:
    """Run a federation: its time, the most memory of each program on each machine, the bytes, and what came out."""
    run = deployment.submit(federation)
    peaks: defaultdict[str, dict[str, int]] = defaultdict(dict)
    while run.goes_on:
        for machine, program, peak in deployment.memory():
            peaks[machine][program] = max(peak, peaks[machine].get(program, 0))
        time.sleep(SECONDS_BETWEEN)
    seconds = time.time() - run.began
    if (ended := deployment.status_of_run(run)) != "finished:completed":
        msg = f"The run ended as {ended}; 'flwr log', and the logs in {deployment.output / 'logs'}, say why."
        raise LoopbackError(msg)
    folder = FederationFolder.open(federation.folder)
    bank = folder.version_bank(1)
    told = json.loads(folder.version_path(1).with_name("evaluation.json").read_text())
    return {
        "seconds": round(seconds, 1),
        "peak_bytes": {machine: dict(sorted(programs.items())) for machine, programs in sorted(peaks.items())},
        "bytes": {site: in_all(categories) for site, categories in told["bytes"].items()},
        "bank_rows": len(bank),
        "digest": bank.digest,
    }


def in_process(deployment: Deployment, federations: Mapping[str, Federation]) -> dict[str, str]:
    """Per federation, the digest of the bank that the same sites make in this process, from their pictures."""
    settings = {name: FederationSettings.read(federation.settings) for name, federation in federations.items()}
    agreements = {name: each.agreement() for name, each in settings.items()}
    (space,) = {agreement.space for agreement in agreements.values()}
    with ExitStack() as closing:
        sites = []
        for plant in sorted(PLANTS):
            site = replace(SiteSettings.read(deployment.site_file(plant)), store=None).make_site(space)
            closing.callback(site.close)
            sites.append(site)
        return {
            name: simulate(sites, settings[name].make_strategy(), agreements[name]).bank.digest for name in federations
        }


def in_all(categories: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Bytes up and down, of all categories."""
    return {way: sum(each[way] for each in categories.values()) for way in ("up", "down")}


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Processes that compute without end, and at no lower priority than the deployment's."""
    spinning = [multiprocessing.Process(target=spin, daemon=True) for _ in range(count)]
    for process in spinning:
        process.start()
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.join()


def spin() -> None:
    while True:
        pass


if __name__ == "__main__":
    main()
