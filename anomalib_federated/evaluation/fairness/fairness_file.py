"""``fairness.json``: what a method reached in the groups of a category's pictures, beside its ``metrics.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from anomalib_federated.evaluation.fairness.figures import Fairness
from anomalib_federated.evaluation.first_problem import first_problem
from anomalib_federated.evaluation.results import METRICS, ResultError, result_folder
from anomalib_federated.files import write_file

FILE = "fairness.json"

_FAIRNESS = TypeAdapter(Fairness)


def write_fairness(output: Path, fairness: Fairness) -> Path:
    """Write ``<output>/metrics/<method>/<category>/fairness.json``; it appears only when it is complete.

    Returns:
        The file.
    """
    path = result_folder(output, fairness.method, fairness.category) / FILE
    content = _FAIRNESS.dump_python(fairness, mode="json")
    return write_file(path, json.dumps(content, indent=2, allow_nan=False).encode())


def read_fairness(path: Path) -> Fairness:
    """Read what :func:`write_fairness` wrote.

    Raises:
        ResultError: If the file is none of ours.
    """
    try:
        return _FAIRNESS.validate_python(json.loads(path.read_bytes()))
    except ValidationError as error:
        msg = f"{path} is no {FILE} of this package: {first_problem(error)}; measure again."
        raise ResultError(msg) from error
    except ValueError as error:
        msg = f"{path} is no JSON: {error}; measure again."
        raise ResultError(msg) from error


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
