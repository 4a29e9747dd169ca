"""What came from outside: JSON read strictly, and values shown so that no terminal or log suffers from them."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MOST_SHOWN = 100
"""Characters of a value in an error message."""
MOST_SAID = 500
"""Characters of somebody else's sentence in an error message."""


def read_json(text: str | bytes) -> object:
    """Read JSON as its standard has it, and no more.

    Args:
        text: The text, in UTF-8 if it is bytes. Limit its length before: what it describes may take 30 times its bytes.

    Returns:
        Mappings with text keys, lists, text, finite numbers, booleans and ``None``.

    Raises:
        ValueError: If it is not JSON, a mapping has a key twice (readers differ in which one counts), a number is not
            finite or has thousands of digits, or it is nested too deeply.

    Example:
        >>> read_json('{"rows": 3}')
        {'rows': 3}
        >>> read_json('{"rows": 3, "rows": 4}')
        Traceback (most recent call last):
        ValueError: the field 'rows' comes twice
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        found: object = json.loads(text, object_pairs_hook=_distinct, parse_float=_finite, parse_constant=_not_a_number)
    except RecursionError as error:
        msg = "it is nested too deeply"
        raise ValueError(msg) from error
    return found


def shown(value: object) -> str:
    r"""A value as short ASCII text on one line.

    Example:
        >>> shown("plant\x1b[2J")
        "'plant\\x1b[2J'"
    """
    text = ascii(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def said(text: str) -> str:
    r"""A sentence that may quote somebody not trusted: on one line, printable and not endless.

    Example:
        >>> said("no such field: \x1b[2J")
        'no such field: \\x1b[2J'
    """
    text = text[: MOST_SAID + 1]
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= MOST_SAID else f"{text[: MOST_SAID - 3]}..."


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        msg = f"the field {shown(next(key for key in keys if keys.count(key) > 1))} comes twice"
        raise ValueError(msg)
    return values


def _finite(text: str) -> float:
    return value if math.isfinite(value := float(text)) else _not_a_number(text)


def _not_a_number(text: str) -> NoReturn:
    msg = f"{shown(text)} is not a finite number"
    raise ValueError(msg)
