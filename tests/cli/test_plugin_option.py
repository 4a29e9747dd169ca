"""Plugins on the command line, with and without a configuration that names one."""

from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from anomalib_federated.cli.plugin_option import PLUGIN, config_file, keep_names, plugin_option

MAPPING = "{class_path: exact_k_center, init_args: {budget: 60}}"


def understood(*arguments: str) -> object:
    parser = ArgumentParser()
    parser.add_argument("--config", action=config_file({"--strategy"}))
    parser.add_argument("--strategy", type=PLUGIN, default="federated_coreset")
    options = parser.parse_args(keep_names(arguments, {"--strategy"}))
    return plugin_option(options.strategy, default="federated_coreset")


@pytest.mark.parametrize(
    ("arguments", "name", "init_args"),
    [
        ([], "weighted", {"budget": 100}),
        (["--strategy", "concatenate"], "concatenate", {}),
        (["--strategy", "weighted"], "weighted", {"budget": 100}),
        (["--strategy.budget", "7"], "weighted", {"budget": 7}),
        (["--strategy=median", "--strategy.cells=7"], "median", {"cells": 7}),
        (["--strategy.budget=8", "--strategy", "median"], "median", {"budget": 8}),
        (["--strategy", MAPPING], "exact_k_center", {"budget": 60}),
        (["--strategy.init_args.budget=8", f"--strategy={MAPPING}"], "exact_k_center", {"budget": 60}),
        ([f"--strategy={MAPPING}", "--strategy.budget", "8"], "exact_k_center", {"budget": 8}),
        (["--strategy", "{class_path: weighted}"], "weighted", {}),
        (["--strategy", "own.package.Mine", "--strategy.x", "{y: 1}"], "own.package.Mine", {"x": {"y": 1}}),
    ],
)
def test_the_command_line_changes_the_plugin_of_a_configuration(
    tmp_path: Path, arguments: list[str], name: str, init_args: dict[str, object]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("strategy: {class_path: weighted, init_args: {budget: 100}}")
    assert understood("--config", str(config), *arguments) == {"class_path": name, "init_args": init_args}


@pytest.mark.parametrize(
    ("arguments", "name", "init_args"),
    [
        ([], "concatenate", {}),
        (["--strategy.budget", "7"], "concatenate", {"budget": 7}),
        (["--strategy", "median", "--strategy.budget", "7"], "median", {"budget": 7}),
    ],
)
def test_arguments_join_the_plugin_that_a_configuration_names_by_its_name_alone(
    tmp_path: Path, arguments: list[str], name: str, init_args: dict[str, object]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("strategy: concatenate")
    assert understood("--config", str(config), *arguments) == {"class_path": name, "init_args": init_args}


def test_without_a_configuration() -> None:
    assert understood() == "federated_coreset"
    assert understood("--strategy", "median") == {"class_path": "median", "init_args": {}}
    assert understood("--strategy.budget=3") == {"class_path": "federated_coreset", "init_args": {"budget": 3}}
    assert understood("--strategy", MAPPING) == {"class_path": "exact_k_center", "init_args": {"budget": 60}}
