"""Numbers that screenings take, checked with words."""

from __future__ import annotations

import math


def check_number(name: str, value: object, *, least: float = 0.0, most: float = math.inf) -> float:
    """A finite number within limits.

    Args:
        name: Of the argument.
        value: What was given.
        least: The smallest that is allowed.
        most: The largest that is allowed.

    Raises:
        ValueError: If it is no such number.

    Example:
        >>> check_number("times", 2), check_number("cosine_min", -0.5, least=-1, most=1)
        (2.0, -0.5)
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= float(value) <= most:  # type: ignore[arg-type] # a number by then
        wanted = f"a number from {least:g}" + ("" if math.isinf(most) else f" to {most:g}")
        msg = f"The screening's {name} is {value!r}; give {wanted}."
        raise ValueError(msg)
    return float(value)  # type: ignore[arg-type]
