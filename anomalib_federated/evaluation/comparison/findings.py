"""Comparisons in plain words: what a method loses, and what the tests can and cannot say about it."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.evaluation.comparison.statistics import ALPHA, Estimate, smallest_wilcoxon_p
from anomalib_federated.evaluation.comparison.values import Comparison, MethodComparison

NAMED = 3
"""Methods that the headline tells of; of more, only the best and the worst."""


def sentences(comparison: Comparison, method: MethodComparison) -> tuple[str, ...]:
    """What came out for one method: the difference, whether it can be chance, what could not have been seen."""
    if not method.pairs:
        said = [f"{method.method} cannot be compared with {comparison.baseline} by {comparison.label}."]
    else:
        said = [f"{_result(comparison, method)}.", *_tests(comparison, method), *_seeds(method)]
    if method.left_out:
        said.append(f"Left out: {', '.join(method.left_out)}.")
    return tuple(said)


def headline(comparisons: Sequence[Comparison]) -> str:
    """The answer to "what did it cost us not to pool the images", a sentence per figure.

    Args:
        comparisons: One per figure, the deciding one first.

    Returns:
        Text of one line; of more than :data:`NAMED` methods, it tells of the best and the worst.
    """
    return " ".join(_headline(comparison) for comparison in comparisons)


def _headline(comparison: Comparison) -> str:
    methods = [method for method in comparison.methods if method.difference.value is not None]
    if not methods:
        return f"No method can be compared with {comparison.baseline} by {comparison.label}."
    methods.sort(key=lambda method: -(method.difference.value or 0.0))
    which = ""
    if len(methods) > NAMED:
        which = f" (the best and the worst of {len(methods)} methods)"
        methods = [methods[0], methods[-1]]
    said: list[str] = []
    for method in methods:
        figure = "" if said else f" of {comparison.label}"
        values = f"{_values(method)}; {_extent(method)}"
        said.append(f"{method.method} {_change(method)}{figure} ({values}){_verdict(method)}")
    return f"Compared with {comparison.baseline}{which}, {'; '.join(said)}."


def signed(value: float) -> str:
    """A difference with its sign: three decimals, or one digit if that would show none.

    Example:
        >>> signed(-0.0123), signed(0.0002), signed(0.0)
        ('-0.012', '+0.0002', '0.000')
    """
    if value == 0:
        return "0.000"
    return f"{value:+.3f}" if abs(value) >= 0.0005 else f"{value:+.1g}"


def interval(estimate: Estimate) -> str:
    """The interval of a difference or an effect; empty if there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{signed(estimate.low)} to {signed(estimate.high)}"


def p_value(p: float) -> str:
    """Three digits, or ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"{p:.3g}"


def percent(share: float) -> str:
    """A share with one decimal, and no 0.0 for what is more.

    Example:
        >>> percent(0.0042), percent(0.0002)
        ('0.4 %', 'less than 0.1 %')
    """
    return f"{100 * share:.1f} %" if share >= 0.0005 else "less than 0.1 %"


def _result(comparison: Comparison, method: MethodComparison) -> str:
    against = f"of {comparison.label} compared with {comparison.baseline} ({_values(method)})"
    return f"{_where(method)}, {method.method} {_change(method)} {against}"


def _values(method: MethodComparison) -> str:
    values = f"{method.mean:.3f} instead of {method.baseline_mean:.3f}"
    ends = interval(method.difference)
    return f"{values}; 95 % interval of the difference {ends}" if ends else values


def _where(method: MethodComparison) -> str:
    if method.unit == "seed":
        return f"On {method.categories[0]} alone, over {len(method.pairs)} seeds"
    return f"Over {len(method.pairs)} categories" if len(method.pairs) > 1 else f"On {method.categories[0]}"


def _extent(method: MethodComparison) -> str:
    if len(method.pairs) == 1:
        return "one category, one seed"
    return f"{len(method.pairs)} seeds of one category" if method.unit == "seed" else f"{len(method.pairs)} categories"


def _change(method: MethodComparison) -> str:
    difference = method.difference.value or 0.0
    if difference == 0:
        return "loses nothing"
    verb = "loses" if difference < 0 else "gains"
    return f"{verb} {signed(difference) if method.relative is None else percent(abs(method.relative))}"


def _verdict(method: MethodComparison) -> str:
    if len(method.pairs) == 1:
        return ", too little to judge chance"
    if method.significant is None:
        return ""
    chance = "the choice of seeds" if method.unit == "seed" else "chance"
    if not method.significant:
        return f", which {chance} can explain"
    # Of few pairs, the t-test rests on its assumption that differences are normally distributed.
    alone = method.t_test_holm is not None and (method.wilcoxon_holm or 0.0) > ALPHA
    return f", more than {chance} explains{', by the t-test alone' if alone else ''}"


def _tests(comparison: Comparison, method: MethodComparison) -> list[str]:
    if len(method.pairs) == 1:
        return ["One category with one seed is a single pair: nothing can be tested."]
    if method.wilcoxon.p is None:
        return [f"There is nothing to test: {method.wilcoxon.note}."]
    said = [f"{_p_values(comparison, method)}.", *_limits(comparison, method)]
    if method.unit == "seed":
        said.append(f"Seeds share their test images, so this tells about {method.categories[0]} only.")
    return said


def _limits(comparison: Comparison, method: MethodComparison) -> list[str]:
    """What the tests could not have shown."""
    said = []
    n, tested = len(method.pairs), _tested(comparison)
    most = max(len(other.pairs) for other in tested)
    # Holm multiplies the least p of all methods by their number and gives no other method less than that.
    least = max(smallest_wilcoxon_p(n), min(1.0, len(tested) * smallest_wilcoxon_p(most)))
    if least > ALPHA:
        pairs = f"{_extent(method)} and {len(tested)} methods" if len(tested) > 1 else _extent(method)
        said.append(f"With {pairs} Wilcoxon cannot be significant: its smallest p is {p_value(least)}.")
    if method.detectable.value is None or method.significant:
        return said
    if method.detectable.value < 1:
        unseen = f"A true mean difference below {method.detectable.value:.2g}"
        return [*said, f"{unseen} would have been missed more often than one time in five."]
    return [*said, "At this spread, no difference between 0 and 1 would have been noticed reliably."]


def _tested(comparison: Comparison) -> list[MethodComparison]:
    return [method for method in comparison.methods if method.wilcoxon.p is not None]


def _p_values(comparison: Comparison, method: MethodComparison) -> str:
    t_test, wilcoxon = method.t_test_holm, method.wilcoxon_holm or 0.0
    tested = len(_tested(comparison))
    holm = f", by Holm for {tested} methods" if tested > 1 else ""
    note = f", {method.wilcoxon.note}" if method.wilcoxon.note else ""
    of_wilcoxon = f"Wilcoxon p {_equals(wilcoxon)}{note}"
    if t_test is None:
        return f"A t-test cannot be made, for {method.t_test.note} ({of_wilcoxon}{holm})"
    who = {
        (True, True): "Both tests tell",
        (True, False): "Only the t-test tells",
        (False, True): "Only Wilcoxon tells",
        (False, False): "Neither test tells",
    }[t_test <= ALPHA, wilcoxon <= ALPHA]
    return f"{who} this from chance (t-test p {_equals(t_test)}, {of_wilcoxon}{holm})"


def _equals(p: float) -> str:
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"


def _seeds(method: MethodComparison) -> list[str]:
    spreads = [pair.spread for pair in method.pairs if pair.spread is not None]
    if not spreads:
        return []
    largest = f"with a standard deviation of up to {max(spreads):.2g}"
    return [f"Seeds are averaged within a category, where the difference varies {largest}."]
