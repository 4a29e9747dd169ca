"""A detector's graph written for each runtime, from one trace."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import openvino as ov
import torch
from torch import Tensor

from anomalib_federated.deploy.precision import BANK, ROWS
from anomalib_federated.deploy.runtimes import ClosedDetector, traced
from anomalib_federated.models.detector_graph import OUTPUTS, DetectorGraph

OPSET = 18
"""Of ONNX."""


def example_images(input_size: tuple[int, int] | None) -> Tensor:
    """Pictures to trace with: two, so that no dimension of 1 is taken for a constant."""
    return torch.rand(2, 3, *(input_size or (96, 128)), generator=torch.Generator().manual_seed(0))


def template_of(graph: DetectorGraph, constants: Sequence[Tensor], *, input_size: tuple[int, int] | None) -> ov.Model:
    """The graph for OpenVINO, with the bank and the thresholds as inputs: :func:`filled_in` makes a category's model.

    Args:
        graph: The detector.
        constants: Its inputs besides the pictures, as those of any category.
        input_size: Height and width of all pictures; ``None`` leaves them open.
    """
    example = (example_images(input_size), *constants)
    trace = traced(graph, example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        template = ov.convert_model(trace, example_input=example)
    template.inputs[0].get_tensor().set_names({"input"})
    for output, name in zip(template.outputs, OUTPUTS, strict=True):
        output.get_tensor().set_names({name})
    return template


def filled_in(template: ov.Model, constants: Sequence[Tensor], *, input_size: tuple[int, int] | None) -> ov.Model:
    """A copy of the template whose inputs, but for the pictures, are constants; the first of them are the bank rows.

    Their names tell them from the weights of the network, see :data:`anomalib_federated.deploy.precision.BANK`.
    """
    model = template.clone()
    pictures, *parameters = model.get_parameters()
    names = (ROWS, *(f"{BANK}{number}" for number in range(1, len(constants))))
    for name, parameter, value in zip(names, parameters, constants, strict=True):
        constant = ov.opset13.constant(value.numpy())
        constant.set_friendly_name(name)
        parameter.output(0).replace(constant.output(0))
        model.remove_parameter(parameter)
    pictures.set_partial_shape(ov.PartialShape([-1, 3, *(input_size or (-1, -1))]))
    model.validate_nodes_and_infer_types()
    return model


def write_onnx(closed: ClosedDetector, path: Path, *, input_size: tuple[int, int] | None) -> None:
    """Write a detector as ONNX, whose batch, and size of pictures unless it is given, stay open."""
    open_axes = {0: "batch"} if input_size else {0: "batch", 2: "height", 3: "width"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # The exporter that traces: the one that analyses programs knows no size that depends on the picture's.
        torch.onnx.export(
            closed,
            (example_images(input_size),),
            path,
            input_names=["input"],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamo=False,
            dynamic_axes={"input": open_axes, **{name: {0: "batch"} for name in OUTPUTS}},
        )


def write_torch(closed: ClosedDetector, path: Path, *, input_size: tuple[int, int] | None) -> None:
    """Write a detector as TorchScript: code and tensors, which ``torch.jit.load`` reads without Python's pickle."""
    trace = traced(closed, (example_images(input_size),))
    # Without what the graph never uses, such as the network's classifier.
    torch.jit.save(torch.jit.freeze(trace, optimize_numerics=False), str(path))
