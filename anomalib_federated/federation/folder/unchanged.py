"""Whether aggregating again would make anything new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from anomalib_federated import __version__
from anomalib_federated.bank import BankError
from anomalib_federated.federation.folder.errors import FolderError
from anomalib_federated.federation.folder.federation_folder import FederationFolder
from anomalib_federated.federation.folder.recipe import plain
from anomalib_federated.federation.folder.version import Version


def unchanged_version(
    folder: FederationFolder,
    *,
    spec: str | Mapping[str, Any],
    seed: int,
    screening: Iterable[str | Mapping[str, Any]] = (),
) -> Version | None:
    """The last version of the global bank, if the next would be made of the same banks in the same way.

    Equal banks, strategy, screenings and seed give equal versions, as long as the release is the same: another one may
    choose otherwise.

    Args:
        folder: The federation's folder.
        spec: What the strategy is built from, as :meth:`FederationFolder.aggregate` takes it.
        seed: The strategy's.
        screening: What its screenings are built from, likewise.

    Returns:
        The version; ``None`` if there is none, something differs, or its bank is damaged.

    Raises:
        FolderError: If the record of a version is not valid.
        PluginError: If ``spec`` is no such thing.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from anomalib_federated import registry
        >>> from anomalib_federated.messages.agreement import Agreement
        >>> from anomalib_federated.testing import example_bank
        >>> bank = example_bank(site="plant-a")
        >>> with TemporaryDirectory() as path:
        ...     folder = FederationFolder.create(path, Agreement(space=bank.space, dtype="float32"))
        ...     came = folder.accept(bank, site="plant-a", via="file")
        ...     made = folder.aggregate(registry.build("strategy", "concatenate"), spec="concatenate")
        ...     unchanged_version(folder, spec="concatenate", seed=0) == made
        True
    """
    versions = folder.versions()
    if not versions:
        return None
    last, strategy = versions[-1], to_jsonable_python(plain(spec, "strategy"))
    screenings = tuple(to_jsonable_python(plain(each, "screening")) for each in screening)
    held = {site: status.bank.digest for site, status in folder.statuses().items() if status.bank}
    went_in = {site: bank.digest for site, bank in last.sites.items()}
    made, wanted = (last.strategy, last.screening, last.seed, last.package), (strategy, screenings, seed, __version__)
    if made != wanted or went_in != held:
        return None
    try:
        folder.version_bank(last.number)
    except (BankError, FolderError, FileNotFoundError):
        return None
    return last
