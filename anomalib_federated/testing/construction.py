"""What plugins of several kinds promise of their arguments."""

from __future__ import annotations

from typing import Any


def can_be_made_without_arguments(plugin: type[Any]) -> None:
    """``plugin()`` works."""
    try:
        plugin()
    except TypeError as error:
        msg = f"plugin() must work, so that a config can name the plugin alone; give defaults ({error})"
        raise AssertionError(msg) from error
