"""``anomalib-federated evaluate``: all figures of a bank, of a checkpoint, or of a folder of anomaly maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from lightning import seed_everything
from rich.console import Console

from anomalib_federated import registry
from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.corruption_option import add_corruption, corruptions_of
from anomalib_federated.cli.corruption_table import print_corrupted
from anomalib_federated.cli.detector_options import add_data
from anomalib_federated.cli.detector_source import add_detector_source, check_scoring, detector_from
from anomalib_federated.cli.fairness_table import print_fairness
from anomalib_federated.cli.figures_table import print_figures
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.plugin_option import PLUGIN, config_file, keep_names, plugin_option
from anomalib_federated.data import AutoVI
from anomalib_federated.data.corruption import Corruption
from anomalib_federated.data.grouping import Grouping
from anomalib_federated.evaluation.experiments.methods import ExperimentError, check_name
from anomalib_federated.evaluation.fairness.fairness_file import FILE, read_fairness
from anomalib_federated.evaluation.maps.writer import MapForm
from anomalib_federated.evaluation.measuring.corrupting import refuse_corrupted, score_corrupted
from anomalib_federated.evaluation.measuring.scoring import MAPS, score_source
from anomalib_federated.evaluation.measuring.source import Source, source_of_maps, source_of_model
from anomalib_federated.evaluation.results import METRICS, result_folder
from anomalib_federated.models import FederatedPatchcore

SOURCES = ("bank", "ckpt_path", "maps")
"""Options of which exactly one is given."""
PLUGINS = {"--partitioner"}
"""Options that name a plugin."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Measure, write and print."""
    configure_logs()
    parser = build_parser(command)
    options = parser.parse_args(keep_names(arguments, PLUGINS))
    if options.partitioner is not None:
        options.partitioner = plugin_option(options.partitioner, default="by_pattern")
    _check(parser, options)
    seed_everything(options.seed, verbose=False)
    # The model comes first: a bank that cannot be loaded comes to light before the data are looked through.
    model = None if options.maps else detector_from(options)
    corruptions = [Corruption.of(spec, seed=options.seed) for spec in corruptions_of(options.corruption)]
    data: AutoVI = parser.instantiate_classes(options).data
    if corruptions:
        refuse_corrupted(data)
    data.prepare_data()
    data.setup()
    groups = None if options.groups is None else Grouping.of(options.groups)
    sites = None if options.partitioner is None else registry.build("partitioner", options.partitioner)
    source = _source(options, model, data)
    told = {name: options[name] for name in ("groups", "partitioner") if options[name] is not None}
    results = [
        score_source(
            source,
            category,
            method=options.method,
            output=options.output,
            settings=source.settings | told,
            write_maps=options.write_maps,
            groups=groups,
            sites=sites,
            resamples=options.resamples,
            seed=options.seed,
        )
        for category in data.categories
    ]
    print_figures(results)
    print_fairness(
        [read_fairness(result_folder(options.output, options.method, name) / FILE) for name in data.categories]
    )
    if model is not None and corruptions:
        changed = [
            score_corrupted(
                model,
                data,
                category,
                corruptions=corruptions,
                clean_scores=source.validation_scores.get(category, ()),
                method=options.method,
                output=options.output,
                resamples=options.resamples,
                seed=options.seed,
            )
            for category in data.categories
        ]
        print_corrupted(results, changed)
    console = Console()
    console.print(f"All figures lie in {options.output / METRICS / options.method}.", soft_wrap=True)
    if options.write_maps:
        console.print(f"The anomaly maps lie in {options.output / MAPS / options.method}.", soft_wrap=True)
    return 0


def _source(options: Namespace, model: FederatedPatchcore | None, data: AutoVI) -> Source:
    return source_of_maps(options.maps, data) if model is None else source_of_model(model, data)


def _check(parser: ArgumentParser, options: Namespace) -> None:
    """End with the usage if the options do not go together."""
    given = [name for name in SOURCES if options[name]]
    if len(given) != 1:
        parser.error(f"Give exactly one of --{', --'.join(SOURCES)}; given: {', '.join(given) or 'none'}.")
    try:
        check_name(options.method)
    except ExperimentError as error:
        parser.error(str(error))
    if options.resamples < 0:
        parser.error(f"--resamples is {options.resamples}; give 0 or more.")
    if options.maps and options.corruption:
        parser.error("--corruption is done to pictures before a detector scores them; with --maps they are scored.")
    if options.maps and options.write_maps:
        parser.error("--write_maps writes the maps of a detector; with --maps they are there already.")
    check_scoring(parser, options)


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        formatter_class=CommandHelp,
        prog=f"anomalib-federated {command}",
        description="Measure a detector on test images, or the anomaly maps that any method made of them: AUC-sPRO, "
        "image and pixel AUROC and AP, TPR at a TNR set by normal validation images, all with bootstrap intervals.",
    )
    parser.add_argument("-c", "--config", action=config_file(PLUGINS), metavar="FILE", help="configuration in YAML")
    add_data(parser)
    add_detector_source(parser)
    parser.add_argument(
        "--maps",
        type=Path | None,
        default=None,
        metavar="DIR",
        help="folder of maps <category>/test/<type>/<image>.png (8 or 16 bits), .tiff or .npy; those of normal images "
        "that were not trained on, in <category>/validation/good, set thresholds",
    )
    parser.add_argument("--method", type=str, required=True, help="name of the method, a folder of the output")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--write_maps",
        type=MapForm | None,
        default=None,
        metavar="{png16,npy}",
        help="write the anomaly maps in the official layout too",
    )
    parser.add_argument(
        "--groups",
        type=dict[str, Any] | None,
        default=None,
        metavar="HOW",
        help="measure groups of pictures too: {pattern: REGEX} with a group named 'group', on the file name, "
        "{metadata: FILE.csv, column: NAME}, or {found: CLUSTERS}",
    )
    parser.add_argument(
        "--partitioner",
        type=PLUGIN | None,
        default=None,
        help="measure sites too: the federation's partitioner, if names of pictures tell their site (by_pattern)",
    )
    add_corruption(parser)
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples behind the intervals")
    parser.add_argument(
        "--seed", type=int, default=0, help="decides the intervals and, as in training, which images are held out"
    )
    parser.link_arguments("seed", "data.init_args.seed")
    return parser
