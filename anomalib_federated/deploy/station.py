"""The inspection station: an exported model, a picture in, a verdict out.

Needs the standard library, numpy, Pillow and OpenVINO, nothing of the training stack. All pre-processing, the memory
bank and the thresholds are inside the model.

Example:
    >>> station = Station("exported", category="pipe_clip")  # doctest: +SKIP
    >>> verdict = station.inspect(read_image("part.png"))  # doctest: +SKIP
    >>> verdict.word, round(verdict.score, 3)  # doctest: +SKIP
    ('good', 0.312)
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, TypeAlias

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from anomalib_federated.deploy.bundle import is_bundle, read_bundle
from anomalib_federated.deploy.calibration import Calibration
from anomalib_federated.deploy.exported_model import find_model, last_line, read_model
from anomalib_federated.deploy.overlay import overlay
from anomalib_federated.deploy.tiling import Tile, Tiling, resized, stitch
from anomalib_federated.deploy.verdict import THRESHOLD, Verdict
from anomalib_federated.pictures import read_image

__all__ = ["Mode", "Station", "Tiling", "Verdict", "overlay", "read_image"]

Mode: TypeAlias = Literal["latency", "throughput"]
"""Whether one picture is to be judged as soon as possible, or as many as possible in a time."""


class Station:
    """Judges pictures with one exported model. Several threads may call it.

    Args:
        model: Path of a bundle, of a ``model.xml``, or of the folder that holds it.
        category: Which of several categories; may be left out where there is one.
        calibration: Thresholds of this station; those of the export if there is none.
        tiling: How pictures are cut before the model sees them; None leaves them whole. The model must know such tiles.
        mode: ``latency`` gives all threads to one picture, ``throughput`` judges several at once, be they pictures or
            tiles.
        device: OpenVINO device, such as ``CPU`` or ``GPU``.
        threads: Threads of all inferences together; None leaves the choice to OpenVINO.

    Attributes:
        category: What the model was trained to inspect.
        manifest: What the exporter wrote down about the model.
        version: Tells exports apart: that of the bundle, or the first 12 digits of the sha256 of both model files.
        tiling: How pictures are cut.
        streams: How many pictures are judged at once; further callers wait.
        threshold: A picture that scores above is anomalous.
        pixel_threshold: A pixel of the anomaly map above belongs to a defect.
        calibrated: Whether the thresholds are those of a calibration.

    Raises:
        FileNotFoundError: There is no model at the path.
        ValueError: The model was not exported by this package, is damaged, or does not fit the device; the calibration
            is of something else or of other tiles; or the folder holds models of several categories and none was named.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        category: str | None = None,
        calibration: Calibration | None = None,
        tiling: Tiling | None = None,
        mode: Mode = "latency",
        device: str = "CPU",
        threads: int | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            msg = f"threads is {threads}: give a whole number of at least 1, or leave it out."
            raise ValueError(msg)
        path, version = _find(Path(model), category)
        core = ov.Core()
        graph, manifest = read_model(core, path)
        self.manifest: Mapping[str, Any] = manifest
        self.category: str = manifest["category"]
        if category not in {None, self.category}:
            msg = f"The model {path} is of category {self.category!r}, not {category!r}: put each in its own folder."
            raise ValueError(msg)
        self.version = version or _version(path)
        self.tiling = tiling
        if calibration is not None:
            self._check(calibration)
        self.calibrated = calibration is not None
        self.threshold = THRESHOLD if calibration is None else calibration.threshold
        self.pixel_threshold = THRESHOLD if calibration is None else calibration.pixel_threshold
        options: dict[str, str | int] = {"PERFORMANCE_HINT": mode.upper(), "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        # With the batch open, OpenVINO takes a quarter longer for a picture.
        shape = graph.input(0).partial_shape
        shape[0] = 1
        try:
            graph.reshape(shape)
            self._compiled = core.compile_model(graph, device, options)
        except RuntimeError as error:
            devices = ", ".join(core.available_devices)
            msg = f"The model {path} does not compile for device {device!r} ({last_line(error)}): there is {devices}."
            raise ValueError(msg) from error
        several = mode == "throughput"
        self.streams = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")) if several else 1
        self._requests: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(self.streams):
            self._requests.put(self._compiled.create_infer_request())
        self._at_once = ThreadPoolExecutor(self.streams, thread_name_prefix="tile")

    @property
    def threads(self) -> int:
        """Threads of all inferences together, as OpenVINO has decided."""
        return int(self._compiled.get_property("INFERENCE_NUM_THREADS"))

    def inspect(self, image: NDArray[np.uint8]) -> Verdict:
        """Judge one picture.

        The first picture of a size takes a little longer: OpenVINO plans for the size then.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, or ``(H, W)`` uint8 gray, of any size.

        Returns:
            The verdict, with the anomaly map in the resolution of the network, or in that of the picture if it was cut.

        Raises:
            ValueError: The picture has another type or shape, or would be cut into too many tiles.
            RuntimeError: The model failed, or answered something that is not a finite number: never take it for a pass.
        """
        started = time.perf_counter()
        verdict = self.judge(prepare(image))
        return replace(verdict, milliseconds=1000 * (time.perf_counter() - started))

    def judge(self, prepared: NDArray[np.float32]) -> Verdict:
        """Judge a picture that :func:`prepare` has made ready.

        Args:
            prepared: ``(1, 3, H, W)`` float32 in 0 .. 1.

        Raises:
            ValueError: It would be cut into too many tiles.
            RuntimeError: As :meth:`inspect`.
        """
        started = time.perf_counter()
        tiles = [] if self.tiling is None else self.tiling.tiles(*prepared.shape[2:])
        verdict = self._judge_tiles(prepared, tiles) if len(tiles) > 1 else self._judge_whole(prepared)
        return replace(verdict, milliseconds=1000 * (time.perf_counter() - started))

    def _judge_tiles(self, prepared: NDArray[np.float32], tiles: Sequence[Tile]) -> Verdict:
        """The worst tile decides; each pixel has the largest value that a tile gives it."""
        picture = prepared[0].transpose(1, 2, 0)
        parts = (np.ascontiguousarray(tile.cut(picture).transpose(2, 0, 1)[None]) for tile in tiles)
        verdicts = list(self._at_once.map(self._judge_whole, parts))
        maps = [
            resized(verdict.anomaly_map, (tile.height, tile.width))
            for verdict, tile in zip(verdicts, tiles, strict=True)
        ]  # fmt: skip
        anomaly_map = stitch(maps, tiles, size=picture.shape[:2])
        worst = max(verdicts, key=lambda verdict: verdict.score)
        return replace(worst, anomaly_map=anomaly_map, mask=anomaly_map > self.pixel_threshold)

    def _judge_whole(self, prepared: NDArray[np.float32]) -> Verdict:
        started = time.perf_counter()
        request = self._requests.get()
        try:
            outputs = request.infer({"input": prepared})
        finally:
            self._requests.put(request)
        score = float(_answer(outputs, "pred_score", dims=1)[0])
        anomaly_map = _answer(outputs, "anomaly_map", dims=4)[0, 0].astype(np.float32)
        mask = _answer(outputs, "pred_mask", dims=4)[0, 0].astype(np.bool_)
        anomalous = bool(_answer(outputs, "pred_label", dims=1)[0])
        if not (math.isfinite(score) and np.isfinite(anomaly_map).all()):
            msg = f"The model answered a score (here {score}) or a map that is not finite: export the model again."
            raise RuntimeError(msg)
        if self.calibrated:
            mask, anomalous = anomaly_map > self.pixel_threshold, score > self.threshold
        return Verdict(
            category=self.category,
            score=score,
            threshold=self.threshold,
            anomalous=anomalous,
            anomaly_map=anomaly_map,
            mask=mask,
            milliseconds=1000 * (time.perf_counter() - started),
            pixel_threshold=self.pixel_threshold,
        )

    def _check(self, calibration: Calibration) -> None:
        for name, theirs, ours in (
            ("category", calibration.category, self.category),
            ("model version", calibration.model_version, self.version),
        ):
            if theirs != ours:
                msg = f"The calibration is of {name} {theirs!r}, the model of {ours!r}: calibrate the station again."
                raise ValueError(msg)
        if calibration.tiling != self.tiling:
            made, judging = (str(tiling or "whole pictures") for tiling in (calibration.tiling, self.tiling))
            msg = (
                f"The calibration was made with {made}, the station judges {judging}: give the same --tile and "
                "--overlap, or calibrate the station again."
            )
            raise ValueError(msg)


def prepare(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bring a picture into the form of the model's input.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, or ``(H, W)`` uint8 gray, of any size.

    Returns:
        ``(1, 3, H, W)`` float32 in 0 .. 1.

    Raises:
        ValueError: The picture has another type or shape.

    Example:
        >>> prepare(np.full((4, 6), 255, np.uint8)).shape
        (1, 3, 4, 6)
    """
    fits = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.size > 0
    if not fits or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        found = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        msg = f"The picture is {found}: the station takes uint8 of shape (H, W, 3) in RGB or (H, W) in gray."
        raise ValueError(msg)
    colour = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
    prepared = np.ascontiguousarray(colour.transpose(2, 0, 1)[None], dtype=np.float32)
    prepared /= np.float32(255)
    return prepared


def _find(model: Path, category: str | None) -> tuple[Path, str | None]:
    """The ``model.xml``, and the version if it is in a bundle."""
    if not is_bundle(model):
        return find_model(model if category is None else model / category), None
    bundle = read_bundle(model)
    path = bundle.model_path(category)
    if path.suffix != ".xml":
        msg = f"The bundle {model} is for {bundle.manifest['runtime']}, the station runs OpenVINO: export it for that."
        raise ValueError(msg)
    return path, bundle.version


def _version(path: Path) -> str:
    digest = sha256()
    for part in (path, path.with_suffix(".bin")):
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:12]


def _answer(outputs: Mapping[str, NDArray[Any]], name: str, *, dims: int) -> NDArray[Any]:
    """One output for a batch of one: ``(1,)`` or ``(1, 1, h, w)``."""
    found = outputs[name]
    if found.ndim != dims or found.shape[:2] != (1, 1)[:dims] or found.size == 0:
        msg = f"The model answered {name} with shape {found.shape} for one picture: export it again."
        raise RuntimeError(msg)
    return found
