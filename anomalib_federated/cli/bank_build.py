"""``anomalib-federated bank build``: the bank of a site that is never online."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from anomalib_federated.bank import describe
from anomalib_federated.cli.bank_table import print_bank
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.federation.settings import SiteSettings
from anomalib_federated.messages.agreement import Agreement


def run(command: str, arguments: Sequence[str]) -> int:
    """Build, save and describe the bank: row for row what the site would send over the network."""
    options = build_parser(command).parse_args(arguments)
    configure_logs()
    settings = SiteSettings.read(options.config)
    agreement = Agreement.from_json(options.agreement.read_text(), source=str(options.agreement))
    settings.quotas.check_agreement(agreement)
    site = settings.make_site(agreement.space)
    try:
        bank = site.build_bank(agreement)
    finally:
        site.close()
    settings.quotas.check_bytes(len(bank.to_bytes()))
    print_bank(str(bank.save(options.output)), describe(bank))
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Build a site's bank into a file, as the federation's agreement asks for it. The file goes to the "
        "centre by any way, which takes it in by 'anomalib-federated bank add'.",
    )
    parser.add_argument("-c", "--config", metavar="FILE", type=Path, required=True, help="site.yaml")
    parser.add_argument("--agreement", metavar="FILE", type=Path, required=True, help="agreement.json, from the centre")
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="file to write")
    return parser
