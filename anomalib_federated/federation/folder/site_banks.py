"""The sites' banks on disk, each with its events before and after: what is interrupted is finished or taken back.

Only one process at a time may write; :meth:`SiteBanks.finish` is the first thing that it does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.federation.folder.errors import FolderError
from anomalib_federated.federation.folder.events import Event, StoredBank
from anomalib_federated.federation.folder.record import Record
from anomalib_federated.files import whole_file
from anomalib_federated.untrusted import shown


class SiteBanks:
    """The folder ``sites/`` of a federation.

    Args:
        path: The folder; made with the first bank.
        record: The federation's journal.
    """

    def __init__(self, path: Path, record: Record) -> None:
        self.path = path
        self.record = record

    def held(self) -> dict[str, StoredBank]:
        """What the banks hold that are in, in the order of the sites' names."""
        statuses = self.record.ledger().sites
        return {name: stored for name in sorted(statuses) if (stored := statuses[name].bank)}

    def store(self, bank: MemoryBank, came: Event) -> None:
        """Write a bank.

        Args:
            bank: The bank.
            came: The event ``in``; the size of the file is put into it.

        Raises:
            OSError: If it cannot be written; the bank before stays.
        """
        with whole_file(self._file(str(came.site))) as beside:
            bank.write(beside)
            if came.bank is not None:
                came = replace(came, bank=replace(came.bank, bytes=beside.stat().st_size))
            self.record.append(replace(came, event="arriving"))
        self.record.append(came)

    def load(self, site: str) -> MemoryBank:
        """The bank of a site that is in; its rows stay in the file, see :meth:`MemoryBank.open`.

        Raises:
            FolderError: If the site is not in, or the file is not the bank that was accepted.
        """
        held = self.held()
        if site not in held:
            raise FolderError(self.absent(site))
        try:
            bank = MemoryBank.open(self._file(site))
        except (BankError, FileNotFoundError) as error:
            msg = (
                f"The bank that was accepted of site '{site}' is lost: {error} Remove the site, or add its file again."
            )
            raise FolderError(msg) from error
        if bank.digest != held[site].digest:
            msg = f"{self._file(site)} is not the bank that was accepted; remove the site, or add its file again."
            raise FolderError(msg)
        return bank

    def absent(self, site: str) -> str:
        """The sentence that a site is not in."""
        return (
            f"There is no bank of site {shown(site)} in {self.path}; sites there: {', '.join(self.held()) or 'none'}."
        )

    def remove(self, site: str) -> None:
        """Delete the bank of a site that is in."""
        self.record.append(Event(event="removing", time=now(), site=site))
        self._finish_removal(site)

    def finish(self) -> None:
        """Bring to an end what a writer that died had begun."""
        for rest in self.path.glob(".*"):  # files that were being written
            rest.unlink()
        for site, event in list(self.record.ledger().unfinished.items()):
            if event.event == "removing":
                self._finish_removal(site)
            elif self._has(event):
                self.record.append(replace(event, event="in"))
            else:
                self.record.append(Event(event="dropped", time=now(), site=site))

    def _has(self, arriving: Event) -> bool:
        """Whether the bank that was being written is the one that is there."""
        try:
            digest = MemoryBank.open(self._file(str(arriving.site))).digest
        except (BankError, FileNotFoundError):
            return False
        return arriving.bank is not None and digest == arriving.bank.digest

    def _finish_removal(self, site: str) -> None:
        self._file(site).unlink(missing_ok=True)
        self.record.append(Event(event="removed", time=now(), site=site))

    def _file(self, site: str) -> Path:
        return self.path / f"{site}.safetensors"


def now() -> datetime:
    """The time for the record; nothing depends on it."""
    return datetime.now(UTC).replace(microsecond=0)
