"""What a bank tells of itself, as values that JSON knows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import torch

from anomalib_federated.bank.content import stored_of
from anomalib_federated.bank.memory_bank import MemoryBank
from anomalib_federated.bank.promises import by_report
from anomalib_federated.bank.row_groups import rows_by_group

NOTHING_PROMISED = ("Nothing is promised about the pictures: rows can be traced back to single ones.",)


def describe(bank: MemoryBank) -> dict[str, Any]:
    """All that is worth knowing of a bank but its rows.

    Args:
        bank: The bank.

    Returns:
        ``digest``, ``bytes``, ``rows``, ``dtype`` (how the rows are stored: ``int8``, ``float16`` or ``float32``),
        ``space``, ``contributions`` (as the classes of these names have them) and ``categories``: per category its
        ``rows``, the ``coreset`` that chose them, the ``covering_radius`` and ``mean_distance`` over the patches that
        they stand for (``None`` where nobody measured it), both in the full feature space; at how many ``places`` its
        rows count and how many numbers they are ``projected_to`` (``None`` if everywhere, and not at all). And
        ``privacy``: for each group of ``sites`` about which the same was promised, the ``report`` (``None`` if there is
        none) and what it says ``in_words``. ``groups`` has the rows of each group, of each site and category, as
        :func:`anomalib_federated.bank.row_groups.rows_by_group` counts them.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> told = describe(example_bank(rows=4))
        >>> told["categories"]["screw"]["covering_radius"], told["privacy"][0]["report"]
        (0.5, None)
    """
    return {
        "digest": bank.digest,
        "bytes": len(bank.to_bytes()),
        "rows": len(bank),
        "dtype": str(stored_of(bank)["features"].dtype).removeprefix("torch."),
        "space": asdict(bank.space),
        "categories": {category: _describe_category(bank.for_category(category)) for category in bank.categories},
        "contributions": [asdict(item) for item in bank.contributions],
        "groups": [asdict(item) for item in rows_by_group(bank)],
        "privacy": describe_privacy(bank),
    }


def describe_privacy(bank: MemoryBank) -> list[dict[str, Any]]:
    """What was promised about the pictures behind a bank, see :func:`describe`."""
    return [
        {
            "sites": list(sites),
            "report": None if report is None else json.loads(report.to_json()),
            "in_words": list(NOTHING_PROMISED if report is None else report.in_words),
        }
        for report, sites in by_report(bank)
    ]


def _describe_category(bank: MemoryBank) -> dict[str, Any]:
    (category,) = bank.categories
    radius = bank.covering_radius.get(category)
    first, *others = bank.contributions
    # A site's mean is over the rows that it kept, which are these only if it is alone and all of them are here.
    as_kept = not others and first.rows == len(bank) and first.covering_radius == radius
    return {
        "rows": len(bank),
        "coreset": bank.coresets[category],
        "covering_radius": radius,
        "mean_distance": first.mean_distance if as_kept else None,
        "places": None if bank.row_place is None else len(torch.unique(bank.row_place, dim=0)),
        "projected_to": bank.projections[category].shape[1] if category in bank.projections else None,
    }
