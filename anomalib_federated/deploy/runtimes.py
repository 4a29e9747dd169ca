"""One detector in several runtimes, each as a function from pictures to named answers, and how far two are apart."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomalib_federated.models.detector_graph import OUTPUTS, DetectorGraph

Answers = Mapping[str, NDArray[Any]]
Runtime = Callable[[Tensor], Answers]
"""Pixels in 0 .. 1 of shape ``(batch, 3, height, width)`` to the outputs of :class:`DetectorGraph`, by name."""

RUNS = 9
"""Timed inferences of one picture, after one that is not."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """How far the answers of one runtime are from those of another; scores and maps are normalised to 0 .. 1.

    Attributes:
        pictures: Number of pictures compared.
        largest: Largest change of a score.
        mean: Mean change of the scores, without sign.
        largest_map: Largest change of a value of a map.
        mean_map: Mean change of a map's values, without sign; that of the picture where it is largest.
        verdict_flips: Number of pictures with another verdict.
    """

    pictures: int
    largest: float
    mean: float
    largest_map: float
    mean_map: float
    verdict_flips: int


class ClosedDetector(nn.Module):
    """A detector of one category with nothing left open but the pictures.

    Args:
        graph: The detector.
        constants: Its inputs besides the pictures.
    """

    def __init__(self, graph: DetectorGraph, constants: Sequence[Tensor]) -> None:
        super().__init__()
        self.graph = graph
        self.names = [f"constant_{number}" for number in range(len(constants))]
        for name, value in zip(self.names, constants, strict=True):
            self.register_buffer(name, value)
        self.eval()

    @property
    def constants(self) -> tuple[Tensor, ...]:
        """The inputs besides the pictures; the first are the bank rows."""
        return tuple(getattr(self, name) for name in self.names)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inspect pictures, see :class:`DetectorGraph`."""
        verdicts: tuple[Tensor, Tensor, Tensor, Tensor] = self.graph(images, *self.constants)
        return verdicts


def traced(module: nn.Module, example: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    """The operations that a module does on an example, with the sizes of its pictures left open."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing warns of every shape that it reads
        found: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call] # of torch
            module, example, check_trace=False
        )
        return found


def torch_runtime(module: nn.Module) -> Runtime:
    """Torch itself."""

    def run(images: Tensor) -> Answers:
        with torch.inference_mode():
            return {name: value.numpy() for name, value in zip(OUTPUTS, module(images), strict=True)}

    return run


def torch_file_runtime(path: Path) -> Runtime:
    """A file of TorchScript."""
    return torch_runtime(torch.jit.load(str(path)))  # type: ignore[no-untyped-call] # of torch


def openvino_runtime(model: ov.Model | Path, *, device: str = "CPU") -> Runtime:
    """OpenVINO as the station runs it, on its own models and on ONNX files.

    Left alone, OpenVINO computes in bfloat16 where the processor can, and scores shift in the third digit.
    """
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(model, device, options)

    def run(images: Tensor) -> Answers:
        answers = compiled([images.numpy()])
        return {name: answers[name] for name in OUTPUTS}

    return run


def change(expected: Runtime, actual: Runtime, pictures: Sequence[Tensor]) -> Change:
    """Compare two runtimes on pictures of any sizes, one by one.

    Args:
        expected: What counts as right.
        actual: What is measured.
        pictures: Pixels in 0 .. 1, each ``(3, height, width)``; at least one.
    """
    scores, maps, flips = [], [], 0
    for picture in pictures:
        wanted, found = expected(picture[None]), actual(picture[None])
        scores.append(float(np.abs(found["pred_score"] - wanted["pred_score"]).max()))
        maps.append(np.abs(found["anomaly_map"] - wanted["anomaly_map"]))
        flips += int((found["pred_label"] != wanted["pred_label"]).sum())
    return Change(
        pictures=len(pictures),
        largest=max(scores),
        mean=statistics.fmean(scores),
        largest_map=max(float(each.max()) for each in maps),
        mean_map=max(float(each.mean()) for each in maps),
        verdict_flips=flips,
    )


def latency(runtime: Runtime, picture: Tensor) -> float:
    """Median milliseconds from a picture ``(3, height, width)`` to its answers, over :data:`RUNS` runs."""
    runtime(picture[None])
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        runtime(picture[None])
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)
