"""Fewer bits in an OpenVINO model: float16 weights, an int8 network, float16 or int8 bank rows.

Only the network computes in int8. The distance search and everything after it compute in float32 whatever the rows are
stored in, since squared distances are small differences of large numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from itertools import cycle
from typing import Literal

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from torch import Tensor

from anomalib_federated.bank.quantised import quantise, restore
from anomalib_federated.data.synthetic_defects import KINDS, with_defect

RowType = Literal["float32", "float16", "int8"]
"""How bank rows are stored."""

SMALLEST_HALVED = 4096
"""Constants of fewer numbers stay float32: they are thresholds, means and kernels, and save nothing."""

CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})

NETWORK = "__module.extractor.backbone"
"""Prefix of the names of the network's operations in a converted graph."""

FIRST = 12
"""Convolutions at the network's input that stay in float32: rounding there moves every feature. Chosen, as all of this,
on held-out training pictures with pasted pieces."""

BANK = "bank_"
"""What the names of those constants in a converted graph begin with that are a category's: its rows, thresholds."""

ROWS = f"{BANK}rows"
"""Name of the constant with the bank's rows."""


class PrecisionError(RuntimeError):
    """A model cannot be brought to a precision."""


def rounded(rows: Tensor, kind: RowType) -> Tensor:
    """Rows as they come back from being stored, float32.

    Raises:
        PrecisionError: If a number exceeds the range of float16.

    Example:
        >>> import torch
        >>> rounded(torch.tensor([[254.0, -126.7]]), "int8").tolist()
        [[254.0, -126.0]]
    """
    if kind == "int8":
        return restore(*quantise(rows))
    if kind == "float16":
        if float(rows.abs().max()) > np.finfo(np.float16).max:
            msg = "A bank row exceeds the range of float16; store the rows as float32 or int8."
            raise PrecisionError(msg)
        return rows.half().float()
    return rows


def store_rows(model: ov.Model, rows: Tensor, kind: RowType) -> None:
    """Store the rows of a model compactly; it computes as before, in float32.

    Args:
        model: Changed in place.
        rows: What :func:`rounded` gave.
        kind: As there.
    """
    if kind == "float32":
        return
    if kind == "float16":
        compact = ops.convert(ops.constant(rows.half().numpy()), "f32")
    else:
        levels, scales = quantise(rows)
        compact = ops.multiply(
            ops.convert(ops.constant(levels.numpy()), "f32"), ops.constant(scales[:, None].float().numpy())
        )
    (constant,) = (node for node in model.get_ordered_ops() if node.get_friendly_name() == ROWS)
    constant.output(0).replace(compact.output(0))


def halve_weights(model: ov.Model) -> None:
    """Store the weights of a model in float16; it computes in float32 where the runtime is told so.

    OpenVINO's own compression would round the thresholds too, which are constants like any other.

    Args:
        model: Changed in place.

    Raises:
        PrecisionError: If a weight exceeds the range of float16.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != ov.Type.f32:
            continue
        if node.get_friendly_name().startswith(BANK) or node.data.size < SMALLEST_HALVED:
            continue
        if np.abs(node.data).max() > np.finfo(np.float16).max:
            msg = "A weight of the network exceeds the range of float16; export it with the precision fp32 or int8."
            raise PrecisionError(msg)
        compact = ops.convert(ops.constant(node.data.astype(np.float16)), "f32")
        node.output(0).replace(compact.output(0))


def quantise_network(model: ov.Model, pictures: Sequence[Tensor]) -> ov.Model:
    """A model whose network computes in int8, by NNCF's post-training quantisation.

    Args:
        model: In float32; left as it is.
        pictures: Normal pictures: pixels in 0 .. 1, each ``(3, height, width)``. They set the ranges of activations,
            once as they are and once with a synthetic defect: a range of what is normal alone would clip what is not.

    Raises:
        PrecisionError: If NNCF is not installed, there is no picture, or the model has no network.
    """
    if find_spec("nncf") is None:
        msg = "The precision int8 needs NNCF; install it with: pip install 'anomalib-federated[export]'."
        raise PrecisionError(msg)
    if not pictures:
        msg = "The precision int8 needs normal pictures, which set the ranges of the network's activations; give some."
        raise PrecisionError(msg)
    import nncf  # noqa: PLC0415 - an extra that takes seconds to import

    nncf.set_log_level("ERROR")
    seen = [picture[None].numpy() for picture in (*pictures, *_defective(pictures))]
    with redirect_stdout(sys.stderr):  # its progress bars are no result
        quantised: ov.Model = nncf.quantize(
            model.clone(),
            nncf.Dataset(seen),
            subset_size=len(seen),
            ignored_scope=nncf.IgnoredScope(names=_in_float32(model), validate=False),
        )
    return quantised


def _defective(pictures: Sequence[Tensor]) -> list[Tensor]:
    """The pictures, each with a synthetic defect; one kind after the other."""
    rng, kinds = np.random.default_rng(0), cycle(KINDS)
    pixels = ((picture.permute(1, 2, 0) * 255).round().byte().numpy() for picture in pictures)
    changed = [with_defect(each, kind, rng=rng) for each, kind in zip(pixels, kinds, strict=False)]
    return [torch.from_numpy(defect.picture).permute(2, 0, 1).float() / 255 for defect in changed]


def _in_float32(model: ov.Model) -> list[str]:
    """Names of all operations that neither are of the network nor lead to it, and of its first convolutions."""
    operations = model.get_ordered_ops()
    network = [node for node in operations if node.get_friendly_name().startswith(NETWORK)]
    if not network:
        msg = "The graph has no operation of the network, so nothing can be quantised; export it with fp32."
        raise PrecisionError(msg)
    leading = _ancestors(network)
    # A convolution that took over its normalisation has a name of no module; what precedes the network has one.
    outside = [
        name
        for node in operations
        if (name := node.get_friendly_name()) not in leading
        or (name.startswith("__module.") and not name.startswith(NETWORK))
    ]
    convolutions = [
        node.get_friendly_name()
        for node in operations
        if node.get_type_name() in CONVOLUTIONS and node.get_friendly_name() in leading - set(outside)
    ]
    return [*outside, *convolutions[:FIRST]]


def _ancestors(nodes: Iterable[ov.Node]) -> set[str]:
    """Names of the operations whose results reach any of these, and theirs."""
    found: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() not in found:
            found.add(node.get_friendly_name())
            waiting += [value.get_source_output().get_node() for value in node.inputs()]
    return found
