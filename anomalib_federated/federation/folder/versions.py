"""The versions of the global bank on disk: a folder each, which appears when it is complete."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import ValidationError

from anomalib_federated.bank import MemoryBank
from anomalib_federated.federation.folder.errors import FolderError, first_problem
from anomalib_federated.federation.folder.version import FORMAT, VERSION, Measurement, Version
from anomalib_federated.files import write_file
from anomalib_federated.untrusted import read_json, said, shown

BANK, RECORD = "bank.safetensors", "version.json"


class Versions:
    """The folder ``versions/`` of a federation; only one process at a time may write to it.

    Args:
        path: The folder; made with the first version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[Version]:
        """The versions that are there, by number.

        Raises:
            FolderError: If a record is not valid; the error names the file.
        """
        return sorted(
            (_read(folder / RECORD) for folder in self._folders() if folder.name.isdecimal()),
            key=lambda version: version.number,
        )

    def get(self, number: int) -> Version:
        """One of them.

        Raises:
            FolderError: If it is not there, or its record is not valid.
        """
        record = self._folder(number) / RECORD
        if not record.is_file():
            there = ", ".join(str(version.number) for version in self.all()) or "none"
            msg = f"There is no version {number} in {self.path}; versions there: {there}."
            raise FolderError(msg)
        return _read(record)

    def bank_path(self, number: int) -> Path:
        """File of a version's bank."""
        return self._folder(number) / BANK

    def bank(self, number: int) -> MemoryBank:
        """A version's bank.

        Raises:
            FolderError: If it is not there, or is not the bank of the record.
            BankError: If it is no valid bank.
        """
        version = self.get(number)
        bank = MemoryBank.load(self.bank_path(number))
        # A measurement is written into the record first, then into the bank.
        if bank.digest not in {version.digest, version.measured.digest if version.measured else None}:
            msg = (
                f"{self.bank_path(number)} is not the bank that was aggregated; restore it, or aggregate a new version."
            )
            raise FolderError(msg)
        return bank

    def add(self, version: Version, bank: MemoryBank) -> None:
        """Write a version."""
        self.path.mkdir(exist_ok=True)
        self._sweep()
        folder = Path(tempfile.mkdtemp(prefix=".", dir=self.path))
        try:
            bank.save(folder / BANK)
            _write(folder / RECORD, version)
            folder.chmod(0o755)
            folder.replace(self._folder(version.number))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def record_measurement(
        self, number: int, bank: MemoryBank, *, radius: Mapping[str, float], by: Mapping[str, Iterable[str]]
    ) -> Version:
        """Note how well a version's bank covers the sites' patches.

        Args:
            number: Of the version.
            bank: The version's bank with its covering radius and weights as measured.
            radius: Per category, the largest that a site measured.
            by: Per category, the sites that measured.

        Raises:
            FolderError: If there is no such version, or the bank differs in more than radius and weights.
        """
        version = self.get(number)
        if _unmeasured(bank).digest != _unmeasured(self.bank(number)).digest:
            msg = f"What was measured is not the bank of version {number} in {self.path}; measure that one."
            raise FolderError(msg)
        measured = Measurement(
            digest=bank.digest,
            radius=dict(sorted(radius.items())),
            by={category: tuple(sites) for category, sites in sorted(by.items())},
        )
        version = replace(version, measured=measured)
        _write(self._folder(number) / RECORD, version)
        bank.save(self.bank_path(number))
        return version

    def delete(self, number: int) -> None:
        """Delete a version."""
        folder = self._folder(number)
        # Out of sight at once; if this process dies then, the next sweep deletes it.
        shutil.rmtree(folder.replace(folder.with_name(f".{folder.name}")))

    def _sweep(self) -> None:
        """Delete what a process that died left behind."""
        for folder in self._folders():
            if folder.name.startswith("."):
                shutil.rmtree(folder)

    def _folders(self) -> list[Path]:
        return list(self.path.iterdir()) if self.path.is_dir() else []

    def _folder(self, number: int) -> Path:
        return self.path / f"{number:04d}"


def _unmeasured(bank: MemoryBank) -> MemoryBank:
    return replace(bank, covering_radius={}, weights=torch.ones_like(bank.weights))


def _read(path: Path) -> Version:
    try:
        return _parse(path)
    except (ValueError, OSError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else said(str(error))
        msg = f"{path} is no record of a version: {problem}; restore it, or delete its folder."
        raise FolderError(msg) from error


def _parse(path: Path) -> Version:
    data = path.read_bytes()
    found = read_json(data)
    if isinstance(found, dict) and "format" in found and found["format"] != FORMAT:
        msg = f"it is written in format {shown(found['format'])}, this version of anomalib-federated reads {FORMAT}"
        raise ValueError(msg)
    version = VERSION.validate_json(data)
    if path.parent.name != f"{version.number:04d}":
        msg = f"it says that it is of version {version.number}"
        raise ValueError(msg)
    return version


def _write(path: Path, version: Version) -> None:
    write_file(path, VERSION.dump_json(version, indent=2) + b"\n")
