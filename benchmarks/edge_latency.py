"""Latency of an exported detector against the network alone, an exact search, and anomalib's own export.

All hold the same network and rows, in OpenVINO on a CPU in float32, and are timed in turns: the floor is the network
with nothing after it. Rows are drawn from patches of normal pictures, which changes no latency against selected ones.
Without a file of weights another backbone than the default one gets drawn weights: right for latencies alone. Prints
one JSON line.

Example:
    python benchmarks/edge_latency.py --root DIR --category magnetic_tile --rows 10000 50000
    python benchmarks/edge_latency.py --root DIR --category magnetic_tile --backbone wide_resnet50_2
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import timm
import torch
from anomalib.models import Patchcore
from anomalib.pre_processing import PreProcessor
from circumstances import circumstances
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.transforms.v2 import Compose, Normalize

from anomalib_federated.backbones import DEFAULT_BACKBONE
from anomalib_federated.data import AutoVI
from anomalib_federated.deploy.converted import filled_in, template_of
from anomalib_federated.deploy.runtimes import traced
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.category_rows import CategoryRows
from anomalib_federated.models.detector_graph import DetectorGraph
from anomalib_federated.models.image_transform import TraceableTransform
from anomalib_federated.models.patch_features import patch_rows

SIZES = ("256x256", "400x400", "750x1000")
PICTURES = 60
"""Of which rows are drawn."""

ANOMALIBS = "anomalib's own export"
THEIR_BATCH = 2
"""Pictures at once that it takes; its time is told per picture."""

Pixels = NDArray[np.float32]


class NetworkAlone(nn.Module):
    """The floor: pictures to the network's layers, normalised as in the detector."""

    def __init__(self, model: FederatedPatchcore) -> None:
        super().__init__()
        self.transform = TraceableTransform(model.space)
        self.network = model.model.backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The layers' maps."""
        return tuple(self.network(self.transform(images)))


def network_alone(model: FederatedPatchcore, size: tuple[int, int] | None) -> ov.Model:
    example = torch.rand(2, 3, *(size or (96, 128)))
    converted = ov.convert_model(traced(NetworkAlone(model).eval(), (example,)), example_input=example)
    converted.get_parameters()[0].set_partial_shape(ov.PartialShape([-1, 3, *(size or (-1, -1))]))
    converted.validate_nodes_and_infer_types()
    return converted


def detector(model: FederatedPatchcore, rows: CategoryRows, size: tuple[int, int] | None) -> ov.Model:
    tensors = rows.tensors
    graph = DetectorGraph(model, tuple(tensors))
    constants = (*tensors.values(), torch.tensor(1.0), torch.tensor(1.0))
    return filled_in(template_of(graph, constants, input_size=size), constants, input_size=size)


def anomalibs(model: FederatedPatchcore, rows: Tensor, size: tuple[int, int], folder: Path) -> Path:
    """Their export as they make it, for one size of pictures; it takes two at once, no more and no less."""
    normalise = Normalize(mean=list(model.space.mean), std=list(model.space.std))
    theirs = Patchcore(
        backbone=model.space.backbone,
        layers=list(model.space.layers),
        pre_trained=False,
        pre_processor=PreProcessor(transform=Compose([normalise])),
        visualizer=False,
    ).eval()
    theirs.model.memory_bank = rows
    with redirect_stdout(sys.stderr):  # where anomalib tells how far it is
        return Path(theirs.to_openvino(folder, input_size=size))


def drawn_rows(model: FederatedPatchcore, root: str, category: str, count: int) -> Tensor:
    """Patches of normal pictures at 256 x 256, each at most once."""
    datamodule = AutoVI(root, [category], validation_share=0)
    datamodule.setup()
    parts = []
    for number in range(PICTURES):
        picture = nn.functional.interpolate(datamodule.train_data[number].image[None], size=(256, 256), antialias=True,
                                            mode="bilinear")  # fmt: skip
        with torch.inference_mode():
            parts.append(patch_rows(model.model(model.pre_processor.transform(picture))))
    patches = torch.cat(parts)
    order = torch.randperm(len(patches), generator=torch.Generator().manual_seed(0))
    return patches[order[:count]].clone()


def timed(models: Mapping[str, ov.Model | Path], picture: Pixels, *, runs: int, threads: int) -> dict[str, Any]:
    """Median milliseconds a picture of each, in turns."""
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    core = ov.Core()
    infer: dict[str, Callable[[list[Pixels]], Any]] = {
        name: core.compile_model(each, "CPU", options).create_infer_request().infer for name, each in models.items()
    }
    times: dict[str, list[float]] = {name: [] for name in infer}
    for run in range(runs + 2):
        for name, call in infer.items():
            began = time.perf_counter()
            pictures = THEIR_BATCH if name == ANOMALIBS else 1
            call([np.repeat(picture, pictures, 0)])
            if run >= 2:
                times[name].append(1000 * (time.perf_counter() - began) / pictures)
    medians = {name: statistics.median(each) for name, each in times.items()}
    return {
        "median_ms": {name: round(value, 2) for name, value in medians.items()},
        "of_the_network_alone": {name: round(value / medians["network alone"], 2) for name, value in medians.items()},
        "anomalibs_of_ours": round(medians[ANOMALIBS] / medians["ours"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", required=True)
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE)
    parser.add_argument("--weights", help="file of the backbone's weights")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="height x width of pictures")
    parser.add_argument("--fixed", action="store_true", help="the size is fixed in our graphs and in the floor")
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        weights = options.weights
        if weights is None and options.backbone != DEFAULT_BACKBONE:
            weights = str(Path(temporary) / "drawn.safetensors")
            save_file(timm.create_model(options.backbone, pretrained=False).state_dict(), weights)
        model = FederatedPatchcore(options.backbone, weights=weights, image_size=None, visualizer=False).eval()
        results = []
        for count in options.rows:
            rows = drawn_rows(model, options.root, options.category, count)
            plain = CategoryRows(rows - rows.mean(0), rows.mean(0))
            for shown in options.sizes:
                height, width = map(int, shown.split("x"))
                size = (height, width) if options.fixed else None
                models = {
                    "network alone": network_alone(model, size),
                    "ours": detector(model, plain.sketched(), size),
                    "exact search": detector(model, plain, size),
                    ANOMALIBS: anomalibs(model, rows, (height, width), Path(temporary) / f"{count}_{shown}"),
                }
                picture = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
                found = timed(models, picture, runs=options.runs, threads=options.threads)
                results.append({"rows": len(rows), "size": shown, **found})
                print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    report = {
        "measures": "milliseconds from one picture's pixels in memory to score and map",
        "compared_with": "the network alone, all rows compared in the same graph, anomalib's own export; in turns",
        **{name: getattr(options, name) for name in ("category", "backbone", "fixed", "runs")},
        "openvino_threads": options.threads,
        "results": results,
        **circumstances("anomalib", "openvino"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
