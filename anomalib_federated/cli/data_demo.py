"""``anomalib-federated data demo``: the drawn data set alone."""

from __future__ import annotations

from collections.abc import Sequence

from jsonargparse import ArgumentParser
from rich.console import Console

from anomalib_federated.cli.data_option import data_parser
from anomalib_federated.data.demo import make_demo_dataset


def run(command: str, arguments: Sequence[str]) -> int:
    """Draw the data set, and say where it lies."""
    options = build_parser(command).parse_args(list(arguments))
    root = make_demo_dataset(
        options.data.root,
        seed=options.seed,
        categories=options.data.categories,
        scale=options.scale,
        train_images=options.train_images,
        good_images=options.good_images,
        images_per_defect=options.images_per_defect,
    )
    Console().print(f"The demo data set lies in {root}.", highlight=False, soft_wrap=True)
    return 0


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = data_parser(
        command,
        description="Draw a small data set that is laid out as AutoVI, with its categories and defect types.",
        root="datasets/demo",
    )
    parser.add_argument("--scale", type=float, default=0.32, help="size relative to AutoVI's pictures, in (0, 1]")
    parser.add_argument("--train_images", type=int, default=40, help="training pictures per category")
    parser.add_argument("--good_images", type=int, default=12, help="good test pictures per category")
    parser.add_argument("--images_per_defect", type=int, default=4, help="test pictures per defect type")
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    return parser
