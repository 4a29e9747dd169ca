"""What each method reaches and what it costs: accuracy, privacy, fairness, robustness, bytes, in one table.

A figure that was not measured is ``None`` and is called so; it is never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from anomalib_federated.evaluation.comparison.beside import Beside, worst_group
from anomalib_federated.evaluation.comparison.pareto import Standing, pareto
from anomalib_federated.evaluation.results import Result, of_method
from anomalib_federated.evaluation.seed_values import seed_values
from anomalib_federated.evaluation.undefined import mean

DECIMALS = 3
"""Of shares. What looks equal in the table counts as equal: no method beats another by less."""

DIGITS = 3
"""Of other numbers, likewise."""


@dataclass(frozen=True, kw_only=True)
class Aspect:
    """One thing that methods are compared by.

    Attributes:
        label: In words.
        better: Whether ``more`` of it is better, or ``less``.
        kind: What its numbers are: shares, epsilons or bytes.
    """

    label: str
    better: Literal["more", "less"]
    kind: Literal["share", "epsilon", "bytes"] = "share"


ACCURACY = ("image_auroc", "auc_spro@0.05")
"""The aspects that are the aim; the others are its price."""

ASPECTS = {
    "image_auroc": Aspect(label="image AUROC", better="more"),
    "auc_spro@0.05": Aspect(label="AUC-sPRO@0.05", better="more"),
    "epsilon": Aspect(label="epsilon", better="less", kind="epsilon"),
    "worst_group": Aspect(label="worst group AUC-sPRO@0.05", better="more"),
    "whitelisting": Aspect(label="whitelisting success", better="less"),
    "corrupted_image_auroc": Aspect(label="corrupted image AUROC", better="more"),
    "corrupted_auc_spro@0.05": Aspect(label="corrupted AUC-sPRO@0.05", better="more"),
    "bytes_sent": Aspect(label="bytes sent", better="less", kind="bytes"),
}
"""By name."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method.

    Attributes:
        method: Its name.
        pooled: Whether it pools all pictures. It is there for reference: what the others save is not measured of it.
        measured: By aspect; of epsilon, infinity where nothing is promised about pictures.
        incomplete: Aspects that were measured on some of the categories alone, which is why they have no value.
        standing: Among the methods that do not pool; ``None`` if this one does.
    """

    method: str
    pooled: bool
    measured: dict[str, float | None]
    incomplete: frozenset[str]
    standing: Standing | None = None

    def __contains__(self, aspect: str) -> bool:
        return self.measured[aspect] is not None


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """All methods.

    Attributes:
        rows: The baseline first, the others by name.
        aspects: Those that any method has a value of, in the order of :data:`ASPECTS`.
        categories: Over which values are averaged.
        notes: What the values are made of, in sentences.
    """

    rows: tuple[Row, ...]
    aspects: tuple[str, ...]
    categories: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def prices(self) -> tuple[str, ...]:
        """The aspects that are no accuracy, of which any method has a finite value."""
        return tuple(
            name
            for name in self.aspects
            if name not in ACCURACY and any(math.isfinite(row.measured[name] or 0) for row in self.rows if name in row)
        )


Values = Mapping[str, Mapping[str, float | None]]
"""By method and category; a category that was not measured is absent."""


def trade_off(results: Sequence[Result], beside: Beside, *, baseline: str = "centralised") -> TradeOff:
    """Gather what was measured of each method.

    A value is a mean over seeds, then over categories, and only where all categories have it. Epsilon is the largest of
    all: a promise holds for everybody or is none.

    Args:
        results: Of all methods, categories and seeds.
        beside: What was measured beside them.
        baseline: The method of the first row.

    Raises:
        ValueError: If there are no results, or as :func:`~anomalib_federated.evaluation.seed_values.seed_values` does.
    """
    beside, left_out = _with_common_attacks(beside, {result.method for result in results})
    methods = sorted({result.method for result in results}, key=lambda method: (method != baseline, method))
    categories = sorted({result.category for result in results})
    levels = _levels(beside)
    gathered: dict[str, Values] = {
        **{figure: _of_figure(results, figure) for figure in ACCURACY},
        "worst_group": _mean_of([(each.method, each.category, worst_group(each)) for each in beside.groups]),
        "whitelisting": _worst_attacks(beside),
        **{f"corrupted_{figure}": _of_levels(beside, levels, figure) for figure in ACCURACY},
        "bytes_sent": _mean_of([(each.method, each.category, _bytes(each)) for each in results]),
    }
    rows = [_row(method, gathered, categories, of_method(results, method)) for method in methods]
    aspects = tuple(name for name in ASPECTS if any(name in row for row in rows))
    return TradeOff(
        rows=tuple(_with_standings(rows, aspects)),
        aspects=aspects,
        categories=tuple(categories),
        notes=(*_notes(rows, aspects, beside, levels), *left_out),
    )


def _row(method: str, gathered: Mapping[str, Values], categories: Sequence[str], own: Sequence[Result]) -> Row:
    values: dict[str, float | None] = {}
    incomplete = set()
    for name, of_methods in gathered.items():
        of_categories = of_methods.get(method, {})
        values[name] = mean([of_categories.get(category) for category in categories])
        if values[name] is None and any(value is not None for value in of_categories.values()):
            incomplete.add(name)
    banks = [result.bank for result in own if result.bank is not None]
    values["epsilon"] = max(bank.epsilon for bank in banks) if len(banks) == len(own) else None
    pooled = bool(banks) and all(bank.pooled for bank in banks)
    return Row(
        method=method,
        pooled=pooled,
        measured={name: values[name] for name in ASPECTS},
        incomplete=frozenset(incomplete),
    )


def _with_standings(rows: Sequence[Row], aspects: Sequence[str]) -> list[Row]:
    found = pareto({row.method: _comparable(row, aspects) for row in rows if not row.pooled})
    return [replace(row, standing=found.get(row.method)) for row in rows]


def _comparable(row: Row, aspects: Sequence[str]) -> list[float | None]:
    """The row's values as they are shown, the larger the better."""
    comparable = []
    for name in aspects:
        value = row.measured[name]
        if value is not None:
            value = round(value, DECIMALS) if ASPECTS[name].kind == "share" else float(f"{value:.{DIGITS}g}")
        comparable.append(value if value is None or ASPECTS[name].better == "more" else -value)
    return comparable


def _of_figure(results: Sequence[Result], figure: str) -> Values:
    found: dict[str, dict[str, float | None]] = {}
    for (method, category), of_seeds in seed_values(results, figure).items():
        found.setdefault(method, {})[category] = mean(list(of_seeds.values()))
    return found


def _mean_of(cells: Sequence[tuple[str, str, float | None]]) -> Values:
    """Means over the seeds of each method and category; ``None`` where a seed lacks a value."""
    return _reduced(cells, mean)


def _with_common_attacks(beside: Beside, methods: Collection[str]) -> tuple[Beside, tuple[str, ...]]:
    """Only the attacks that were tried on all of the methods attacked on a category, and a note on the others.

    An attack that was not tried on a method, or whose cell failed, would else count as one that it withstands.
    """
    own = [each for each in beside.attacks if each.method in methods]
    tried: dict[str, dict[str, set[tuple[str, int, float]]]] = {}
    for each in own:
        of_methods = tried.setdefault(each.category, {})
        of_methods.setdefault(each.method, set()).add((each.attack, each.bad, each.share))
    common = {category: set.intersection(*of_methods.values()) for category, of_methods in tried.items()}
    kept = tuple(each for each in own if (each.attack, each.bad, each.share) in common[each.category])
    left_out = sorted({each.attack for each in own if each not in kept})
    note = f"Not tried on all methods attacked, hence not everywhere compared: {', '.join(left_out)}."
    return replace(beside, attacks=kept), (note,) if left_out else ()


def _worst_attacks(beside: Beside) -> Values:
    """Per method and category the largest success over attacks and seeds: the attacker chooses."""
    cells = [(each.method, each.category, each.success) for each in beside.attacks]
    return _reduced(cells, lambda values: max((value for value in values if value is not None), default=None))


def _of_levels(beside: Beside, levels: Sequence[str], figure: str) -> Values:
    """A figure under the corruption that lowers it most, of those that all methods were measured under."""
    cells = []
    for each in beside.corrupted:
        values = [level.figures.get(figure) for level in each.levels if level.name in levels]
        known = [value for value in values if value is not None]
        cells.append((each.method, each.category, min(known) if known and len(known) == len(values) else None))
    return _reduced(cells, mean)


def _levels(beside: Beside) -> list[str]:
    """Names of the corruptions that all were measured under, in their order."""
    if not beside.corrupted:
        return []
    names = [[level.name for level in each.levels] for each in beside.corrupted]
    return [name for name in names[0] if all(name in own for own in names)]


def _reduced(
    cells: Sequence[tuple[str, str, float | None]], reduce: Callable[[Sequence[float | None]], float | None]
) -> Values:
    grouped: dict[str, dict[str, list[float | None]]] = {}
    for method, category, value in cells:
        grouped.setdefault(method, {}).setdefault(category, []).append(value)
    return {
        method: {category: reduce(values) for category, values in of_categories.items()}
        for method, of_categories in grouped.items()
    }


def _bytes(result: Result) -> float | None:
    """What the sites sent; unknown where nothing was counted: of pooled pictures, or of a bank that was given."""
    return float(result.bank.bytes_sent) if result.bank is not None and result.bank.bytes_sent else None


def _notes(rows: Sequence[Row], aspects: Sequence[str], beside: Beside, levels: Sequence[str]) -> tuple[str, ...]:
    attacks = sorted({each.attack for each in beside.attacks})
    pooled = [row.method for row in rows if row.pooled]
    told = {
        "whitelisting": f"Whitelisting success is that of the most successful attack tried: {', '.join(attacks)}.",
        "corrupted_image_auroc": f"Corrupted is the lowest figure under {', '.join(levels)}.",
        "worst_group": "The worst group is that of each category; of several categories, their mean.",
        "epsilon": "Epsilon is the largest of all promises about pictures; where some have none, it is infinite.",
    }
    notes = [note for name, note in told.items() if name in aspects]
    if pooled:
        notes.append(f"For reference, not compared: {', '.join(pooled)}, for which all pictures lie in one place.")
    if beside.corrupted and not levels:
        notes.append("No corruption is one that all methods were measured under, so none is compared.")
    return tuple(notes)
