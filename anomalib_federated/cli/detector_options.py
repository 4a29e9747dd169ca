"""``--data`` and ``--model``: a class each with its settings, for commands that train or measure a detector."""

from __future__ import annotations

from jsonargparse import ArgumentParser

from anomalib_federated.data import AutoVI
from anomalib_federated.models import FederatedPatchcore

DATA = {"class_path": "anomalib_federated.data.AutoVI"}
MODEL = {"class_path": "anomalib_federated.models.FederatedPatchcore"}


def add_data(parser: ArgumentParser) -> None:
    """Add ``--data``: pictures in AutoVI's layout, unless a configuration names a subclass."""
    parser.add_subclass_arguments(
        AutoVI,
        "data",
        default=DATA,
        metavar="CLASS",
        help="pictures; their settings follow one by one: --data.root DIR, --data.categories [NAME,...] and more",
    )
    parser.groups["data"].title = "data"


def add_model(parser: ArgumentParser) -> None:
    """Add ``--model``: the detector, unless a configuration names a subclass."""
    parser.add_subclass_arguments(
        FederatedPatchcore,
        "model",
        default=MODEL,
        metavar="CLASS",
        help="detector; its settings follow one by one: --model.budget ROWS, --model.coreset NAME and more",
    )
    parser.groups["model"].title = "detector"
