"""The global bank again, out of the banks that sites sent before."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.in_order import in_order
from anomalib_federated.interfaces.strategy import BankStrategy


def merge_site_banks(
    banks: Iterable[MemoryBank], strategy: BankStrategy, *, without: Collection[str] = ()
) -> MemoryBank:
    """Aggregate stored site banks, leaving some sites out.

    What is left out leaves no trace: the result is that of a federation which the site never joined. How well it covers
    the sites' patches is not known until they measure it.

    Args:
        banks: One bank per site, in any order.
        strategy: Aggregates them.
        without: Names of sites to leave out.

    Raises:
        BankError: If a site to leave out sent no bank (the error lists those that did), nothing is left, or the banks
            do not fit together.

    Example:
        >>> from anomalib_federated import registry
        >>> from anomalib_federated.testing import example_bank
        >>> banks = [example_bank(site="a"), example_bank(site="b", seed=1)]
        >>> merge_site_banks(banks, registry.build("strategy", "concatenate"), without=["b"]).sites
        ('a',)
    """
    banks = list(banks)
    sites = {site for bank in banks for site in bank.sites}
    if unknown := sorted(set(without) - sites):
        msg = f"There is no bank of site '{unknown[0]}' to leave out; the sites are {', '.join(sorted(sites))}."
        raise BankError(msg)
    for bank in banks:
        if len(bank.sites) > 1:
            msg = f"A bank holds rows of several sites ({', '.join(bank.sites)}); merge the banks that the sites sent."
            raise BankError(msg)
    left = [bank for bank in banks if bank.sites[0] not in set(without)]
    if not left:
        msg = "No bank is left to merge; leave fewer sites out."
        raise BankError(msg)
    return in_order(strategy.merge(map(in_order, left)))
