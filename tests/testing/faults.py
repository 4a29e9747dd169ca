"""Faulty plugins, each noted with the conformance check that must catch it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from anomalib_federated.testing import Check


def faults() -> tuple[list, Callable]:
    """An empty list of faults as pytest parameters ``(check, plugin)``, and a decorator that notes a class in it."""
    noted = []

    def fault(check):
        def note(plugin):
            noted.append(pytest.param(check, plugin, id=plugin.__name__))
            return plugin

        return note

    return noted, fault


def assert_caught_first_by(check: str, plugin: type, checks: Sequence[Check]) -> None:
    """A plugin passes all checks before the one that is about its fault, and fails there."""
    for each in checks:
        if each.__name__ == check:
            with pytest.raises(AssertionError, match=r"\w+"):
                each(plugin)
            return
        each(plugin)
