"""What a bank tells of itself, as values that JSON knows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from anomalib_federated.bank.content import stored_of
from anomalib_federated.bank.memory_bank import MemoryBank


def describe(bank: MemoryBank) -> dict[str, Any]:
    """All that is worth knowing of a bank but its rows.

    Args:
        bank: The bank.

    Returns:
        ``digest``, ``bytes``, ``rows``, ``dtype`` (how the rows are stored: ``int8``, ``float16`` or ``float32``),
        ``space``, ``contributions`` (as the classes of these names have them) and ``categories``: per category its
        ``rows``, the ``coreset`` that chose them, the ``covering_radius`` and ``mean_distance`` over the patches that
        they stand for (``None`` where nobody measured it), both in the full feature space.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> describe(example_bank(rows=4))["categories"]["screw"]
        {'rows': 4, 'coreset': 'example', 'covering_radius': 0.5, 'mean_distance': 0.25}
    """
    return {
        "digest": bank.digest,
        "bytes": len(bank.to_bytes()),
        "rows": len(bank),
        "dtype": str(stored_of(bank)["features"].dtype).removeprefix("torch."),
        "space": asdict(bank.space),
        "categories": {category: _describe_category(bank.for_category(category)) for category in bank.categories},
        "contributions": [asdict(item) for item in bank.contributions],
    }


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
    }
