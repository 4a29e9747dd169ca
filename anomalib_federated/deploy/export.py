"""Export of a detector into a bundle, every category of which is compared with torch before the bundle appears."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import openvino as ov
import torch
from torch import Tensor

from anomalib_federated.deploy.bundle import (
    MODEL_FILES,
    Bundle,
    new_bundle,
    read_bundle,
    write_manifest,
)
from anomalib_federated.deploy.converted import filled_in, template_of, write_onnx, write_torch
from anomalib_federated.deploy.exported_model import MANIFEST_PATH
from anomalib_federated.deploy.precision import RowType, halve_weights, quantise_network, rounded, store_rows
from anomalib_federated.deploy.provenance import category_provenance, model_manifest, provenance
from anomalib_federated.deploy.runtimes import (
    Change,
    ClosedDetector,
    Runtime,
    change,
    latency,
    openvino_runtime,
    torch_file_runtime,
    torch_runtime,
)
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.category_rows import CategoryRows
from anomalib_federated.models.detector_graph import DetectorGraph
from anomalib_federated.models.post_processor import NormalQuantilePostProcessor

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference of a normalised score or map value, whose scale is 0 to 1, between an fp32 export and torch."""

Precision = Literal["fp32", "fp16", "int8"]
RuntimeName = Literal["openvino", "onnx", "torch"]
ROWS_OF_PRECISION: Mapping[Precision, RowType] = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
"""How rows are stored if nothing else is wished."""


class ExportError(RuntimeError):
    """A detector cannot be exported, or the export differs from it."""


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What an exported detector is to be.

    Attributes:
        runtime: What runs it: ``openvino`` (the station), ``onnx`` or ``torch``.
        precision: ``fp32``; ``fp16``: weights are stored in half; ``int8``: the network computes in int8 too. The
            distance search computes in float32 always. Only OpenVINO has others than ``fp32``.
        rows: How the bank's rows are stored; ``None`` takes what goes with the precision.
        input_size: Height and width of all pictures, which makes the graph faster; ``None`` leaves them open.
        tolerance: The most that the score of a picture, on its scale of 0 to 1, may change against the detector in
            torch before the export is refused.

    Raises:
        ExportError: If a setting is impossible, or two do not go together.
    """

    runtime: RuntimeName = "openvino"
    precision: Precision = "fp32"
    rows: RowType | None = None
    input_size: tuple[int, int] | None = None
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        for field, choices in (("runtime", RuntimeName), ("precision", Precision), ("rows", RowType)):
            value = getattr(self, field)
            if value not in (*get_args(choices), *((None,) if field == "rows" else ())):
                _refuse(f"{field} is {value!r}; choose one of {', '.join(get_args(choices))}")
        if self.runtime != "openvino" and (self.precision, self.stored_rows) != ("fp32", "float32"):
            _refuse(f"the runtime {self.runtime} has fp32 and float32 rows alone; leave the others to openvino")
        if self.input_size is not None and (len(self.input_size) != 2 or min(self.input_size) < 1):
            _refuse(f"input_size is {self.input_size}; give height and width in pixels")
        if not 0 < self.tolerance <= 1:
            _refuse(f"tolerance is {self.tolerance}; give a change of scores in (0, 1]")

    @property
    def stored_rows(self) -> RowType:
        """How the rows are stored."""
        return self.rows or ROWS_OF_PRECISION[self.precision]


@dataclass(frozen=True, kw_only=True)
class NormalPictures:
    """Normal pictures of one category: pixels in 0 .. 1, each ``(3, height, width)``.

    Attributes:
        compared: On which the export is compared with torch; generated ones are used if there are none.
        calibration: Which set the ranges of an int8 network; those compared if there are none.
    """

    compared: Sequence[Tensor] = ()
    calibration: Sequence[Tensor] = ()


def export_bundle(
    model: FederatedPatchcore,
    root: Path,
    *,
    settings: ExportSettings | None = None,
    pictures: Mapping[str, NormalPictures] | None = None,
    reference: FederatedPatchcore | None = None,
    compression: Mapping[str, Mapping[str, Any]] | None = None,
) -> Bundle:
    """Write a bundle with a model for each category of a detector's bank.

    Pre-processing, search, thresholds and normalisation are inside the graphs; the batch stays open.

    Args:
        model: A detector with a bank and thresholds.
        root: The bundle's folder; it appears whole or not at all, and replaces an earlier bundle.
        settings: What the exported detector is to be.
        pictures: Normal pictures per category.
        reference: The detector before its bank was compressed, with thresholds of its own; scores are compared with it.
        compression: Per category, how the bank was compressed, for the manifest.

    Returns:
        The bundle, whose manifest holds what was measured.

    Raises:
        ExportError: If the model has no threshold for a category, an fp32 export differs from torch by more than
            :data:`TOLERANCE` or in a verdict, or a score changed by more than the settings allow.
        PrecisionError: If it cannot be brought to the precision.
        BundleError: If ``root`` holds something else than a bundle.
    """
    settings = settings or ExportSettings()
    model, reference = _checked(model), _checked(reference or model)
    writer = _CategoryWriter(model, settings)
    with new_bundle(root) as fresh:
        entries = {}
        for category in model.bank.categories:
            given = (pictures or {}).get(category, NormalPictures())
            _check_sizes(category, given, settings.input_size)
            entries[category] = {
                **category_provenance(model, category),
                "compression": {"rows": settings.stored_rows, **(compression or {}).get(category, {})},
                **writer.write(category, fresh / category, given=given, reference=_in_torch(reference, category)),
            }
        size = None if settings.input_size is None else list(settings.input_size)
        wished = {"runtime": settings.runtime, "precision": settings.precision, "input_size": size}
        write_manifest(fresh, {**wished, **provenance(model), "categories": entries})
    return read_bundle(root)


class _CategoryWriter:
    """Writes the models of categories, which share a trace where they can."""

    def __init__(self, model: FederatedPatchcore, settings: ExportSettings) -> None:
        self.model = model
        self.settings = settings
        self.templates: dict[tuple[object, ...], ov.Model] = {}

    def write(self, category: str, folder: Path, *, given: NormalPictures, reference: ClosedDetector) -> dict[str, Any]:
        """Write one category's files, and measure."""
        settings = self.settings
        folder.mkdir()
        path = folder / MODEL_FILES[settings.runtime][0]
        closed = _to_export(self.model, category, settings.stored_rows)
        compared = list(given.compared) or _generated_pictures(settings.input_size)
        if settings.runtime == "openvino":
            converted = self._converted(closed, given.calibration or given.compared)
            runtime = openvino_runtime(converted)
        else:
            write = write_onnx if settings.runtime == "onnx" else write_torch
            write(closed, path, input_size=settings.input_size)
            runtime = openvino_runtime(path) if settings.runtime == "onnx" else torch_file_runtime(path)
        found = self._measured(category, closed, runtime, reference, compared)
        found["parity"]["pictures_from"] = "given" if given.compared else "generated"
        if settings.runtime == "openvino":
            manifest = model_manifest(self.model, category, found["parity"])
            converted.set_rt_info(json.dumps(manifest), list(MANIFEST_PATH))
            ov.save_model(converted, path, compress_to_fp16=False)
        return found

    def _converted(self, closed: ClosedDetector, calibration: Sequence[Tensor]) -> ov.Model:
        graph, constants, settings = closed.graph, closed.constants, self.settings
        rows = constants[0]
        # What rows there are to compare with, and the size of a neighbourhood, smaller where a category has few rows,
        # are frozen into a trace.
        frozen = (*graph.fields, min(self.model.scorer.image_score.neighbors, len(rows)))
        if frozen not in self.templates:
            self.templates[frozen] = template_of(graph, constants, input_size=settings.input_size)
        converted = filled_in(self.templates[frozen], constants, input_size=settings.input_size)
        if settings.precision == "int8":
            converted = quantise_network(converted, calibration)
        elif settings.precision == "fp16":
            halve_weights(converted)
        store_rows(converted, rows, settings.stored_rows)
        return converted

    def _measured(
        self,
        category: str,
        closed: ClosedDetector,
        runtime: Runtime,
        reference: ClosedDetector,
        compared: Sequence[Tensor],
    ) -> dict[str, Any]:
        parity = change(torch_runtime(closed), runtime, compared)
        if self.settings.precision == "fp32":
            _check_parity(category, parity, sketched="codes" in closed.graph.fields)
        changed = change(torch_runtime(reference), runtime, compared)
        if changed.largest > self.settings.tolerance:
            _refuse(
                f"category '{category}' would change the score of a picture by {changed.largest:.3f} "
                f"(and {changed.verdict_flips} of {changed.pictures} verdicts), more than {self.settings.tolerance}; "
                "choose a higher precision or less compression, or allow it by a larger tolerance"
            )
        return {
            "parity": asdict(parity),
            "score_change": asdict(changed),
            "latency_ms": round(latency(runtime, compared[0]), 3),
            "latency_of": {"size": list(compared[0].shape[1:]), "device": "CPU", "statistic": "median"},
        }


def _refuse(problem: str) -> None:
    msg = f"The detector cannot be exported: {problem}."
    raise ExportError(msg)


def _checked(model: FederatedPatchcore) -> FederatedPatchcore:
    post_processor = model.post_processor
    if not isinstance(post_processor, NormalQuantilePostProcessor):
        _refuse(f"its post-processor is a {type(post_processor).__name__}, and only the default one is in the graph")
    if missing := [name for name in model.bank.categories if name not in post_processor.thresholds]:
        _refuse(f"it has no threshold for {', '.join(missing)}; validate it on normal pictures first")
    model.cpu().eval()
    return model


def _check_sizes(category: str, given: NormalPictures, input_size: tuple[int, int] | None) -> None:
    for picture in (*given.compared, *given.calibration):
        size = tuple(picture.shape[1:])
        if input_size is not None and size != tuple(input_size):
            _refuse(
                f"a normal picture of category '{category}' has {size[0]} x {size[1]} pixels, but input_size is "
                f"{input_size[0]} x {input_size[1]}; leave input_size out, or give pictures as the camera takes them"
            )


def _check_parity(category: str, parity: Change, *, sketched: bool) -> None:
    # A sketch's integers round in another order, so that here and there a patch finds another of its nearest rows.
    of_map = parity.mean_map if sketched else parity.largest_map
    if parity.verdict_flips or max(parity.largest, of_map) > TOLERANCE:
        _refuse(f"the exported graph of category '{category}' differs from torch: {parity}")


def _in_torch(model: FederatedPatchcore, category: str) -> ClosedDetector:
    """The detector of one category as torch computes it."""
    return _closed(model, category, model.category_rows(category))


def _to_export(model: FederatedPatchcore, category: str, kind: RowType) -> ClosedDetector:
    """The same with its rows as they are stored, and the search of graphs."""
    rows = model.category_rows(category)
    return _closed(model, category, rows._replace(rows=rounded(rows.rows, kind)).sketched())


def _closed(model: FederatedPatchcore, category: str, rows: CategoryRows) -> ClosedDetector:
    thresholds, tensors = model.post_processor.thresholds[category], rows.tensors
    constants = (*tensors.values(), torch.tensor(thresholds.image), torch.tensor(thresholds.pixel))
    return ClosedDetector(DetectorGraph(model, tuple(tensors)), constants)


def _generated_pictures(input_size: tuple[int, int] | None) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = [input_size] * 2 if input_size else [(400, 400), (150, 200)]
    return [torch.rand(3, *size, generator=generator) for size in sizes]
