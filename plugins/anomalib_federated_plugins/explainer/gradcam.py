"""Grad-CAM: which places of a layer raise the score."""

from __future__ import annotations

from typing import Any

from anomalib_federated.interfaces.explainer import Case, Explainer, Explanation


class GradCam(Explainer):
    """Weights the channels of a layer by the gradient of the score, and adds them up.

    Selvaraju et al. 2017, *Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization*,
    https://arxiv.org/abs/1610.02391, with the picture's anomaly score in place of a class's. A channel's weight is the
    mean of the gradient over all places, so that the map shows where what raises the score is found, also where it is
    normal: PatchCore compares places one by one, and a mean over them forgets where the gradient was. It is a view into
    the network, not a measure of what each place adds.

    Args:
        layer: One of the layers whose features the detector uses; ``None`` takes the last, as the paper does.

    Raises:
        ValueError: On explaining, if the detector uses no such layer.

    Example:
        >>> from anomalib_federated.testing.example_case import example_cases
        >>> GradCam().explain(example_cases()[0], seed=0).settings
        {'layer': 'blocks.4'}
    """

    def __init__(self, *, layer: str | None = None) -> None:
        self.layer = layer

    def explain(self, case: Case, *, seed: int) -> Explanation:
        """The map of the layer; nothing is drawn by chance."""
        del seed
        layer = case.layers[-1] if self.layer is None else self.layer
        activations, gradient = case.gradient(layer)
        weights = gradient.mean((1, 2))
        grid = (weights[:, None, None] * activations).sum(0).relu()
        strongest = weights.abs().sort(descending=True, stable=True).indices[:3]
        facts: dict[str, Any] = {
            "grid": list(grid.shape),
            "strongest_channels": [{"channel": int(each), "weight": float(weights[each])} for each in strongest],
            "places_with_gradient": int((gradient != 0).any(0).sum()),
        }
        return Explanation(
            relevance=case.on_picture(grid),
            explained=case.score,
            explained_as=f"score of the picture ({case.score_rule}), before any clipping",
            settings={"layer": layer},
            facts=facts,
        )
