"""Runs the checks of a kind of plugin: ``CHECKS`` of the module of its name beside this one."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from anomalib_federated import registry


class Check(Protocol):
    """One promise of a kind of plugin; its name says which.

    It takes the plugin's class and raises an ``AssertionError`` that says what was expected.
    """

    __name__: str

    def __call__(self, plugin: type[Any], /) -> None:
        """Check the plugin."""


def checks(kind: str) -> list[Check]:
    """The checks of a kind, the simplest first.

    Args:
        kind: Kind of plugin, such as ``coreset``.

    Raises:
        PluginError: If there is no such kind.
    """
    base = registry.interface(kind)

    def fits_the_interface(plugin: type[Any]) -> None:
        """It is a class that implements all of its kind's interface, with the same arguments."""
        try:
            registry.check_class(kind, plugin, f"The class {getattr(plugin, '__name__', repr(plugin))}")
        except registry.PluginError as error:
            msg = f"a {kind} must implement {base.__name__}: {error}"
            raise AssertionError(msg) from error

    # Only these: checks of explainers take a network, which takes seconds to import.
    module = import_module(f"anomalib_federated.testing.{kind}")
    return [fits_the_interface, *module.CHECKS]


def check_plugin(kind: str, plugin: type[Any]) -> None:
    """Run every check of a kind on a plugin.

    Args:
        kind: Kind of plugin, such as ``coreset``.
        plugin: The plugin's class. Coresets are constructed with ``plugin(budget=...)``, the others with ``plugin()``.

    Raises:
        PluginError: If there is no such kind.
        AssertionError: At the first check that fails; the error names the plugin and the check, and says what was
            expected.
    """
    for check in checks(kind):
        label = f"{getattr(plugin, '__name__', repr(plugin))} fails the {kind} check '{check.__name__}'"
        try:
            check(plugin)
        except AssertionError as error:
            msg = f"{label}: {error}"
            raise AssertionError(msg) from error
        except Exception as error:
            msg = f"{label}: it raised {type(error).__name__}: {error}"
            raise AssertionError(msg) from error
