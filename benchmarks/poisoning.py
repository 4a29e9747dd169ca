"""Measure every attack against every defence: defects hidden, triggers passed, and what the defences cost.

The sites of a data set, by a pattern of its file names, send banks of equal size; one or more of them are bad. Every
screening is a defence of its own, so is every chain of ``--chain``, every quorum of sites by which a detector scores,
and the strategies ``median`` and ``trimmed_mean``; each is measured without an attack, too. Patch features are made
once and kept in ``--store``; cells that are finished are kept in ``--output``, so that an interrupted run goes on.
Defaults are smaller than those of a real federation (2,000 rows a site, 4,000 in the global bank, some of the test
pictures), so that a cell takes seconds.

Prints one JSON line; each cell goes to stderr as it is finished. Attacks are for evaluation only.

Example:
    python benchmarks/poisoning.py --root DIR --category magnetic_tile --target crack --store DIR --output DIR
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from circumstances import circumstances

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.robustness.defence import Defence
from anomalib_federated.evaluation.robustness.result import CellResult
from anomalib_federated.evaluation.robustness.run import run_study
from anomalib_federated.evaluation.robustness.scene import Scene, make_scene
from anomalib_federated.evaluation.robustness.study import Study
from anomalib_federated.models import FederatedPatchcore

STRATEGIES = ("median", "trimmed_mean")
SCORES = ("target_scores", "good_scores", "triggered_scores")
"""Of single pictures: too long for a line."""


def defences(options: argparse.Namespace) -> dict[str, Defence]:
    """Each screening alone, the chains, and the robust strategies."""
    screenings = registry.available("screening") if options.screenings is None else options.screenings
    wanted = {}
    for chain in [*([name] for name in screenings), *options.chain]:
        specs = tuple(_screening(name, options) for name in chain)
        wanted["+".join(chain)] = Defence(strategy=_strategy(options), screening=specs)
    for quorum in options.site_quorums:
        for name, specs in (("", ()), ("norm+zscore+", ("finite_and_norm", "site_zscore"))):
            wanted[f"{name}quorum_of_{quorum}"] = Defence(
                strategy=_by_site(options), screening=specs, site_quorum=quorum
            )
    for name in options.strategies:
        wanted[name] = Defence(strategy={"class_path": name, "init_args": {"budget": options.budget}})
    # A plus sign cannot be in the name of a folder.
    return {name.replace("+", "-"): defence for name, defence in wanted.items()}


def _screening(name: str, options: argparse.Namespace) -> str | dict[str, Any]:
    reference = {"class_path": name, "init_args": {"reference": options.reference}}
    return reference if name == "trusted_reference" else name


def _by_site(options: argparse.Namespace) -> dict[str, Any]:
    """Rows of every site, as a quorum of sites needs them."""
    init_args = {"budget": options.budget, "fairness": "equal", "group_by": "site"}
    return {"class_path": "fair_coreset", "init_args": init_args}


def _strategy(options: argparse.Namespace) -> dict[str, Any]:
    return {"class_path": "federated_coreset", "init_args": {"budget": options.budget}}


def line_of(result: CellResult) -> dict[str, Any]:
    """A cell's figures, without the scores of single pictures."""
    figures = {name: value for name, value in asdict(result.figures).items() if name not in SCORES}
    return {
        **asdict(result.cell),
        "whitelisting": result.whitelisting.rate,
        "whitelisting_frozen": result.whitelisting.rate_frozen,
        "backdoor": result.backdoor.rate,
        "found_clean": result.whitelisting.found_clean,
        "target_found": result.figures.target_found,
        **figures,
        **asdict(result.admission),
        **{name: value for name, value in asdict(result).items() if name.startswith(("change", "false_alarms"))},
        "seconds": round(result.seconds, 1),
    }


def make_study(options: argparse.Namespace) -> Study:
    named = registry.available("attack") if options.attacks is None else options.attacks
    return Study(
        attacks={name: name for name in named},
        defences=defences(options),
        undefended=Defence(strategy=_strategy(options)),
        shares=options.shares,
        bad_sites=options.bad_sites,
        output=Path(options.output),
        seed=options.seed,
        settings={name: getattr(options, name) for name in DECISIVE},
    )


DECISIVE = ("category", "pattern", "target", "side", "site_budget", "budget", "most_good", "most_others", "pictures")


def scene_of(options: argparse.Namespace) -> Scene:
    datamodule = AutoVI(options.root, [options.category], seed=options.seed)
    datamodule.setup()
    if options.pictures is not None:  # for a trial; spread over the sites, whose names begin the file names
        every = range(0, len(datamodule.train_data), max(1, len(datamodule.train_data) // options.pictures))
        datamodule.train_data = datamodule.train_data.sample(list(every))
    model = FederatedPatchcore(
        budget=options.site_budget,
        image_size=(options.side, options.side),
        seed=options.seed,
        evaluator=False,
        visualizer=False,
    )
    return make_scene(
        datamodule,
        model,
        registry.build("partitioner", "by_pattern", pattern=options.pattern),
        target=options.target,
        store=Path(options.store) / f"{options.category}_{options.side}",
        most_good=options.most_good,
        most_others=options.most_others,
        seed=options.seed,
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    began = time.perf_counter()
    outcome = run_study(
        make_study(options),
        lambda: scene_of(options),
        tell=lambda result: print(json.dumps(line_of(result)), file=sys.stderr, flush=True),
    )
    return {
        "cells": [line_of(result) for result in outcome.results],
        "failures": [{"cell": str(failure.cell), "error": failure.error} for failure in outcome.failures],
        "computed": outcome.computed,
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", default="magnetic_tile")
    parser.add_argument("--pattern", default=r"^(?P<site>exp\d)_", help="which part of a file name is the site")
    parser.add_argument("--target", default="crack", help="type of defect that attacks are to hide")
    parser.add_argument("--store", required=True, help="folder that keeps patch features")
    parser.add_argument("--output", required=True, help="folder that keeps finished cells")
    parser.add_argument("--attacks", nargs="+", help="attack plugins; by default all")
    parser.add_argument("--screenings", nargs="*", help="screening plugins, each alone; by default all")
    parser.add_argument("--chain", nargs="+", action="append", default=[], help="screenings one after the other")
    parser.add_argument("--reference", help="file of 'bank reference', for trusted_reference")
    parser.add_argument("--strategies", nargs="*", default=list(STRATEGIES), help="robust strategies")
    parser.add_argument("--site_quorums", type=int, nargs="*", default=[2, 3], help="of detectors, each a defence")
    parser.add_argument("--bad_sites", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5], help="of a bad site's rows")
    parser.add_argument("--site_budget", type=int, default=2000, help="rows that a site sends")
    parser.add_argument("--budget", type=int, default=4000, help="rows of the global bank")
    parser.add_argument("--side", type=int, default=320, help="height and width of pictures")
    parser.add_argument("--most_good", type=int, default=150, help="good test pictures to measure on")
    parser.add_argument("--most_others", type=int, default=30, help="test pictures of each type but the target")
    parser.add_argument("--pictures", type=int, help="training pictures to use for a trial; by default all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report = {
        "measures": "of target pictures that the clean bank finds at 95 % TNR, the share that the attacked one misses; "
        "of good pictures with the trigger, likewise; admission of forged rows; costs of defences",
        "compared_with": "the clean bank of the same defence; for rare modes kept, the clean bank without a defence",
        **{name: getattr(options, name) for name in DECISIVE},
        "shares": options.shares,
        "bad_sites": options.bad_sites,
        **run(options),
        "repeats": 1,
        **circumstances("anomalib", "timm"),
        "seed": options.seed,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
