"""``anomalib-federated doctor``: what is installed here, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from itertools import groupby

from anomalib_federated.cli.say import say
from anomalib_federated.diagnosis.check import Check, Role
from anomalib_federated.diagnosis.machine import check_devices, check_disks
from anomalib_federated.diagnosis.packages import check_packages
from anomalib_federated.diagnosis.plugins import check_plugins
from anomalib_federated.diagnosis.weights import check_weights

NAME_WIDTH = 24
"""Columns of the names; what was found stands beside them."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Look, and tell.

    Returns:
        Exit status: 0 if all that the machine needs is there, else 1.
    """
    options = build_parser(command).parse_args(arguments)
    role: Role = options.role or ("training" if find_spec("torch") else "station")
    checks = [*check_packages(role), *check_devices(), *check_weights(), *check_plugins(), *check_disks()]
    missing = [check for check in checks if check.problem]
    if options.json:
        told = {"for": role, "checks": list(map(asdict, checks)), "missing": [check.problem for check in missing]}
        say(json.dumps(told))
    else:
        _print(checks, role)
    return 1 if missing else 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Tell what is installed on this machine: versions, devices, weights of backbones, plugins, room on "
        "disks. Ends with what is missing, and the command that gets it. Needs no torch.",
    )
    parser.add_argument(
        "--for",
        dest="role",
        choices=("training", "station"),
        help="what the machine is to do (training where torch is installed, else station)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object, for a support ticket")
    return parser


def _print(checks: Sequence[Check], role: Role) -> None:
    width = max(60, shutil.get_terminal_size().columns)
    for topic, members in groupby(checks, key=lambda check: check.topic):
        say(topic)
        for check in members:
            _print_beside(f"  {check.name}", check.found + (f" - {check.problem}" if check.problem else ""), width)
    missing = [check for check in checks if check.problem]
    say("")
    for check in missing:
        for line in textwrap.wrap(f"Missing for {_article(role)}: {check.problem}.", width):
            say(line)
        say(f"  {check.mend}")
    if not missing:
        say(f"Everything needed for {_article(role)} is there.")


def _print_beside(name: str, found: str, width: int) -> None:
    first, *rest = textwrap.wrap(found, width - NAME_WIDTH - 1, break_on_hyphens=False, break_long_words=False) or [""]
    say(f"{name:<{NAME_WIDTH}} {first}".rstrip())
    for line in rest:
        say(f"{'':<{NAME_WIDTH}} {line}")


def _article(role: Role) -> str:
    return "a station" if role == "station" else role
