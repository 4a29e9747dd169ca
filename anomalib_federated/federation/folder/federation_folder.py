"""The folder in which the centre of a federation keeps all that it must not lose.

```
FOLDER/agreement.json                     what the sites are asked for
FOLDER/events.jsonl                       what happened, one JSON object a line
FOLDER/sites/<site>.safetensors           each site's present bank, as accepted
FOLDER/versions/0001/bank.safetensors     the global bank, with version.json: what went into it, and how
```

A process may be killed at any moment: files are renamed into place when they are complete, and the journal says before
and after what is done to a bank, so that the next writer finishes it or takes it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from anomalib_federated import __version__
from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.in_order import in_order
from anomalib_federated.bank.validation import check_names
from anomalib_federated.federation.folder.agreement_file import AGREEMENT, read_agreement, settle_agreement
from anomalib_federated.federation.folder.errors import FolderError
from anomalib_federated.federation.folder.events import FORMAT, Event, Note, StoredBank
from anomalib_federated.federation.folder.journal import begin
from anomalib_federated.federation.folder.recipe import plain, plain_chain, strategy_of
from anomalib_federated.federation.folder.record import Record
from anomalib_federated.federation.folder.site_banks import SiteBanks, now
from anomalib_federated.federation.folder.site_status import SiteStatus
from anomalib_federated.federation.folder.version import Version
from anomalib_federated.federation.folder.versions import Versions
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.sole_writer import sole_writer
from anomalib_federated.untrusted import shown

EVENTS, SITES, VERSIONS = "events.jsonl", "sites", "versions"
LONGEST_REASON = 500
"""Characters of a reason that are kept."""


class FederationFolder:
    """A federation at its centre, to be had by :meth:`create` or :meth:`open`; threads and processes may share it.

    Attributes:
        path: The folder.
        agreement: What the sites are asked for.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from anomalib_federated import registry
        >>> from anomalib_federated.testing import example_bank
        >>> bank = example_bank(site="plant-a", rows=6)
        >>> with TemporaryDirectory() as path:
        ...     folder = FederationFolder.create(path, Agreement(space=bank.space, dtype="float32"))
        ...     came = folder.accept(bank, site="plant-a", via="file")
        ...     version = folder.aggregate(registry.build("strategy", "concatenate"), spec="concatenate")
        ...     came, version.number, version.rows, folder.statuses()["plant-a"].state
        (True, 1, 6, 'in')
    """

    def __init__(self, path: Path, agreement: Agreement) -> None:
        self.path = path
        self.agreement = agreement
        self._record = Record(path / EVENTS)
        self._banks = SiteBanks(path / SITES, self._record)
        self._versions = Versions(path / VERSIONS)

    @classmethod
    def create(cls, path: str | Path, agreement: Agreement) -> FederationFolder:
        """Make a folder, or open one of an equal agreement.

        Raises:
            FolderError: If the folder is of another agreement (the error names the fields), holds other things, or
                cannot be opened.
            OSError: If it cannot be made.
        """
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        with sole_writer(path):
            settle_agreement(path, agreement)
            begin(path / EVENTS, Event(event="created", time=now(), format=FORMAT))
            return cls(path, agreement)

    @classmethod
    def open(cls, path: str | Path) -> FederationFolder:
        """Open a folder that is there; who only looks at it needs no right to write.

        Raises:
            FolderError: If it is none, was written by another version, or is damaged.
            MessageError: If its agreement is damaged.
        """
        path = Path(path)
        if missing := [name for name in (AGREEMENT, EVENTS) if not (path / name).is_file()]:
            msg = f"{path} is not the folder of a federation: it has no {' and no '.join(missing)}."
            raise FolderError(msg)
        return cls(path, read_agreement(path))

    def accept(
        self, bank: MemoryBank, *, site: str, via: Literal["flower", "file"], node: int | None = None, sent: int = 0
    ) -> bool:
        """Take in a site's bank, in place of the one before.

        Args:
            bank: The bank; not trusted.
            site: Name of the site that sent it.
            via: How it came.
            node: Id of the Flower node that sent it.
            sent: Bytes of bank that travelled.

        Returns:
            Whether it is new: false if the site had sent the very same bank before.

        Raises:
            BankError: If it holds rows of others, is not what was agreed, or another site has nearly the same name; the
                bank before stays.
            FolderError: If the site was removed and its bank comes over Flower: who was taken out does not come back by
                staying connected, only if somebody at the centre adds its file.
            OSError: If it cannot be stored; the bank before stays.
        """
        if bank.sites != (site,):
            msg = f"Site {shown(site)} sent rows that it says are of {', '.join(bank.sites)}."
            raise BankError(msg)
        self.agreement.check(bank)
        bank = in_order(bank)
        images = sum(item.images for item in bank.contributions)
        stored = StoredBank(digest=bank.digest, rows=len(bank), bytes=0, images=images)
        came = Event(event="in", time=now(), site=site, node=node, via=via, sent=sent, bank=stored)
        with self._writing():
            check_names("sites", sorted({*self._banks.held(), site}))
            status = self._record.ledger().sites.get(site)
            if status and status.state == "removed" and via == "flower":
                msg = f"Site '{site}' was removed, so its bank is refused; to have it back, let it send a file to add."
                raise FolderError(msg)
            new = status is None or status.bank is None or status.bank.digest != stored.digest
            self._banks.store(bank, came)  # one that is there already, too: its file may have been damaged
        return new

    def note(self, event: Note, *, site: str | None = None, node: int | None = None, reason: str = "") -> None:
        """Note something that left the banks as they are.

        Args:
            event: What, see :mod:`anomalib_federated.federation.folder.events`.
            site: To which site, if its name is known.
            node: Id of the Flower node.
            reason: Why; of a long one the beginning is kept.

        Raises:
            ValueError: If neither site nor node is given, or the site's name is impossible.
            OSError: If it cannot be written.
        """
        # Half of a pair of surrogates is in no encoding.
        reason = reason[:LONGEST_REASON].encode("utf-8", "backslashreplace").decode()
        noted = Event(event=event, time=now(), site=site, node=node, reason=reason)
        with self._writing():
            self._record.append(noted)

    def statuses(self) -> dict[str, SiteStatus]:
        """Where each site stands, in the order of names."""
        return dict(sorted(self._record.ledger().sites.items()))

    def unnamed_nodes(self) -> dict[int, SiteStatus]:
        """Where each Flower node stands that has not named its site yet, by its id."""
        return dict(sorted(self._record.ledger().unnamed.items()))

    def sites(self) -> tuple[str, ...]:
        """Names of the sites that are in, in order."""
        return tuple(self._banks.held())

    def bank(self, site: str) -> MemoryBank:
        """The present bank of a site that is in.

        Raises:
            FolderError: If the site is not in, or the file is not the bank that was accepted.
        """
        with self._writing():
            return self._banks.load(site)

    def aggregate(
        self,
        strategy: BankStrategy,
        *,
        spec: str | Mapping[str, Any],
        screening: Iterable[str | Mapping[str, Any]] = (),
    ) -> Version:
        """Make the next version of the global bank out of the banks of all sites that are in.

        The rows of the banks stay on disk. How many memory must hold at a time is up to the strategy: ``concatenate``
        needs all, those that select need some megabytes.

        Args:
            strategy: Aggregates them, after its screenings.
            spec: What it was built from: its name, or ``class_path`` and ``init_args``. It is kept with the version, so
                that the same can be done again.
            screening: What its screenings were built from, likewise.

        Raises:
            FolderError: If no site is in, or a bank is not the one that was accepted.
            BankError: If the strategy refuses the banks.
            FederationError: If the screenings leave no row of a category.
            PluginError: If ``spec`` or ``screening`` is no such thing, or other screenings are set.
            OSError: If the version cannot be written; none is made then.
        """
        with self._writing():
            return self._aggregate(strategy, plain(spec, "strategy"), plain_chain(strategy, screening))

    def keep(self, bank: MemoryBank, strategy: BankStrategy, *, spec: str | Mapping[str, Any]) -> Version:
        """Keep a global bank that was made of something else than banks of sites as the next version.

        No site can be taken out of it again, and :meth:`aggregate_again` does not make it again.

        Args:
            bank: The bank.
            strategy: What made it.
            spec: As for :meth:`aggregate`.

        Raises:
            PluginError: If ``spec`` is no such thing.
            OSError: If the version cannot be written; none is made then.
        """
        with self._writing():
            return self._add_version(in_order(bank), strategy, plain(spec, "strategy"), sites={})

    def aggregate_again(self) -> Version:
        """Make the next version as the last one was made.

        Raises:
            FolderError: If there is no version yet; or as :meth:`aggregate` does.
            PluginError: If the strategy or a screening is not installed any more.
        """
        with self._writing():
            versions = self.versions()
            if not versions:
                msg = f"{self.path} has no version of the global bank yet, so no strategy is known; name one."
                raise FolderError(msg)
            return self._aggregate(strategy_of(versions[-1]), versions[-1].strategy, versions[-1].screening)

    def remove_site(self, site: str, *, purge: bool = False) -> Version | None:
        """Forget a site: delete its bank, and make the next version without it.

        That version equals, digest for digest, the one of a federation that never had the site. The journal still tells
        that it was there.

        Args:
            site: Name of the site.
            purge: Also delete the versions that its bank went into.

        Returns:
            The new version; ``None`` if no version held the site's rows last, or no other site is in.

        Raises:
            FolderError: If the folder holds nothing of the site.
            FederationError: If the screenings leave no row of a category without it; the site is removed all the same.
            PluginError: If the last version's strategy or a screening is not installed any more; nothing is deleted
                then.
        """
        with self._writing():
            versions, stored = self.versions(), site in self._banks.held()
            holding = [version for version in versions if site in version.sites]
            if not stored and not (purge and holding):
                numbers = ", ".join(str(version.number) for version in holding)
                held = f" Versions {numbers} hold rows of it; --purge deletes them." if holding else ""
                raise FolderError(self._banks.absent(site) + held)
            last = versions[-1] if versions and site in versions[-1].sites else None
            strategy = strategy_of(last) if last else None
            if stored:
                self._banks.remove(site)
            try:
                if strategy is None or last is None or not self.sites():
                    return None
                return self._aggregate(strategy, last.strategy, last.screening)
            finally:  # also if the banks that are left make no bank together
                for version in holding if purge else []:
                    self._versions.delete(version.number)

    def versions(self) -> list[Version]:
        """The versions of the global bank, by number; see :meth:`Versions.all`."""
        return self._versions.all()

    def version_path(self, number: int) -> Path:
        """File of a version's bank."""
        return self._versions.bank_path(number)

    def version_bank(self, number: int) -> MemoryBank:
        """The global bank of a version, see :meth:`Versions.bank`."""
        return self._versions.bank(number)

    def record_measurement(
        self, number: int, bank: MemoryBank, *, radius: Mapping[str, float], by: Mapping[str, Iterable[str]]
    ) -> Version:
        """Note how well a version's bank covers the sites' patches, see :meth:`Versions.record_measurement`."""
        with self._writing():
            return self._versions.record_measurement(number, bank, radius=radius, by=by)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the only one that writes, after what another left unfinished is brought to an end."""
        with sole_writer(self.path):
            self._banks.finish()
            yield

    def _aggregate(
        self, strategy: BankStrategy, spec: dict[str, Any], screening: tuple[dict[str, Any], ...]
    ) -> Version:
        sites = self._banks.held()
        if not sites:
            msg = f"No site's bank is in {self.path}, so there is nothing to aggregate; collect or add banks first."
            raise FolderError(msg)
        bank = in_order(strategy.merge(self._banks.load(site) for site in sites))
        return self._add_version(bank, strategy, spec, sites=sites, screening=screening)

    def _add_version(
        self,
        bank: MemoryBank,
        strategy: BankStrategy,
        spec: dict[str, Any],
        *,
        sites: dict[str, StoredBank],
        screening: tuple[dict[str, Any], ...] = (),
    ) -> Version:
        number = 1 + max([self._record.ledger().last_version, *(version.number for version in self.versions())])
        version = Version(
            number=number,
            time=now(),
            strategy=spec,
            seed=strategy.seed,
            package=__version__,
            digest=bank.digest,
            rows=len(bank),
            sites=sites,
            screening=screening,
            refused=strategy.refused,
        )
        self._record.append(Event(event="aggregating", time=now(), version=number))
        self._versions.add(version, bank)
        return version
