"""Show that the rows of a memory bank give pictures away: pixels are computed from them alone, and compared.

A site's bank keeps all patches of a few generated pictures, chosen by `k_center`, without places. Somebody who has the
bank, the public backbone and pictures of the same part from another plant reconstructs each picture: from its rows at
their true places, from its rows alone (the places are guessed), and from what `row_noise` sends of them (true places
given). The same attack is made on the rows that `adaptive_gaussian` releases. Which rows are of the same picture is
given to the attacker. Reconstructions are compared with the true picture, as the mean training picture is, and with all
training pictures, by shape (histograms of oriented gradients) and by SSIM: a picture is recognised if no other
resembles its reconstruction more. Prints one JSON line and draws the first picture.

Example:
    python benchmarks/feature_inversion.py --plot docs/explanation/feature_inversion.png
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from circumstances import circumstances
from inversion_attack import arrange, invert, on_grid
from inversion_plot import draw
from numpy.typing import NDArray
from skimage.feature import hog
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchvision.transforms.v2.functional import resize, rgb_to_grayscale

from anomalib_federated import registry
from anomalib_federated.backbones import Backbone
from anomalib_federated.data.demo import make_demo_dataset
from anomalib_federated.interfaces.privacy import SiteRows
from anomalib_federated.models import PatchCollection, PatchFeatureExtractor
from anomalib_federated.models.patch_collection import SelectedRows
from anomalib_federated.pictures import find_pictures, read_image
from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.testing.privacy import seeded_noise
from anomalib_federated_plugins.privacy.adaptive_gaussian import AdaptiveGaussian
from anomalib_federated_plugins.privacy.row_noise import RowNoise

CELL, CROP = 12, 40
"""Cells per side of what is reconstructed from one row, and pixels per side of what is shown of it."""


def drawn(category: str, count: int, *, side: int, seed: int) -> Tensor:
    """Generated training pictures, shape ``(count, 3, side, side)``, in 0 .. 1."""
    with tempfile.TemporaryDirectory() as folder:
        make_demo_dataset(
            folder, seed=seed, categories=[category], scale=0.64, train_images=count, good_images=1, images_per_defect=1
        )
        files = find_pictures(Path(folder, category, "train"))
        pictures = [torch.from_numpy(read_image(file)).permute(2, 0, 1) / 255 for file in files]
    return torch.stack([resize(picture, [side, side], antialias=True) for picture in pictures])


@torch.no_grad()
def features_of(extractor: PatchFeatureExtractor, pictures: Tensor) -> Tensor:
    """Shape ``(pictures, d, rows, columns)``."""
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (extractor.space.mean, extractor.space.std))
    return torch.cat([extractor(picture[None]) for picture in (pictures - mean) / std])


def bank_of(extractor: PatchFeatureExtractor, features: Tensor, *, seed: int) -> SelectedRows:
    """All rows of some pictures, in the order in which `k_center` takes them."""
    patches = PatchCollection(extractor.space, dtype="float32")
    patches.add(features, ["part"] * len(features))
    coreset = registry.build("coreset", "k_center", budget=1.0)
    selected = patches.select(coreset, method="k_center", site="plant", seed=seed)
    patches.close()
    return selected


def learnt_from(features: Tensor, extractor: PatchFeatureExtractor, *, epsilon: float, seed: int) -> Learnt:
    """What noisy sums over all pictures give."""
    privacy, noise = AdaptiveGaussian(epsilon=epsilon), seeded_noise(seed)
    state = privacy.start(extractor.space)
    units = [[each.permute(1, 2, 0)] for each in features]
    for number in range(len(privacy.shares)):
        total = privacy.release(units, state, number, noise=noise)
        state = privacy.learn(state, privacy.total([total], state, number, noise=noise))
    return privacy.finish(state)


def learnt_grid(learnt: Learnt, grid: tuple[int, int]) -> Tensor:
    """The row nearest to each place, shape ``(1, d, rows, columns)``."""
    if learnt.places is None:
        msg = "The learnt rows have no places, so they cannot be laid on a grid."
        raise ValueError(msg)
    middles = torch.cartesian_prod(*((torch.arange(size) + 0.5) / size for size in grid))
    return learnt.rows[torch.cdist(middles, learnt.places).argmin(1)].T.reshape(1, -1, *grid)


def from_single_rows(features: Tensor, pictures: Tensor, options: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """True patches, and those reconstructed from one row each, of places drawn at random."""
    extractor, stride = options.extractor, options.side // features.shape[-1]
    margin = CROP // stride // 2 + 1
    rng = np.random.default_rng(options.seed)
    places = rng.integers(margin, features.shape[-1] - margin, (options.patches, 2)).tolist()
    chosen = torch.stack([features[0, :, row, column] for row, column in places])
    targets = chosen[:, :, None, None].expand(-1, -1, CELL, CELL)
    known = torch.zeros(len(places), CELL, CELL, dtype=torch.bool)
    known[:, CELL // 2, CELL // 2] = True
    found = invert(
        extractor, targets, known, size=(CELL * stride,) * 2, steps=options.steps, seed=options.seed,
        smoothness=options.smoothness,
    )  # fmt: skip
    true = torch.stack([_crop(pictures[0], row, column, stride) for row, column in places])
    return true, torch.stack([_crop(each, CELL // 2, CELL // 2, stride) for each in found])


def _crop(picture: Tensor, row: int, column: int, stride: int) -> Tensor:
    top, left = (round((place + 0.5) * stride) - CROP // 2 for place in (row, column))
    return picture[:, top : top + CROP, left : left + CROP]


def likeness(one: Tensor, other: Tensor) -> dict[str, float]:
    """PSNR in dB, and SSIM of gray levels."""
    gray = [rgb_to_grayscale(picture)[0].numpy() for picture in (one, other)]
    return {
        "psnr": float(peak_signal_noise_ratio(one.numpy(), other.numpy(), data_range=1)),
        "ssim": float(structural_similarity(*gray, data_range=1)),
    }


def figures(found: Tensor, true: list[int], gallery: Tensor) -> dict[str, object]:
    """How like reconstructions are to the true pictures, and how many others they resemble more."""
    own = [likeness(picture, gallery[number]) for picture, number in zip(found, true, strict=True)]
    shapes = ranks_of([shape_of(picture) for picture in found], true, [shape_of(picture) for picture in gallery])
    by_ssim = [
        1 + sum(likeness(picture, other)["ssim"] > mine["ssim"] for other in gallery)
        for picture, mine in zip(found, own, strict=True)
    ]
    return {
        "psnr": round(float(np.mean([each["psnr"] for each in own])), 2),
        "ssim": round(float(np.mean([each["ssim"] for each in own])), 3),
        "ranks_by_shape": shapes,
        "recognised_by_shape": f"{shapes.count(1)} of {len(shapes)}",
        "ranks_by_ssim": by_ssim,
    }


def shape_of(picture: Tensor) -> NDArray[np.float64]:
    """Histograms of oriented gradients (Dalal and Triggs 2005), which no colour and little contrast changes."""
    gray = rgb_to_grayscale(picture)[0].numpy()
    return np.asarray(hog(gray, pixels_per_cell=(8, 8), cells_per_block=(2, 2)), dtype=np.float64)


def ranks_of(
    found: Sequence[NDArray[np.float64]], true: list[int], gallery: Sequence[NDArray[np.float64]]
) -> list[int]:
    """Of the true one among all, by correlation; 1 is recognised."""
    scores = [[np.corrcoef(each, other)[0, 1] for other in gallery] for each in found]
    return [1 + sum(bool(score > row[own]) for score in row) for row, own in zip(scores, true, strict=True)]


def attack(features: Tensor, options: argparse.Namespace) -> tuple[dict[str, Tensor], list[float]]:
    """Reconstructions by what was attacked, and the share of rows whose place was guessed to within one cell."""
    extractor, grid = options.extractor, (features.shape[-2], features.shape[-1])
    victims = features[options.pictures]
    selected = bank_of(extractor, victims, seed=options.seed)
    numbers = [name.name for name in selected.pictures]
    units = torch.tensor([sorted(set(numbers)).index(name) for name in numbers])
    sent = SiteRows(bank=selected.bank, units=units)
    noisy = RowNoise(epsilon=options.row_epsilon).protect(sent, noise=seeded_noise(options.seed)).features
    others = features_of(extractor, drawn(options.category, options.others, side=options.side, seed=options.seed + 1))
    targets: dict[str, list[tuple[Tensor, Tensor]]] = {"known": [], "guessed": [], "row_noise": []}
    near = []
    for number, victim in enumerate(victims):
        rows = selected.bank.features[units == number]
        true, guess = arrange(rows, victim[None]), arrange(rows, others)
        apart = torch.stack([true // grid[1] - guess // grid[1], true % grid[1] - guess % grid[1]]).abs().amax(0)
        near.append(round(float((apart <= 1).float().mean()), 3))
        targets["known"].append(on_grid(rows, true, grid))
        targets["guessed"].append(on_grid(rows, guess, grid))
        targets["row_noise"].append(on_grid(noisy[units == number], true, grid))
    inverted = partial(
        invert, extractor, size=(options.side, options.side), steps=options.steps, seed=options.seed,
        smoothness=options.smoothness,
    )  # fmt: skip
    found = {}
    for name, pairs in targets.items():
        print(f"{name} ...", file=sys.stderr)
        found[name] = inverted(*(torch.stack(parts) for parts in zip(*pairs, strict=True)))
    learnt = learnt_from(features, extractor, epsilon=options.epsilon, seed=options.seed)
    found["adaptive_gaussian"] = inverted(learnt_grid(learnt, grid), projection=learnt.projection)
    return found, near


def reported(found: Mapping[str, Tensor], gallery: Tensor, options: argparse.Namespace) -> dict[str, object]:
    """Figures of each attack; what does not depend on the picture is compared with each."""
    everyone = {**found, "mean training picture": gallery.mean(0, keepdim=True)}
    return {
        name: figures(pictures.expand(len(options.pictures), -1, -1, -1), options.pictures, gallery)
        for name, pictures in everyone.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--category", default="engine_wiring", help="of the generated data")
    parser.add_argument("--side", type=int, default=192, help="height and width of pictures")
    parser.add_argument("--train", type=int, default=40, help="training pictures, among which one is recognised")
    parser.add_argument("--pictures", type=int, nargs="+", default=[5, 12, 17, 31], help="numbers of those in the bank")
    parser.add_argument("--others", type=int, default=20, help="pictures of the same part that the attacker has")
    parser.add_argument("--patches", type=int, default=6, help="rows that are inverted alone")
    parser.add_argument("--row-epsilon", type=float, default=1.0, help="of row_noise, per row")
    parser.add_argument("--epsilon", type=float, default=2.0, help="of adaptive_gaussian, per picture")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--smoothness", type=float, default=30.0, help="weight of total variation")
    parser.add_argument("--plot", type=Path, help="PNG to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.extractor = PatchFeatureExtractor(Backbone(), image_size=(options.side, options.side))
    gallery = drawn(options.category, options.train, side=options.side, seed=options.seed)
    features = features_of(options.extractor, gallery)
    found, near = attack(features, options)
    true, patches = from_single_rows(features[options.pictures], gallery[options.pictures], options)
    if options.plot:
        draw(gallery[options.pictures[0]], {name: each[0] for name, each in found.items()}, (true, patches),
             gallery.mean(0), options)  # fmt: skip
    report = {
        "measures": "likeness (PSNR in dB, SSIM) of pictures reconstructed from rows to the true ones, and recognition",
        "compared_with": "the mean training picture",
        **{name: getattr(options, name) for name in (
            "category", "side", "train", "pictures", "others", "row_epsilon", "epsilon", "steps", "smoothness",
        )},
        "places_guessed_within_one_cell": near,
        "found": reported(found, gallery, options),
        "single_rows": [likeness(*pair) for pair in zip(patches, true, strict=True)],
        "repeats": 1,
        **circumstances("timm", "scikit-image"),
        "seed": options.seed,
    }  # fmt: skip
    print(json.dumps(report))


if __name__ == "__main__":
    main()
