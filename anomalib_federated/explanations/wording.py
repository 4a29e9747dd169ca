"""The numbers of an explanation in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anomalib_federated.explanations.explanation_file import Told

MOST_LINES = 5
"""Facts that are lists, one line an item."""


def headline(told: Told) -> tuple[str, list[str]]:
    """What a drawing is titled with, and the lines below.

    Example:
        >>> numbers = {"score": 3.0, "score_rule": "max", "threshold": 2.0, "explained": 3.0}
        >>> told = Told(method="overlay", category="screw", image="test/dent/1.png", size=(9, 9), grid=(1, 1),
        ...             explained_as="score (max)", **numbers)
        >>> headline(told)
        ('overlay: screw, test/dent/1.png', ['score 3, threshold 2: anomalous', 'explained: score (max)'])
    """
    verdict = "no threshold was set"
    if told.threshold is not None:
        verdict = f"threshold {told.threshold:.4g}: {'anomalous' if told.score > told.threshold else 'normal'}"
    number = "" if told.explained == told.score else f" = {told.explained:.4g}"
    return (
        f"{told.method}: {told.category}, {told.image}",
        [f"score {told.score:.4g}, {verdict}", f"explained: {told.explained_as}{number}"],
    )


def bars_of(told: Told, *, listed: int) -> list[tuple[str, float, str]]:
    """Name, value and value in words of all that adds up to the number explained, and of this number at the end.

    Args:
        told: The explanation.
        listed: How many contributions have a bar of their own.

    Returns:
        Nothing if the method does not share the number out.
    """
    if told.baseline is None:
        return []
    first, rest = told.contributions[:listed], told.contributions[listed:]
    bars = [
        (
            f"patch {each.patch} at {each.box[0]}, {each.box[1]}",
            each.value,
            _with_error(each.value, each.standard_error),
        )
        for each in first
    ]
    count = len(rest) + told.others.patches
    if count:
        value = sum(each.value for each in rest) + told.others.value
        bars.append((f"{count} other patches", value, f"{value:.3g}"))
    bars.append(("without them", told.baseline, f"{told.baseline:.3g}"))
    bars.append(("together", told.explained, f"{told.explained:.3g}"))
    return bars


def sentences(told: Told) -> list[str]:
    """Facts, one a line: plain numbers together, each item of a list in a line of its own."""
    plain = {name: value for name, value in told.facts.items() if not isinstance(value, list | dict)}
    lines = [_told(plain)] if plain else []
    for name, value in told.facts.items():
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            lines += [f"{_words(name)} {number}: {_told(item)}" for number, item in enumerate(value[:MOST_LINES], 1)]
    return lines


def _told(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(name)} {_value(value)}" for name, value in facts.items() if not _nested(value))


def _nested(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, list | dict) for item in value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "not known"}[value]
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.3g}" if error is None else f"{value:.3g} +- {error:.1g}"
