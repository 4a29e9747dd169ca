"""``anomalib-federated export``: a station's bundle, out of a memory bank; a checkpoint as anomalib exports it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.detector_source import SCORING
from anomalib_federated.cli.export_table import print_bundle
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.data import AutoVI
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.deploy.bundle import read_bundle
from anomalib_federated.deploy.compression import orthogonal, pca, prune
from anomalib_federated.deploy.export import ExportSettings, NormalPictures, Precision, RuntimeName, export_bundle
from anomalib_federated.deploy.precision import RowType
from anomalib_federated.evaluation.measuring.calibrate import calibrate, calibrated_as_exported
from anomalib_federated.models import FederatedPatchcore, detector_of
from anomalib_federated.models.image_score import ScoreRule
from anomalib_federated.untrusted import said, shown

PROJECTIONS = {"pca": pca, "orthogonal": orthogonal}


def run(command: str, arguments: Sequence[str]) -> int:
    """Export from a bank, or hand over to anomalib's own export."""
    if not _is_ours(arguments):
        from anomalib_federated.cli import anomalib  # noqa: PLC0415 - it takes seconds to import

        return anomalib.run(command, arguments)
    configure_logs()
    parser = build_parser(command)
    options = parser.parse_args(arguments or ["--help"])
    if options.thresholds and (options.project or options.prune):
        parser.error("a compressed bank needs thresholds of its own: give --normal in place of --thresholds")
    if options.pictures < 1:
        parser.error(f"--pictures is {options.pictures}; give 1 or more")
    settings = ExportSettings(
        runtime=options.format,
        precision=options.precision,
        rows=options.rows,
        input_size=None if options.input_size is None else tuple(options.input_size),
        tolerance=options.tolerance,
    )
    exported = _prepared(options)
    bundle = export_bundle(
        exported.model,
        options.output,
        settings=settings,
        pictures=exported.pictures,
        reference=exported.reference,
        compression=exported.compression,
    )
    print_bundle(bundle)
    Console().print(f"The bundle lies in {bundle.root}; version {bundle.version}.", soft_wrap=True, highlight=False)
    return 0


def _is_ours(arguments: Sequence[str]) -> bool:
    """Whether a bank is to be exported, or help is asked for without naming a model."""
    names = {argument.partition("=")[0] for argument in arguments}
    return "--bank" in names or names <= {"-h", "--help"}


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What goes into the bundle."""

    model: FederatedPatchcore
    reference: FederatedPatchcore
    pictures: dict[str, NormalPictures] = field(default_factory=dict)
    compression: dict[str, dict[str, Any]] = field(default_factory=dict)


def _prepared(options: argparse.Namespace) -> _Prepared:
    whole = MemoryBank.load(options.bank / "bank.safetensors" if options.bank.is_dir() else options.bank)
    bank = whole if options.category is None else MemoryBank.merge(map(whole.for_category, options.category))
    reference = _detector(bank, options)
    if options.thresholds:
        return _with_thresholds_of(reference, options.thresholds, banks={whole.digest, bank.digest})
    data = AutoVI(options.normal, list(bank.categories), validation_share=options.validation_share, seed=options.seed)
    data.setup()
    calibrate(reference, data.val_data)
    trained_on = {name: _some(data.train_data.of_category(name), options.pictures) for name in bank.categories}
    model, compression = _compressed(reference, trained_on, data, options)
    pictures = {
        name: NormalPictures(
            compared=_some(data.val_data.of_category(name), options.pictures), calibration=trained_on[name]
        )
        for name in bank.categories
    }
    return _Prepared(model=model, reference=reference, pictures=pictures, compression=compression)


def _detector(bank: MemoryBank, options: argparse.Namespace) -> FederatedPatchcore:
    settings = {name: getattr(options, name) for name in SCORING}
    return detector_of(bank, **settings)


def _with_thresholds_of(model: FederatedPatchcore, folder: Path, *, banks: set[str]) -> _Prepared:
    bundle = read_bundle(folder)
    if missing := [name for name in model.bank.categories if name not in bundle.categories]:
        msg = f"The bundle {folder} has no thresholds for {', '.join(missing)}; give --normal, or name a --category."
        raise ValueError(msg)
    if bundle.manifest.get("bank", {}).get("digest") not in banks:
        msg = f"The bundle {folder} was made of another bank, so its thresholds do not fit; give --normal."
        raise ValueError(msg)
    rule, theirs = model.scorer.image_score.rule, bundle.manifest.get("score")
    if theirs != rule:
        msg = f"The bundle {folder} scores by {said(str(theirs))}, not {rule}: its thresholds do not fit; give --score."
        raise ValueError(msg)
    settings = ["score_clip", "site_quorum"] + ["num_neighbors"] * (rule == "reweighted")
    for name in settings:
        found = bundle.manifest.get(name, 1 if name == "site_quorum" else None)  # older bundles know no quorum
        if found != model.scorer.settings[name]:
            msg = f"The bundle {folder} has {name} = {shown(found)}, and thresholds of it; give the same --{name}."
            raise ValueError(msg)
    for name in model.bank.categories:
        model.post_processor.adopt(name, bundle.manifest["categories"][name])
    return _Prepared(model=model, reference=model)


def _compressed(
    reference: FederatedPatchcore, pictures: dict[str, list[Tensor]], data: AutoVI, options: argparse.Namespace
) -> tuple[FederatedPatchcore, dict[str, dict[str, Any]]]:
    """The detector to export, of the compressed bank, with thresholds of its own, and what was done to it."""
    bank = reference.bank
    done: dict[str, dict[str, Any]] = {name: {} for name in bank.categories}
    if options.prune:
        pruned = prune(reference, pictures, tolerance=options.prune)
        bank = pruned.bank
        for name, dropped in pruned.dropped.items():
            done[name]["pruned"] = {"tolerance": options.prune, "dropped": dropped, "pictures": len(pictures[name])}
    if options.project:
        kind, width = options.project
        bank = PROJECTIONS[kind](bank, width=width)
        for what in done.values():
            what["projection"] = {"kind": kind, "width": width}
    model = reference if bank is reference.bank else _detector(bank, options)
    return calibrated_as_exported(model, data.val_data), done


def _some(data: InspectionDataset, most: int) -> list[Tensor]:
    """At most so many pictures, spread over all."""
    step = max(1, math.ceil(len(data) / most))
    return [data[index].image for index in range(0, len(data), step)]


def _projection(text: str) -> tuple[str, int]:
    kind, _, width = text.partition(":")
    if kind not in PROJECTIONS or not width.isdecimal():
        msg = f"{text!r} is not KIND:DIMENSIONS, such as pca:64 or orthogonal:64"
        raise argparse.ArgumentTypeError(msg)
    return kind, int(width)


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Write the bundle that an inspection station runs, out of a memory bank. Thresholds come from "
        "normal pictures that were held out of training, never from test pictures. Prints what the export changed.",
        epilog="A checkpoint is exported as by anomalib, without --bank: 'anomalib-federated export --model "
        "anomalib_federated.models.FederatedPatchcore --ckpt_path FILE --export_type openvino'.",
    )
    add = parser.add_argument
    add("--bank", type=Path, required=True, metavar="PATH", help="bank file, or the folder of a method that has one")
    add("--output", type=Path, required=True, metavar="DIR", help="the bundle's folder; an earlier bundle is replaced")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--normal", type=Path, metavar="DIR", help="data folder, of whose categories' train/good a part is held out"
    )
    source.add_argument("--thresholds", type=Path, metavar="DIR", help="a bundle of this bank that has thresholds")
    add("--category", nargs="+", metavar="NAME", help="categories to export (all of the bank)")
    add("--format", choices=get_args(RuntimeName), default="openvino", help="what runs it (openvino)")
    add("--precision", choices=get_args(Precision), default="fp32", help="of the network (fp32); int8 needs NNCF")
    add("--rows", choices=get_args(RowType), help="how bank rows are stored (as goes with the precision)")
    add("--project", type=_projection, metavar="KIND:N", help="compare N numbers per patch: pca:64 or orthogonal:64")
    add("--prune", type=float, metavar="SHARE", help="leave out rows without which distances grow by less than this "
        "share of the threshold, such as 0.05")  # fmt: skip
    add("--input_size", type=int, nargs=2, metavar=("H", "W"), help="size of all pictures; faster (any size)")
    add(
        "--tolerance",
        metavar="N",
        type=float,
        default=0.05,
        help="most that a score, 0 to 1, may change against torch (0.05)",
    )
    add(
        "--pictures",
        metavar="N",
        type=int,
        default=40,
        help="most pictures per category to calibrate, prune and compare on (40)",
    )
    add(
        "--validation_share",
        metavar="SHARE",
        type=float,
        default=0.1,
        help="share of normal pictures held out, as in training (0.1)",
    )
    add("--seed", type=int, default=0, help="decides which pictures are held out: that of the training (0)")
    add(
        "--false_alarm_rate",
        metavar="SHARE",
        type=float,
        default=0.05,
        help="share of normal pictures that may alarm (0.05)",
    )
    add(
        "--score",
        choices=get_args(ScoreRule),
        default="smoothed_max",
        metavar="RULE",
        help=f"rule of a picture's score: {', '.join(get_args(ScoreRule))} (smoothed_max)",
    )
    add("--num_neighbors", metavar="N", type=int, default=9, help="neighbourhood of the rule reweighted (9)")
    add("--score_clip", type=float, metavar="DISTANCE", help="the most that one patch counts (no limit)")
    add("--site_quorum", type=int, default=1, help="sites that must have seen the like of what is normal (1)")
    add("--weights", metavar="FILE", help="weights of the backbone (packaged, or from timm's hub)")
    return parser
