"""``faithfulness.json``: how faithful explanations of a category are, in the folder of these explanations."""

from __future__ import annotations

from pathlib import Path

from anomalib_federated.evaluation.faithfulness.figures import FaithfulnessResult
from anomalib_federated.evaluation.json_file import JsonFile
from anomalib_federated.evaluation.results import ResultError
from anomalib_federated.explanations.explanation_file import INTERPRETABILITY

FILE = "faithfulness.json"

_FILES = JsonFile(FaithfulnessResult, what=f"{FILE} of this package", error=ResultError, mend="measure again")


def write_faithfulness(output: Path, result: FaithfulnessResult) -> Path:
    """Write ``<output>/interpretability/<category>/faithfulness.json``; it appears only when it is complete.

    Returns:
        The file.
    """
    return _FILES.write(output / INTERPRETABILITY / result.category / FILE, result)


def read_faithfulness(path: Path) -> FaithfulnessResult:
    """Read what :func:`write_faithfulness` wrote.

    Raises:
        ResultError: If the file is none of ours.
    """
    return _FILES.read(path)


def read_all_faithfulness(folder: Path) -> list[FaithfulnessResult]:
    """All that lie below a folder, sorted by category and path; may be none.

    Raises:
        ResultError: If a file is unusable.
    """
    paths = sorted(folder.glob(f"**/{INTERPRETABILITY}/*/{FILE}"))
    return sorted((read_faithfulness(path) for path in paths), key=lambda result: result.category)
