"""``agreement.json``: what the sites of a federation are asked for, once and for all."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from anomalib_federated.federation.folder.errors import FolderError
from anomalib_federated.files import write_file
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.untrusted import shown

AGREEMENT = "agreement.json"


def read_agreement(folder: Path) -> Agreement:
    """The agreement of a federation's folder.

    Raises:
        FileNotFoundError: If there is none.
        MessageError: If it is damaged; a ``ValueError``.
    """
    file = folder / AGREEMENT
    return Agreement.from_json(file.read_text(), source=str(file))


def settle_agreement(folder: Path, agreement: Agreement) -> None:
    """Write the agreement into an empty folder, or make sure that the folder's is equal.

    Files whose name begins with a dot do not count.

    Raises:
        FolderError: If the folder is of another agreement (the error names the fields), or holds other things.
    """
    held = sorted(item.name for item in folder.iterdir() if not item.name.startswith("."))
    if held and AGREEMENT not in held:
        msg = f"{folder} holds other things ({shown(held[0])}), so no federation is kept there; name a new folder."
        raise FolderError(msg)
    if not held:
        write_file(folder / AGREEMENT, agreement.to_json().encode())
    if differing := _differences(read_agreement(folder), agreement):
        msg = f"{folder} is a federation of another agreement: {differing}; set the same, or name a new folder."
        raise FolderError(msg)


def _differences(ours: Agreement, theirs: Agreement) -> str:
    """The fields in which two agreements differ, in words."""
    pairs = {item.name: (getattr(ours, item.name), getattr(theirs, item.name)) for item in fields(Agreement)}
    space = ours.space.differences(theirs.space)
    others = [f"{name} is {a!r} and {b!r}" for name, (a, b) in pairs.items() if name != "space" and a != b]
    return ", ".join([space, *others] if space else others)
