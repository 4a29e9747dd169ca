"""Explainers that explain nothing, which every measure of faithfulness must expose; never registered as plugins."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from anomalib_federated.interfaces.explainer import Case, Explainer, Explanation


class EdgeDetector(Explainer):
    """Calls the edges of a picture relevant, whatever the detector learnt.

    Adebayo et al. 2018 (https://arxiv.org/abs/1810.03292) show how convincing this looks.
    """

    def explain(self, case: Case, *, seed: int) -> Explanation:
        """The length of the brightness gradient (Sobel)."""
        del seed
        grey = pad(case.image.mean(0)[None, None], (1, 1, 1, 1), mode="replicate")
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
        gradient = conv2d(grey, torch.stack([across, across.T])[:, None])
        return _told(case, gradient[0].norm(dim=0))


class RandomMap(Explainer):
    """Draws a number for every patch."""

    def explain(self, case: Case, *, seed: int) -> Explanation:
        """Uniform numbers on the patch grid."""
        grid = torch.rand(case.distances.shape, generator=torch.Generator().manual_seed(seed))
        return _told(case, case.on_picture(grid))


def _told(case: Case, relevance: Tensor) -> Explanation:
    return Explanation(relevance=relevance, explained=case.score, explained_as="the picture's score")
