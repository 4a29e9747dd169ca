"""``fairness.json``: what a method reached in the groups of a category's pictures, beside its ``metrics.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anomalib_federated.evaluation.fairness.figures import Fairness
from anomalib_federated.evaluation.json_file import JsonFile
from anomalib_federated.evaluation.results import METRICS, ResultError, result_folder

FILE = "fairness.json"

_FILES = JsonFile(Fairness, what=f"{FILE} of this package", error=ResultError, mend="measure again")


def write_fairness(output: Path, fairness: Fairness) -> Path:
    """Write ``<output>/metrics/<method>/<category>/fairness.json``; it appears only when it is complete.

    Returns:
        The file.
    """
    return _FILES.write(result_folder(output, fairness.method, fairness.category) / FILE, fairness)


def read_fairness(path: Path) -> Fairness:
    """Read what :func:`write_fairness` wrote.

    Raises:
        ResultError: If the file is none of ours.
    """
    return _FILES.read(path)


def read_all_fairness(folder: Path) -> list[Fairness]:
    """All that lie below a folder, of one run or of several seeds, sorted by method, category and seed; may be none.

    Raises:
        ResultError: If a file is unusable, or two are of the same method, category and seed.
    """
    found: dict[tuple[str, str, int], Fairness] = {}
    for path in sorted(folder.glob(f"**/{METRICS}/*/*/{FILE}")):
        fairness = read_fairness(path)
        key = (fairness.method, fairness.category, fairness.seed)
        if key in found:
            msg = f"{path} tells of {key} what another file below {folder} tells too; give a folder of one experiment."
            raise ResultError(msg)
        found[key] = fairness
    return [found[key] for key in sorted(found)]


def of_cell(every: Sequence[Fairness], method: str, category: str) -> list[Fairness]:
    """Those of one method and category, by seed."""
    return [fairness for fairness in every if (fairness.method, fairness.category) == (method, category)]
