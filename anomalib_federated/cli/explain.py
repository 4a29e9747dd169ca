"""``anomalib-federated explain``: why pictures got their scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace
from lightning import seed_everything
from rich.console import Console

from anomalib_federated import registry
from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.detector_options import add_data
from anomalib_federated.cli.detector_source import add_detector_source, check_scoring, detector_from
from anomalib_federated.cli.faithfulness_table import print_faithfulness
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.plugin_option import PLUGIN
from anomalib_federated.data import AutoVI
from anomalib_federated.data.layout import name_of
from anomalib_federated.evaluation.faithfulness.faithfulness_file import write_faithfulness
from anomalib_federated.evaluation.faithfulness.measure import measure_faithfulness
from anomalib_federated.evaluation.measuring.calibrate import calibrate
from anomalib_federated.evaluation.measuring.scored_image import scored_images
from anomalib_federated.explanations.explaining import Asked, explain_pictures, method_of
from anomalib_federated.explanations.explanation_file import INTERPRETABILITY
from anomalib_federated.explanations.normal_pictures import NormalPictures
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.pictures import find_pictures

QUICK = ["overlay", "nearest_normal", "gradcam", "shapley_exact"]
"""Explainers unless others are named: those that take less than a second a picture."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Explain, and tell where all lies."""
    configure_logs()
    parser = build_parser(command)
    options = parser.parse_args(arguments)
    _check(parser, options)
    seed_everything(options.seed, verbose=False)
    model = detector_from(options)
    data: AutoVI | None = None
    if options.images:
        pictures, normal = _given(options, model)
    else:
        data = parser.instantiate_classes(options).data
        data.prepare_data()
        data.setup()
        pictures, normal = _of_data(options, model, data)
    outcome = explain_pictures(
        model, pictures, options.explainers, output=Path(options.output), seed=options.seed, normal=normal
    )
    Console().print(
        f"{outcome.computed} explanations made, {len(outcome.files) - outcome.computed} were there already; all lie in "
        f"{Path(options.output) / INTERPRETABILITY}.",
        soft_wrap=True,
    )
    if data is not None and options.measure:
        _measure(options, model, data)
    return 0


def _measure(options: Namespace, model: FederatedPatchcore, data: AutoVI) -> None:
    """Measure how faithful the explanations are, category by category."""
    explainers = {method_of(spec): registry.build("explainer", spec) for spec in options.explainers}
    for category in data.categories:
        result = measure_faithfulness(
            model,
            data,
            category,
            explainers=explainers,
            pictures=options.measure,
            checked=options.measure,
            seed=options.seed,
            settings={method_of(spec): registry.arguments_of(spec) for spec in options.explainers},
        )
        write_faithfulness(Path(options.output), result)
        print_faithfulness(result)


def _given(options: Namespace, model: FederatedPatchcore) -> tuple[list[Asked], dict[str, NormalPictures]]:
    """Pictures given by their files, of one category."""
    category = options.category
    model.category_rows(category)  # a wrong category comes to light before files are looked for
    for path in options.images:
        if not path.is_file():
            msg = f"There is no picture {path}; check the path."
            raise FileNotFoundError(msg)
    pictures = [Asked(path=path, name=path.name, category=category) for path in options.images]
    if options.normal is None:
        return pictures, {}
    own = {path.name if path == options.normal else path.relative_to(options.normal).as_posix(): path
           for path in find_pictures(options.normal)}  # fmt: skip
    return pictures, {category: NormalPictures(model, category, own)}


def _of_data(
    options: Namespace, model: FederatedPatchcore, data: AutoVI
) -> tuple[list[Asked], dict[str, NormalPictures]]:
    """The test pictures with the highest scores, and the training pictures as the site's own normal ones."""
    for category in data.categories:
        model.category_rows(category)  # refused before anything is computed
    calibrate(model, data.val_data, batch_size=data.eval_batch_size)
    pictures = [asked for category in data.categories for asked in _highest(options, model, data, category)]
    normal = {
        category: NormalPictures(
            model,
            category,
            {name_of(path): Path(path) for path in data.train_data.of_category(category).samples["image_path"]},
        )
        for category in data.categories
    }
    return pictures, normal


def _highest(options: Namespace, model: FederatedPatchcore, data: AutoVI, category: str) -> Iterator[Asked]:
    found = []
    test = data.test_data.of_category(category)
    for scored in scored_images(model, test, batch_size=data.eval_batch_size):
        annotated = scored.covered() if scored.defects else None
        asked = Asked(path=scored.image_path, name=scored.name, category=category, annotated=annotated)
        found.append((-scored.score, scored.name, asked))
        found.sort(key=lambda each: each[:2])
        del found[options.images_per_category :]
    return (asked for _, _, asked in found)


def _check(parser: ArgumentParser, options: Namespace) -> None:
    """End with the usage if the options do not go together."""
    if bool(options.bank) == bool(options.ckpt_path):
        parser.error("Give either --bank or --ckpt_path: the detector whose scores are to be explained.")
    if options.images and not options.category:
        parser.error("--images are of one category: name it with --category.")
    if options.category and not options.images:
        parser.error("--category is that of --images; choose those of a data set with --data.categories.")
    if options.normal and not options.images:
        parser.error("--normal goes with --images; of a data set, its training pictures are the own normal ones.")
    if options.measure < 0 or (options.measure and options.images):
        parser.error(
            f"--measure is {options.measure}; give how many defective test pictures of the data set, without --images."
        )
    if options.images_per_category < 1:
        parser.error(f"--images_per_category is {options.images_per_category}; give at least 1.")
    if not options.explainers:
        parser.error(f"--explainers is empty; name one, such as {QUICK[0]}.")
    check_scoring(parser, options)


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        formatter_class=CommandHelp,
        prog=f"anomalib-federated {command}",
        description="Say why pictures got their scores: per picture and method one PNG to look at, and one JSON with "
        "the numbers behind it. What is there already with the same settings is not made again.",
    )
    parser.add_argument("-c", "--config", action=ActionConfigFile, metavar="FILE", help="configuration in YAML")
    add_data(parser)
    parser.add_argument(
        "--images", type=Path, default=[], nargs="+", metavar="FILE", help="files, instead of a data set"
    )
    parser.add_argument("--category", type=str | None, default=None, help="of the images")
    add_detector_source(parser)
    parser.add_argument(
        "--explainers",
        type=list[PLUGIN],
        default=QUICK,
        metavar="[EXPLAINER,...]",
        help="names, or class_path and init_args; 'shap' (seconds a picture) and 'occlusion' (hundreds of scores a "
        "picture) only if they are named, since they take longest",
    )
    parser.add_argument(
        "--images_per_category",
        type=int,
        default=10,
        help="test pictures of each category of the data set: those with the highest scores",
    )
    parser.add_argument(
        "--normal",
        type=Path | None,
        metavar="DIR",
        default=None,
        help="folder of the site's own normal pictures, to show what the images were compared with; of a data set, its "
        "training pictures are taken. Explanations that show them stay at the site",
    )
    parser.add_argument(
        "--measure",
        type=int,
        default=0,
        help="on how many defective test pictures of each category, drawn by the seed, explanations are measured too: "
        "deletion and insertion, pointing, overlap with the mask, sanity checks. Takes about as long as 60 scores and "
        "3 explanations for each method and picture; 0 measures nothing",
    )
    parser.add_argument("--output", type=str, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    parser.link_arguments("seed", "data.init_args.seed")
    return parser
