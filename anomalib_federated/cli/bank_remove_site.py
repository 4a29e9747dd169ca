"""``anomalib-federated bank remove-site``: forget a site."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.refused_table import print_refused
from anomalib_federated.federation.folder import FederationFolder


def run(command: str, arguments: Sequence[str]) -> int:
    """Remove the site, and say what still holds its rows."""
    configure_logs()
    options = build_parser(command).parse_args(arguments)
    folder, console = FederationFolder.open(options.folder), Console(highlight=False, markup=False, soft_wrap=True)
    version = folder.remove_site(options.site, purge=options.purge)
    console.print(f"Site {options.site} is removed.")
    if version is not None:
        console.print(f"Version {version.number}: {folder.version_path(version.number)}, {version.rows} rows.")
        print_refused(version.refused)
    if holding := [str(each.number) for each in folder.versions() if options.site in each.sites]:
        console.print(f"Versions that hold its rows are kept: {', '.join(holding)}. With --purge they are deleted.")
    console.print("Models made of earlier versions, and backups, still hold its rows.", style="dim")
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Delete a site's bank from a federation's folder and make the next version of the global bank as "
        "the last one was made, but without the site: as if it had never been there. The journal still tells its name.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder of a federation")
    parser.add_argument("site", metavar="SITE", help="name of the site")
    parser.add_argument("--purge", action="store_true", help="also delete the versions that the site's bank went into")
    return parser
