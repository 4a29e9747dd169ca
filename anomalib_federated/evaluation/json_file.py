"""Files of figures beside others: JSON, written whole, validated when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from anomalib_federated.files import write_file
from anomalib_federated.first_problem import first_problem

T = TypeVar("T")


class JsonFile(Generic[T]):
    """A kind of file.

    Args:
        content: Dataclass of what such a file holds.
        what: What it is called in errors, such as ``fairness.json of this package``.
        error: What is raised if a file is unusable.
        mend: What to do then, such as ``measure again``.
    """

    def __init__(self, content: type[T], *, what: str, error: type[Exception], mend: str) -> None:
        self._adapter = TypeAdapter(content)
        self._what, self._error, self._mend = what, error, mend

    def plain(self, content: T) -> dict[str, Any]:
        """What such a file holds, as JSON values."""
        values: dict[str, Any] = self._adapter.dump_python(content, mode="json")
        return values

    def write(self, path: Path, content: T) -> Path:
        """Write a file, which appears only when it is complete.

        Returns:
            The path.
        """
        return write_file(path, json.dumps(self.plain(content), indent=2, allow_nan=False).encode())

    def read(self, path: Path) -> T:
        """Read what :meth:`write` wrote.

        Raises:
            Exception: The one given, if the file is none of ours.
            FileNotFoundError: If there is none.
        """
        content = path.read_bytes()
        try:
            return self._adapter.validate_python(json.loads(content))  # which names the field of a NaN
        except ValidationError as error:
            msg = f"{path} is no {self._what}: {first_problem(error)}; {self._mend}."
            raise self._error(msg) from error
        except ValueError as error:
            msg = f"{path} is no JSON: {error}; {self._mend}."
            raise self._error(msg) from error
