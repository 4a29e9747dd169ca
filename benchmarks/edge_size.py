"""Size of an exported detector on disk, per precision, against anomalib's own export of the same rows and backbone.

Sizes do not depend on what rows say, so these are drawn. Prints one JSON line.

Example:
    python benchmarks/edge_size.py --rows 10000
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from anomalib.deploy import CompressionType
from anomalib.models import Patchcore
from circumstances import circumstances

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.contribution import Contribution
from anomalib_federated.deploy.export import ExportSettings, NormalPictures, export_bundle
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.post_processor import Thresholds

CATEGORY = "drawn"
OURS = {
    "openvino fp32": {},
    "openvino fp16": {"precision": "fp16"},
    "openvino int8": {"precision": "int8"},
    "openvino fp32, int8 rows": {"rows": "int8"},
    "onnx fp32": {"runtime": "onnx"},
    "torch fp32": {"runtime": "torch"},
}
THEIRS = {"openvino fp32": None, "openvino fp16": CompressionType.FP16, "openvino int8 weights": CompressionType.INT8}


def drawn_bank(model: FederatedPatchcore, rows: int, seed: int) -> MemoryBank:
    return MemoryBank(
        features=torch.randn(rows, model.space.dim, generator=torch.Generator().manual_seed(seed)) / 20,
        row_category=torch.zeros(rows, dtype=torch.int32),
        row_site=torch.zeros(rows, dtype=torch.int32),
        weights=torch.ones(rows),
        categories=(CATEGORY,),
        sites=("site",),
        space=model.space,
        contributions=(
            Contribution(
                site="site", category=CATEGORY, images=1, patches=rows, rows=rows, coreset="drawn",
                covering_radius=None, mean_distance=None, passes=1, seconds=0.0,
            ),
        ),
        coresets={CATEGORY: "drawn"},
        covering_radius={},
    )  # fmt: skip


def our_sizes(model: FederatedPatchcore, folder: Path) -> dict[str, Any]:
    """Bytes, and score change on drawn pictures, per export."""
    generator = torch.Generator().manual_seed(1)
    pictures = [torch.rand(3, 256, 256, generator=generator) for _ in range(8)]
    results = {}
    for name, settings in OURS.items():
        bundle = export_bundle(
            model,
            folder / name,
            settings=ExportSettings(tolerance=1.0, **settings),
            pictures={CATEGORY: NormalPictures(compared=pictures[:4], calibration=pictures)},
        )
        entry = bundle.manifest["categories"][CATEGORY]
        results[name] = {"bytes": entry["bytes"], "score_change_on_drawn_pictures": entry["score_change"]["largest"]}
    return results


def their_sizes(model: FederatedPatchcore, folder: Path) -> dict[str, Any]:
    """Bytes per export."""
    results = {}
    for name, compression in THEIRS.items():
        theirs = Patchcore(
            backbone=model.space.backbone, layers=list(model.space.layers), pre_trained=False, visualizer=False
        ).eval()
        theirs.model.memory_bank = model.bank.features.clone()
        path = Path(theirs.to_openvino(folder / name, compression_type=compression))
        results[name] = {"bytes": sum(path.with_suffix(suffix).stat().st_size for suffix in (".xml", ".bin"))}
    return results


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    model = FederatedPatchcore(image_size=(256, 256), visualizer=False, evaluator=False).eval()
    model.bank = drawn_bank(model, options.rows, options.seed)
    model.post_processor.thresholds[CATEGORY] = Thresholds(1.0, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        ours = our_sizes(model, Path(folder) / "ours")
        with redirect_stdout(sys.stderr):  # where anomalib tells how far it is
            theirs = their_sizes(model, Path(folder) / "theirs")
    for results in (ours, theirs):
        for result in results.values():
            result["of_anomalibs_fp32"] = result["bytes"] / theirs["openvino fp32"]["bytes"]
    report = {
        "measures": "bytes of an exported detector's files",
        "compared_with": "anomalib's own OpenVINO export of PatchCore with the same backbone, layers and rows",
        "backbone": model.space.backbone,
        "rows": options.rows,
        "dimensions": model.space.dim,
        "ours": ours,
        "theirs": theirs,
        **circumstances("anomalib", "openvino", "nncf"),
        "seed": options.seed,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
