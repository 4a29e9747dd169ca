"""Parts of configurations that a page shows, read by what reads the whole."""

from importlib import import_module
from pathlib import Path

import yaml

from anomalib_federated.federation.settings import FederationSettings, SiteSettings

OF_DEPLOYMENT = {"federation.yaml": FederationSettings, "site.yaml": SiteSettings}
COMMANDS = {"experiment": "experiment", "trade_off": "experiment", "federated": "federate", "robustness": "attack"}
"""Folder of configurations to the command that reads them."""


def read_part(text: str, *, of: Path, folder: Path) -> None:
    """Put what a page shows into the configuration that it is a part of, and read the whole.

    Args:
        text: YAML; each key at its top replaces that of the configuration.
        of: The configuration.
        folder: Where the whole is written.

    Raises:
        Exception: Whatever the reader has to say against it.
    """
    part = yaml.safe_load(text)
    whole = yaml.safe_load(of.read_text(encoding="utf-8"))
    assert isinstance(part, dict), "It is no mapping of settings"
    file = folder / of.name
    file.write_text(yaml.safe_dump({**whole, **part}), encoding="utf-8")
    if of.parent.name == "deployment":
        OF_DEPLOYMENT[of.name].read(file)
        return
    name = COMMANDS[of.parent.name]
    import_module(f"anomalib_federated.cli.{name}").build_parser(name).parse_args(["--config", str(file)])
