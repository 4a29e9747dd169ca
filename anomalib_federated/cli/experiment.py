"""``anomalib-federated experiment``: methods x categories x seeds out of one YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace
from lightning import seed_everything
from rich.console import Console

from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.corruption_option import add_corruption, corruptions_of
from anomalib_federated.cli.detector_options import add_data, add_model
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.memory_option import expand_memory
from anomalib_federated.cli.results_table import print_results
from anomalib_federated.cli.worst_groups_table import WORST_OF, print_worst_groups
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.comparison.score_rules import different_rules
from anomalib_federated.evaluation.experiments.experiment import Experiment, Outcome, run_experiment
from anomalib_federated.evaluation.experiments.methods import ExperimentError, Method
from anomalib_federated.evaluation.fairness.fairness_file import read_all_fairness
from anomalib_federated.files import write_file
from anomalib_federated.models import FederatedPatchcore

NOT_DECISIVE = {
    "data": {"root", "categories", "download", "num_workers", "seed"},
    "model": {"seed", "memory", "store", "visualizer", "evaluator"},
}
"""Settings that change no figure of a cell, or that the cell itself names: a finished cell stays so if they change."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Compute all cells that are not finished, and tell which failed."""
    configure_logs()
    parser = build_parser(command)
    config = parser.parse_args(expand_memory(arguments))
    experiment = _experiment(parser, config)
    write_file(experiment.output / "experiment.yaml", parser.dump(config).encode())
    outcome = run_experiment(experiment)
    _tell(outcome, experiment.output, grouped=any(method.groups for method in experiment.methods.values()))
    return 1 if outcome.failures else 0


def _experiment(parser: ArgumentParser, config: Namespace) -> Experiment:
    methods = {name: Method.of(name, settings) for name, settings in config.methods.items()}
    known = vars(config.model.init_args)
    for name, method in methods.items():
        if unknown := sorted(set(method.model) - set(known)):
            msg = f"Method '{name}' changes the model's '{unknown[0]}', which it has not; it has {', '.join(known)}."
            raise ExperimentError(msg)

    def make_data(seed: int) -> AutoVI:
        data: AutoVI = _instantiate(parser, config, "data", {"seed": seed})
        data.prepare_data()
        return data

    def make_model(seed: int, changed: Mapping[str, Any]) -> FederatedPatchcore:
        seed_everything(seed, verbose=False)
        model: FederatedPatchcore = _instantiate(parser, config, "model", {**changed, "seed": seed})
        return model

    return Experiment(
        methods=methods,
        seeds=tuple(config.seeds),
        make_data=make_data,
        make_model=make_model,
        output=Path(config.output),
        settings={name: _decisive(name, config[name]) for name in NOT_DECISIVE},
        resamples=config.resamples,
        corruptions=tuple(corruptions_of(config.corruption)),
    )


def _instantiate(parser: ArgumentParser, config: Namespace, name: str, changed: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of any class
    changed_config = config.clone()
    changed_config[name].init_args.update(Namespace(**changed))
    return parser.instantiate_classes(changed_config)[name]


def _decisive(name: str, part: Namespace) -> dict[str, Any]:
    settings = part.as_dict()
    init_args = {key: value for key, value in settings["init_args"].items() if key not in NOT_DECISIVE[name]}
    return {"class_path": settings["class_path"], "init_args": init_args}


def _tell(outcome: Outcome, output: Path, *, grouped: bool) -> None:
    console = Console()
    for seed in sorted({result.seed for result in outcome.results}):
        console.print(f"[bold]seed {seed}")
        print_results([result for result in outcome.results if result.seed == seed])
    if grouped:
        print_worst_groups(outcome.results, read_all_fairness(output), WORST_OF)
    if warning := different_rules(outcome.results):
        console.print(f"[bold red]{warning}", soft_wrap=True)
    before = len(outcome.results) - outcome.computed
    console.print(f"{outcome.computed} cells computed, {before} finished before; all lies in {output}.")
    for failure in outcome.failures:
        console.print(f"[red]{failure.cell} failed:[/red] {failure.error} (all of it in {failure.log})", soft_wrap=True)
    if outcome.failures:
        console.print("Started again, the same command computes the cells that failed, and no other.")
    else:
        console.print(f"'anomalib-federated report {output}' makes a page of it, 'compare' the statistics.")


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        formatter_class=CommandHelp,
        prog=f"anomalib-federated {command}",
        description="Train and score methods x categories x seeds on one machine. An interrupted experiment goes on if "
        "it is started again; finished cells are not computed again; a cell that fails does not stop the others.",
    )
    parser.add_argument("-c", "--config", action=ActionConfigFile, metavar="FILE", help="configuration in YAML")
    add_data(parser)
    add_model(parser)
    parser.add_argument(
        "--methods",
        type=dict[str, dict[str, Any] | None],
        required=True,
        help="per name: partitioner, strategy, screening, site_coreset, site_budget, privacy, groups, fairness, and "
        "the settings that differ in its model",
    )
    parser.add_argument("--seeds", type=list[int], default=[0], help="every cell is computed with each")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap behind the intervals; 0: none")
    add_corruption(parser)
    parser.add_argument("--output", metavar="DIR", type=str, default="results/experiment", help="folder to write")
    return parser
