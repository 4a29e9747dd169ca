"""Help texts: what a person writes, not the types that jsonargparse reads it into; 80 columns."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from textwrap import shorten
from typing import Any

from jsonargparse import DefaultHelpFormatter

LIGHTNINGS = ("trainer", "optimizer", "lr_scheduler", "logging")
"""Groups of Lightning's settings, hundreds of lines long: ``--print_config`` tells them."""
LONGEST = 30
"""Columns of what stands for an option's value."""
MOST = 300
"""Characters of an option's help."""


class CommandHelp(DefaultHelpFormatter):
    """Says what an option does and what it is if left out; examples at the end keep their lines."""

    def add_argument(self, action: argparse.Action) -> None:
        """Leave out what Lightning and shtab add."""
        if not _is_foreign(action):
            super().add_argument(action)

    def _format_usage(self, usage: Any, actions: Any, *args: Any, **settings: Any) -> str:  # noqa: ANN401 - argparse's
        shown = [action for action in actions if not _is_foreign(action)]
        return str(super()._format_usage(usage, shown, *args, **settings))

    def start_section(self, heading: str | None) -> None:
        """A heading out of a docstring may be longer than a line."""
        super().start_section(shorten(heading, self._width, placeholder=" ...") if heading else heading)

    def _metavar_formatter(
        self, action: argparse.Action, default_metavar: str | None
    ) -> Callable[[int], tuple[str, ...]]:
        """A short word where jsonargparse tells all that it takes, or the choices fill a line."""
        names = super()._metavar_formatter(action, default_metavar)
        return lambda size: tuple(_shorter(name, default_metavar) for name in names(size))

    def _get_help_string(self, action: argparse.Action) -> str:
        said = _first_sentences(action.help or "").replace("``", "").rstrip(".").replace(" and exit", "")
        if "--print_config" in action.option_strings:
            return "print the configuration that all arguments give, as YAML"
        told = f"({action.default})" in said or "%(default)" in said
        plain = isinstance(action.default, str | int | float) and not isinstance(action.default, bool)
        if action.option_strings and plain and action.default != argparse.SUPPRESS and not told:
            said += " (%(default)s)"
        return said[:1].lower() + said[1:] if said[1:2].islower() else said

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Paragraphs are filled; a paragraph of indented lines is an example and stays."""
        paragraphs = text.split("\n\n")
        return "\n\n".join(
            each if each.startswith("  ") else super(CommandHelp, self)._fill_text(each, width, indent)
            for each in paragraphs
        )


def _shorter(name: str | None, default: str | None) -> str:
    if name is None or default is None:  # argparse asks so when it checks how many there are
        return ""
    return "CLASS" if "CLASS_PATH" in name else default if len(name) > LONGEST else name


def _first_sentences(text: str) -> str:
    """What stands before a list or a second paragraph, which Lightning's texts go on with for a page."""
    return text.partition(" - ")[0].partition("\n\n")[0] if len(text) > MOST else text


def _is_foreign(action: argparse.Action) -> bool:
    linked = any("-->" in name for name in action.option_strings)
    return linked or "--print_shtab" in action.option_strings or action.dest.partition(".")[0] in LIGHTNINGS
