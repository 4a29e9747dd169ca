"""``anomalib-federated attack``: attacks x defences out of one YAML, for evaluation only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from lightning import seed_everything
from rich.console import Console

from anomalib_federated import registry
from anomalib_federated.cli.attack_tables import print_study
from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.detector_options import add_data, add_model
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.memory_option import expand_memory
from anomalib_federated.cli.plugin_option import PLUGIN, config_file, keep_names, plugin_option
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.plots.attack_curves import attack_curves
from anomalib_federated.evaluation.plots.saving import save
from anomalib_federated.evaluation.robustness.curves import curves_of
from anomalib_federated.evaluation.robustness.defence import Defence
from anomalib_federated.evaluation.robustness.loot import RobustnessError
from anomalib_federated.evaluation.robustness.result import as_plain
from anomalib_federated.evaluation.robustness.run import Outcome, run_study
from anomalib_federated.evaluation.robustness.scene import Scene, make_scene
from anomalib_federated.evaluation.robustness.study import Study
from anomalib_federated.evaluation.robustness.table import SUCCESSES
from anomalib_federated.files import write_file
from anomalib_federated.models import FederatedPatchcore

WARNING = (
    "ATTACKS ARE FOR EVALUATION ONLY. This command simulates all sites on this machine, and sends nothing anywhere. No "
    "other command and no configuration of a federation takes an attack plugin."
)
NOT_DECISIVE = {"root", "categories", "download", "num_workers", "memory", "store", "visualizer", "evaluator", "site"}
"""Settings of data and detector that change no figure, or that the results name themselves."""
PLUGINS = {"--strategy": "federated_coreset", "--partitioner": "iid"}


def run(command: str, arguments: Sequence[str]) -> int:
    """Compute all cells that are not finished, and tell which failed."""
    configure_logs()
    parser = build_parser(command)
    config = parser.parse_args(keep_names(expand_memory(arguments), PLUGINS))
    console = Console()
    console.print(f"[bold red]{WARNING}")
    study = _study(config)
    write_file(study.output / "attack.yaml", f"# {WARNING}\n{parser.dump(config)}".encode())

    def scene() -> Scene:
        return _scene(parser, config, study)

    outcome = run_study(study, scene)
    _write(outcome, study)
    print_study(outcome.results)
    _tell(console, outcome, study.output)
    return 1 if outcome.failures else 0


def _study(config: Namespace) -> Study:
    strategy = plugin_option(config.strategy, default=PLUGINS["--strategy"])
    if config.model.init_args.site_quorum != 1:
        msg = "The model's site_quorum would hold for 'no defence' too; set it in a defence instead."
        raise RobustnessError(msg)
    attacks, defences = _plain(config.attacks), _plain(config.defences)
    if not (categories := config.data.init_args.categories) or len(categories) != 1:
        msg = f"Attacks are measured on one category, got {categories}; name it in data.categories."
        raise RobustnessError(msg)
    return Study(
        attacks={name: _named(name, spec) for name, spec in attacks.items()},
        defences={name: _defence(name, spec or {}, strategy, seed=config.seed) for name, spec in defences.items()},
        undefended=Defence(strategy=strategy, seed=config.seed),
        shares=config.shares,
        bad_sites=config.bad_sites,
        output=Path(config.output),
        seed=config.seed,
        settings={
            "category": categories,
            "target": config.target,
            "partitioner": plugin_option(config.partitioner, default=PLUGINS["--partitioner"]),
            "pictures": {"good": config.most_good, "others": config.most_others},
            **{name: _decisive(config[name]) for name in ("data", "model")},
        },
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
    """What the parser made of plugins in lists, as plain data again."""
    if isinstance(value, Namespace):
        value = value.as_dict()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _named(name: str, spec: Mapping[str, Any] | None) -> dict[str, Any]:
    """An attack plugin; without a class path, that of this name."""
    return {"class_path": name, **(spec or {})}


def _defence(name: str, spec: Mapping[str, Any], strategy: str | dict[str, Any], *, seed: int) -> Defence:
    if unknown := sorted(set(spec) - {"strategy", "screening", "site_quorum"}):
        msg = f"The defence '{name}' has no setting '{unknown[0]}'; it knows strategy, screening and site_quorum."
        raise RobustnessError(msg)
    screening = spec.get("screening") or ()
    if isinstance(screening, str | Mapping):
        msg = f"The screening of the defence '{name}' is {screening!r}; give a list of plugins, even of one."
        raise RobustnessError(msg)
    return Defence(
        strategy=spec.get("strategy") or strategy,
        screening=tuple(screening),
        site_quorum=spec.get("site_quorum", 1),
        seed=seed,
    )


def _decisive(part: Namespace) -> dict[str, Any]:
    settings = part.as_dict()
    init_args = {key: value for key, value in settings["init_args"].items() if key not in NOT_DECISIVE}
    return {"class_path": settings["class_path"], "init_args": init_args}


def _scene(parser: ArgumentParser, config: Namespace, study: Study) -> Scene:
    changed = config.clone()
    for name in ("data", "model"):
        changed[name].init_args.seed = config.seed
    seed_everything(config.seed, verbose=False)
    made = parser.instantiate_classes(changed)
    data: AutoVI = made.data
    model: FederatedPatchcore = made.model
    data.prepare_data()
    return make_scene(
        data,
        model,
        registry.build("partitioner", plugin_option(config.partitioner, default=PLUGINS["--partitioner"])),
        target=config.target,
        store=Path(config.store) if config.store else study.output / "features",
        most_good=config.most_good,
        most_others=config.most_others,
        seed=config.seed,
    )


def _write(outcome: Outcome, study: Study) -> None:
    """All results in one file, and a plot per kind of success and number of bad sites."""
    content = {"note": WARNING, "cells": [as_plain(result) for result in outcome.results]}
    write_file(study.output / "attacks.json", json.dumps(content, indent=1, allow_nan=False).encode())
    for bad in study.bad_sites:
        for number, (success, value) in enumerate(SUCCESSES.items(), start=1):
            curves = curves_of(outcome.results, value, bad=bad)
            if curves:
                told = f"Bad sites: {bad}; target: {study.settings['target']}."
                figure = attack_curves(curves, success=success, sentences=[told])
                save(figure, study.output / f"success_{number}_bad_{bad}.png")


def _tell(console: Console, outcome: Outcome, output: Path) -> None:
    before = len(outcome.results) - outcome.computed
    console.print(f"{outcome.computed} cells computed, {before} finished before; all lies in {output}.")
    for failure in outcome.failures:
        console.print(f"[red]{failure.cell} failed:[/red] {failure.error} (all of it in {failure.log})", soft_wrap=True)
    if outcome.failures:
        console.print("Started again, the same command computes the cells that failed, and no other.")


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        formatter_class=CommandHelp,
        prog=f"anomalib-federated {command}",
        description="Try attacks of bad sites against defences, on one machine. An interrupted study goes on if it is "
        f"started again; finished cells are not computed again. {WARNING}",
    )
    parser.add_argument("-c", "--config", action=config_file(PLUGINS), metavar="FILE", help="configuration in YAML")
    add_data(parser)
    add_model(parser)
    parser.add_argument("--partitioner", type=PLUGIN, default="iid", help="which site has which training pictures")
    parser.add_argument("--strategy", type=PLUGIN, default="federated_coreset", help="unless a defence has its own")
    parser.add_argument("--target", type=str, required=True, help="type of defect that attacks are to hide")
    parser.add_argument(
        "--attacks", type=dict[str, dict[str, Any] | None], required=True, help="per name: class_path, init_args"
    )
    parser.add_argument(
        "--defences",
        type=dict[str, dict[str, Any] | None],
        default={},
        help="per name: screening, strategy, site_quorum",
    )
    parser.add_argument("--shares", type=list[float], default=[0.5], help="of a bad site's rows that are the attack's")
    parser.add_argument("--bad_sites", type=list[int], default=[1], help="numbers of bad sites")
    parser.add_argument("--most_good", type=int | None, default=None, help="good test pictures to measure on")
    parser.add_argument("--most_others", type=int | None, default=None, help="test pictures of each other type")
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    parser.add_argument(
        "--store", metavar="DIR", type=str | None, default=None, help="folder of patch features; else in the output"
    )
    parser.add_argument("--output", metavar="DIR", type=str, default="results/attack", help="folder to write")
    return parser
