"""``anomalib-federated privacy``: what a promise costs, and whether it is kept."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.cli.actions import run_action

ACTIONS = {
    "plan": "tell how much noise a promise takes, and what is left to be learnt",
    "audit": "attack a privacy plugin: how much does it give away at least?",
}
"""What each action does."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one of the actions."""
    return run_action(
        command,
        arguments,
        actions=ACTIONS,
        description="What a promise about pictures costs, and whether a plugin keeps it.",
    )
