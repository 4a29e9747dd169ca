"""Tables of a study: how far attacks get, and what defences cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from anomalib_federated.evaluation.robustness.result import CellResult
from anomalib_federated.evaluation.robustness.run import clean_of
from anomalib_federated.evaluation.robustness.study import CLEAN
from anomalib_federated.evaluation.undefined import NOT_DEFINED, mean

Value = Callable[[CellResult], float | None]

SUCCESSES: dict[str, Value] = {
    "defective pictures hidden": lambda result: result.whitelisting.rate,
    "the same at the clean threshold": lambda result: result.whitelisting.rate_frozen,
    "pictures with the trigger passed": lambda result: result.backdoor.rate,
}
"""What an attack may reach, by what it is called; larger is worse."""


def attack_table(results: Sequence[CellResult], value: Value, *, bad: int) -> pd.DataFrame:
    """Attacks by defences: the largest value over the shares, since the attacker chooses.

    Args:
        results: Of all cells.
        value: Of a result.
        bad: Number of bad sites.

    Returns:
        Text: percent, or why there is none.
    """
    cells = [result for result in results if result.cell.bad == bad and result.cell.attack != CLEAN]
    attacks = list(dict.fromkeys(result.cell.attack for result in cells))
    table = {
        defence: [_worst(_of(cells, attack=attack, defence=defence), value) for attack in attacks]
        for defence in dict.fromkeys(result.cell.defence for result in cells)
    }
    return pd.DataFrame(table, index=pd.Index(attacks, name=f"attack, {bad} bad"))


def price_table(results: Sequence[CellResult]) -> pd.DataFrame:
    """Per defence, what it costs if all sites are honest, and how well it tells rows apart under attack."""
    rows = {}
    defences = list(dict.fromkeys(result.cell.defence for result in results))
    for defence in defences:
        clean = clean_of(results, defence)
        if clean is None:
            continue
        figures, admission = clean.figures, clean.admission
        attacked = [result for result in _of(results, defence=defence) if result.cell.attack != CLEAN]
        told = [r.admission.detector_auroc for r in attacked if r.admission.detector_auroc is not None]
        rows[defence] = {
            "image AUROC": f"{figures.image_auroc:.3f}",
            "target found": _percent(figures.target_found),
            "false alarms": _percent(clean.false_alarms),
            "honest radius": f"{figures.honest_radius:.3f}",
            "honest rows refused": _percent(admission.honest_refused / admission.honest),
            "rare modes kept": _percent(admission.rare_kept),
            "detector AUROC": NOT_DEFINED if not told else f"{mean(told):.3f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("defence")


def _of(results: Sequence[CellResult], *, defence: str | None = None, attack: str | None = None) -> list[CellResult]:
    return [
        result
        for result in results
        if (defence is None or result.cell.defence == defence) and (attack is None or result.cell.attack == attack)
    ]


def _worst(results: Sequence[CellResult], value: Value) -> str:
    found = [each for result in results if (each := value(result)) is not None]
    if not results:
        return "failed"
    return _percent(max(found)) if found else NOT_DEFINED


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
