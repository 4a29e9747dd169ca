"""The whole deployment on one machine: a centre and three plants, over TLS, each plant known by its key.

    python loopback.py --output results/loopback

Pictures, certificates and keys are generated. What is started here is stopped again, whether it succeeds or fails. Each
process writes its log into ``<output>/logs``; the result is the federation folder, ``<output>/centre/folder``.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from certificates import make_node, make_server

from anomalib_federated.data.demo import make_demo_dataset

GATE = Path(__file__).with_name("gate.py")
CONFIGS = Path(__file__).parents[2] / "configs" / "deployment"
PLANTS = {"plant-a": "pipe_clip", "plant-b": "pipe_staple", "plant-c": "tank_screw"}
"""What each plant makes."""
LOCALHOST, CENTRE = "127.0.0.1", "centre"
SECONDS = 900
"""Until the federation must be done; a machine of two cores takes about a minute."""


class LoopbackError(RuntimeError):
    """The deployment did not do its work; the message names the log that says why."""


@dataclass(frozen=True)
class Machine:
    """What in a real deployment is one computer: a folder of its own, and the processes started in it.

    Attributes:
        name: Its name.
        folder: Where its files lie.
        logs: Where its processes' logs go.
    """

    name: str
    folder: Path
    logs: Path

    def environment(self) -> dict[str, str]:
        """What Flower is told: where its files are, and to call nobody; and glibc: to give memory back."""
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "FLWR_HOME": str(self.folder / "flower"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1",
            "MALLOC_MMAP_THRESHOLD_": "131072",
        }

    @contextmanager
    def running(self, program: str | Path, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program in a process group of its own, and end all of the group afterwards."""
        with self._log(program).open("ab") as log:
            process = subprocess.Popen(
                [program, *map(str, arguments)], cwd=self.folder, env=self.environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(10)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def call(self, program: str, *arguments: str | Path) -> str:
        """Run a program to its end.

        Raises:
            LoopbackError: If it fails, or takes too long.
        """
        with self._log(program).open("ab") as log:
            try:
                done = subprocess.run(
                    [program, *map(str, arguments)], cwd=self.folder, env=self.environment(), check=True,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, timeout=SECONDS,
                )  # fmt: skip
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                log.write((error.output or "").encode() if isinstance(error.output, str) else error.output or b"")
                msg = f"{error} The logs in {self.logs} say why."
                raise LoopbackError(msg) from error
            log.write(done.stdout.encode())
        return done.stdout

    def _log(self, program: str | Path) -> Path:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self.logs / f"{self.name}_{Path(program).stem}.log"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and run the deployment."""
    parser = argparse.ArgumentParser(description="A centre and three plants on this machine, over TLS.")
    parser.add_argument("--output", type=Path, default=Path("results/loopback"), help="folder to write, new")
    parser.add_argument("--scale", type=float, default=0.32, help="size of the drawn pictures, in (0, 1]")
    parser.add_argument("--images", type=int, default=20, help="training pictures of each plant")
    parser.add_argument("--side", type=int, default=320, help="side to which pictures are resized")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped then, too
    output = options.output.absolute()
    output.mkdir(parents=True)
    machines = {name: Machine(name, output / name, output / "logs") for name in (CENTRE, *PLANTS)}
    for machine in machines.values():
        machine.folder.mkdir()
    port, gate = free_port(), free_port()
    set_up_centre(machines[CENTRE].folder, port=port, side=options.side)
    for name, category in PLANTS.items():
        set_up_plant(machines[name].folder, name, category, scale=options.scale, images=options.images)
    with ExitStack() as running:
        start_centre(machines[CENTRE], running, port=port, gate=gate)
        for name in PLANTS:
            join(machines[name], machines[CENTRE], running, port=gate)
        federate(machines[CENTRE])
    print(f"The federation folder is {machines[CENTRE].folder / 'folder'}.")


def set_up_centre(folder: Path, *, port: int, side: int) -> None:
    """What the centre has: certificates, its settings, and the address at which its own commands find the SuperLink."""
    make_server([LOCALHOST], folder=folder / "pki", days=1)
    (folder / "pki" / "superexec.secret").write_bytes(secrets.token_bytes(32))
    settings = {"sites": list(PLANTS), "deadline": float(SECONDS), "quorum": len(PLANTS), "backoff": 5.0, "poll": 1.0}
    config = yaml.safe_load((CONFIGS / "federation.yaml").read_text()) | settings | {"output": str(folder / "folder")}
    config["model"]["init_args"] |= {"image_size": [side, side], "budget": 500}
    config["strategy"]["init_args"]["budget"] = 400
    write_yaml(folder / "federation.yaml", config)
    (folder / "flower").mkdir()
    (folder / "flower" / "config.toml").write_text(
        f'[superlink]\ndefault = "{CENTRE}"\n\n[superlink.{CENTRE}]\naddress = "{LOCALHOST}:{port}"\n'
        f'root-certificates = "{folder / "pki" / "ca.crt"}"\n'
    )


def set_up_plant(folder: Path, name: str, category: str, *, scale: float, images: int) -> None:
    """What a plant has: its pictures, its settings and its key."""
    make_node(name, folder=folder / "pki")
    pictures = make_demo_dataset(folder / "pictures", categories=[category], scale=scale, train_images=images)
    config = yaml.safe_load((CONFIGS / "site.yaml").read_text())
    config |= {"site": name, "store": str(folder / "features")}
    config["data"]["init_args"]["root"] = str(pictures)
    write_yaml(folder / "site.yaml", config)


def start_centre(centre: Machine, running: ExitStack, *, port: int, gate: int) -> None:
    """The SuperLink, the SuperExec that runs the server app beside it, and the gate for the plants."""
    running.enter_context(superlink(centre, port=port))
    wait_for(port)
    running.enter_context(superexec(centre, port=port))
    running.enter_context(gate_before(centre, link=port, port=gate))
    wait_for(gate)


def join(plant: Machine, centre: Machine, running: ExitStack, *, port: int) -> None:
    """Register a plant's key at the centre, and start its SuperNode."""
    register(plant, centre)
    running.enter_context(supernode(plant, port=port, ca=centre.folder / "pki" / "ca.crt"))


def superlink(centre: Machine, *, port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The hub of the federation, for the centre alone."""
    pki = centre.folder / "pki"
    return centre.running(
        "flower-superlink", "--host", LOCALHOST, "--port", str(port), "--isolation", "process",
        "--ssl-ca-certfile", pki / "ca.crt", "--ssl-certfile", pki / "server.crt",
        "--ssl-keyfile", pki / "server.key", "--superexec-auth-secret-file", pki / "superexec.secret",
        "--enable-supernode-auth", "--database", centre.folder / "state.db",
        "--disable-runtime-dependency-installation",
    )  # fmt: skip


def superexec(centre: Machine, *, port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """What starts the server app."""
    pki = centre.folder / "pki"
    return centre.running(
        "flower-superexec", "--runtime-api-address", f"{LOCALHOST}:{port}", "--root-certificates", pki / "ca.crt",
        "--superexec-auth-secret-file", pki / "superexec.secret",
    )  # fmt: skip


def gate_before(centre: Machine, *, link: int, port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """What plants reach of the SuperLink."""
    pki = centre.folder / "pki"
    return centre.running(
        GATE, "--host", LOCALHOST, "--port", str(port), "--superlink", f"{LOCALHOST}:{link}",
        "--ca", pki / "ca.crt", "--certificate", pki / "server.crt", "--key", pki / "server.key",
    )  # fmt: skip


def register(plant: Machine, centre: Machine) -> None:
    """Make a plant's key known at the centre, under the plant's name."""
    public = plant.folder / "pki" / f"{plant.name}.pub"
    centre.call("flwr", "supernode", "register", public, CENTRE, "--name", plant.name)


def supernode(plant: Machine, *, port: int, ca: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """What asks at the gate for questions to the plant, and answers them."""
    return plant.running(
        "flower-supernode", "--superlink", f"{LOCALHOST}:{port}", "--port", str(free_port()),
        "--root-certificates", ca, "--auth-supernode-private-key", plant.folder / "pki" / f"{plant.name}.key",
        "--node-config", f'config="{plant.folder / "site.yaml"}"',
    )  # fmt: skip


def federate(centre: Machine) -> None:
    """Run the federation.

    Raises:
        LoopbackError: If it does not finish, or fails.
    """
    app = centre.call("anomalib-federated", "app").strip()
    centre.call("flwr", "run", app, CENTRE, "--stream", "-c", f'config="{centre.folder / "federation.yaml"}"')
    (run,) = json.loads(centre.call("flwr", "list", CENTRE, "--format", "json"))["runs"]
    if run["status"] != "finished:completed":
        msg = f"The run ended as {run['status']!r}; the logs in {centre.logs} say why."
        raise LoopbackError(msg)


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as listening:
        listening.bind((LOCALHOST, 0))
        number: int = listening.getsockname()[1]
        return number


def wait_for(port: int) -> None:
    """Wait until something listens.

    Raises:
        LoopbackError: If nothing does in a minute.
    """
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection((LOCALHOST, port), timeout=1):
            return
        time.sleep(0.2)
    msg = f"Nothing listens at port {port}; the SuperLink's log says why."
    raise LoopbackError(msg)


def write_yaml(path: Path, values: Mapping[str, Any]) -> None:
    """Write settings."""
    path.write_text(yaml.safe_dump(dict(values), sort_keys=False))


if __name__ == "__main__":
    main()
