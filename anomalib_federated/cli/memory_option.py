"""``--memory 4GB``: a short name for a setting of the model."""

from __future__ import annotations

from collections.abc import Sequence

NAME, SETTING = "--memory", "--model.memory"


def expand_memory(arguments: Sequence[str]) -> list[str]:
    """Replace ``--memory`` by the model's setting, and put it last: a configuration that follows would undo it.

    Example:
        >>> expand_memory(["--memory", "4GB", "--config", "a.yaml"])
        ['--config', 'a.yaml', '--model.memory=4GB']
        >>> expand_memory(["--memory=4GB"])
        ['--model.memory=4GB']
    """
    others: list[str] = []
    settings: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == NAME:
            settings += [f"{SETTING}={value}" for value in [next(rest, "")]]
        elif argument.startswith(f"{NAME}="):
            settings.append(f"{SETTING}{argument.removeprefix(NAME)}")
        else:
            others.append(argument)
    return others + settings
