"""Plugins as options of a command: a name, or ``class_path`` and ``init_args``."""

from __future__ import annotations

from typing import Any

PLUGIN = str | dict[str, Any]
"""Type of such an option."""


def plugin_option(value: str | dict[str, Any], *, default: str) -> str | dict[str, Any]:
    """What the registry understands: jsonargparse puts ``--strategy.init_args.budget 9`` beside ``init_args``.

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
