"""``--data`` and ``--model``: a class each with its settings, for commands that train or measure a detector."""

from __future__ import annotations

from jsonargparse import ArgumentParser

from anomalib_federated.data import AutoVI
from anomalib_federated.models import FederatedPatchcore


def add_data(parser: ArgumentParser) -> None:
    """Add ``--data``: pictures in AutoVI's layout, unless a configuration names a subclass."""
    _add_class(
        parser,
        "data",
        AutoVI,
        default="anomalib_federated.data.AutoVI",
        title="data",
        told="pictures; their settings follow one by one: --data.root DIR, --data.categories [NAME,...] and more",
    )


def add_model(parser: ArgumentParser) -> None:
    """Add ``--model``: the detector, unless a configuration names a subclass."""
    _add_class(
        parser,
        "model",
        FederatedPatchcore,
        default="anomalib_federated.models.FederatedPatchcore",
        title="detector",
        told="detector; its settings follow one by one: --model.budget ROWS, --model.coreset NAME and more",
    )


def _add_class(parser: ArgumentParser, name: str, base: type, *, default: str, title: str, told: str) -> None:
    parser.add_subclass_arguments(base, name, default={"class_path": default}, metavar="CLASS", help=told)
    parser.groups[name].title = title
