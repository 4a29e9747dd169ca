"""Federated visual inspection: PatchCore across several plants.

The names below are loaded on first use, so that the inspection station can be imported where no training stack
(torch, anomalib, flwr) is installed.

Example:
    >>> import anomalib_federated
    >>> anomalib_federated.MemoryBank.__name__
    'MemoryBank'
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anomalib_federated.bank import MemoryBank

__all__ = ["MemoryBank", "__version__"]

__version__ = version("anomalib-federated")


def __getattr__(name: str) -> object:
    if name == "MemoryBank":
        return import_module("anomalib_federated.bank").MemoryBank
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
