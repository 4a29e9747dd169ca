"""Comparing methods with a baseline, saying no more than the results can carry.

A category is one observation: several seeds of it are repeated measures, averaged before anything is tested, since they
share their test images. Pairs are made of the seeds that both methods have. Tests are corrected by Holm for the number
of methods; figures are not corrected for each other, so choose the one that decides before looking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev

from anomalib_federated.evaluation.comparison.findings import headline, sentences
from anomalib_federated.evaluation.comparison.statistics import (
    DECIMALS,
    cohens_d,
    detectable_difference,
    holm,
    mean_difference,
    paired_t_test,
    wilcoxon_test,
)
from anomalib_federated.evaluation.comparison.values import Comparison, MethodComparison, Pair, Unit
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.seed_values import SeedValues, figure_labels, seed_values

__all__ = ["Comparison", "MethodComparison", "Pair", "compare", "headline"]


def compare(results: Sequence[Result], *, figure: str = "auc_spro@0.05", baseline: str = "centralised") -> Comparison:
    """Compare all methods with one.

    Args:
        results: Of any number of methods, categories and seeds, in any order.
        figure: What is compared: one of :func:`~anomalib_federated.evaluation.seed_values.figure_labels`.
        baseline: The method that the others are compared with.

    Raises:
        ValueError: If there is no such figure or method, a value is not finite, or a result is there twice.

    Example:
        >>> from anomalib_federated.evaluation.figures import Classification, Counts, Figures, Localization
        >>> from anomalib_federated.evaluation.results import Result
        >>> def result(method: str, auroc: float) -> Result:
        ...     counts = Counts(good=9, defective=9, channels=9)
        ...     measured = Classification(auroc=auroc)
        ...     figures = Figures(counts=counts, classification=measured, localization=Localization(), intervals={})
        ...     return Result(method=method, category="nut", seed=0, figures=figures)
        >>> comparison = compare([result("centralised", 0.8), result("federated", 0.78)], figure="image_auroc")
        >>> print(comparison.methods[0].sentences[0])
        On nut, federated loses 2.5 % of image AUROC compared with centralised (0.780 instead of 0.800).
    """
    values = seed_values(results, figure)
    methods = sorted({method for method, _ in values})
    if baseline not in methods:
        msg = f"No result is of the baseline {baseline!r}; choose one of {', '.join(methods)}."
        raise ValueError(msg)
    found = [_compare_one(values, method, baseline) for method in methods if method != baseline]
    t_tests = holm([method.t_test.p for method in found])
    wilcoxons = holm([method.wilcoxon.p for method in found])
    corrected = [
        replace(method, t_test_holm=t_test, wilcoxon_holm=wilcoxon)
        for method, t_test, wilcoxon in zip(found, t_tests, wilcoxons, strict=True)
    ]
    comparison = Comparison(
        figure=figure, label=figure_labels(results)[figure], baseline=baseline, methods=tuple(corrected)
    )
    worded = tuple(replace(method, sentences=sentences(comparison, method)) for method in corrected)
    return replace(comparison, methods=worded)


def _compare_one(values: SeedValues, method: str, baseline: str) -> MethodComparison:
    pairs, left_out = _pairs(values, method, baseline)
    categories, unit = tuple(pair.unit for pair in pairs), _unit(pairs)
    if unit == "seed":
        own, other = values[method, categories[0]], values[baseline, categories[0]]
        pairs = [_pair(f"seed {seed}", own, other, seeds=(seed,)) for seed in pairs[0].seeds]
    first, second = [pair.value for pair in pairs], [pair.baseline for pair in pairs]
    difference = mean_difference(first, second)
    mean, baseline_mean = (fmean(first), fmean(second)) if pairs else (None, None)
    return MethodComparison(
        method=method,
        unit=unit,
        categories=categories,
        pairs=tuple(pairs),
        mean=mean,
        baseline_mean=baseline_mean,
        difference=difference,
        relative=difference.value / baseline_mean if difference.value is not None and baseline_mean else None,
        t_test=paired_t_test(first, second),
        wilcoxon=wilcoxon_test(first, second),
        effect=cohens_d(first, second),
        detectable=detectable_difference(first, second),
        left_out=tuple(left_out),
    )


def _unit(pairs: Sequence[Pair]) -> Unit:
    return "seed" if len(pairs) == 1 and len(pairs[0].seeds) > 1 else "category"


def _pairs(values: SeedValues, method: str, baseline: str) -> tuple[list[Pair], list[str]]:
    """A pair per category, and in words what has no partner."""
    pairs, left_out = [], []
    for category in sorted({category for name, category in values if name in {method, baseline}}):
        own, other = values.get((method, category)), values.get((baseline, category))
        if own is None or other is None:
            left_out.append(f"{category} (no result of {method if own is None else baseline})")
        elif both := tuple(seed for seed in own if seed in other):
            pairs.append(_pair(category, own, other, seeds=both))
            alone = {seed: baseline if seed in own else method for seed in sorted(own.keys() ^ other.keys())}
            left_out += [f"{category} with seed {seed} (no value of {name})" for seed, name in alone.items()]
        else:
            left_out.append(f"{category} (no seed has a value of both)")
    return pairs, left_out


def _pair(unit: str, own: dict[int, float], other: dict[int, float], *, seeds: tuple[int, ...]) -> Pair:
    value, baseline = fmean(own[seed] for seed in seeds), fmean(other[seed] for seed in seeds)
    difference = round(value - baseline, DECIMALS)
    return Pair(
        unit=unit,
        seeds=seeds,
        value=value,
        baseline=baseline,
        difference=difference,
        relative=difference / baseline if baseline else None,
        spread=stdev(own[seed] - other[seed] for seed in seeds) if len(seeds) > 1 else None,
    )
