"""Finding and checking the model files that the exporter of this package writes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino as ov

MANIFEST_PATH = ("anomalib_federated", "manifest")
"""Where the runtime info of a model holds the manifest, a JSON string."""

FORMAT = 1
"""The manifest format that the station understands."""

_INPUT = "input"
_OUTPUTS = frozenset({"pred_score", "pred_label", "anomaly_map", "pred_mask"})


def find_model(path: Path) -> Path:
    """Return the ``model.xml`` that a path means.

    Args:
        path: The file itself, a folder with ``model.xml``, or a folder with exactly one sub-folder that holds one.

    Raises:
        FileNotFoundError: There is none.
        ValueError: Several sub-folders hold one.
    """
    if path.is_file():
        return path
    if (path / "model.xml").is_file():
        return path / "model.xml"
    inside = sorted(path.glob("*/model.xml"))
    if len(inside) > 1:
        names = ", ".join(found.parent.name for found in inside)
        msg = f"The folder {path} holds models of several categories ({names}): name one, such as {inside[0].parent}."
        raise ValueError(msg)
    if not inside:
        msg = f"There is no model.xml at {path}: give the folder that the export wrote."
        raise FileNotFoundError(msg)
    return inside[0]


def read_model(core: ov.Core, path: Path) -> tuple[ov.Model, Mapping[str, Any]]:
    """Read an exported model and its manifest.

    Args:
        core: The OpenVINO runtime.
        path: A ``model.xml`` with its ``model.bin`` beside it.

    Returns:
        The graph, not yet compiled, and the manifest: at least ``format``, ``category``, ``image_threshold``,
        ``pixel_threshold`` and ``bank_rows``.

    Raises:
        ValueError: The files are damaged, or not what this package exports.
    """
    if not path.with_suffix(".bin").is_file():
        msg = f"There is no {path.with_suffix('.bin').name} beside {path}: copy both files of the export."
        raise ValueError(msg)
    try:
        graph = core.read_model(path)
    except RuntimeError as error:
        msg = f"The model {path} cannot be read ({last_line(error)}): copy or export it again."
        raise ValueError(msg) from error
    manifest = _read_manifest(graph, path)
    _check_ports(graph, path)
    return graph, manifest


def last_line(error: BaseException) -> str:
    """The last line of an OpenVINO error: the lines before it are places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _read_manifest(graph: ov.Model, path: Path) -> Mapping[str, Any]:
    if not graph.has_rt_info(list(MANIFEST_PATH)):
        msg = f"{path} is not a model exported by anomalib-federated (it has no manifest): export it with this package."
        raise ValueError(msg)
    try:
        manifest = json.loads(graph.get_rt_info(list(MANIFEST_PATH)).astype(str))
    except ValueError as error:
        msg = f"The manifest in {path} is not JSON ({error}): export the model again."
        raise ValueError(msg) from error
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        msg = f"The manifest in {path} has format {found!r}, this station reads {FORMAT}: update or export again."
        raise ValueError(msg)
    for field, sound in (
        ("category", _is_name),
        ("image_threshold", _is_number),
        ("pixel_threshold", _is_number),
        ("bank_rows", _is_count),
    ):
        if not sound(manifest.get(field)):
            msg = f"The manifest in {path} has {field} = {manifest.get(field)!r}, not a usable value: export it again."
            raise ValueError(msg)
    return dict(manifest)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_ports(graph: ov.Model, path: Path) -> None:
    inputs = {name for port in graph.inputs for name in port.get_names()}
    outputs = {name for port in graph.outputs for name in port.get_names()}
    missing = sorted(_OUTPUTS - outputs)
    if len(graph.inputs) != 1 or _INPUT not in inputs or missing:
        msg = (
            f"The model {path} has inputs {sorted(inputs)} and outputs {sorted(outputs)}, but the station needs one "
            f"input {_INPUT!r} and the outputs {sorted(_OUTPUTS)}: export it again."
        )
        raise ValueError(msg)
