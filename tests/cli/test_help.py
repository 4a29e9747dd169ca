"""Help texts that read well in 80 columns, and completion in a real shell."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomalib_federated.cli.actions import actions_of
from anomalib_federated.cli.completion import command_tree
from anomalib_federated.cli.main import COMMANDS, main


def every_command() -> Iterator[tuple[str, str]]:
    """What is called, and what the list of commands says of it."""
    for name, (module, does) in COMMANDS.items():
        yield name, does
        yield from ((f"{name} {action}", said) for action, said in actions_of(module).items())


@pytest.mark.parametrize("command", [name for name, _ in every_command()])
def test_a_help_fits_80_columns_and_tells_no_types(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit_info:
        main([*command.split(), "--help"])
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    usage, description, *_ = text.split("\n\n")
    assert usage.startswith(f"usage: anomalib-federated {command}")
    assert len(description.split()) >= 3
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 80
    assert not [sign for sign in ("type:", "Union[", "Optional[", "CLASS_PATH", "print_shtab", "``") if sign in text]


def test_the_list_of_commands_says_what_each_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert all(f"{name} {does}" in told for name, (_, does) in COMMANDS.items())


def script_for(shell: str, path: Path) -> Path:
    with path.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        assert main(["completion", shell]) == 0
    return path


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return script_for("bash", tmp_path_factory.mktemp("completion") / "anomalib-federated")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", {"federate", "inspect", "bank", "doctor"}),
        ("fed", {"federate"}),
        ("bank ag", {"aggregate"}),
        ("bank aggregate --with", {"--without"}),
        ("inspect --cal", {"--calibration"}),
        ("federate --strategy ex", {"exact_k_center"}),
        ("train --seed_e", {"--seed_everything"}),
        ("completion ", {"bash", "zsh"}),
    ],
)
def test_bash_completes(script: Path, tmp_path: Path, typed: str, expected: set[str]) -> None:
    words = ["anomalib-federated", *typed.split(" ")]
    quoted = " ".join(f"'{word}'" for word in words)
    asked = f"""
        source {script}
        COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}
        _shtab_anomalib_federated anomalib-federated '{words[-1]}' '{words[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, cwd=tmp_path)
    found = set(done.stdout.split())
    assert expected <= found
    assert all(name.startswith(words[-1]) for name in found)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_completes(tmp_path: Path) -> None:
    script_for("zsh", tmp_path / "_anomalib-federated")
    asked = f"""
        zmodload zsh/zpty
        zpty -b shell zsh -f -i
        zpty -w shell 'fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -d {tmp_path}/dump; echo read\\y'
        zpty -r -m shell line '*ready*'
        zpty -w -n shell $'anomalib-federated federate --strategy ex\\t'
        zpty -r -m shell line '*exact_k_center*'
        print -r -- $line
    """
    done = subprocess.run(["zsh", "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    assert "--strategy exact_k_center" in done.stdout


def test_all_commands_are_in_the_tree() -> None:
    (commands,) = [each for each in command_tree()._actions if isinstance(each, argparse._SubParsersAction)]
    assert list(commands.choices) == list(COMMANDS)
