"""Plugins as options of a command: a name, or ``class_path`` and ``init_args``; arguments may follow one by one.

jsonargparse alone would take ``--strategy concatenate --strategy.budget 9`` for a budget without a name, and put
``--strategy.init_args.budget 9`` beside ``init_args``: :func:`keep_names` mends the first before it parses,
:func:`plugin_option` the second after.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

PLUGIN = str | dict[str, Any]
"""Type of such an option."""


def keep_names(arguments: Sequence[str], options: Container[str]) -> list[str]:
    """Say names of plugins as ``class_path``, so that arguments given one by one join them instead of replacing them.

    Args:
        arguments: Of the command.
        options: Names of the options that take a plugin, such as ``--strategy``.

    Example:
        >>> keep_names(["--strategy", "concatenate", "--strategy.budget=9"], {"--strategy"})
        ['--strategy.class_path=concatenate', '--strategy.budget=9']
        >>> keep_names(["--strategy={class_path: concatenate}"], {"--strategy"})
        ['--strategy={class_path: concatenate}']
    """
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option not in options:
            kept.append(argument)
            continue
        given = value if equals else next(rest, "")
        mapping = given.lstrip().startswith("{")
        kept.append(f"{option}={given}" if mapping else f"{option}.class_path={given}")
    return kept


def plugin_option(value: str | dict[str, Any], *, default: str) -> str | dict[str, Any]:
    """What the registry understands, out of what was parsed.

    Args:
        value: What was parsed.
        default: Name of the plugin whose arguments are given if none is named.

    Example:
        >>> plugin_option({"init_args": {"sites": 5}}, default="iid")
        {'class_path': 'iid', 'init_args': {'sites': 5}}
    """
    if isinstance(value, str):
        return value
    overrides = {key: item for key, item in value.items() if key not in {"class_path", "init_args"}}
    init_args = {**(value.get("init_args") or {}), **overrides}
    return {"class_path": value.get("class_path", default), "init_args": init_args}
