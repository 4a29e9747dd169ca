"""Which methods no other beats in everything at once, where not everything was measured of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Values = Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a candidate stands among others.

    Attributes:
        optimal: Whether it is Pareto-optimal: no other is at least as good in every value and better in one. ``None``
            if that hangs on values that were not measured.
        beaten_by: Who is so, whatever the missing values are, in the order given.
    """

    optimal: bool | None
    beaten_by: tuple[str, ...] = ()


def pareto(values: Mapping[str, Values]) -> dict[str, Standing]:
    """Tell who is beaten.

    Args:
        values: Of each candidate, all of one length, the larger the better; ``None`` was not measured and may be any
            number.

    Raises:
        ValueError: If the lengths differ.

    Example:
        >>> found = pareto({"a": (0.9, 1.0), "b": (0.8, 1.0), "c": (0.7, None)})
        >>> {name: standing.optimal for name, standing in found.items()}, found["b"].beaten_by
        ({'a': True, 'b': False, 'c': None}, ('a',))
    """
    if len({len(own) for own in values.values()}) > 1:
        msg = "Candidates have values of different number; give each the same, None where one was not measured."
        raise ValueError(msg)
    return {name: _standing(name, values) for name in values}


def _standing(name: str, values: Mapping[str, Values]) -> Standing:
    others = [other for other in values if other != name]
    beaten_by = tuple(other for other in others if _beats(values[other], values[name]))
    if beaten_by:
        return Standing(optimal=False, beaten_by=beaten_by)
    return Standing(optimal=None if any(_may_beat(values[other], values[name]) for other in others) else True)


def _beats(one: Values, other: Values) -> bool:
    """Whether the one is at least as good in every value and better in one, all of them measured."""
    return None not in (*one, *other) and _may_beat(one, other)


def _may_beat(one: Values, other: Values) -> bool:
    """Whether it is so for some numbers in place of the missing ones."""
    pairs = list(zip(one, other, strict=True))
    known = [(own, theirs) for own, theirs in pairs if own is not None and theirs is not None]
    if any(own < theirs for own, theirs in known):
        return False
    return len(known) < len(pairs) or any(own > theirs for own, theirs in known)
