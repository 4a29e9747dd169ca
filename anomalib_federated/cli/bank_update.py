"""``anomalib-federated bank update``: new images for the bank of a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from lightning import seed_everything
from rich.console import Console

from anomalib_federated import registry
from anomalib_federated.bank import BankError, MemoryBank, describe
from anomalib_federated.cli.bank_table import print_bank
from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.detector_options import add_data
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.plugin_option import PLUGIN, config_file, keep_names, plugin_option
from anomalib_federated.data import AutoVI
from anomalib_federated.data.grouping import Grouping, GroupingError
from anomalib_federated.federation import Site
from anomalib_federated.federation.update import update_bank
from anomalib_federated.interfaces.coreset import Coreset
from anomalib_federated.models.patch_features import PatchFeatureExtractor

CORESET = "k_center"
PLUGINS = {"--coreset"}
"""Options that name a plugin."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Extract the new images' patches, select from them and the old rows, save and describe the result."""
    configure_logs()
    parser = build_parser(command)
    options = parser.parse_args(keep_names(arguments, PLUGINS))
    seed_everything(options.seed, verbose=False)
    bank = MemoryBank.load(options.bank)
    _check_one_site(bank)
    data: AutoVI = parser.instantiate_classes(options).data
    data.prepare_data()
    grouping = _grouping(options)
    # Mistakes come to light before anything is computed: for_category refuses a category that the bank does not hold.
    coresets = {name: _coreset(options, rows=len(bank.for_category(name))) for name in data.categories}
    data.setup()
    updated = _update(bank, _site(bank, data, grouping, weights=options.weights), coresets, options)
    output = updated.save(options.output or options.bank)
    print_bank(str(output), describe(updated))
    Console().print(
        "Covering radii and mean distances of updated categories are upper bounds: the old patches were not read again."
    )
    return 0


def _coreset(options: Namespace, *, rows: int) -> Coreset:
    """The coreset for a category of which the bank has so many rows."""
    budget = rows if options.budget is None else options.budget
    coreset: Coreset = registry.build("coreset", plugin_option(options.coreset, default=CORESET), budget=budget)
    return coreset


def _update(bank: MemoryBank, site: Site, coresets: Mapping[str, Coreset], options: Namespace) -> MemoryBank:
    """The bank with all categories of which there are new images updated, and the others as they were."""
    patches, parts = site.patches(), []
    method = registry.name_of(plugin_option(options.coreset, default=CORESET), kind="coreset")
    for category in bank.categories:
        part = bank.for_category(category)
        if category in patches.categories:
            coreset = coresets[category]
            part = update_bank(
                part,
                patches.rows(category, picks=coreset.rows(patches.patches(category) + len(part))),
                images=patches.images(category),
                coreset=coreset,
                method=method,
                seed=options.seed,
                groups=patches.groups[category].of_rows() if patches.groups else None,
            )
        parts.append(part)
    return MemoryBank.merge(parts)


def _check_one_site(bank: MemoryBank) -> None:
    if len(bank.sites) != 1:
        msg = (
            f"The bank holds rows of several sites ({', '.join(bank.sites)}); update the bank of one site, then merge "
            "those of all sites again."
        )
        raise BankError(msg)


def _grouping(options: Namespace) -> Grouping | None:
    """How the new images are grouped."""
    if options.groups is None:
        return None
    grouping = Grouping.of(options.groups)
    if grouping.needs_features:
        msg = "Groups that were found in the old images cannot be found again in new ones; build the bank from all."
        raise GroupingError(msg)
    return grouping


def _site(bank: MemoryBank, data: AutoVI, grouping: Grouping | None, *, weights: str | None) -> Site:
    """The bank's site with the new images."""
    extractor = PatchFeatureExtractor.of_space(bank.space, weights=weights)
    if differing := bank.space.differences(extractor.space):
        msg = f"The bank was made by other settings than can be had here: {differing}; give the same --weights."
        raise BankError(msg)
    return Site(
        bank.sites[0],
        data.train_data,
        extractor=extractor,
        batch_size=data.train_batch_size,
        num_workers=data.num_workers,
        groups=grouping,
    )


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        formatter_class=CommandHelp,
        prog=f"anomalib-federated {command}",
        description="Add the training images of a data set to the bank of a site. The old images are not needed: the "
        "bank's rows stand for them. Give new images alone, since an image given twice counts twice.",
    )
    parser.add_argument("bank", type=str, metavar="BANK", help="bank of one site")
    parser.add_argument("-c", "--config", action=config_file(PLUGINS), metavar="FILE", help="configuration in YAML")
    add_data(parser)
    parser.add_argument("--coreset", type=PLUGIN, default=CORESET, help="which rows and patches are kept")
    parser.add_argument(
        "--budget",
        type=int | dict[str, int | float] | None,
        default=None,
        metavar="ROWS",
        help="rows per category, or {radius: R, rows: MOST}; as many as the bank has if left out",
    )
    parser.add_argument(
        "--weights", type=str | None, default=None, metavar="FILE", help="file of the backbone's weights"
    )
    parser.add_argument(
        "--groups",
        type=dict[str, Any] | None,
        default=None,
        metavar="HOW",
        help="how new images are grouped, as the old ones were",
    )
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    parser.add_argument(
        "--output", type=Path | None, default=None, metavar="FILE", help="file to write; BANK itself if left out"
    )
    parser.link_arguments("seed", "data.init_args.seed")
    return parser
