"""One order of a bank's rows, so that a message and a file bring the same."""

from __future__ import annotations

from anomalib_federated.bank.memory_bank import MemoryBank


def in_order(bank: MemoryBank) -> MemoryBank:
    """The bank that puts the rows of one category below those of another, in alphabetical order.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> in_order(MemoryBank.merge([example_bank(category="screw"), example_bank(category="nut")])).categories
        ('nut', 'screw')
    """
    ordered = list(bank.categories) == sorted(bank.categories)
    if ordered and bool((bank.row_category[1:] >= bank.row_category[:-1]).all()):
        return bank
    return MemoryBank.merge(bank.for_category(category) for category in sorted(bank.categories))
