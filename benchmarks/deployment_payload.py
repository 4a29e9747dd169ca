"""What large banks cost a deployment: time, and the memory of each of its processes while banks come and become one.

A centre and three plants on 127.0.0.1, over TLS, as in ``examples/deployment/loopback.py``: the server app is the
package's, the sites make their banks up (``payload_app``), all of one category, so that the global bank is chosen from
the rows of all. Each size runs in a deployment of its own. Of the server app it is told what it takes above what it had
when the first site was asked: its own memory (``anonymous``), which the system cannot take back, and all that is
resident, pages of the banks' files included, which it can. Prints one JSON line.

Example:
    python benchmarks/deployment_payload.py --megabytes 30 300 --output /tmp/payload
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from circumstances import circumstances

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "deployment"))

from certificates import make_node
from loopback import CENTRE, PLANTS, Machine, free_port, join, set_up_centre, start_centre, write_yaml

from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.messages.agreement import Agreement

APP = Path(__file__).with_name("payload_app")
ROLES = ("flwr-serverapp", "flower-superlink", "flower-superexec", "flower-supernode", "flwr-clientapp")
SERVER = ROLES[0]
SECONDS_BETWEEN = 0.05
SIDE = 320


@dataclass
class Watch:
    """Samples the memory of all processes of a deployment, and how far the federation is.

    Attributes:
        folder: The federation folder.
        samples: Per role and phase, the most bytes of one process, anonymous and resident.
        base: The same of the server app when the first site was asked.
        began: Per phase, when it was seen first.
        count: How often everything was looked at.
    """

    folder: Path
    samples: dict[str, dict[str, tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))
    base: tuple[int, int] = (0, 0)
    began: dict[str, float] = field(default_factory=dict)
    count: int = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample in a thread."""
        ended = threading.Event()
        thread = threading.Thread(target=self._run, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _run(self, ended: threading.Event) -> None:
        roles: dict[int, str] = {}
        while not ended.wait(SECONDS_BETWEEN):
            phase, self.count = self._phase(), self.count + 1
            self.began.setdefault(phase, time.perf_counter())
            for process in psutil.Process().children(recursive=True):
                role = roles.get(process.pid) or _role(process)
                roles[process.pid] = role
                found = _bytes(process.pid)
                if role not in ROLES or found is None:
                    continue
                if role == SERVER and phase == "collecting" and self.base == (0, 0):
                    self.base = found
                before = self.samples[role].get(phase, (0, 0))
                self.samples[role][phase] = (max(before[0], found[0]), max(before[1], found[1]))

    def _phase(self) -> str:
        journal = self.folder / "events.jsonl"
        text = journal.read_text() if journal.is_file() else ""
        if '"event":"asked"' not in text:
            return "starting"
        if text.count('"event":"in"') < len(PLANTS):
            return "collecting"
        return "afterwards" if any(self.folder.glob("versions/0*/version.json")) else "aggregating"


def _role(process: psutil.Process) -> str:
    try:
        words = process.cmdline()
    except psutil.Error:
        return ""
    return next((role for role in ROLES for word in words[:4] if Path(word).name == role), "")


def _bytes(pid: int) -> tuple[int, int] | None:
    """Anonymous and resident bytes of a process; ``None`` if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    if "RssAnon" not in fields:
        return None
    return int(fields["RssAnon"][0]) * 1024, int(fields["VmRSS"][0]) * 1024


def measure(megabytes: float, options: argparse.Namespace) -> dict[str, Any]:
    """One federation of banks of that size."""
    output = (options.output / f"{megabytes:g}").absolute()
    output.mkdir(parents=True)
    machines = {name: Machine(name, output / name, output / "logs") for name in (CENTRE, *PLANTS)}
    for machine in machines.values():
        machine.folder.mkdir()
    centre = machines[CENTRE]
    port, gate = free_port(), free_port()
    set_up_centre(centre.folder, port=port, side=SIDE)
    rows = _set_sizes(centre, megabytes, options)
    for name in PLANTS:
        make_node(name, folder=machines[name].folder / "pki")
        write_yaml(machines[name].folder / "site.yaml", {"site": name, "rows": rows})
    watch = Watch(centre.folder / "folder")
    with ExitStack() as running, watch.watching():
        start_centre(centre, running, port=port, gate=gate)
        for name in PLANTS:
            join(machines[name], centre, running, port=gate)
        centre.call("flwr", "run", APP, CENTRE, "--stream", "-c", f'config="{centre.folder / "federation.yaml"}"')
    return _figures(watch, rows)


def _set_sizes(centre: Machine, megabytes: float, options: argparse.Namespace) -> int:
    """Write the sizes into the centre's settings; returns the rows of each bank."""
    path = centre.folder / "federation.yaml"
    config = yaml.safe_load(path.read_text())
    rows = int(megabytes * 1e6 / (2 * options.dim + 12))  # float16; category, site and weight of each row
    config["model"]["init_args"]["budget"] = rows
    config["strategy"] = {"class_path": options.strategy, "init_args": {"budget": options.budget}}
    write_yaml(path, config)
    return rows


def _figures(watch: Watch, rows: int) -> dict[str, Any]:
    folder = FederationFolder.open(watch.folder)
    agreement: Agreement = folder.agreement
    largest = max(status.bank.bytes for status in folder.statuses().values() if status.bank)
    began = watch.began
    server = {
        phase: {
            kind: {"bytes_above_base": peak - base, "banks": round((peak - base) / largest, 2)}
            for kind, peak, base in zip(
                ("anonymous", "resident"), watch.samples[SERVER][phase], watch.base, strict=True
            )
        }
        for phase in ("collecting", "aggregating")
        if phase in watch.samples[SERVER]
    }
    return {
        "bank_bytes": largest,
        "rows": rows,
        "dimensions": agreement.space.dim,
        "seconds_collecting": began["aggregating"] - began["collecting"],
        "seconds_aggregating": began["afterwards"] - began["aggregating"],
        "server_base_bytes": dict(zip(("anonymous", "resident"), watch.base, strict=True)),
        "server_app": server,
        "resident_peak_bytes": {
            role: max(resident for _, resident in phases.values()) for role, phases in sorted(watch.samples.items())
        },
        "samples": watch.count,
        "digest": folder.versions()[-1].digest,
    }


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[30, 300], help="of each site's bank")
    parser.add_argument("--output", type=Path, required=True, help="folder to write, new")
    parser.add_argument("--strategy", default="federated_coreset")
    parser.add_argument("--budget", type=int, default=500, help="rows of the global bank")
    parser.add_argument("--dim", type=int, default=152, help="dimensions of the default backbone's features")
    options = parser.parse_args()
    report = {
        "measures": "a deployment of three plants on one machine, each with a made float16 bank of one category",
        "strategy": options.strategy,
        "budget": options.budget,
        "runs": [measure(megabytes, options) for megabytes in options.megabytes],
        "repeats": 1,
        **circumstances("flwr"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
