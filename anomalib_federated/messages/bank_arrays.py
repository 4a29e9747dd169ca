"""A bank between the steps of a Flower strategy, whose interface hands on arrays; these never leave the server."""

from __future__ import annotations

from flwr.app import Array, ArrayRecord

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.in_order import in_order

NAME = "bank"


def arrays_of(bank: MemoryBank) -> ArrayRecord:
    """One array: the bytes of the bank's file, its categories in order."""
    data = in_order(bank).to_bytes()
    return ArrayRecord({NAME: Array(dtype="uint8", shape=(len(data),), stype="safetensors", data=data)})


def bank_of(arrays: ArrayRecord) -> MemoryBank:
    """The bank that :func:`arrays_of` was given.

    Raises:
        BankError: If it is no valid bank.
        KeyError: If there is none.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> bank_of(arrays_of(example_bank(category="screw"))).categories
        ('screw',)
    """
    return MemoryBank.from_bytes(arrays[NAME].data, source="The bank of the strategy")
