"""Plugins as options of a command: a name, or ``class_path`` and ``init_args``; arguments may follow one by one.

jsonargparse alone would take ``--strategy concatenate --strategy.budget 9`` for a budget without a name, wherever the
name is said, and put ``--strategy.init_args.budget 9`` beside ``init_args``; and it fails where a mapping of
``class_path`` and ``init_args`` follows one that came from a configuration. :func:`keep_names` mends this before it
parses, :func:`config_file` where it reads a configuration, :func:`plugin_option` after.
"""

from __future__ import annotations

from argparse import Action
from collections.abc import Collection, Container, Sequence
from typing import Any

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

from anomalib_federated import registry

PLUGIN = str | dict[str, Any]
"""Type of such an option."""

NAMED = "named"
"""Key under which the plugin that the command line names waits for :func:`plugin_option`."""


def keep_names(arguments: Sequence[str], options: Container[str]) -> list[str]:
    """Say plugins under a key of their own, so that arguments given one by one join them instead of replacing them.

    Args:
        arguments: Of the command.
        options: Names of the options that take a plugin, such as ``--strategy``.

    Returns:
        Each argument of a plugin in one piece with its value. A mapping takes the place of all that was said before it.

    Example:
        >>> keep_names(["--strategy", "concatenate", "--strategy.budget", "9", "--seed", "1"], {"--strategy"})
        ['--strategy.named=concatenate', '--strategy.budget=9', '--seed', '1']
        >>> keep_names(["--strategy.budget=9", "--strategy={class_path: concatenate}"], {"--strategy"})
        ['--strategy.named={class_path: concatenate}']
    """
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        plugin = option.partition(".")[0]
        if plugin not in options:
            kept.append(argument)
            continue
        given = value if equals else next(rest, "")
        if option == plugin:
            option = f"{plugin}.{NAMED}"
            if given.lstrip().startswith("{"):
                kept = [each for each in kept if not each.startswith(f"{plugin}.")]
        kept.append(f"{option}={given}")
    return kept


def config_file(options: Collection[str]) -> type[Action]:
    """The action of ``--config`` beside options that take a plugin.

    Args:
        options: Their names, such as ``--strategy``.

    Returns:
        Reads a configuration so that arguments on the command line join a plugin that it names by its name alone.
    """
    names = [option.removeprefix("--") for option in options]

    class KeepsNames(ActionConfigFile):
        def __call__(
            self, parser: ArgumentParser, cfg: Namespace, values: object, option_string: str | None = None
        ) -> None:
            super().__call__(parser, cfg, values, option_string)
            for name in names:
                if isinstance(cfg.get(name), str):
                    cfg[name] = {"class_path": cfg[name]}

    return KeepsNames


def plugin_option(value: str | dict[str, Any], *, default: str) -> str | dict[str, Any]:
    """What the registry understands, out of what was parsed.

    Args:
        value: What was parsed.
        default: Name of the plugin whose arguments are given if none is named.

    Returns:
        A plugin that the command line names by its name alone keeps the arguments that a configuration has for this
        very plugin; those of another plugin are left behind.

    Example:
        >>> plugin_option({"init_args": {"sites": 5}}, default="iid")
        {'class_path': 'iid', 'init_args': {'sites': 5}}
        >>> plugin_option({"class_path": "weighted", "init_args": {"by": "images"}, "named": "concatenate"}, default="")
        {'class_path': 'concatenate', 'init_args': {}}
    """
    if isinstance(value, str):
        return value
    name, init_args = value.get("class_path", default), dict(value.get("init_args") or {})
    if (named := value.get(NAMED)) is not None:
        if not isinstance(named, str) or named != name:
            init_args = registry.arguments_of(named)
        name = registry.name_of(named)
    overrides = {key: item for key, item in value.items() if key not in {"class_path", "init_args", NAMED}}
    return {"class_path": name, "init_args": {**init_args, **overrides}}
