"""``anomalib-federated data partition``: which site gets which training picture, in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser
from pandas import DataFrame
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from anomalib_federated import registry
from anomalib_federated.cli.data_option import data_parser
from anomalib_federated.cli.plugin_option import PLUGIN, keep_names, plugin_option
from anomalib_federated.data.exploration import count_by_site, training_images
from anomalib_federated.data.partition_file import Partition, to_json
from anomalib_federated.files import write_file
from anomalib_federated.interfaces.partitioner import Partitioner

PARTITIONER = "iid"
"""Plugin that is used if none is named."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Share the pictures out, write the file, and print how many of each category each site gets."""
    options = build_parser(command).parse_args(keep_names(arguments, {"--partitioner"}))
    spec = plugin_option(options.partitioner, default=PARTITIONER)
    partitioner: Partitioner = registry.build("partitioner", spec)
    images = training_images(Path(options.data.root), options.data.categories)
    parts = partitioner.partition(images, seed=options.seed)
    partition = Partition(
        sites={site: sorted(images[position].name for position in part) for site, part in sorted(parts.items())},
        partitioner={"class_path": spec, "init_args": {}} if isinstance(spec, str) else spec,
        seed=options.seed,
    )
    output = Path(options.output)
    _write(output, to_json(partition))
    console = Console()
    console.print(_table(count_by_site(images, parts)))
    console.print(f"The partition lies in {output}.", highlight=False, soft_wrap=True)
    return 0


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = data_parser(
        command,
        description="Share all training pictures out to sites, and write which site gets which as JSON, for "
        "'anomalib-federated federate --partitioner.class_path from_file --partitioner.path FILE'. A file that says "
        "something else is not overwritten.",
    )
    parser.add_argument("--partitioner", type=PLUGIN, default=PARTITIONER, help="which site gets which picture")
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    parser.add_argument("--output", metavar="FILE", type=str, default="partition.json", help="file to write")
    return parser


def _write(path: Path, content: bytes) -> None:
    # Results may rest on the file that is there.
    if path.exists() and path.read_bytes() != content:
        msg = f"{path} holds something else already: remove it, or give another file as --output."
        raise FileExistsError(msg)
    write_file(path, content)


def _table(counts: DataFrame) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("site", overflow="fold")
    for name in (*counts.columns, "all"):
        table.add_column(str(name), justify="right", overflow="fold")
    totals = counts.sum()
    for site, row in counts.iterrows():
        cells = [_share(int(count), int(total)) for count, total in zip(row, totals, strict=True)]
        table.add_row(str(site), *cells, _share(int(row.sum()), int(totals.sum())))
    table.add_section()
    table.add_row("all", *(str(total) for total in totals), str(totals.sum()))
    return table


def _share(count: int, total: int) -> str:
    return f"{count} ({count / total:.0%})"
