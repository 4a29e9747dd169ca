"""Environments in which nothing can be imported but what was put into them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own, and the process environment of programs that run in it."""

    folder: Path

    @property
    def packages(self) -> Path:
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder), "platbase": str(self.folder)}))

    def install(self, *what: object) -> None:
        """Install by the pip of the environment that runs the tests, from nowhere but what is given."""
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.folder / "bin" / "python")
        run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", *what, cwd=self.folder)

    def run(self, command: str, *arguments: object, cwd: Path, more: Mapping[str, str] | None = None) -> str:
        """What a program of the environment prints; the tree that is tested cannot be imported by it."""
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        settings = {**variables, "COLUMNS": "160", **(more or {})}
        return run(self.folder / "bin" / command, *arguments, cwd=cwd, env=settings)


def run(*command: object, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What a program prints.

    Raises:
        AssertionError: With all that it printed, if it fails.
    """
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


def empty(folder: Path) -> Environment:
    """An environment without even pip."""
    venv.create(folder, with_pip=False, symlinks=True)
    return Environment(folder)


def link(package: Distribution, folder: Path) -> None:
    """Make the files of an installed package importable elsewhere."""
    for name in {file.parts[0] for file in package.files or [] if file.parts[0] != ".."}:
        (folder / name).symlink_to(Path(str(package.locate_file(name))))
