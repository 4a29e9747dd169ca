"""A detector whose score is known in closed form: the sum of what each pixel adds."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from anomalib_federated.interfaces.explainer import Box, Case, Explainer, Explanation, NormalPatch


class SumCase(Case):
    """Its picture is white; a pixel adds its weight times its brightness to the score, black ones nothing."""

    def __init__(self, weights: Tensor, *, name: str = "test/dent/1.png") -> None:
        self.name, self.category, self.threshold = name, "screw", None
        self.weights = weights
        self.image = torch.ones(3, *weights.shape)
        self.score = float(self.remaining_scores(self.image[None]))
        self.distances = weights

    @property
    def black(self) -> Tensor:
        return torch.zeros_like(self.image)

    def remaining_scores(self, images: Tensor) -> Tensor:
        return (images.mean(1) * self.weights).double().flatten(1).sum(1)

    def remaining_distances(self, images: Tensor) -> Tensor:
        raise NotImplementedError

    def scores_of_distances(self, grids: Tensor) -> Tensor:
        raise NotImplementedError

    def distances_in_place(self, features: Tensor, patches: Tensor) -> Tensor:
        raise NotImplementedError

    def gradient(self, layer: str) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def on_picture(self, grid: Tensor) -> Tensor:
        return grid

    def box(self, patch: int) -> Box:
        raise NotImplementedError

    def nearest_normal(self, features: Tensor, count: int) -> Iterator[list[NormalPatch]]:
        raise NotImplementedError


class Weights(Explainer):
    """The explanation that is right."""

    def explain(self, case: Case, *, seed: int) -> Explanation:
        assert isinstance(case, SumCase)
        return Explanation(relevance=case.weights, explained=case.score, explained_as="the score")
