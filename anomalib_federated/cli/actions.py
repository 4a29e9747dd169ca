"""Commands that have actions of their own: ``bank info``, ``data stats``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module


def actions_of(module: str) -> Mapping[str, str]:
    """What each action of a command does, by name; nothing if the command has none.

    Args:
        module: Of the command, beside this one.

    Example:
        >>> "merge" in actions_of("bank"), actions_of("doctor")
        (True, {})
    """
    actions: Mapping[str, str] = getattr(import_module(f"anomalib_federated.cli.{module}"), "ACTIONS", {})
    return actions


def run_action(command: str, arguments: Sequence[str], *, actions: Mapping[str, str], description: str) -> int:
    """Run one of a command's actions, whose module is imported only then: looking needs no training stack.

    Args:
        command: Its name; the action ``remove-site`` is the module ``<command>_remove_site`` beside this one.
        arguments: The action and its arguments.
        actions: What each action does, by name.
        description: What the command is for.

    Returns:
        Exit status.
    """
    action, *rest = list(arguments) or ["--help"]
    if action not in actions:
        _parser(command, actions, description).parse_args([action, *rest])
        return 2
    module = import_module(f"anomalib_federated.cli.{command}_{action.replace('-', '_')}")
    status: int = module.run(f"{command} {action}", rest)
    return status


def _parser(command: str, actions: Mapping[str, str], description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description=description,
        epilog=f"'anomalib-federated {command} ACTION --help' says more about an action.",
    )
    subparsers = parser.add_subparsers(metavar="ACTION", required=True)
    for name, does in actions.items():
        subparsers.add_parser(name, help=does)
    return parser
