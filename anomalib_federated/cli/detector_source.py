"""``--bank`` or ``--ckpt_path``: the detector that a command looks at, and how it scores if a bank is given."""

from __future__ import annotations

import inspect
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from anomalib_federated.bank import MemoryBank
from anomalib_federated.models import FederatedPatchcore, detector_of

SCORING = ("weights", "score", "num_neighbors", "score_clip", "site_quorum", "false_alarm_rate")
"""Settings of the detector that its bank does not bring with it."""


def add_detector_source(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--bank", type=Path | None, default=None, metavar="FILE", help="memory bank of the detector")
    parser.add_argument(
        "--ckpt_path", type=Path | None, default=None, metavar="FILE", help="checkpoint of a trained detector"
    )
    others = set(inspect.signature(FederatedPatchcore).parameters) - set(SCORING)
    parser.add_class_arguments(FederatedPatchcore, "model", instantiate=False, skip=others)
    parser.groups["model"].title = "scoring, with --bank"


def check_scoring(parser: ArgumentParser, options: Namespace) -> None:
    """End with the usage if scoring is set for a detector that has its own."""
    defaults = inspect.signature(FederatedPatchcore).parameters
    if not options.bank and (idle := [name for name in SCORING if options.model[name] != defaults[name].default]):
        parser.error(f"--model.{idle[0]} is a setting of a detector made from a --bank; leave it out.")


def detector_from(options: Namespace) -> FederatedPatchcore:
    """The detector of a checkpoint, or of a bank, which says what its features are.

    Raises:
        FileNotFoundError: If there is no such file.
        BankError: If the bank cannot be used.
    """
    if options.ckpt_path:
        if not options.ckpt_path.is_file():
            msg = f"There is no checkpoint {options.ckpt_path}; give the path of one that 'fit' wrote."
            raise FileNotFoundError(msg)
        loaded: FederatedPatchcore = FederatedPatchcore.load_from_checkpoint(options.ckpt_path)
        loaded.cpu()
        return loaded
    return detector_of(MemoryBank.load(options.bank), **options.model.as_dict())
