"""``anomalib-federated inspect``: the inspection station."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.deploy import station


def run(command: str, arguments: Sequence[str]) -> int:
    """Hand over to the station, which has a command line of its own and needs no training stack."""
    del command
    return station.main(arguments)
