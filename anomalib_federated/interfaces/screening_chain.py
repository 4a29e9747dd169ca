"""A chain of screenings: each sees what those before it left, and what it refuses is really excluded."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.federation_error import FederationError
from anomalib_federated.interfaces.refused import Refused
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.registry import PluginError
from anomalib_federated.untrusted import said, shown

logger = logging.getLogger(__name__)

Chain: TypeAlias = tuple[tuple[str, Screening], ...]
"""Screenings with their names, in the order in which they are asked."""


def build_chain(specs: Iterable[str | Mapping[str, Any]]) -> Chain:
    """Make the screenings that a config names.

    Args:
        specs: Of each, what :func:`anomalib_federated.registry.build` takes.

    Raises:
        PluginError: If there is no such plugin, or it takes no such arguments. What the plugin itself raises is passed
            on.

    Example:
        >>> [name for name, _ in build_chain(["row_quota", {"class_path": "finite_and_norm"}])]
        ['row_quota', 'finite_and_norm']
    """
    return tuple((registry.name_of(spec, kind="screening"), registry.build("screening", spec)) for spec in specs)


def screen_banks(banks: Sequence[MemoryBank], chain: Chain) -> tuple[list[MemoryBank], tuple[Refused, ...]]:
    """Take out what the screenings of a chain refuse, one category after the other.

    Rows that are refused are gone with all they stood for: nobody takes over their weights. A site has no contribution
    to a category any more of which all its rows were refused, and no bank if that is so of all its categories.

    Args:
        banks: One bank per site, in the order of the sites' names; not changed. Of a site of which nothing is refused,
            the very same bank is given back; of the others, the rows that are left are copied into memory.
        chain: The screenings.

    Returns:
        The banks that are left, and what was refused: by category, then in the order of the chain, then by site.

    Raises:
        FederationError: If no row of a category is left; the error says who refused what, and why.
        PluginError: If a screening's answer is none; the error names the plugin and its distribution.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> banks = [example_bank(site="a", rows=9), example_bank(site="b", rows=30, seed=1)]
        >>> left, refused = screen_banks(banks, build_chain([{"class_path": "row_quota", "init_args": {"most": 20}}]))
        >>> [len(bank) for bank in left], [(each.site, each.rows, each.of) for each in refused]
        ([9, 20], [('b', 10, 30)])
    """
    kept, refused = kept_rows(banks, chain)
    for each in refused:
        logger.info("%s refuses %d of %d rows of site %s, category %s: %s",
                    each.screening, each.rows, each.of, each.site, each.category, each.reason)  # fmt: skip
    left = banks_left(banks, kept)
    _check_something_is_left(banks, left, refused)
    return left, tuple(refused)


def kept_rows(banks: Sequence[MemoryBank], chain: Chain) -> tuple[dict[str, Tensor], list[Refused]]:
    """Which rows a chain lets in, be it none; see :func:`screen_banks`.

    Returns:
        Per site, shape ``(rows of its bank,)``, bool; and what was refused.

    Raises:
        PluginError: If a screening's answer is none.
    """
    refused: list[Refused] = []
    kept = {bank.sites[0]: torch.ones(len(bank), dtype=torch.bool) for bank in banks}
    for category in sorted({name for bank in banks for name in bank.categories}):
        numbers = {
            bank.sites[0]: (bank.row_category == bank.categories.index(category)).nonzero().flatten()
            for bank in banks
            if category in bank.categories
        }
        held = {bank.sites[0]: bank.for_category(category) for bank in banks if category in bank.categories}
        for each, rows in _refusals(held, category, chain):
            kept[each.site][numbers[each.site][rows]] = False
            refused.append(each)
    return kept, refused


def banks_left(banks: Sequence[MemoryBank], kept: Mapping[str, Tensor]) -> list[MemoryBank]:
    """The banks without the rows that were refused; sites of which all were are left out."""
    return [_left(bank, kept[bank.sites[0]]) for bank in banks if bool(kept[bank.sites[0]].any())]


def _left(bank: MemoryBank, kept: Tensor) -> MemoryBank:
    """The bank of the rows that are kept; categories that lost none keep their covering radius."""
    if bool(kept.all()):
        return bank
    touched = {bank.categories[number] for number in torch.unique(bank.row_category[~kept]).tolist()}
    radius = {name: value for name, value in bank.covering_radius.items() if name not in touched}
    return replace(bank.select(kept.nonzero().flatten()), covering_radius=radius)


def _refusals(held: Mapping[str, MemoryBank], category: str, chain: Chain) -> Iterator[tuple[Refused, Tensor]]:
    """What all screenings of a chain refuse of one category, each with the numbers of its rows in the site's bank."""
    left, numbers = dict(held), {site: torch.arange(len(bank)) for site, bank in held.items()}
    for name, screening in chain:
        answer = screening.screen(list(left.values())) if left else []
        _check_answer(answer, left, screening)
        for refusal in sorted(answer, key=lambda each: each.site):
            site, gone = refusal.site, numbers[refusal.site][refusal.rows]
            each = Refused(
                screening=name,
                site=site,
                category=category,
                rows=len(gone),
                of=len(held[site]),
                reason=said(refusal.reason),
            )
            yield each, gone
            numbers[site] = numbers[site][~refusal.rows]
            if len(numbers[site]):
                left[site] = held[site].select(numbers[site])
            else:
                del left[site]


def _check_answer(answer: object, left: Mapping[str, MemoryBank], screening: Screening) -> None:
    if not isinstance(answer, list) or not all(isinstance(each, Refusal) for each in answer):
        raise _fault(screening, f"must answer with a list of Refusal, but gave {shown(answer)}")
    sites = [refusal.site for refusal in answer]
    for refusal in answer:
        if refusal.site not in left:
            raise _fault(
                screening, f"refuses rows of site {shown(refusal.site)}, but was asked about {', '.join(left)}"
            )
        if sites.count(refusal.site) > 1:
            raise _fault(screening, f"refuses rows of site '{refusal.site}' twice; it must name a site once")
        if problem := _problem_of(refusal.rows, len(left[refusal.site])):
            raise _fault(screening, f"refuses rows of site '{refusal.site}' by {problem}")
        if not isinstance(refusal.reason, str) or not refusal.reason.strip():
            raise _fault(screening, f"refuses rows of site '{refusal.site}' without a reason")


def _problem_of(rows: object, n: int) -> str:
    """What is wrong with a mask; empty if nothing is."""
    if not isinstance(rows, Tensor):
        return f"a {type(rows).__name__}, which must be a tensor"
    if rows.dtype != torch.bool or rows.shape != (n,):
        return f"a tensor of {rows.dtype} and shape {tuple(rows.shape)}, which must be torch.bool and ({n},)"
    return "" if bool(rows.any()) else "a mask that names none of them"


def _fault(screening: Screening, what: str) -> PluginError:
    origin = registry.origin_of("screening", type(screening))
    return PluginError(f"The {origin} {what}; have it repaired, or leave it out.")


def _check_something_is_left(
    sent: Sequence[MemoryBank], left: Sequence[MemoryBank], refused: Sequence[Refused]
) -> None:
    """Refuse to go on without a category that sites sent."""
    gone = {name for bank in sent for name in bank.categories} - {name for bank in left for name in bank.categories}
    if not gone:
        return
    category = min(gone)
    whose = "; ".join(
        f"{each.screening} refused {each.rows} of {each.of} rows of {each.site} ({each.reason.rstrip('.')})"
        for each in refused
        if each.category == category
    )
    msg = (
        f"The screenings leave no row of category '{category}': {whose}. Look at what these sites send; then set the "
        "screenings otherwise, leave one out, or wait for more sites."
    )
    raise FederationError(msg)
