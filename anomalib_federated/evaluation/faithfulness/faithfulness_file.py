"""``faithfulness.json``: how faithful explanations of a category are, in the folder of these explanations."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from anomalib_federated.evaluation.faithfulness.figures import FaithfulnessResult
from anomalib_federated.evaluation.first_problem import first_problem
from anomalib_federated.evaluation.results import ResultError
from anomalib_federated.explanations.explanation_file import INTERPRETABILITY
from anomalib_federated.files import write_file

FILE = "faithfulness.json"

_RESULT = TypeAdapter(FaithfulnessResult)


def write_faithfulness(output: Path, result: FaithfulnessResult) -> Path:
    """Write ``<output>/interpretability/<category>/faithfulness.json``; it appears only when it is complete.

    Returns:
        The file.
    """
    path = output / INTERPRETABILITY / result.category / FILE
    content = _RESULT.dump_python(result, mode="json")
    return write_file(path, json.dumps(content, indent=2, allow_nan=False).encode())


def read_faithfulness(path: Path) -> FaithfulnessResult:
    """Read what :func:`write_faithfulness` wrote.

    Raises:
        ResultError: If the file is none of ours.
    """
    try:
        return _RESULT.validate_json(path.read_bytes())
    except ValidationError as error:
        msg = f"{path} is no {FILE} of this package: {first_problem(error)}; measure again."
        raise ResultError(msg) from error


def read_all_faithfulness(folder: Path) -> list[FaithfulnessResult]:
    """All that lie below a folder, sorted by category and path; may be none.

    Raises:
        ResultError: If a file is unusable.
    """
    paths = sorted(folder.glob(f"**/{INTERPRETABILITY}/*/{FILE}"))
    return sorted((read_faithfulness(path) for path in paths), key=lambda result: result.category)
