"""Scoring patch features against bank rows: nearest rows, anomaly map, image score."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from anomalib.models.components import GaussianBlur2d
from torch import Tensor, nn
from torch.nn.functional import interpolate

from anomalib_federated.models.image_score import ImageScore
from anomalib_federated.models.part_frame import to_picture
from anomalib_federated.models.patch_features import patch_rows
from anomalib_federated.selection.distances import nearest_in_chunks, squared_distances

MAP_SIGMA = 4
"""Smoothing of the anomaly map in pixels, as in Roth et al. 2022."""

SMALLEST_SIDE = 4 * MAP_SIGMA + 1
"""Of a picture, in pixels as the network sees it: the smoothing reflects four sigma at each border."""


class CentredRows(NamedTuple):
    """Bank rows around their mean: products of centred features are small and lose few digits.

    Attributes:
        rows: Shape ``(m, d)``, float32, with the mean subtracted.
        centre: The mean, shape ``(d,)``.
    """

    rows: Tensor
    centre: Tensor

    @classmethod
    def of(cls, features: Tensor) -> CentredRows:
        """Centre features of shape ``(m, d)``, float32 or float16."""
        centre = features.float().mean(0)
        return cls(features.float() - centre, centre)

    def to(self, device: torch.device) -> CentredRows:
        """The same on a device."""
        return CentredRows(self.rows.to(device), self.centre.to(device))


class PatchScorer(nn.Module):
    """Scores patch features of pictures.

    Args:
        image_score: Rule for the score of a picture.
    """

    def __init__(self, image_score: ImageScore) -> None:
        super().__init__()
        self.image_score = image_score
        self.smooth = GaussianBlur2d(sigma=(MAP_SIGMA, MAP_SIGMA), channels=1)

    def forward(
        self, embedding: Tensor, bank: CentredRows, image_size: torch.Size, affine: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Score pictures of one category.

        Args:
            embedding: Patch features, shape ``(batch, d, rows, columns)``.
            bank: The category's bank rows.
            image_size: Height and width of the anomaly map.
            affine: From the frame of the features to the picture, shape ``(batch, 2, 3)``; ``None`` if they are one.

        Returns:
            Image scores of shape ``(batch,)`` and anomaly maps of shape ``(batch, 1, height, width)``, both in units
            of feature distance.
        """
        batch, dim, height, width = embedding.shape
        queries = patch_rows(embedding) - bank.centre
        distances, owners = _nearest(queries, bank.rows)
        grid = distances.reshape(batch, 1, height, width)
        scores = self.image_score(
            grid,
            owners.reshape(batch, -1),
            queries.reshape(batch, -1, dim),
            bank.rows,
            partial(_several_nearest, rows=bank.rows),
        )
        anomaly_map = interpolate(grid, size=image_size) if affine is None else to_picture(grid, affine, image_size)
        return scores, self.smooth(anomaly_map)


def _nearest(queries: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    norms = queries.pow(2).sum(1)
    # A loop would freeze its length into an exported graph, be it traced (OpenVINO) or captured (ONNX).
    if torch._C._get_tracing_state() is not None or torch.compiler.is_exporting():  # noqa: SLF001
        squared, owners = torch.addmm(rows.pow(2).sum(1), queries, rows.T, alpha=-2).min(1)
        return (squared + norms).clamp_min(0).sqrt(), owners
    parts = list(nearest_in_chunks(queries, norms, rows))
    return torch.cat([part[1] for part in parts]).sqrt_(), torch.cat([part[2] for part in parts])


def _several_nearest(queries: Tensor, count: int, *, rows: Tensor) -> tuple[Tensor, Tensor]:
    squared, owners = squared_distances(queries, rows).topk(count, dim=1, largest=False)
    return squared.sqrt(), owners
