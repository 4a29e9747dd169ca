"""Play the faults of a deployment, with real processes on this machine, and check what is left.

Each scenario has a deployment of its own: gate, SuperLink, SuperExec and three SuperNodes over TLS, with a few drawn
pictures. Prints one JSON line; ends with 1 if a check failed. ``disk-full`` mounts a small file system: only root may.

Example:
    PYTHONPATH=.:examples/deployment python benchmarks/deployment_faults.py --only client-raises server-app-killed
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import yaml
from certificates import make_server
from circumstances import circumstances
from fault_outcome import Federation, Outcome, checks, own_bank
from hostile_answers import hostile_answers, impersonation, mutations, prepare
from loopback import LOCALHOST, PLANTS, LoopbackError, register, supernode, write_yaml
from running_deployment import Deployment, Pictures, Run

from anomalib_federated.federation.settings import FederationSettings

A, B, C = PLANTS
HOSTILE_APP = Path(__file__).with_name("hostile_app")
PICTURES = Pictures(more={C: 20})
UPLOADED = 8_000_000
"""Bytes that a SuperNode has written when it is killed in its upload; the bank has more than twice as many."""
LONG = 600.0
"""Seconds for which a federation collects that is to end before, when all banks are in."""
LONGER = 150.0
"""Seconds beyond its deadline after which a run counts as hanging: it has to start first, and to measure afterwards."""
SMALL_DISK = "350k"
"""Holds two of the three banks; while one is taken in, it is there twice."""


def client_raises(deployment: Deployment) -> list[Outcome]:
    """A plant's pictures are not where its settings say, until somebody puts them there."""
    pictures = deployment.machines[A].folder / "pictures"
    away = pictures.rename(pictures.with_name("away"))
    deployment.join(*PLANTS)
    run = deployment.submit(deployment.federation(deadline=LONG, backoff=15))
    told = failure_of(deployment, run, A)
    away.rename(pictures)
    return [outcome(deployment, run, "a client app raises; later it works", told=told, why="site's log.*LayoutError")]


def client_killed(deployment: Deployment) -> list[Outcome]:
    """The process that computes a plant's bank is killed while it does."""
    deployment.join(*PLANTS)
    run = deployment.submit(deployment.federation(deadline=LONG, backoff=15))
    store = deployment.machines[B].folder / "features"
    deployment.wait(lambda: store.exists() and any(store.iterdir()), 300, "the plant to compute")
    client = deployment.client_app(B)
    if client is None:
        msg = "The client app had ended before it could be killed."
        raise LoopbackError(msg)
    client.send_signal(signal.SIGKILL)
    told = failure_of(deployment, run, B)
    return [
        outcome(deployment, run, "SIGKILL of a client app in training", told=told, why="ClientApp stopped responding")
    ]


def upload_killed(deployment: Deployment) -> list[Outcome]:
    """A plant's machine dies when a part of its bank is sent."""
    for plant in PLANTS:
        file = deployment.site_file(plant)
        write_yaml(file, yaml.safe_load(file.read_text()) | {"quotas": {"max_rows": 100_000}})
    deployment.join(*PLANTS)
    model = {"image_size": [480, 480], "coreset": "random", "budget": 100_000}
    run = deployment.submit(deployment.federation(deadline=150, quorum=2, model=model))
    deployment.wait(lambda: deployment.bytes_written(C) > UPLOADED, 300, "the upload")
    deployment.kill(C)
    ended = outcome(deployment, run, "SIGKILL of a SuperNode in its upload", missing=C, why="It was asked, but")
    return [ended.with_checks({"its upload was not complete": "Sent successfully" not in deployment.log_of(C)})]


def absent_then_late(deployment: Deployment) -> list[Outcome]:
    """A plant does not appear before the deadline; a later run takes it in."""
    federation = deployment.federation(deadline=120, quorum=2)
    deployment.join(A, B)
    run = deployment.submit(federation)
    absent = outcome(deployment, run, "a site never appears, quorum 2 of 3", missing=C, why="No node .* spoke for it")
    deployment.join(C)
    run = deployment.submit(federation)
    late = outcome(deployment, run, "a site comes after the deadline, and a new run")
    return [absent, late.with_checks(goes_on_from(federation, (A, B)))]


def superlink_killed(deployment: Deployment) -> list[Outcome]:
    """The SuperLink is killed when a first bank is in, and started again."""
    federation = deployment.federation(deadline=LONG)
    deployment.join(*PLANTS)
    run = deployment.submit(federation)
    deployment.wait(federation.accepted, 300, "a first bank")
    deployment.kill("superlink")
    before = tuple(federation.accepted())
    deployment.start_superlink()
    ended = outcome(deployment, run, "SIGKILL and restart of the SuperLink")
    return [ended.with_checks(goes_on_from(federation, before))]


def server_app_killed(deployment: Deployment) -> list[Outcome]:
    """The server app is killed when a first bank is in; the federation is submitted again."""
    federation = deployment.federation(deadline=LONG)
    deployment.join(*PLANTS)
    first = deployment.submit(federation)
    deployment.wait(federation.accepted, 300, "a first bank")
    first.server_app.send_signal(signal.SIGKILL)
    deployment.wait(lambda: not first.goes_on, 10, "its death")
    before = tuple(federation.accepted())
    ended = outcome(deployment, deployment.submit(federation), "SIGKILL of the server app, and a new run")
    failed = deployment.comes_true(lambda: deployment.status_of_run(first) == "finished:failed", 90)
    return [ended.with_checks({**goes_on_from(federation, before), "Flower sees that the first run failed": failed})]


def disk_full(deployment: Deployment) -> list[Outcome]:
    """The centre's disk holds two banks; later there is room."""
    with small_disk(deployment.centre.folder / "disk") as disk:
        deployment.join(*PLANTS)
        run = deployment.submit(deployment.federation(deadline=LONG, backoff=30, folder=disk / "folder"))
        told = failure_of(deployment, run, *PLANTS)
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        fault = "the disk is full at the centre; later there is room"
        return [outcome(deployment, run, fault, told=told, why="could not be stored: .*No space left")]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, in a new folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def strangers(deployment: Deployment) -> list[Outcome]:
    """Two nodes that must not get in: the centre does not know the one; the other does not know the centre."""
    deployment.join(*PLANTS)
    run = deployment.submit(deployment.federation(deadline=LONG))
    unknown, misled = (deployment.add_plant(name, "pipe_clip") for name in ("plant-x", "plant-y"))
    register(misled, deployment.centre)
    make_server([LOCALHOST], folder=misled.folder / "other", days=1)
    tried = []
    for plant, ca, fault, why in (
        (unknown, deployment.ca, "an unregistered node", ".*Failed to activate SuperNode.*"),
        (misled, misled.folder / "other" / "ca.crt", "a wrong certificate", "(?i).*certificate.verify.failed.*"),
    ):
        code = deployment.start(plant.name, supernode(plant, port=deployment.gate, ca=ca)).wait(60)
        said = re.search(why, deployment.log_of(plant.name))
        tried.append((plant.name, fault, said[0].strip() if said else "", code))
    ended = outcome(deployment, run, "strangers")
    return [
        replace(ended, fault=fault, told=told).with_checks(
            {
                "the reason is told": bool(told),
                "its SuperNode gave up": code != 0,
                "the journal does not know it": not run.federation.of_site(name),
            }
        )
        for name, fault, told, code in tried
    ]


def hostile(deployment: Deployment) -> list[Outcome]:
    """A plant's client app is not ours, and answers whatever it likes; then its true bank comes as a file."""
    federation = deployment.federation(deadline=LONG, attempts=100, backoff=1e-9)  # asked again at once
    agreement = FederationSettings.read(federation.settings).agreement()
    own, other = (own_bank(deployment.site_file(plant), agreement.to_json()) for plant in (C, A))
    # Who speaks for another is asked no more, so that comes last.
    answers = [*hostile_answers(own, other), *mutations(own, agreement), impersonation(own, other)]
    prepare(answers, deployment.machines[C].folder / "answers")
    deployment.join(*PLANTS)
    run = deployment.submit(federation, app=HOSTILE_APP)
    deployment.wait(lambda: len(federation.of_site(C)) > 2 * len(answers), LONG, "all answers to be refused")
    before, told = federation.accepted(), [event["reason"] for event in federation.refusals(C)]
    last = deployment.status(federation)[C]
    own.save(deployment.centre.folder / "plant-c.safetensors")
    deployment.centre.call("anomalib-federated", "bank", "add", federation.folder, "plant-c.safetensors")
    ended = outcome(deployment, run, "").with_checks(
        {
            "the honest banks were in, and no other": sorted(before) == [A, B],
            "each answer was refused": len(told) == len(answers),
            "the status says the last reason": (last["state"], last["reason"]) == ("refused", told[-1]),
        }
    )
    return [
        replace(ended, fault=answer.fault, told=reason).with_checks(
            {"the reason is told": re.search(answer.why, reason) is not None}
        )
        for answer, reason in zip(answers, told, strict=False)
    ]


SCENARIOS: dict[str, Callable[[Deployment], list[Outcome]]] = {
    "client-raises": client_raises,
    "client-killed": client_killed,
    "upload-killed": upload_killed,
    "absent-then-late": absent_then_late,
    "superlink-killed": superlink_killed,
    "server-app-killed": server_app_killed,
    "disk-full": disk_full,
    "strangers": strangers,
    "hostile-answers": hostile,
}


def failure_of(deployment: Deployment, run: Run, *plants: str) -> str:
    """What the centre's status says when the first of some plants has failed; nothing if it says another thing."""
    deployment.wait(lambda: any("failed" in run.federation.of_site(plant) for plant in plants), 300, "the failure")
    told = [each for site, each in deployment.status(run.federation).items() if site in plants]
    # It may have been asked again when it is told.
    return next((each["reason"] for each in told if each["state"] in {"failed", "asked"} and each["reason"]), "")


def goes_on_from(federation: Federation, before: Sequence[str]) -> dict[str, bool]:
    """Checks of a federation that was interrupted when some sites were in."""
    once = all(federation.of_site(site).count("asked") == 1 for site in before)
    return {"banks were still to come": len(before) < len(PLANTS), "sites that were in are not asked again": once}


def outcome(
    deployment: Deployment, run: Run, fault: str, *, told: str = "", why: str = "", missing: str = ""
) -> Outcome:
    """Wait for a run's end, and check what came of a fault.

    Args:
        deployment: Where it was played.
        run: The last run.
        fault: What went wrong.
        told: What was said of it.
        why: Pattern that this must match.
        missing: A plant whose bank is not to be in; what the centre's status says of it in the end, is what is told.
    """
    federation = run.federation
    deployment.wait(lambda: not run.goes_on, federation.deadline + LONGER, "the run's end")
    ended, status, aggregated = time.time(), deployment.status_of_run(run), federation.aggregated()
    told = deployment.status(federation)[missing]["reason"] if missing else told
    files = {plant: deployment.site_file(plant) for plant in PLANTS if plant != missing}
    checked = checks(federation, files, began=run.began, run=status)
    return Outcome(
        fault=fault,
        run=status,
        seconds=round(ended - run.began, 1),
        seconds_to_bank=None if aggregated is None else round(aggregated - run.began),
        deadline=federation.deadline,
        events={plant: " ".join(federation.of_site(plant)) for plant in PLANTS},
        told=told,
        checks={**checked, "the reason is told": re.search(why, told) is not None},
    )


def play(name: str, output: Path) -> list[Outcome]:
    """Play a scenario; one that comes to a halt is an outcome, too."""
    try:
        with Deployment(output / name, PICTURES) as deployment:
            return SCENARIOS[name](deployment)
    except LoopbackError as error:
        return [Outcome.of_halt(name, str(error))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="scenarios to play")
    parser.add_argument("--output", type=Path, default=Path("results/deployment_faults"), help="folder to write, new")
    options = parser.parse_args()
    output = options.output.absolute()
    output.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped then, too
    outcomes = []
    for name in options.only:
        print(f"{name} ...", file=sys.stderr)
        outcomes += play(name, output)
    report = {
        "measures": "faults of a deployment on loopback: a centre and three plants, TLS, nodes known by their keys",
        "faults": [asdict(outcome) for outcome in outcomes],
        "repeats": 1,
        **circumstances("flwr"),
    }
    print(json.dumps(report))
    sys.exit(any(not all(outcome.checks.values()) for outcome in outcomes))


if __name__ == "__main__":
    main()
