"""Pages that repeat no text: the installed plugins with their docstrings, and the commands with their help texts.

mkdocs calls ``on_files`` before it reads the navigation.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Mapping

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from anomalib_federated import registry
from anomalib_federated.cli.actions import actions_of
from anomalib_federated.cli.main import COMMANDS, main

TITLES = {
    "attack": "Attacks, for evaluation only",
    "coreset": "Coresets",
    "explainer": "Explainers",
    "fairness": "Fairness rules",
    "partitioner": "Partitioners",
    "privacy": "Privacy mechanisms",
    "screening": "Screenings",
    "strategy": "Strategies",
}
OPTIONS = ("heading_level: 3", "members: false", "show_bases: false", "show_root_toc_entry: false")
"""How mkdocstrings shows the class of a plugin, below the heading with its name."""
ANOMALIBS = {name for name, (module, _) in COMMANDS.items() if module == "anomalib"}
"""Commands whose help text is anomalib's own."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for kind in registry.INTERFACES:
        files.append(File.generated(config, f"reference/plugins/{kind}.md", content=plugins_page(kind)))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    return files


def plugins_page(kind: str) -> str:
    """Markdown of the plugins of a kind: a heading each, and what mkdocstrings makes of its class."""
    parts = [
        f"# {TITLES[kind]}",
        f"What is installed; `anomalib-federated plugins {kind}` lists yours. "
        f"What such a plugin is: [the interface](../interfaces/{kind}.md).",
    ]
    for name, info in registry.available(kind).items():
        path = info.target.replace(":", ".")
        parts += [
            f"## `{name}`",
            "\n".join([f"::: {path}", "    options:", *(f"      {option}" for option in OPTIONS)]),
        ]
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """Markdown of all commands with their help texts."""
    parts = [
        "# Commands",
        "What `--help` prints. `--data.help` and `--model.help` of a command list the settings of "
        "[`AutoVI`](data.md) and [`FederatedPatchcore`](models.md).",
    ]
    for command, (module, does) in COMMANDS.items():
        parts += [f"## `{command}`", f"{does[0].upper()}{does[1:]}."]
        if command in ANOMALIBS:
            parts.append(
                f"An anomalib command: `anomalib-federated {command} --help` lists its options, which are those of "
                "anomalib's own, and `--memory`."
            )
        elif actions := _quietly_actions_of(module):
            for action in actions:
                parts += [f"### `{command} {action}`", _fenced(help_text(command, action))]
        else:
            parts.append(_fenced(help_text(command)))
    return "\n\n".join(parts) + "\n"


def _quietly_actions_of(module: str) -> Mapping[str, str]:
    with warnings.catch_warnings():
        # Commands import packages that warn of each other; mkdocs would report that.
        warnings.simplefilter("ignore")
        return actions_of(module)


def help_text(*command: str) -> str:
    """What a command prints if it is asked for help."""
    written, width = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            main([*command, "--help"])
    finally:
        if width is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = width
    return written.getvalue()


def _fenced(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"
