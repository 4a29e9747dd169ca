"""Which data set a command works on, said as the other commands have it: ``--data.root`` and ``--data.categories``."""

from __future__ import annotations

from jsonargparse import ArgumentParser

from anomalib_federated.cli.command_help import CommandHelp

AUTOVI = "datasets/AutoVI"
"""Folder of the data set unless another is named."""


def data_parser(command: str, *, description: str, root: str = AUTOVI) -> ArgumentParser:
    """A parser with the two options.

    Args:
        command: Name of the command.
        description: What it does.
        root: Default of ``--data.root``.
    """
    parser = ArgumentParser(formatter_class=CommandHelp, prog=f"anomalib-federated {command}", description=description)
    parser.add_argument("--data.root", type=str, default=root, metavar="DIR", help="folder of the categories")
    parser.add_argument(
        "--data.categories",
        type=list[str] | None,
        default=None,
        metavar="[NAME,...]",
        help="categories, as [pipe_clip] (all)",
    )
    return parser
