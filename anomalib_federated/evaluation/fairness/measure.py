"""How alike a detector serves groups of test pictures: figures per group with intervals, and their indices."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from anomalib_federated.evaluation.fairness.covering import Distances
from anomalib_federated.evaluation.fairness.division import Division, of_no_group
from anomalib_federated.evaluation.fairness.figures import (
    FIGURES,
    TNRS,
    DividedFigures,
    Fairness,
    GroupFigures,
    Indices,
)
from anomalib_federated.evaluation.fairness.group_figures import Members, figures_of_members, members_of
from anomalib_federated.evaluation.fairness.resampling import (
    Deviations,
    deviations_of,
    gap_interval_of,
    intervals_of,
)
from anomalib_federated.evaluation.fairness.summary import indices_of
from anomalib_federated.evaluation.measuring.bootstrap import Evidence, check_settings
from anomalib_federated.evaluation.measuring.groups import channels_of
from anomalib_federated.evaluation.measuring.scored_set import ScoredSet
from anomalib_federated.metrics import threshold_at_tnr

logger = logging.getLogger(__name__)

CELLS = 512
"""Cells of pixel scores while resampling: a quarter of what one interval over all pictures takes, since each group is
computed; only how far a figure moves is taken from them, never the figure.
"""


def measure_fairness(
    test_set: ScoredSet,
    divisions: Sequence[Division],
    *,
    method: str,
    validation_scores: Sequence[float] = (),
    distances: Mapping[str, Distances] | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Fairness:
    """Measure all groups of all divisions.

    Args:
        test_set: The scored test images, collected with counts if there are resamples, and cut by
            :func:`cut_of` these divisions.
        divisions: How pictures are divided.
        method: Name of the method.
        validation_scores: Raw scores of normal images that were not trained on; without them there are no thresholds
            and no rates.
        distances: Of the patches of normal held-out pictures to their nearest bank rows, by name; those that a division
            puts into a group tell the group's radius.
        resamples: Bootstrap resamples behind the intervals; 0 makes none.
        confidence: Of the intervals.
        seed: Decides the resamples.

    Raises:
        ValueError: If resamples or confidence make no sense, or a validation score is not finite.
    """
    check_settings(resamples=resamples, confidence=confidence)
    thresholds = {tnr: threshold_at_tnr(validation_scores, tnr) for tnr in TNRS if validation_scores}
    counts = test_set.counts if resamples else None
    evidence = Evidence(
        images=test_set.images, pixels=counts.grid(cells=CELLS) if counts else None, validation_scores=validation_scores
    )
    measured = []
    for division in divisions:
        members = {group: members_of(division, group, test_set.parts, distances or {}) for group in division.names}
        exact = {group: _exact(division, own, thresholds) for group, own in members.items()}
        deviations = (
            deviations_of(division, members, exact, evidence, resamples=resamples, seed=seed) if resamples else {}
        )
        if without := of_no_group(division, [image.name for image in test_set.images]):
            logger.warning("%s: %d test images are of no %s.", test_set.category, without, division.by)
        measured.append(
            DividedFigures(
                by=division.by,
                groups=_groups(members, exact, deviations, confidence=confidence),
                of_no_group=without,
                indices=_indices(exact, deviations, confidence=confidence),
            )
        )
    return Fairness(
        method=method,
        category=test_set.category,
        seed=seed,
        divisions=tuple(measured),
        thresholds={str(tnr): threshold for tnr, threshold in thresholds.items()},
        validation_images=len(validation_scores),
        confidence=confidence,
        resamples=resamples,
    )


def cut_of(divisions: Sequence[Division], picture: str) -> tuple[str, ...]:
    """What tells a picture apart from those that are in other groups of any division."""
    return tuple(division.label(picture) for division in divisions)


def _exact(division: Division, members: Members, thresholds: Mapping[float, float]) -> dict[str, float | None]:
    """The figures of a group, without those that pictures of every group decide: of them nobody has more or less."""
    figures = figures_of_members(members, thresholds)
    if not division.shared:
        return figures
    return {name: None if name.startswith(("fpr@", "called@")) else value for name, value in figures.items()}


def _groups(
    members: Mapping[str, Members],
    exact: Mapping[str, dict[str, float | None]],
    deviations: Deviations,
    *,
    confidence: float,
) -> tuple[GroupFigures, ...]:
    return tuple(
        GroupFigures(
            name=name,
            good=sum(image.good for image in own.images),
            defective=sum(not image.good for image in own.images),
            channels=channels_of(own.parts),
            held_out=len(own.distances),
            figures=exact[name],
            intervals=intervals_of(exact[name], deviations.get(name, {}), confidence=confidence),
        )
        for name, own in members.items()
    )


def _indices(
    exact: Mapping[str, Mapping[str, float | None]], deviations: Deviations, *, confidence: float
) -> dict[str, Indices]:
    found = {}
    for figure in FIGURES:
        values = {group: figures[figure] for group, figures in exact.items()}
        if (plain := indices_of(figure, values)) is None:
            continue
        known = [name for name, value in values.items() if value is not None]
        interval = gap_interval_of(figure, plain.gap, known, deviations, confidence=confidence) if deviations else None
        found[figure] = replace(plain, gap_interval=interval)
    return found
