"""Scoring against the bank of one category: nearest rows, anomaly map, image score."""

from __future__ import annotations

import torch
from anomalib.models.components import GaussianBlur2d
from torch import Tensor, nn
from torch.nn.functional import interpolate

from anomalib_federated.distances import nearest_in_chunks, squared_distances
from anomalib_federated.models.image_score import ImageScore
from anomalib_federated.models.patch_features import patch_rows

MAP_SIGMA = 4
"""Smoothing of the anomaly map in pixels, as in Roth et al. 2022."""


class CategoryScorer(nn.Module):
    """Scores patch features of one category's pictures.

    Args:
        rows: The category's bank rows, shape ``(m, d)``, float32 or float16.
        image_score: Rule for the score of a picture.
    """

    def __init__(self, rows: Tensor, *, image_score: ImageScore) -> None:
        super().__init__()
        # Around the bank's mean, products of features are small and lose few digits.
        centre = rows.float().mean(0)
        self.register_buffer("centre", centre, persistent=False)
        self.register_buffer("rows", rows.float() - centre, persistent=False)
        self.centre: Tensor
        self.rows: Tensor
        self.image_score = image_score
        self.smooth = GaussianBlur2d(sigma=(MAP_SIGMA, MAP_SIGMA), channels=1)

    def forward(self, embedding: Tensor, image_size: torch.Size) -> tuple[Tensor, Tensor]:
        """Score pictures.

        Args:
            embedding: Patch features, shape ``(batch, d, rows, columns)``.
            image_size: Height and width of the anomaly map.

        Returns:
            Image scores of shape ``(batch,)`` and anomaly maps of shape ``(batch, 1, height, width)``, both in units
            of feature distance.
        """
        batch, dim, height, width = embedding.shape
        queries = patch_rows(embedding) - self.centre
        distances, owners = self._nearest(queries)
        grid = distances.reshape(batch, 1, height, width)
        scores = self.image_score(
            grid, owners.reshape(batch, -1), queries.reshape(batch, -1, dim), self.rows, self._several_nearest
        )
        return scores, self.smooth(interpolate(grid, size=image_size))

    def _nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        norms = queries.pow(2).sum(1)
        if torch._C._get_tracing_state() is not None:  # noqa: SLF001 - a loop would freeze its length into the graph
            squared, owners = torch.addmm(self.rows.pow(2).sum(1), queries, self.rows.T, alpha=-2).min(1)
            return (squared + norms).clamp_min(0).sqrt(), owners
        parts = list(nearest_in_chunks(queries, norms, self.rows))
        return torch.cat([part[1] for part in parts]).sqrt_(), torch.cat([part[2] for part in parts])

    def _several_nearest(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        squared, owners = squared_distances(queries, self.rows).topk(count, dim=1, largest=False)
        return squared.sqrt(), owners
