"""Export of a trained detector to OpenVINO, checked against torch before anything is written."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from torch import Tensor

from anomalib_federated.bank.description import describe_privacy
from anomalib_federated.deploy.exported_model import FORMAT, MANIFEST_PATH
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.detector_graph import OUTPUTS, DetectorGraph
from anomalib_federated.models.post_processor import NormalQuantilePostProcessor

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference of a normalised score or map value, whose scale is 0 to 1, between OpenVINO and torch."""


class ExportError(RuntimeError):
    """A detector cannot be exported, or the export differs from it."""


@dataclass(frozen=True)
class Parity:
    """How far the exported graph is from torch.

    Attributes:
        images: Number of pictures compared.
        max_score_difference: Largest difference of a normalised score.
        max_map_difference: Largest difference of a normalised map value.
        verdict_flips: Number of pictures with another verdict.
    """

    images: int
    max_score_difference: float
    max_map_difference: float
    verdict_flips: int


def export_openvino(
    model: FederatedPatchcore, root: Path, *, images: Mapping[str, Sequence[Tensor]] | None = None
) -> dict[str, Parity]:
    """Write ``<root>/<category>/model.xml`` and ``model.bin`` for each category of the model's bank.

    Pre-processing, search, thresholds and normalisation are inside the graph; batch and picture size stay open.

    Args:
        model: A model with a bank and thresholds.
        root: Folder to write; each category's folder appears whole or not at all and replaces an earlier export.
        images: Per category, pictures for the parity check: pixels in 0 .. 1, each ``(3, height, width)``. Generated
            ones are used where there are none.

    Returns:
        What the parity check measured per category; the manifest inside each model holds it too.

    Raises:
        ExportError: If the model has no threshold for a category, or OpenVINO differs from torch by more than
            :data:`TOLERANCE`, or in a verdict.
    """
    post_processor = model.post_processor
    if not isinstance(post_processor, NormalQuantilePostProcessor):
        msg = f"The model's post-processor is a {type(post_processor).__name__}; only the default one can be exported."
        raise ExportError(msg)
    if missing := [name for name in model.bank.categories if name not in post_processor.thresholds]:
        msg = f"The model has no threshold for {', '.join(missing)}; validate it on normal pictures before exporting."
        raise ExportError(msg)
    model = model.cpu()
    templates: dict[tuple[object, ...], ov.Model] = {}
    parities = {}
    for category in model.bank.categories:
        thresholds = post_processor.thresholds[category]
        tensors = model.category_rows(category).sketched().tensors
        graph = DetectorGraph(model, tuple(tensors))
        constants = (*tensors.values(), torch.tensor(thresholds.image), torch.tensor(thresholds.pixel))
        # What rows there are to compare with, and the size of a neighbourhood, smaller where a category has few rows,
        # are frozen into a trace.
        frozen = (*tensors, min(model.scorer.image_score.neighbors, len(tensors["rows"])))
        if frozen not in templates:
            templates[frozen] = _trace(graph, constants)
        converted = _fill_in(templates[frozen], constants)
        pictures = (images or {}).get(category) or _generated_images()
        parities[category] = _checked_parity(category, _compare(graph, constants, converted, pictures))
        manifest = _manifest(model, category, parities[category])
        converted.set_rt_info(json.dumps(manifest), list(MANIFEST_PATH))
        _save(converted, root / category)
        logger.info("%s: exported; off torch by at most %.1e", category, parities[category].max_map_difference)
    return parities


def _checked_parity(category: str, parity: Parity) -> Parity:
    if parity.verdict_flips or max(parity.max_score_difference, parity.max_map_difference) > TOLERANCE:
        msg = f"The OpenVINO graph of category '{category}' differs from torch: {parity}."
        raise ExportError(msg)
    return parity


def _manifest(model: FederatedPatchcore, category: str, parity: Parity) -> dict[str, Any]:
    thresholds = model.post_processor.thresholds[category]
    return {
        "format": FORMAT,
        "category": category,
        "image_threshold": thresholds.image,
        "pixel_threshold": thresholds.pixel,
        "false_alarm_rate": model.post_processor.false_alarm_rate,
        "bank_rows": len(model.category_rows(category).rows),
        "sites": list(model.bank.sites),
        "privacy": describe_privacy(model.bank),
        "space": asdict(model.space),
        "parity": asdict(parity),
        "versions": {name: version(name) for name in ("anomalib-federated", "openvino", "torch")},
    }


def _trace(graph: DetectorGraph, constants: Sequence[Tensor]) -> ov.Model:
    """The graph as OpenVINO, with the bank and the thresholds as inputs."""
    # Two pictures, so that no dimension of 1 is taken for a constant.
    images = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    example = (images, *constants)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing warns of every shape that it reads
        traced = torch.jit.trace(graph, example, check_trace=False)  # type: ignore[no-untyped-call] # of torch
        template = ov.convert_model(traced, example_input=example)
    template.inputs[0].get_tensor().set_names({"input"})
    for output, name in zip(template.outputs, OUTPUTS, strict=True):
        output.get_tensor().set_names({name})
    return template


def _fill_in(template: ov.Model, constants: Sequence[Tensor]) -> ov.Model:
    """A copy of the template whose inputs, but for the pictures, are constants."""
    model = template.clone()
    pictures, *parameters = model.get_parameters()
    for parameter, value in zip(parameters, constants, strict=True):
        parameter.output(0).replace(ov.opset13.constant(value.numpy()).output(0))
        model.remove_parameter(parameter)
    pictures.set_partial_shape(ov.PartialShape([-1, 3, -1, -1]))
    model.validate_nodes_and_infer_types()
    return model


def _compare(
    graph: DetectorGraph, constants: Sequence[Tensor], converted: ov.Model, images: Sequence[Tensor]
) -> Parity:
    compiled = ov.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    score_difference, map_difference, flips = 0.0, 0.0, 0
    for image in images:
        with torch.inference_mode():
            expected = graph(image.unsqueeze(0), *constants)
        actual = [torch.from_numpy(compiled([image.unsqueeze(0).numpy()])[name]) for name in OUTPUTS]
        score_difference = max(score_difference, float((actual[0] - expected[0]).abs().max()))
        map_difference = max(map_difference, float((actual[2] - expected[2]).abs().max()))
        flips += int((actual[1] != expected[1]).sum())
    return Parity(len(images), score_difference, map_difference, flips)


def _generated_images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, *size, generator=generator) for size in ((400, 400), (150, 200))]


def _save(converted: ov.Model, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        fresh = Path(temporary) / "fresh"
        fresh.mkdir()
        ov.save_model(converted, fresh / "model.xml", compress_to_fp16=False)
        replaced = Path(temporary) / "replaced"
        if folder.exists():
            folder.rename(replaced)
        try:
            fresh.rename(folder)
        except OSError:
            if replaced.exists():
                replaced.rename(folder)
            raise
