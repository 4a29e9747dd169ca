"""What deleted pixels should be replaced by, tried on held-out good pictures with synthetic defects.

The place of such a defect is known, and so is the picture without it. A good reference scores like a good picture; put
in the place of the defect, it takes the defect's share of the score away; put elsewhere into the good picture, it adds
none. Each is told as a share of what the defect adds to the score, and the first of them once more as deletion counts:
no patch farther from the bank than in the picture itself. Medians over pictures; prints one JSON line.

Example:
    python benchmarks/deletion_references.py --root DIR --category screw --bank BANK --pictures 12
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from circumstances import circumstances
from scipy.ndimage import binary_dilation, gaussian_filter
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.data.synthetic_defects import KINDS, with_defect
from anomalib_federated.explanations.case import ModelCase
from anomalib_federated.explanations.faithfulness.defect_mask import mask_seen
from anomalib_federated.explanations.faithfulness.reference_picture import NormalReferences
from anomalib_federated.explanations.network_input import network_input
from anomalib_federated.models import FederatedPatchcore, detector_of
from anomalib_federated.pictures import read_image

MARGIN = 8
"""Pixels around a defect that are replaced with it: a cell of the patch grid."""

GREY_LEVELS = 255
"""OpenCV's inpainting adds up to about 1.4 to what it fills in."""

Reference = Callable[[Tensor], Tensor]


def candidates(model: FederatedPatchcore, training: list[Path], seed: int) -> dict[str, Reference]:
    """What a picture ``(3, h, w)`` may be replaced by."""
    drawn = np.random.default_rng(seed).permutation(len(training))[:32]
    average = torch.stack([network_input(model, read_image(training[number]))[0] for number in drawn]).mean(0)
    return {
        "blur 8": lambda image: blurred(image, 8),
        "blur 16": lambda image: blurred(image, 16),
        "blur 32": lambda image: blurred(image, 32),
        "one colour": lambda image: image.mean((1, 2), keepdim=True).expand_as(image),
        "mean of normal pictures": lambda _: average,
        "nearest normal picture": NormalReferences(model, training, seed=seed).nearest,
    }


def blurred(image: Tensor, sigma: float) -> Tensor:
    return torch.from_numpy(gaussian_filter(image.numpy(), (0, sigma, sigma), mode="nearest"))


def inpainted(image: Tensor, mask: Tensor) -> Tensor:
    """No reference for a whole picture: what is missing is made from what is left."""
    hole = mask.numpy().astype(np.uint8)
    levels = [cv2.inpaint(each, hole, 3, cv2.INPAINT_TELEA) for each in image.numpy() * GREY_LEVELS]
    return torch.from_numpy(np.stack(levels)) / GREY_LEVELS


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", required=True)
    parser.add_argument("--bank", type=Path, required=True, help="memory bank of the category")
    parser.add_argument("--pictures", type=int, default=12, help="held-out good pictures that get a defect")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = AutoVI(options.root, [options.category], seed=options.seed)
    data.setup()
    model = detector_of(MemoryBank.load(options.bank))
    training = [Path(path) for path in data.train_data.samples["image_path"]]
    references = candidates(model, training, options.seed)
    held_out = data.val_data.samples["image_path"].tolist()
    rng = np.random.default_rng(options.seed)

    @torch.no_grad()
    def score(*images: Tensor) -> list[float]:
        found: list[float] = model.predict_batch(
            torch.stack(images), [options.category] * len(images)
        ).pred_score.tolist()
        return found

    found: dict[str, list[tuple[float, ...]]] = {}
    for number, at in enumerate(rng.permutation(len(held_out))[: options.pictures]):
        picture = read_image(Path(held_out[at]))
        made = with_defect(picture, list(KINDS)[number % len(KINDS)], rng=rng)
        good, bad = (network_input(model, each)[0] for each in (picture, made.picture))
        case = ModelCase(model, made.picture, name=f"{number}.png", category=options.category)
        mask = mask_seen([made.mask], (good.shape[1], good.shape[2]))
        mask = torch.from_numpy(binary_dilation(mask.numpy(), iterations=MARGIN))
        elsewhere = torch.roll(mask, (good.shape[1] // 2, good.shape[2] // 2), (0, 1))
        normal, defective = score(good, bad)
        if defective <= normal:
            continue  # a defect that adds nothing to the score cannot be taken away from it
        fills = {name: (of(bad), of(good)) for name, of in references.items()}
        fills["inpainting"] = inpainted(bad, mask), inpainted(good, elsewhere)
        for name, (over_defect, over_good) in fills.items():
            covered = torch.where(mask, over_defect, bad)
            reference, deleted, added = score(over_defect, covered, torch.where(elsewhere, over_good, good))
            counted = float(case.remaining_scores(covered[None]))
            shares = ((each - normal) / (defective - normal) for each in (deleted, counted, added))
            found.setdefault(name, []).append((reference / normal, *shares))
    names = (
        "score by that of the good picture",
        "left in the place of the defect",
        "of which counts",
        "added elsewhere",
    )
    report = {
        "measures": "medians over pictures; the last three as shares of what the defect adds to the score",
        **{name: getattr(options, name) for name in ("category", "pictures", "seed")},
        "rows": len(model.bank),
        "result": {
            name: {
                "pictures": len(values),
                **{label: round(median(each), 2) for label, each in zip(names, zip(*values, strict=True), strict=True)},
            }
            for name, values in found.items()
        },
        **circumstances("timm", "scipy"),
    }
    sys.stdout.write(f"{json.dumps(report)}\n")


if __name__ == "__main__":
    main()
