"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["training", "station"]
"""What a machine is for: the whole package, or an inspection station that runs exported models."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was found, and what is wrong with it.

    Attributes:
        topic: What it belongs to, such as ``devices``.
        name: What was looked at.
        found: What is there, for people.
        problem: What is missing for the machine's role, in a sentence without a full stop; empty if nothing is.
        mend: The command or step that gets it.
    """

    topic: str
    name: str
    found: str
    problem: str = ""
    mend: str = ""
