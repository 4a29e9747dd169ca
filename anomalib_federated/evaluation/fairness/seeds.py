"""Groups over several seeds: means, with the range of the seeds in the place of intervals."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.evaluation.fairness.figures import FIGURES, DividedFigures, GroupFigures, Indices
from anomalib_federated.evaluation.fairness.summary import indices_of
from anomalib_federated.evaluation.figures import Interval
from anomalib_federated.evaluation.undefined import mean


def over_seeds(divisions: Sequence[DividedFigures]) -> DividedFigures:
    """One division of several seeds.

    Args:
        divisions: The same division of each seed, at least one.

    Returns:
        Of one seed, itself. Of several, a group's figures are means of all seeds, ``None`` if one does not define it;
        its intervals reach from the least to the greatest seed; indices are of the means and their gaps have none.
    """
    first = divisions[0]
    if len(divisions) == 1:
        return first
    names = sorted({group.name for division in divisions for group in division.groups})
    by_seed = [{group.name: group for group in division.groups} for division in divisions]
    groups = tuple(_group(name, [of_names.get(name) for of_names in by_seed]) for name in names)
    return DividedFigures(
        by=first.by,
        groups=groups,
        of_no_group=max(division.of_no_group for division in divisions),
        indices=indices_of_groups(groups),
    )


def indices_of_groups(groups: Sequence[GroupFigures]) -> dict[str, Indices]:
    """Indices of all figures that two groups or more define; gaps have no interval."""
    found = {
        figure: indices_of(figure, {group.name: group.figures.get(figure) for group in groups}) for figure in FIGURES
    }
    return {figure: indices for figure, indices in found.items() if indices is not None}


def _group(name: str, seeds: Sequence[GroupFigures | None]) -> GroupFigures:
    known = [group for group in seeds if group is not None]
    values = {figure: [group.figures.get(figure) if group else None for group in seeds] for figure in FIGURES}
    means = {figure: mean(own) for figure, own in values.items()}
    return GroupFigures(
        name=name,
        good=max(group.good for group in known),
        defective=max(group.defective for group in known),
        channels=max(group.channels for group in known),
        held_out=max(group.held_out for group in known),
        figures=means,
        intervals={
            figure: Interval(low=min(own), high=max(own))
            for figure in FIGURES
            if means[figure] is not None and (own := [value for value in values[figure] if value is not None])
        },
    )
