"""``anomalib-federated bank reference``: what the centre knows of good parts and of defects, for screenings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jsonargparse import ArgumentParser
from rich.console import Console

from anomalib_federated.backbones import Backbone
from anomalib_federated.bank import BankError, describe
from anomalib_federated.cli.bank_table import print_bank
from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.data_option import AUTOVI
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.data import AutoVI
from anomalib_federated.data.synthetic_defects import KINDS
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.models.reference_bank import reference_bank


def run(command: str, arguments: Sequence[str]) -> int:
    """Draw pictures and put defects on them; build, save and describe the reference."""
    configure_logs()
    options = build_parser(command).parse_args(list(arguments))
    if options.pictures < 2:
        msg = f"--pictures is {options.pictures}, but a reference needs 2 at least."
        raise ValueError(msg)
    extractor = _extractor(options.agreement, weights=options.weights)
    data = AutoVI(options.data.root, [options.category], validation_share=0, seed=options.seed)
    data.prepare_data()
    data.setup()
    drawn = np.random.default_rng(options.seed).permutation(len(data.train_data))[: options.pictures]
    images = data.train_data.sample(sorted(drawn.tolist()))
    bank = reference_bank(images, extractor, rows=options.rows, seed=options.seed)
    print_bank(str(bank.save(options.output)), describe(bank))
    Console().print(
        f"{len(images)} pictures of good parts, with a defect of each kind ({', '.join(KINDS)}). The reference holds "
        "features of these pictures: it is as confidential as a site's bank."
    )
    return 0


def _extractor(agreement: Path | None, *, weights: str | None) -> PatchFeatureExtractor:
    """The extractor of a federation; without an agreement, that of the default detector."""
    if agreement is None:
        return PatchFeatureExtractor(Backbone(weights=weights))
    space = Agreement.from_json(agreement.read_text(), source=str(agreement)).space
    extractor = PatchFeatureExtractor.of_space(space, weights=weights)
    if differing := space.differences(extractor.space):
        msg = f"{agreement} asks for other features than can be had here: {differing}; give the same --weights."
        raise BankError(msg)
    return extractor


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = ArgumentParser(
        formatter_class=CommandHelp,
        prog=f"anomalib-federated {command}",
        description="Make the reference of the screening trusted_reference out of pictures of good parts that the "
        "centre itself has: their patch features, and those of synthetic defects that are put on them.",
    )
    parser.add_argument("--data.root", type=str, default=AUTOVI, help="folder of the categories")
    parser.add_argument("--category", type=str, required=True, help="name of the category")
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="file to write")
    parser.add_argument("--pictures", type=int, default=24, help="how many training pictures are drawn at most")
    parser.add_argument("--rows", type=int, default=4000, help="of either kind, how many rows are kept at most")
    parser.add_argument(
        "--agreement",
        metavar="FILE",
        type=Path | None,
        default=None,
        help="agreement.json; by default the default detector's features",
    )
    parser.add_argument(
        "--weights", metavar="FILE", type=str | None, default=None, help="file of the backbone's weights"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides pictures, defects and first rows")
    return parser
