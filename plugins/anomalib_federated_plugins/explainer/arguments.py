"""Numbers that explainers take as arguments."""

from __future__ import annotations


def check_count(name: str, value: int, *, least: int = 1) -> int:
    """Refuse anything but a whole number that is large enough.

    Returns:
        The number.

    Raises:
        ValueError: If it is none; the error names the argument.

    Example:
        >>> check_count("patches", 0)
        Traceback (most recent call last):
        ValueError: The explainer's patches is 0; give a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        msg = f"The explainer's {name} is {value!r}; give a whole number of at least {least}."
        raise ValueError(msg)
    return value
