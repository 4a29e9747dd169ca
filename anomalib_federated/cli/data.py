"""``anomalib-federated data``: get a data set, look at it, share it out to sites."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.cli.actions import run_action

ACTIONS = {
    "download": "fetch AutoVI from its publisher, or unpack zips that are there",
    "stats": "tell what a data set holds: pictures, sizes, defect types, mask channels",
    "partition": "write which site gets which training picture",
    "demo": "draw a small data set that is laid out as AutoVI",
}
"""What each action does."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one of the actions."""
    return run_action(
        command,
        arguments,
        actions=ACTIONS,
        description="Get a data set, look at it, share it out to sites.",
    )
