"""``anomalib-federated completion``: a script that completes commands and options in a shell.

The script is made once and needs no Python afterwards: to ask this program at every key would import torch each time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import shtab

from anomalib_federated import registry
from anomalib_federated.cli.actions import actions_of
from anomalib_federated.cli.main import COMMANDS

PROGRAM = "anomalib-federated"
FILES, FOLDERS = ("FILE", "PATH", "BANK"), ("DIR", "FOLDER")
"""What help texts call a value that is one of these."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Print the script."""
    shell = build_parser(command).parse_args(arguments).shell
    sys.stdout.write(shtab.complete(command_tree(), shell) + "\n")
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {command}",
        description="Print a script that completes commands, options, plugins and files in a shell.",
        epilog=f"""examples:

  {PROGRAM} {command} bash > FILE   # and 'source FILE' in ~/.bashrc
  {PROGRAM} {command} zsh > ~/.zfunc/_{PROGRAM}   # in fpath""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh"), help="which shell")
    return parser


def command_tree() -> argparse.ArgumentParser:
    """A parser with all commands, their actions and their options, to be read and not to parse with."""
    tree = argparse.ArgumentParser(prog=PROGRAM)
    tree.add_argument("--version", action="store_true", help="print the version")
    _add_commands(tree, {name: (module, does) for name, (module, does) in COMMANDS.items()})
    return tree


def _add_commands(tree: argparse.ArgumentParser, commands: Mapping[str, tuple[str, str]], *, before: str = "") -> None:
    added = tree.add_subparsers()
    parsers = added.choices
    for name, (file, does) in commands.items():
        added.add_parser(name, help=does)
        if actions := actions_of(file):
            own = {action: (f"{file}_{action.replace('-', '_')}", said) for action, said in actions.items()}
            _add_commands(parsers[name], own, before=f"{name} ")
        else:
            parsers[name] = import_module(f"anomalib_federated.cli.{file}").build_parser(f"{before}{name}")
            _say_what_values_are(parsers[name])


def _say_what_values_are(parser: argparse.ArgumentParser) -> None:
    """Files, folders and plugins, told by the word that stands for an option's value."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to them
        word = action.metavar if isinstance(action.metavar, str) else action.dest.rpartition(".")[2].upper()
        kind = word.lower()
        if kind in registry.INTERFACES:
            action.choices = list(registry.available(kind))
        elif word in FILES or word in FOLDERS:
            action.complete = shtab.FILE if word in FILES else shtab.DIRECTORY  # type: ignore[attr-defined]
