"""Runs what a page shows, in the order of the page, in the folder that a reader would be in."""

import configparser
import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from anomalib_federated.cli.main import main
from tests.docs.blocks import Block
from tests.docs.configurations import read_part
from tests.docs.parsing import check_script, commands_in, parse_only

COMMAND = "anomalib-federated"
SHOWN = {"", "text"}
"""Blocks of these are output or drawings."""
CHECKED: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "ini": lambda text: configparser.ConfigParser(strict=False).read_string(text),
    "python": lambda text: compile(text, "page", "exec"),
}
"""What at least must be true of a block of that language."""


def play(blocks: list[Block], folder: Path, *, repository: Path) -> None:
    """Run or check the blocks of one page.

    Args:
        blocks: In the order of the page.
        folder: The reader's folder, which is the working folder.
        repository: Root of the project.

    Raises:
        AssertionError: If a block does not do what a reader expects; it says where.
    """
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        try:
            _play_one(block, folder, repository=repository, names=names)
        except (Exception, SystemExit) as error:
            msg = f"{block}: {type(error).__name__}: {error}\n{block.text}"
            raise AssertionError(msg) from error


def _play_one(block: Block, folder: Path, *, repository: Path, names: dict[str, Any]) -> None:
    if block.language in SHOWN:
        return
    if block.language == "bash":
        for line in commands_in(block.text):
            if block.not_run:
                check_command(line, repository=repository)
            else:
                _run(line)
        return
    CHECKED[block.language](block.text)
    if block.title is not None:
        (folder / block.title).write_text(block.text, encoding="utf-8")
    elif block.part_of is not None:
        read_part(block.text, of=repository / block.part_of, folder=folder)
    elif block.language == "python" and block.not_run is None:
        exec(compile(block.text, str(block), "exec"), names)  # noqa: S102 - that is what a reader does
    elif block.language == "yaml":
        assert block.not_run, "It is no file (title) and no part of a configuration, so nothing reads it"


def _run(line: str) -> None:
    words = [word for each in shlex.split(line) for word in _expanded(each)]
    if words[0] == COMMAND:
        assert main(words[1:]) == 0, f"'{line}' failed"
        return
    assert words[0] in {"cp", "mkdir", "python"}, f"'{words[0]}' is no command that is run here: say why it is not run"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", line], check=True, env=environment, timeout=60)


def _expanded(word: str) -> list[str]:
    """As a shell does with ``folder/*.png``."""
    return sorted(map(str, Path().glob(word))) if "/*" in word else [word]


def check_command(line: str, *, repository: Path) -> None:
    """Check what can be known of a command without running it: its options.

    Raises:
        AssertionError: If it has no such options.
    """
    words = shlex.split(line.partition(" > ")[0])
    if words[0] == COMMAND:
        parse_only(words[1:])
    elif words[0] == "python" and words[1].endswith(".py"):
        check_script(words[1:], repository if "/" in words[1] else repository / "examples" / "deployment")
