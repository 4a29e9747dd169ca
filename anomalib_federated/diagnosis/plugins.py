"""Plugins: how many of each kind, and which cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from anomalib_federated import registry
from anomalib_federated.diagnosis.check import Check


def check_plugins() -> Iterator[Check]:
    """One check per kind. Where there is a training stack, every plugin is loaded; one that fails is a problem."""
    for kind in sorted(registry.INTERFACES):
        try:
            plugins = registry.available(kind)
        except registry.PluginError as error:
            yield Check(
                topic="plugins", name=kind, found="none", problem=_sentence(error), mend="pip uninstall one of them"
            )
            continue
        foreign = sorted({info.distribution for info in plugins.values()} - {"anomalib-federated"})
        yield Check(
            topic="plugins", name=kind, found=f"{len(plugins)}" + (f", also of {', '.join(foreign)}" if foreign else "")
        )
        if find_spec("torch") and find_spec("flwr"):
            yield from _failures(kind, plugins)


def _failures(kind: str, plugins: dict[str, registry.PluginInfo]) -> Iterator[Check]:
    for name, info in plugins.items():
        try:
            registry.load(kind, name)
        except registry.PluginError as error:
            yield Check(
                topic="plugins",
                name=f"{kind} {name}",
                found="cannot be loaded",
                problem=_sentence(error),
                mend=f"pip install --upgrade {info.distribution}, or pip uninstall {info.distribution}",
            )


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".")
