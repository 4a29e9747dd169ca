"""What is wrong with a federation folder."""

from __future__ import annotations

from pydantic import ValidationError

from anomalib_federated.untrusted import said


class FolderError(RuntimeError):
    """A federation folder cannot be used so; the message says why and how to mend it."""


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic refuses, in words that a terminal can show."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return said(f"{where}: {problem['msg']}" if where else problem["msg"])
