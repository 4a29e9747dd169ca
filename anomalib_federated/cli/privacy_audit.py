"""``anomalib-federated privacy audit``: attack a privacy plugin, and tell how much it gives away at least."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.table import Table
from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.audit import (
    AuditResult,
    Selecting,
    all_runs,
    audit,
    generated_pictures,
    generated_space,
    target_of,
)
from anomalib_federated.bank import FeatureSpace
from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.plain_table import plain_table
from anomalib_federated.cli.plugin_option import PLUGIN, keep_names, plugin_option
from anomalib_federated.files import write_file
from anomalib_federated.interfaces.privacy import BankPrivacy, Privacy
from anomalib_federated.progress import progress_bar

PLUGINS = {"--privacy", "--coreset"}
CORESET = "random"


def run(command: str, arguments: Sequence[str]) -> int:
    """Print a table and the verdict in words; the status is 1 if more was found than is promised."""
    options = build_parser(command).parse_args(keep_names(arguments, PLUGINS))
    privacy: Privacy = registry.build("privacy", plugin_option(options.privacy, default="none"))
    pictures, space, setting = _pictures(options)
    selecting = None
    if isinstance(privacy, BankPrivacy):
        spec = plugin_option(options.coreset, default=CORESET)
        name = registry.name_of(spec, kind="coreset")
        selecting = Selecting(coreset=registry.build("coreset", spec, budget=options.rows), name=name)
        setting = f"{setting}; {options.rows} rows chosen by {name}"
    target = target_of(privacy, pictures, space=space, selecting=selecting, seed=options.seed)
    total = all_runs(method=options.method, runs=options.runs, membership_runs=options.membership_runs)
    with progress_bar("runs", total=total) as tell:
        found = audit(
            target,
            pictures,
            setting=setting,
            method=options.method,
            runs=options.runs,
            membership_runs=options.membership_runs,
            confidence=options.confidence,
            seed=options.seed,
            tell=tell,
        )
    console = Console()
    console.print(_table(found))
    for sentence in found.in_words:
        console.print(sentence, highlight=False)
    if options.output:
        write_file(Path(options.output), found.to_json().encode())
        console.print(f"The audit lies in {options.output}.", highlight=False, soft_wrap=True)
    return 1 if found.refuted else 0


def _pictures(options: Namespace) -> tuple[Tensor, FeatureSpace, str]:
    if options.data.root is None:
        pictures = generated_pictures(options.pictures, dim=options.dim, seed=options.seed)
        setting = f"{options.pictures} generated pictures of {options.dim} features"
        return pictures, generated_space(options.dim), setting
    from anomalib_federated.audit.real_pictures import real_pictures  # noqa: PLC0415 - needs a backbone, which is slow

    if options.data.category is None:
        msg = f"--data.root {options.data.root} has several categories; name one with --data.category."
        raise ValueError(msg)
    real = real_pictures(Path(options.data.root), options.data.category, count=options.pictures, seed=options.seed)
    return real.features, real.space, f"{options.pictures} training pictures of {options.data.category}"


def _table(found: AuditResult) -> Table:
    table = plain_table("figure", numbers=("claimed", "at least"))
    table.title, table.title_style = f"{found.plugin}: {found.setting}; {_effort(found)}", ""
    claimed = {"epsilon": found.epsilon, "mu": found.mu} if found.claims else {"epsilon": None, "mu": None}
    lines = [
        ("epsilon, whatever the mechanism", claimed["epsilon"], found.epsilon_found),
        ("epsilon, if its noise is Gaussian", claimed["epsilon"], found.epsilon_if_gaussian),
        ("mu, of the noise as reported", claimed["mu"], found.mu_found),
    ]
    for figure, claim, value in lines:
        if value is not None:
            table.add_row(figure, "nothing" if claim is None else f"{claim:.3g}", f"{value:.3g}")
    if found.membership_auc is not None:
        table.add_section()
        table.add_row("membership AUC of ordinary pictures (0.5 is guessing)", "", f"about {found.membership_auc:.3f}")
    return table


def _effort(found: AuditResult) -> str:
    if found.method == "one_run":
        return f"one run with {found.runs} canaries, {found.confidence:.4g} confidence"
    return f"{found.runs} runs with a canary, {found.runs} without, {found.confidence:.4g} confidence"


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        formatter_class=CommandHelp,
        prog=f"anomalib-federated {command}",
        description="Attack a privacy plugin: release again and again with and without a picture that stands out as "
        "far as any can, tell the two apart, and compute how large epsilon must be at least. An audit can refute a "
        "promise, never prove it.",
    )
    parser.add_argument("--privacy", type=PLUGIN, required=True, help="the plugin, by name or class_path")
    parser.add_argument("--coreset", type=PLUGIN, default=CORESET, help="how rows of a bank are chosen")
    parser.add_argument("--rows", type=int, default=192, help="of a bank")
    parser.add_argument("--method", choices=["canary", "one_run"], default="canary", help="many runs, or many canaries")
    parser.add_argument("--runs", type=int, default=1000, help="with the canary, and as many without; or canaries")
    parser.add_argument("--membership_runs", type=int, default=20, help="behind the membership AUC; 0: none")
    parser.add_argument("--confidence", type=float, default=0.95, help="chance that the bounds hold together")
    parser.add_argument("--pictures", type=int, default=24, help="ordinary ones, beside the canary")
    parser.add_argument("--dim", type=int, default=16, help="features of generated pictures")
    parser.add_argument("--data.root", type=str | None, default=None, help="real training pictures instead")
    parser.add_argument("--data.category", type=str | None, default=None, help="category of these")
    parser.add_argument("--seed", type=int, default=0, help="decides pictures and runs")
    parser.add_argument("--output", metavar="FILE", type=str | None, default=None, help="JSON file to write")
    return parser
