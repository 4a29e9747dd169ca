"""The deployment of ``examples/deployment/loopback.py``, with processes that can be watched and killed one by one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import psutil
import yaml
from fault_outcome import Federation
from living_process import PROGRAMS, lives, peak_bytes_of, program_of
from loopback import (
    CENTRE,
    PLANTS,
    LoopbackError,
    Machine,
    free_port,
    gate_before,
    register,
    set_up_centre,
    set_up_plant,
    superexec,
    superlink,
    supernode,
    wait_for,
    write_yaml,
)

from anomalib_federated.flower_app import FOLDER


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What the plants' pictures are like.

    Attributes:
        side: To which they are resized.
        scale: Size of the drawn ones, in (0, 1].
        images: Training pictures of a plant.
        more: Per plant that has another number, that.
    """

    side: int = 64
    scale: float = 0.16
    images: int = 6
    more: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of Flower.

    Attributes:
        federation: What it is of.
        number: Its id.
        server_app: Its process at the centre.
        began: When it was submitted, in seconds since 1970.
    """

    federation: Federation
    number: str
    server_app: psutil.Process
    began: float

    @property
    def goes_on(self) -> bool:
        """Whether its process lives."""
        return lives(self.server_app)


class Deployment:
    """A centre and three plants that are known to it; the plants are offline at first.

    Args:
        output: Folder to write, new.
        pictures: What the plants' pictures are like.

    Attributes:
        machines: By name.
        port: Of the SuperLink.
        gate: Port of the gate.
    """

    def __init__(self, output: Path, pictures: Pictures) -> None:
        self.output, self.pictures = output, pictures
        self.machines: dict[str, Machine] = {}
        self.port, self.gate = free_port(), free_port()
        self._running: dict[str, tuple[subprocess.Popen[bytes], ExitStack]] = {}

    def __enter__(self) -> Self:
        self._add(CENTRE)
        set_up_centre(self.centre.folder, port=self.port, side=self.pictures.side)
        try:
            self.start_superlink()
            self.start("superexec", superexec(self.centre, port=self.port))
            self.start("gate", gate_before(self.centre, link=self.port, port=self.gate))
            wait_for(self.gate)
            for name, category in PLANTS.items():
                register(self.add_plant(name, category), self.centre)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def centre(self) -> Machine:
        """The centre's machine."""
        return self.machines[CENTRE]

    @property
    def ca(self) -> Path:
        """Certificate of the centre's authority."""
        return self.centre.folder / "pki" / "ca.crt"

    # --- machines and processes -------------------------------------------------------------------------------------

    def add_plant(self, name: str, category: str) -> Machine:
        """A plant with pictures, settings and a key of its own, which the centre does not know yet."""
        machine = self._add(name)
        drawn = self.pictures
        set_up_plant(machine.folder, name, category, scale=drawn.scale, images=drawn.more.get(name, drawn.images))
        return machine

    def start(self, name: str, starting: AbstractContextManager[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Start a process, under a name by which it can be killed."""
        stack = ExitStack()
        process = stack.enter_context(starting)
        self._running[name] = process, stack
        return process

    def start_superlink(self) -> None:
        """Start the SuperLink, on the database that is there."""
        self.start("superlink", superlink(self.centre, port=self.port))
        wait_for(self.port)

    def join(self, *plants: str) -> None:
        """Start the SuperNodes of plants, and wait until the centre has let them in."""
        for plant in plants:
            self.start(plant, supernode(self.machines[plant], port=self.gate, ca=self.ca))
        for plant in plants:
            self.wait(partial(self._is_in, plant), 60, f"{plant} to be let in")

    def kill(self, name: str) -> None:
        """Kill a process and all that it started, as a power cut does."""
        process, stack = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        stack.close()

    def stop(self) -> None:
        """Stop all."""
        with ExitStack() as stacks:
            for _, stack in self._running.values():
                stacks.push(stack)
            self._running.clear()

    def client_app(self, plant: str) -> psutil.Process | None:
        """The client app that is at work at a plant."""
        return self._started_by(plant, "flwr-clientapp")

    def bytes_written(self, name: str) -> int:
        """What a process has written so far, into connections too."""
        count: int = psutil.Process(self._running[name][0].pid).io_counters().write_chars
        return count

    def memory(self) -> Iterator[tuple[str, str, int]]:
        """The most memory that each living process had so far: its machine, its program, and bytes."""
        for name, (process, _) in self._running.items():
            machine = name if name in self.machines else CENTRE
            with suppress(psutil.NoSuchProcess):
                first = psutil.Process(process.pid)
                for each in [first, *first.children(recursive=True)]:
                    program, peak = program_of(each), peak_bytes_of(each)
                    if peak and program.startswith(PROGRAMS):
                        yield machine, program, peak

    def log_of(self, plant: str) -> str:
        """What a plant's SuperNode, and the client apps there, have said."""
        return (self.output / "logs" / f"{plant}_flower-supernode.log").read_text(errors="replace")

    def site_file(self, plant: str) -> Path:
        """A plant's settings."""
        return self.machines[plant].folder / "site.yaml"

    def wait(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait until a condition holds.

        Raises:
            LoopbackError: If it does not in time.
        """
        if not self.comes_true(condition, seconds):
            msg = f"Waited {seconds:g} s in vain for {what}; the logs in {self.output / 'logs'} say why."
            raise LoopbackError(msg)

    @staticmethod
    def comes_true(condition: Callable[[], object], seconds: float) -> bool:
        """Whether a condition holds within a time."""
        until = time.monotonic() + seconds
        while not (holds := condition()) and time.monotonic() < until:
            time.sleep(0.01)
        return bool(holds)

    # --- federations ------------------------------------------------------------------------------------------------

    def federation(
        self,
        *,
        deadline: float,
        quorum: int = len(PLANTS),
        folder: Path | None = None,
        model: Mapping[str, object] | None = None,
        **changed: object,
    ) -> Federation:
        """Write the settings of a federation of the three plants.

        Args:
            deadline: Seconds for which it collects.
            quorum: Banks that it needs.
            folder: The federation's folder; ``None``: one on the centre's disk.
            model: Settings of the detector that differ from the deployment's.
            changed: Other settings that do.
        """
        folder = folder or self.centre.folder / "folder"
        settings = self.centre.folder / f"{folder.name}.yaml"
        config = yaml.safe_load((self.centre.folder / "federation.yaml").read_text())
        config |= {"deadline": deadline, "quorum": quorum, "output": str(folder), **changed}
        config["model"]["init_args"] |= model or {}
        write_yaml(settings, config)
        return Federation(settings=settings, folder=folder, deadline=deadline)

    def submit(self, federation: Federation, *, app: Path = FOLDER) -> Run:
        """Have the centre run a federation.

        Args:
            federation: Which.
            app: Folder of the Flower app.

        Raises:
            LoopbackError: If Flower does not take it, or does not start it.
        """
        centre = self.centre
        arguments: list[str | Path] = ["run", app, CENTRE, "--format", "json", "-c", f'config="{federation.settings}"']
        told = json.loads(centre.call("flwr", *arguments))
        if not told["success"]:  # flwr ends with 0 all the same
            raise LoopbackError(told["error-message"])
        began = time.time()
        self.wait(lambda: self._started_by("superexec", "flwr-serverapp"), 120, "the server app")
        server_app = self._started_by("superexec", "flwr-serverapp")
        if server_app is None:
            msg = f"The server app ended at once; {centre.logs} says why."
            raise LoopbackError(msg)
        return Run(federation=federation, number=told["run-id"], server_app=server_app, began=began)

    def status_of_run(self, run: Run) -> str:
        """How Flower says that a run stands."""
        told = self.centre.call("flwr", "list", CENTRE, "--run-id", run.number, "--format", "json")
        status: str = json.loads(told)["runs"][0]["status"]
        return status

    def status(self, federation: Federation) -> dict[str, Any]:
        """What ``anomalib-federated status`` says of the sites."""
        told = self.centre.call("anomalib-federated", "status", federation.folder, "--json")
        sites: dict[str, Any] = json.loads(told)["sites"]
        return sites

    def _is_in(self, plant: str) -> bool:
        return "SuperNode ID" in self.log_of(plant)

    def _add(self, name: str) -> Machine:
        machine = self.machines[name] = Machine(name, self.output / name, self.output / "logs")
        machine.folder.mkdir(parents=True)
        return machine

    def _started_by(self, name: str, program: str) -> psutil.Process | None:
        """The last process of a program that another one started and that lives."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._running[name][0].pid).children(recursive=True)
            found = [child for child in children if lives(child) and program_of(child) == program]
            return max(found, key=lambda child: child.create_time(), default=None)
        return None
