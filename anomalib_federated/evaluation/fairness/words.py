"""Indices over groups as sentences."""

from __future__ import annotations

from anomalib_federated.evaluation.fairness.figures import FIGURES, By, Indices

PLURAL: dict[By, str] = {
    "group": "groups",
    "site": "sites",
    "defect type": "defect types",
    "category": "categories",
}

GAP_NAMES = {
    "tpr": "the equal-opportunity difference",
    "fpr": "the predictive-equality difference",
    "called": "the demographic-parity difference",
}
"""What the gap of a rate is called, by what stands before its ``@``."""


def sentence(figure: str, indices: Indices, *, by: By, confidence: float) -> str:
    """What the indices say of one figure.

    Args:
        figure: Its name.
        indices: Over the groups.
        by: What the groups were made by.
        confidence: Of the interval of the gap.

    Example:
        >>> from anomalib_federated.evaluation.fairness.summary import indices_of
        >>> found = indices_of("image_auroc", {"dark": 0.6, "light": 0.9})
        >>> print(sentence("image_auroc", found, by="group", confidence=0.95))
        Image AUROC: worst in dark (0.600), best in light (0.900), a gap of 0.300. Standard deviation 0.150, \
coefficient of variation 0.200, largest by smallest 1.50, Jain's index 0.962.
    """
    return " ".join([_gap(figure, indices, by=by, confidence=confidence), *_spread(indices), *_left_out(indices)])


def _gap(figure: str, indices: Indices, *, by: By, confidence: float) -> str:
    words = _capital(FIGURES[figure])
    interval = indices.gap_interval
    told = "" if interval is None else f" ({100 * confidence:g} % interval {interval.low:.3f} to {interval.high:.3f})"
    if indices.gap == 0:
        return f"{words}: {indices.worst_value:.3f} in {_all(indices.groups)} {PLURAL[by]}, a gap of 0{told}."
    kind = GAP_NAMES.get(figure.partition("@")[0])
    chance = "; chance alone could make it" if interval is not None and interval.low == 0 else ""
    return (
        f"{words}: worst in {indices.worst} ({indices.worst_value:.3f}), best in {indices.best} "
        f"({indices.best_value:.3f}), a gap of {indices.gap:.3f}{told}{f', {kind}' if kind else ''}{chance}."
    )


def _all(groups: int) -> str:
    return "both" if groups == 2 else f"all {groups}"


def _spread(indices: Indices) -> list[str]:
    if indices.gap == 0:
        return []
    said = [f"Standard deviation {indices.standard_deviation:.3f}"]
    if indices.coefficient_of_variation is not None:
        said.append(f"coefficient of variation {indices.coefficient_of_variation:.3f}")
    if indices.ratio is not None:
        said.append(f"largest by smallest {indices.ratio:.2f}")
    if indices.jain is not None:
        said.append(f"Jain's index {indices.jain:.3f}")
    return [f"{', '.join(said)}."]


def _left_out(indices: Indices) -> list[str]:
    return [f"Not defined, hence left out: {', '.join(indices.left_out)}."] if indices.left_out else []


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]
