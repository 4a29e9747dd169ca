"""``--strategy NAME`` beside ``--strategy.budget 9``: jsonargparse alone forgets the name when an argument follows."""

from __future__ import annotations

from collections.abc import Container, Sequence


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
