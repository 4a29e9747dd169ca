"""Results with made-up figures."""

from __future__ import annotations

from collections.abc import Mapping

from anomalib_federated.evaluation.figures import Classification, Counts, Figures, Interval, Localization
from anomalib_federated.evaluation.results import Result


def made_result(
    method: str, category: str, spro: float | None, *, seed: int = 0, auroc: float | None = 0.9, interval: float = 0.0
) -> Result:
    """AUC-sPRO is ``spro`` at 0.05 and half of it at 0.01; ``interval`` is half the width of the former's interval."""
    limits = None if spro is None else {"0.01": spro / 2, "0.05": spro}
    ends = {"auc_spro@0.05": Interval(low=spro - interval, high=spro + interval)} if interval and spro else {}
    figures = Figures(
        counts=Counts(good=9, defective=9, channels=9),
        classification=Classification(auroc=auroc, average_precision=None),
        localization=Localization(auc_spro=limits),
        intervals=ends,
    )
    return Result(method=method, category=category, seed=seed, figures=figures)


def made_results(values: Mapping[str, Mapping[str, float | tuple[float | None, ...] | None]]) -> list[Result]:
    """Results of AUC-sPRO values by method and category; of a tuple, one per seed from 0 on."""
    return [
        made_result(method, category, value, seed=seed)
        for method, of_categories in values.items()
        for category, cell in of_categories.items()
        for seed, value in enumerate(cell if isinstance(cell, tuple) else (cell,))
    ]
