"""What occlusion covers a box with is no anomaly itself: it lies within what surrounds the box."""

from __future__ import annotations

import torch

from anomalib_federated.interfaces.explainer import Box
from anomalib_federated_plugins.explainer.occlusion import _filled


def test_a_normalised_gradient_is_filled_with_what_surrounds_the_box() -> None:
    ramp = torch.linspace(-0.4, 0.4, 96).expand(3, 96, 96)
    filled = _filled(ramp, Box(32, 32, 64, 64))
    assert torch.allclose(filled[:, :, :32], ramp[:, :, :32])
    inside = filled[:, 32:64, 32:64]
    around = ramp[:, :, 26:70]
    assert float(inside.min()) >= float(around.min()) - 0.02
    assert float(inside.max()) <= float(around.max()) + 0.02
