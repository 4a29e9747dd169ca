"""``anomalib-federated bank``: memory banks, from a site's to the global one."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.cli.actions import run_action

ACTIONS = {
    "build": "build a site's bank into a file, for a site that is never online",
    "info": "tell what memory banks hold",
    "verify": "tell whether files are valid memory banks, and what was agreed",
    "merge": "put several banks into one file, such as those of a site's categories",
    "aggregate": "make the global bank out of the banks of sites, with or without some of them",
    "reference": "make the centre's reference of clean pictures and synthetic defects, for screenings",
    "add": "take banks that came as files into a federation's folder",
    "remove-site": "forget a site of a federation: its bank, and every trace in the global bank",
    "update": "add new images to the bank of a site, without the old ones",
}
"""What each action does."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one of the actions."""
    return run_action(
        command,
        arguments,
        actions=ACTIONS,
        description="Memory banks, from a site's to the global one.",
    )
