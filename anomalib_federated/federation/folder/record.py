"""What the journal says, kept up to date while others write to it."""

from __future__ import annotations

import threading
from pathlib import Path

from anomalib_federated.federation.folder.events import Event
from anomalib_federated.federation.folder.journal import Journal
from anomalib_federated.federation.folder.site_status import Ledger


class Record:
    """The journal and what follows from it; threads may share it.

    Args:
        path: File of the journal.

    Raises:
        FolderError: If the journal is damaged or of another version.
        FileNotFoundError: If there is none.
    """

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)
        self._ledger = Ledger()
        self._mutex = threading.Lock()
        self.ledger()

    def ledger(self) -> Ledger:
        """Where all stand now."""
        with self._mutex:
            self._ledger.replay(self._journal.read())
            return self._ledger.copy()

    def append(self, event: Event) -> None:
        """Add an event; only one process at a time may.

        Raises:
            OSError: If it cannot be written.
        """
        with self._mutex:
            self._journal.append(event)
            self._ledger.replay(self._journal.read())
