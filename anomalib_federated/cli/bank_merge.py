"""``anomalib-federated bank merge``: the global bank again, out of the banks of sites."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser
from rich.console import Console

from anomalib_federated import registry
from anomalib_federated.bank import BankError, MemoryBank, describe
from anomalib_federated.cli.bank_table import print_bank
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.plugin_option import PLUGIN, plugin_option
from anomalib_federated.federation.merge import merge_site_banks

STRATEGY = "federated_coreset"


def run(command: str, arguments: Sequence[str]) -> int:
    """Merge, save and describe the result."""
    configure_logs()
    options = _parser(command).parse_args(list(arguments))
    banks = _load(options.files)
    budget = {} if options.budget is None else {"budget": options.budget}
    spec = plugin_option(options.strategy, default=STRATEGY)
    strategy = registry.build("strategy", spec, seed=options.seed, **budget)
    merged = merge_site_banks(banks, strategy, without=options.without)
    output = merged.save(options.output)
    print_bank(str(output), describe(merged))
    if set(merged.categories) - set(merged.covering_radius):
        Console().print("How well the new bank covers the sites' patches is not known until the sites measure it.")
    return 0


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


def _parser(command: str) -> ArgumentParser:
    parser = ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Make the global bank again out of the banks that sites sent (federated/sites/ of a federation's "
        "output). A site that is left out leaves no trace.",
    )
    parser.add_argument("files", nargs="+", type=str, metavar="FILE", help="bank of a site")
    parser.add_argument("--without", nargs="+", type=str, default=[], metavar="SITE", help="sites to leave out")
    parser.add_argument("--strategy", type=PLUGIN, default=STRATEGY, help="how site banks become one")
    parser.add_argument(
        "--budget",
        type=int | float | dict[str, int | float] | None,
        default=None,
        help="rows per category, a share of the sites' rows, or {radius: R, rows: MOST}; if left out, the strategy's",
    )
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    return parser
