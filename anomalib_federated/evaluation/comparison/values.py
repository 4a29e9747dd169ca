"""What a comparison of methods with a baseline holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from anomalib_federated.evaluation.comparison.statistics import ALPHA, Estimate, PairedTest

Unit: TypeAlias = Literal["category", "seed"]
"""What is counted as one observation."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A method and the baseline on one unit, from the seeds that both have.

    Attributes:
        unit: The category, or ``seed 3``.
        seeds: That were averaged.
        value: Of the method.
        baseline: Of the baseline.
        difference: Value less baseline.
        relative: Difference by baseline; ``None`` if that is 0.
        spread: Sample standard deviation of the difference over seeds; ``None`` if there is one seed.
    """

    unit: str
    seeds: tuple[int, ...]
    value: float
    baseline: float
    difference: float
    relative: float | None
    spread: float | None


@dataclass(frozen=True, kw_only=True)
class MethodComparison:
    """One method next to the baseline. All numbers are of the pairs, and ``None`` if there is no pair.

    Attributes:
        method: Its name.
        unit: What the pairs are: categories, or seeds if only one category can be compared.
        categories: That can be compared.
        pairs: One per unit.
        mean: Of the method.
        baseline_mean: Of the baseline.
        difference: Mean difference with its t interval at 95 %.
        relative: Mean difference by the baseline's mean.
        t_test: Paired t-test.
        t_test_holm: Its p, corrected for the number of methods.
        wilcoxon: Wilcoxon's signed-rank test.
        wilcoxon_holm: Its p, likewise.
        effect: Cohen's d of paired samples with its interval at 95 %.
        detectable: True mean difference that the t-test would notice four times in five, before Holm's correction.
        left_out: Results that have no partner, in words.
        sentences: What the numbers say.
    """

    method: str
    unit: Unit
    categories: tuple[str, ...]
    pairs: tuple[Pair, ...]
    mean: float | None
    baseline_mean: float | None
    difference: Estimate
    relative: float | None
    t_test: PairedTest
    t_test_holm: float | None = None
    wilcoxon: PairedTest
    wilcoxon_holm: float | None = None
    effect: Estimate
    detectable: Estimate
    left_out: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()

    @property
    def significant(self) -> bool | None:
        """Whether the difference is told from chance, after Holm; ``None`` if nothing can be tested.

        The t-test decides; where it cannot be made, since all differences are equal, Wilcoxon does.
        """
        p = self.wilcoxon_holm if self.t_test_holm is None else self.t_test_holm
        return None if p is None else p <= ALPHA


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All methods next to the baseline, by one figure.

    Attributes:
        figure: Its name, such as ``auc_spro@0.05``.
        label: Its name in words.
        baseline: The method that the others are compared with.
        methods: The others, by name.
    """

    figure: str
    label: str
    baseline: str
    methods: tuple[MethodComparison, ...]
