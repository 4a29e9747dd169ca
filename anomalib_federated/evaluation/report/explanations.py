"""The section of the report on explanations: how faithful those of each method are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anomalib_federated.evaluation.faithfulness.figures import FaithfulnessResult
from anomalib_federated.evaluation.faithfulness.texts import FaithfulnessCell, cells_of, notes_of


@dataclass(frozen=True, kw_only=True)
class FaithfulnessTable:
    """Figures of the explanations of one category.

    Attributes:
        category: Name of the category.
        rows: Method and one cell per column.
        notes: What they rest on.
    """

    category: str
    rows: tuple[tuple[str, tuple[FaithfulnessCell, ...]], ...]
    notes: str


def faithfulness_tables(results: Sequence[FaithfulnessResult]) -> list[FaithfulnessTable]:
    """A table for each result, in their order."""
    return [
        FaithfulnessTable(
            category=result.category,
            rows=tuple((method.explainer, cells_of(method)) for method in result.methods),
            notes=" ".join(notes_of(result)),
        )
        for result in results
    ]
