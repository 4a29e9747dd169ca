"""The rows of ``results.json``: one per method and category."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from anomalib_federated.files import write_file


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """What one method reached on one category.

    Attributes:
        method: Name of the method.
        category: Name of the category.
        image_auroc: Image AUROC; ``None`` where the test set does not define it.
        average_precision: Image average precision, likewise.
        auspro: AUC-sPRO by limit of the false positive rate ("0.01", "0.05", ...), likewise.
        bank_rows: Rows of the category's bank.
        covering_radius: Largest distance of a training patch of any site to its nearest bank row.
        bytes_sent: Bytes of bank that all sites together sent; 0 if nothing had to be sent.
    """

    method: str
    category: str
    image_auroc: float | None
    average_precision: float | None
    auspro: dict[str, float] | None
    bank_rows: int
    covering_radius: float
    bytes_sent: int


def write_results(path: Path, rows: Sequence[ResultRow]) -> Path:
    """Write rows as JSON; the file appears only when it is complete."""
    return write_file(path, json.dumps([asdict(row) for row in rows], indent=2, allow_nan=False).encode())


def read_results(path: Path) -> list[ResultRow]:
    """Read what :func:`write_results` wrote."""
    return [ResultRow(**row) for row in json.loads(path.read_bytes())]
