"""``anomalib-federated federate``: a federation of several sites in one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ActionYesNo, ArgumentParser
from lightning import seed_everything
from rich.console import Console

from anomalib_federated import registry
from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.detector_options import add_data, add_model
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.memory_option import expand_memory
from anomalib_federated.cli.plugin_option import PLUGIN, config_file, keep_names, plugin_option
from anomalib_federated.cli.refused_table import print_refused
from anomalib_federated.cli.results_table import print_results
from anomalib_federated.cli.worst_groups_table import WORST_OF, print_worst_groups
from anomalib_federated.evaluation.experiments.federated_run import run_federated
from anomalib_federated.evaluation.fairness.fairness_file import read_all_fairness
from anomalib_federated.files import write_file
from anomalib_federated.interfaces.configured_strategy import build_strategy

PARTITIONER, STRATEGY, PRIVACY, FAIRNESS = "iid", "federated_coreset", "none", "none"
"""Plugins that are used if none are named."""
PLUGINS = {"--partitioner", "--strategy", "--site_coreset", "--privacy", "--fairness"}
"""Options that name one."""
BUDGET = int | float | dict[str, int | float]
"""Type of a budget: rows, a share, or a target radius with a most."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the federation that the configuration describes."""
    configure_logs()
    parser = build_parser(command)
    config = parser.parse_args(keep_names(expand_memory(arguments), PLUGINS))
    config.partitioner = plugin_option(config.partitioner, default=PARTITIONER)
    config.strategy = plugin_option(config.strategy, default=STRATEGY)
    config.privacy = plugin_option(config.privacy, default=PRIVACY)
    config.fairness = plugin_option(config.fairness, default=FAIRNESS)
    if config.site_coreset is not None:
        config.site_coreset = plugin_option(config.site_coreset, default="k_center")
    seed_everything(config.seed, verbose=False)
    objects = parser.instantiate_classes(config)
    output = Path(config.output)
    results = run_federated(
        objects.data,
        objects.model,
        partitioner=registry.build("partitioner", config.partitioner),
        strategy=build_strategy(config.strategy, screening=config.screening, seed=config.seed),
        output=output,
        site_coreset=config.site_coreset,
        site_budget=config.site_budget,
        privacy=config.privacy,
        groups=config.groups,
        fairness=config.fairness,
        centralised=config.centralised,
        seed=config.seed,
    )
    write_file(output / "config.yaml", parser.dump(config).encode())
    print_results(results)
    if config.groups is not None:
        print_worst_groups(results, read_all_fairness(output), WORST_OF)
    print_refused([each for result in results if result.bank for each in result.bank.refused])
    Console().print(f"Figures, banks and exported detectors lie in {output}.")
    return 0


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        formatter_class=CommandHelp,
        prog=f"anomalib-federated {command}",
        description="Train across several sites in one process, score and export the detector. Training on the pooled "
        "pictures is run beside it, so that the gap shows. '--memory 4GB' is short for '--model.memory 4GB'. An "
        "interrupted run goes on if it is started again with the same arguments.",
    )
    parser.add_argument("-c", "--config", action=config_file(PLUGINS), metavar="FILE", help="configuration in YAML")
    add_data(parser)
    add_model(parser)
    parser.add_argument(
        "--partitioner", type=PLUGIN, metavar="PARTITIONER", default=PARTITIONER, help="which site gets which picture"
    )
    parser.add_argument("--strategy", type=PLUGIN, default=STRATEGY, help="how site banks become one")
    parser.add_argument(
        "--screening",
        type=list[PLUGIN],
        default=[],
        metavar="[SCREENING,...]",
        help="what site banks pass before, one after the other (none)",
    )
    parser.add_argument(
        "--site_coreset", type=PLUGIN | None, default=None, metavar="CORESET", help="how a site selects (as the model)"
    )
    parser.add_argument(
        "--site_budget",
        type=BUDGET | None,
        default=None,
        metavar="ROWS",
        help="rows per category that a site sends, a share, or {radius: R, rows: MOST} (as the model)",
    )
    parser.add_argument("--privacy", type=PLUGIN, default=PRIVACY, help="what a site sends in place of its bank")
    parser.add_argument(
        "--groups",
        type=dict[str, Any] | None,
        default=None,
        metavar="HOW",
        help="how sites group pictures: {pattern: '(?P<group>..)'}",
    )
    parser.add_argument("--fairness", type=PLUGIN, default=FAIRNESS, help="how rows are shared among these groups")
    parser.add_argument("--output", type=str, default="results/federated", metavar="DIR", help="folder to write")
    parser.add_argument(
        "--centralised",
        action=ActionYesNo(no_prefix="no-"),
        default=True,
        help="train on the pooled pictures too (yes)",
    )
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    parser.link_arguments("seed", "data.init_args.seed")
    parser.link_arguments("seed", "model.init_args.seed")
    return parser
