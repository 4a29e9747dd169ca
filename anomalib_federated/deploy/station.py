"""The inspection station: an exported model, a picture in, a verdict out.

Needs the standard library, numpy, Pillow and OpenVINO, nothing of the training stack. All pre-processing, the memory
bank and the thresholds are inside the model.

Example:
    >>> station = Station("exported/pipe_clip")  # doctest: +SKIP
    >>> verdict = station.inspect(read_image("part.png"))  # doctest: +SKIP
    >>> verdict.word, round(verdict.score, 3)  # doctest: +SKIP
    ('good', 0.312)
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from PIL import Image

from anomalib_federated.deploy.exported_model import find_model, last_line, read_model
from anomalib_federated.deploy.overlay import overlay
from anomalib_federated.deploy.verdict import Verdict
from anomalib_federated.files import write_file
from anomalib_federated.pictures import find_pictures, read_image

__all__ = ["Station", "Verdict", "main", "overlay", "read_image"]

THRESHOLD = 0.5
"""The graph normalises every score so that this value divides good from anomalous."""


class Station:
    """Judges pictures with one exported model.

    Args:
        model: Path of a ``model.xml``, or of the folder that holds it.
        device: OpenVINO device, such as ``CPU`` or ``GPU``.
        threads: Threads of one inference; None leaves the choice to OpenVINO.

    Attributes:
        category: What the model was trained to inspect.
        manifest: What the exporter wrote down about the model.

    Raises:
        FileNotFoundError: There is no model at the path.
        ValueError: The model was not exported by this package, is damaged, does not fit the device, or the folder holds
            the models of several categories.
    """

    def __init__(self, model: str | Path, *, device: str = "CPU", threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            msg = f"threads is {threads}: give a whole number of at least 1, or leave it out."
            raise ValueError(msg)
        path = find_model(Path(model))
        core = ov.Core()
        graph, manifest = read_model(core, path)
        self.manifest: Mapping[str, Any] = manifest
        self.category: str = manifest["category"]
        options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            self._compiled = core.compile_model(graph, device, options)
        except RuntimeError as error:
            devices = ", ".join(core.available_devices)
            msg = f"The model {path} does not compile for device {device!r} ({last_line(error)}): there is {devices}."
            raise ValueError(msg) from error
        self._request = self._compiled.create_infer_request()

    def inspect(self, image: NDArray[np.uint8]) -> Verdict:
        """Judge one picture.

        The first picture of a size takes longer: OpenVINO plans for the size then.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, or ``(H, W)`` uint8 gray, of any size.

        Returns:
            The verdict, with the anomaly map in the resolution of the network.

        Raises:
            ValueError: The picture has another type or shape.
            RuntimeError: The model failed, or answered something that is not a finite number: never take it for a pass.
        """
        started = time.perf_counter()
        outputs = self._request.infer({"input": _to_input(image)})
        score = float(_answer(outputs, "pred_score", dims=1)[0])
        anomaly_map = _answer(outputs, "anomaly_map", dims=4)[0, 0].astype(np.float32)
        mask = _answer(outputs, "pred_mask", dims=4)[0, 0].astype(np.bool_)
        if not (math.isfinite(score) and np.isfinite(anomaly_map).all()):
            msg = f"The model answered a score (here {score}) or a map that is not finite: export the model again."
            raise RuntimeError(msg)
        return Verdict(
            category=self.category,
            score=score,
            threshold=THRESHOLD,
            anomalous=bool(_answer(outputs, "pred_label", dims=1)[0]),
            anomaly_map=anomaly_map,
            mask=mask,
            milliseconds=1000 * (time.perf_counter() - started),
        )


def _to_input(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    fits = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.size > 0
    if not fits or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        found = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        msg = f"The picture is {found}: the station takes uint8 of shape (H, W, 3) in RGB or (H, W) in gray."
        raise ValueError(msg)
    colour = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
    return np.ascontiguousarray(colour.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)


def _answer(outputs: Mapping[str, NDArray[Any]], name: str, *, dims: int) -> NDArray[Any]:
    """One output for a batch of one: ``(1,)`` or ``(1, 1, h, w)``."""
    found = outputs[name]
    if found.ndim != dims or found.shape[:2] != (1, 1)[:dims] or found.size == 0:
        msg = f"The model answered {name} with shape {found.shape} for one picture: export it again."
        raise RuntimeError(msg)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Inspect pictures from the command line.

    Args:
        argv: Arguments without the program name; None takes those of the process.

    Returns:
        Exit status: 0 when every picture got a verdict, 2 when one did not or nothing could be inspected.
    """
    options = _parser().parse_args(argv)
    try:
        return _inspect_all(options)
    except (OSError, ValueError) as error:
        _say(f"error: {error}", sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="anomalib-federated inspect", description="Judge pictures with an exported model, on a CPU, without torch."
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="DIR", help="exported model: its folder or model.xml"
    )
    parser.add_argument("--input", type=Path, required=True, metavar="PATH", help="a picture, or a folder of them")
    parser.add_argument("--output", type=Path, default=Path("inspection"), metavar="DIR", help="receives the overlays")
    parser.add_argument("--no-overlay", action="store_true", help="draw nothing, only print")
    parser.add_argument("--json", action="store_true", help="print one JSON object per picture, the summary on stderr")
    parser.add_argument("--device", default="CPU", help="OpenVINO device (default: CPU)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of one inference (default: OpenVINO decides)")
    return parser


def _inspect_all(options: argparse.Namespace) -> int:
    pictures = find_pictures(options.input, skip=options.output)
    targets = {} if options.no_overlay else _targets(pictures, options.input, options.output)
    station = Station(options.model, device=options.device, threads=options.threads)
    verdicts: list[Verdict] = []
    for path in pictures:
        try:
            image, verdict = _inspect_file(station, path)
        except ValueError as error:
            _say(_error_line(path, error, as_json=options.json))
            continue
        target = targets.get(path)
        if target is not None:
            _write_png(overlay(image, verdict), target)
        verdicts.append(verdict)
        _say(_verdict_line(path, verdict, target, as_json=options.json))
    errors = len(pictures) - len(verdicts)
    anomalous = sum(verdict.anomalous for verdict in verdicts)
    median = f"{statistics.median(verdict.milliseconds for verdict in verdicts):.1f} ms" if verdicts else "none"
    summary = f"{len(verdicts)} inspected, {anomalous} anomalous, {errors} unreadable, median {median}"
    _say(summary, sys.stderr if options.json else sys.stdout)
    return 2 if errors else 0


def _inspect_file(station: Station, path: Path) -> tuple[NDArray[np.uint8], Verdict]:
    image = read_image(path)
    try:
        return image, station.inspect(image)
    except RuntimeError as error:
        msg = f"The picture {path} got no verdict: {last_line(error)}."
        raise ValueError(msg) from error


def _targets(pictures: Sequence[Path], source: Path, output: Path) -> dict[Path, Path]:
    """Where each overlay goes; pictures that differ only in their suffix keep it, as in ``a.jpg.png``."""
    root = source if source.is_dir() else source.parent
    if root.resolve().is_relative_to(output.resolve()):
        msg = f"The overlays would be written among the pictures in {root}: give another folder as --output."
        raise ValueError(msg)
    plain = {path: output / path.relative_to(root).with_suffix(".png") for path in pictures}
    shared = Counter(plain.values())
    return {
        path: target if shared[target] == 1 else target.with_name(f"{path.name}.png") for path, target in plain.items()
    }


def _write_png(picture: Image.Image, target: Path) -> None:
    data = BytesIO()
    picture.save(data, format="PNG")
    write_file(target, data.getvalue())


def _verdict_line(path: Path, verdict: Verdict, target: Path | None, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(
            {
                "path": str(path),
                "verdict": verdict.word.lower(),
                "category": verdict.category,
                "score": verdict.score,
                "threshold": verdict.threshold,
                "milliseconds": round(verdict.milliseconds, 3),
                "overlay": None if target is None else str(target),
            }
        )
    numbers = f"score {verdict.score:6.3f}  threshold {verdict.threshold:.3f}  {verdict.milliseconds:7.1f} ms"
    return f"{verdict.word:<9}  {numbers}  {path}" + ("" if target is None else f"  -> {target}")


def _error_line(path: Path, error: ValueError, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"path": str(path), "verdict": "error", "error": str(error)})
    return f"{'ERROR':<9}  {error}"


def _say(line: str, stream: TextIO | None = None) -> None:
    # A line break or an escape code in a file name must not forge a line of its own.
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    (sys.stdout if stream is None else stream).write(f"{shown}\n")


if __name__ == "__main__":
    sys.exit(main())
