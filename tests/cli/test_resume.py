"""A command that is killed, started again, and ends as if nothing had happened; and its memory limit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "configs"


def federate(demo_root: Path, output: Path) -> list[str]:
    return [
        "federate",
        f"--config={CONFIGS / 'federated' / 'iid.yaml'}",
        f"--data.root={demo_root}",
        "--data.categories=[tank_screw]",
        "--partitioner.sites=2",
        "--model.budget=40",
        "--model.visualizer=false",
        "--strategy.init_args.budget=50",
        "--no-centralised",
        f"--output={output}",
    ]


def test_a_killed_federation_goes_on(demo_root: Path, tmp_path: Path) -> None:
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    command = [sys.executable, "-m", "anomalib_federated.cli.main", *federate(demo_root, killed), "--memory=64GB"]
    child = subprocess.Popen(command)
    try:
        while not any(path.stat().st_size for path in killed.glob("work/sites/*/tank_screw/pictures.jsonl")):
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
    finally:
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    lists = list(killed.glob("work/sites/*/tank_screw/pictures.jsonl"))
    assert 0 < sum(len(path.read_text().splitlines()) for path in lists) < 7
    for output in (killed, unbroken):
        assert main([*federate(demo_root, output), "--memory=64GB"]) == 0
        assert not (output / "work").exists()
    banks = [MemoryBank.load(output / "federated" / "bank.safetensors") for output in (killed, unbroken)]
    assert torch.equal(banks[0].features, banks[1].features)
    assert banks[0].covering_radius == banks[1].covering_radius
    assert "memory: 64" in (killed / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("memory", "problem"), [("1MB", "the memory limit is 1 MB: raise it"), ("lots", "memory is 'lots'; give a size")]
)
def test_a_memory_limit_that_cannot_work_is_told(demo_root, tmp_path, capsys, memory, problem) -> None:
    try:
        status = main([*federate(demo_root, tmp_path / "out"), "--memory", memory])
    except SystemExit as error:
        status = error.code
    assert status
    assert problem in capsys.readouterr().err


def test_training_is_limited_and_resumed(demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "fit",
        f"--config={CONFIGS / 'centralised' / 'autovi.yaml'}",
        f"--data.root={demo_root}",
        "--data.categories=[tank_screw]",
        "--model.budget=20",
        f"--model.store={tmp_path / 'store'}",
        "--trainer.accelerator=cpu",
        f"--default_root_dir={tmp_path / 'out'}",
    ]
    assert main(["fit", "--memory", "1MB", *command[1:]]) == 1
    assert "the memory limit is 1 MB" in capsys.readouterr().err
    assert main([*command, "--memory", "64GB"]) == 0
    lines = (tmp_path / "store" / "tank_screw" / "pictures.jsonl").read_text()
    assert len(lines.splitlines()) == 7
    assert main(command) == 0
    assert (tmp_path / "store" / "tank_screw" / "pictures.jsonl").read_text() == lines
