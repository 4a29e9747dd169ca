"""``anomalib-federated data download``: AutoVI from its publisher."""

from __future__ import annotations

from collections.abc import Sequence

from jsonargparse import ArgumentParser
from rich.console import Console

from anomalib_federated.cli.data_option import data_parser
from anomalib_federated.data.download import download_autovi


def run(command: str, arguments: Sequence[str]) -> int:
    """Bring the categories that are missing, and say where they lie."""
    options = build_parser(command).parse_args(list(arguments))
    for folder in download_autovi(options.data.root, options.data.categories, base_url=options.mirror):
        Console().print(str(folder), highlight=False, soft_wrap=True)
    return 0


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = data_parser(
        command,
        description="Fetch categories of AutoVI that are missing. A download that was cut goes on where it stopped; "
        "on a machine without internet, put the zips into the folder, where they are checked and unpacked.",
    )
    parser.add_argument("--mirror", type=str | None, default=None, help="address that serves CATEGORY.zip")
    return parser
