"""``anomalib-federated bank aggregate``: the global bank out of the banks of sites, without a live federation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from anomalib_federated import registry
from anomalib_federated.bank import BankError, MemoryBank, describe
from anomalib_federated.cli.bank_table import print_bank
from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.plugin_option import PLUGIN, keep_names, plugin_option
from anomalib_federated.cli.refused_table import print_refused
from anomalib_federated.federation.folder import FederationFolder, Version
from anomalib_federated.federation.merge import merge_site_banks
from anomalib_federated.interfaces.configured_strategy import build_strategy
from anomalib_federated.interfaces.refused import Refused
from anomalib_federated.interfaces.strategy import BankStrategy

STRATEGY = "federated_coreset"


def run(command: str, arguments: Sequence[str]) -> int:
    """Aggregate, save and describe the result."""
    configure_logs()
    parser = build_parser(command)
    options = parser.parse_args(keep_names(arguments, {"--strategy"}))
    if options.folder is None:
        if not options.files or options.output is None:
            parser.error("give the banks of sites and --output FILE, or --folder FOLDER")
        path, bank, refused = _aggregate_files(options)
    else:
        if options.files or options.output or options.without:
            parser.error("a federation's folder says what its sites and versions are: give --folder alone")
        path, bank, refused = _aggregate_folder(options)
    print_bank(str(path), describe(bank))
    print_refused(refused)
    if set(bank.categories) - set(bank.covering_radius):
        Console().print("How well the new bank covers the sites' patches is not known until the sites measure it.")
    return 0


def _aggregate_files(options: Namespace) -> tuple[Path, MemoryBank, tuple[Refused, ...]]:
    strategy, _ = _strategy(options)
    bank = merge_site_banks(_load(options.files), strategy, without=options.without)
    return bank.save(options.output), bank, strategy.refused


def _aggregate_folder(options: Namespace) -> tuple[Path, MemoryBank, tuple[Refused, ...]]:
    folder = FederationFolder.open(options.folder)
    version = _next_version(folder, options)
    Console().print(f"Version {version.number}, of sites {', '.join(version.sites)}.", highlight=False, markup=False)
    return folder.version_path(version.number), folder.version_bank(version.number), version.refused


def _next_version(folder: FederationFolder, options: Namespace) -> Version:
    versions = folder.versions()
    if versions and all(options[name] is None for name in ("strategy", "budget", "seed", "screening")):
        return folder.aggregate_again()
    if versions and versions[-1].screening and options.screening is None:
        names = ", ".join(spec["class_path"] for spec in versions[-1].screening)
        msg = (
            f"Version {versions[-1].number} was screened by {names}; name the screenings of the next with --screening, "
            "or give --screening '[]' to let in what they refused."
        )
        raise ValueError(msg)
    strategy, spec = _strategy(options)
    return folder.aggregate(strategy, spec=spec, screening=options.screening or [])


def _strategy(options: Namespace) -> tuple[BankStrategy, dict[str, Any]]:
    """The strategy, and what it was built from."""
    budget = {} if options.budget is None else {"budget": options.budget}
    spec = plugin_option(options.strategy or STRATEGY, default=STRATEGY)
    strategy = build_strategy(spec, screening=options.screening or [], seed=options.seed or 0, **budget)
    init_args = {} if isinstance(spec, str) else spec["init_args"]
    return strategy, {"class_path": registry.name_of(spec, kind="strategy"), "init_args": init_args | budget}


def _load(files: Sequence[str]) -> list[MemoryBank]:
    """The banks of the files; one that does not go with those before it is refused by name."""
    banks: dict[str, MemoryBank] = {}
    origin: dict[str, str] = {}
    for name in files:
        bank = MemoryBank.load(name)
        for site in bank.sites:
            if site in origin:
                msg = f"{origin[site]} and {name} are both of site '{site}'; give one bank of each site."
                raise BankError(msg)
            origin[site] = name
        for first, other in list(banks.items())[:1]:
            if differing := other.space.differences(bank.space):
                msg = f"{first} and {name} were made by other settings: {differing}; build them with the same."
                raise BankError(msg)
        banks[name] = bank
    return list(banks.values())


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        formatter_class=CommandHelp,
        prog=f"anomalib-federated {command}",
        description="Make the global bank out of the banks that sites sent, exactly as the live federation does. A "
        "site that is left out leaves no trace. With --folder, the next version of that federation's global bank is "
        "made of all sites that are in; without --strategy, --budget, --screening and --seed, as the version before.",
    )
    parser.add_argument("files", nargs="*", type=str, metavar="FILE", help="bank of a site")
    parser.add_argument("--output", metavar="FILE", type=Path | None, default=None, help="file to write")
    parser.add_argument(
        "--folder", metavar="DIR", type=Path | None, default=None, help="folder of a federation, instead of files"
    )
    parser.add_argument("--without", nargs="+", type=str, default=[], metavar="SITE", help="sites to leave out")
    parser.add_argument(
        "--strategy", type=PLUGIN | None, default=None, help=f"how site banks become one; {STRATEGY} if left out"
    )
    parser.add_argument(
        "--budget",
        type=int | float | dict[str, int | float] | None,
        default=None,
        metavar="ROWS",
        help="rows per category, a share of the sites' rows, or {radius: R, rows: MOST}; if left out, the strategy's",
    )
    parser.add_argument(
        "--screening",
        type=list[PLUGIN] | None,
        default=None,
        metavar="[SCREENING,...]",
        help="what site banks pass before, one after the other, as [finite_and_norm, site_zscore]; none if left out, "
        "which a folder refuses whose last version was screened",
    )
    parser.add_argument("--seed", type=int | None, default=None, help="decides every random choice; 0 if left out")
    return parser
