"""Results with prices, and what was measured beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from anomalib_federated.evaluation.corrupted import Corrupted, Level, write_corrupted
from anomalib_federated.evaluation.fairness.fairness_file import write_fairness
from anomalib_federated.evaluation.fairness.figures import FIGURES, By, DividedFigures, Fairness, GroupFigures
from anomalib_federated.evaluation.fairness.seeds import indices_of_groups
from anomalib_federated.evaluation.results import BankFacts, Result, SiteShare, write_result
from anomalib_federated.testing.privacy import example_report
from tests.evaluation.made_results import made_result

SPRO = {"centralised": 0.70, "federated": 0.68, "fair": 0.66, "screened": 0.67, "private": 0.45, "wasteful": 0.60}
AUROC = {"centralised": 0.95, "federated": 0.94, "fair": 0.94, "screened": 0.93, "private": 0.80, "wasteful": 0.90}
WORST = {"centralised": 0.50, "federated": 0.40, "fair": 0.55, "screened": 0.40, "private": 0.20, "wasteful": 0.30}
SENT = {"federated": 4_000_000, "fair": 4_000_000, "screened": 4_000_000, "private": 900_000, "wasteful": 9_000_000}
SUCCESS = {"federated": 0.60, "fair": 0.60, "screened": 0.02, "private": 0.02, "wasteful": 0.60}
CORRUPTED = {"centralised": 0.80, "federated": 0.78, "fair": 0.77, "screened": 0.75, "private": 0.60, "wasteful": 0.70}


def priced_result(
    method: str,
    category: str = "tile",
    *,
    spro: float | None = 0.6,
    auroc: float | None = 0.9,
    sent: int = 1000,
    epsilon: float | None = None,
    seed: int = 0,
    sites: int = 2,
    image_score: str = "smoothed_max",
) -> Result:
    shares = [
        SiteShare(site=f"s{number}", images=10, patches=100, rows=5, bytes_up=sent // sites, bytes_down=0)
        for number in range(sites)
    ]
    report = () if epsilon is None else (json.loads(example_report(epsilon=epsilon).to_json()),)
    bank = BankFacts(rows=10, bytes=100, covering_radius=None, sites=tuple(shares), privacy=report)
    return replace(made_result(method, category, spro, seed=seed, auroc=auroc), bank=bank, image_score=image_score)


def fairness_of(method: str, category: str, groups: dict[str, float | None], *, by: By = "group") -> Fairness:
    """Groups with an AUC-sPRO@0.05 and nothing else."""
    told = tuple(
        GroupFigures(
            name=name,
            good=3,
            defective=3,
            channels=3,
            held_out=0,
            figures=dict.fromkeys(FIGURES) | {"auc_spro@0.05": value},
            intervals={},
        )
        for name, value in groups.items()
    )
    division = DividedFigures(by=by, groups=told, of_no_group=0, indices=indices_of_groups(told))
    return Fairness(
        method=method,
        category=category,
        seed=0,
        divisions=(division,),
        thresholds={},
        validation_images=0,
        confidence=0.95,
        resamples=0,
    )


def corrupted_of(method: str, category: str, values: dict[str, float | None], *, seed: int = 0) -> Corrupted:
    levels = tuple(
        Level(
            name=name,
            corruption={"noise": 0.1},
            figures={"image_auroc": value, "auc_spro@0.05": value and value / 2},
            intervals={},
        )
        for name, value in values.items()
    )
    return Corrupted(method=method, category=category, seed=seed, levels=levels, confidence=0.95, resamples=0)


def write_example(output: Path) -> Path:
    """Six methods on one category, everything measured; the folder."""
    for method, spro in SPRO.items():
        pooled = method == "centralised"
        result = priced_result(
            method,
            spro=spro,
            auroc=AUROC[method],
            sent=0 if pooled else SENT[method],
            sites=1 if pooled else 2,
            epsilon=4.0 if method == "private" else None,
        )
        write_result(output, result)
        write_fairness(output, fairness_of(method, "tile", {"exp1": 0.8, "exp2": WORST[method], "exp3": None}))
        write_corrupted(output, corrupted_of(method, "tile", {"low": AUROC[method], "high": CORRUPTED[method]}))
    cells = [attack_cell("federated", "clean", missed=0)]
    for method, success in SUCCESS.items():
        cells.append(attack_cell(method, "whitelisting", missed=round(100 * success)))
        cells.append(attack_cell(method, "stealth", missed=round(50 * success)))
    (output / "attack").mkdir()
    (output / "attack" / "attacks.json").write_text(json.dumps({"note": "made up", "cells": cells}))
    return output


def attack_cell(
    defence: str, attack: str, *, missed: int, found: int = 100, category: str = "tile"
) -> dict[str, object]:
    """As ``attacks.json`` has it, with more in it than is read."""
    return {
        "cell": {"defence": defence, "attack": attack, "bad": 1, "share": 0.5},
        "whitelisting": {"pictures": 120, "found_clean": found, "missed": missed, "missed_frozen": 0},
        "settings": {"category": [category], "target": "crack"},
    }
