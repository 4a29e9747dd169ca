"""``anomalib-federated bank``: look at memory banks, merge those of sites again, add images to one."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.cli.actions import run_action

ACTIONS = {
    "info": "tell what memory banks hold",
    "merge": "make the global bank again out of the banks of sites, with or without some of them",
    "update": "add new images to the bank of a site, without the old ones",
}
"""What each action does."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one of the actions."""
    return run_action(
        command,
        arguments,
        actions=ACTIONS,
        description="Look at memory banks, merge those of sites again, add images to one.",
    )
