"""What is wrong with a file that was read, in a few words."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: ValidationError) -> str:
    """The first thing that does not fit, and where it stands.

    Example:
        >>> from pydantic import TypeAdapter
        >>> try:
        ...     TypeAdapter(dict[str, int]).validate_python({"rows": "many"})
        ... except ValidationError as error:
        ...     first_problem(error)
        'Input should be a valid integer, unable to parse string as an integer (rows)'
    """
    first = error.errors()[0]
    return f"{first['msg']} ({'.'.join(map(str, first['loc'])) or 'the whole file'})"
