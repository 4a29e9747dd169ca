"""The option that names corruptions: one, or a list."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

from anomalib_federated.data.corruption import Corruption, CorruptionLike


def add_corruption(parser: ArgumentParser) -> None:
    """Add ``--corruption``, which :func:`corruptions_of` reads."""
    parser.add_argument(
        "--corruption",
        type=list[CorruptionLike] | CorruptionLike | None,
        default=None,
        help="measure on corrupted pictures too: medium, '[low, medium, high]' or '{blur: 2, noise: 0.1}'",
    )


def corruptions_of(given: Any) -> list[CorruptionLike]:  # noqa: ANN401 - what jsonargparse gives
    """The corruptions that the option names, each checked.

    Raises:
        ValueError: If one is impossible.

    Example:
        >>> corruptions_of("low"), corruptions_of([{"blur": 2}, "high"]), corruptions_of(None)
        (['low'], [{'blur': 2}, 'high'], [])
    """
    specs: list[CorruptionLike] = []
    if given is not None:
        specs = [given] if isinstance(given, str | dict) else list(given)
    for spec in specs:
        Corruption.of(spec)
    return specs
