"""From the distances of a picture's patches to one score of the picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from anomalib.models.components import GaussianBlur2d
from torch import Tensor, nn

ScoreRule = Literal["max", "smoothed_max", "top_fraction", "reweighted"]
TOP_FRACTION = 0.01
SMOOTHING_SIGMA = 1.0
"""Of ``smoothed_max``, in cells of the patch grid."""

NearestRows = Callable[[Tensor, int], tuple[Tensor, Tensor]]
"""Features ``(q, d)`` and a count to distances and row numbers ``(q, count)`` of the nearest bank rows."""


class ImageScore(nn.Module):
    """Scores pictures.

    Args:
        rule: ``max``: the largest patch distance. ``smoothed_max``: the largest after light smoothing over the grid,
            which one noisy patch cannot decide. ``top_fraction``: the mean of the largest 1 %. ``reweighted``: the
            largest, weighted by how crowded its nearest bank row's neighbourhood is (Roth et al. 2022, equation 7),
            as anomalib does.
        neighbors: Size of that neighbourhood, for ``reweighted``.
        clip: The most that one patch counts: larger distances are taken for this, in the score and in the map. So one
            extreme patch cannot decide a score that several patches make (``smoothed_max``, ``top_fraction``);
            ``None`` takes distances as they are.

    Raises:
        ValueError: If there is no such rule, no neighbour, the clip is no positive number, or there is one for
            ``reweighted``, which would have to choose among many patches that are equally far away.
    """

    def __init__(self, rule: ScoreRule, *, neighbors: int = 9, clip: float | None = None) -> None:
        super().__init__()
        if rule not in get_args(ScoreRule):
            msg = f"There is no image score rule '{rule}'; choose one of {', '.join(get_args(ScoreRule))}."
            raise ValueError(msg)
        if neighbors < 1:
            msg = f"The image score's number of neighbours is {neighbors}; give at least 1."
            raise ValueError(msg)
        if clip is not None and (isinstance(clip, bool) or not 0 < clip < math.inf):
            msg = f"score_clip is {clip!r}; give a patch distance above 0, or leave it out."
            raise ValueError(msg)
        if clip is not None and rule == "reweighted":
            msg = "The rule reweighted looks for the one patch that is farthest away; leave score_clip out."
            raise ValueError(msg)
        self.rule = rule
        self.neighbors = neighbors
        self.clip = clip
        self.smooth = GaussianBlur2d(sigma=(SMOOTHING_SIGMA, SMOOTHING_SIGMA), channels=1, border_type="replicate")

    @property
    def words(self) -> str:
        """All that decides a score besides features and rows.

        Example:
            >>> ImageScore("top_fraction", clip=2.5).words, ImageScore("reweighted").words
            ('top_fraction, distances clipped at 2.5', 'reweighted among 9 neighbours')
        """
        among = f" among {self.neighbors} neighbours" if self.rule == "reweighted" else ""
        return f"{self.rule}{among}" + ("" if self.clip is None else f", distances clipped at {self.clip:g}")

    def clipped(self, distances: Tensor) -> Tensor:
        """Distances of any shape, none beyond the clip."""
        return distances if self.clip is None else distances.clamp_max(self.clip)

    def forward(
        self, distances: Tensor, owners: Tensor, embedding: Tensor, rows: Tensor, search: NearestRows
    ) -> Tensor:
        """Score pictures.

        Args:
            distances: Distance of each patch to its nearest bank row, :meth:`clipped`, shape
                ``(batch, 1, rows, columns)``.
            owners: Which bank row that is, shape ``(batch, rows * columns)``.
            embedding: The patches' features, shape ``(batch, rows * columns, d)``.
            rows: The bank's rows, shape ``(m, d)``, in the frame of ``embedding``.
            search: Finds the bank rows nearest to given features.

        Returns:
            Scores of shape ``(batch,)``.
        """
        if self.rule == "smoothed_max":
            smoothed: Tensor = self.smooth(distances)
            return smoothed.flatten(1).amax(1)
        flat = distances.flatten(1)
        if self.rule == "top_fraction":
            return _mean_of_top(flat)
        if self.rule == "reweighted":
            return self._reweighted(flat, owners, embedding, rows, search)
        return flat.amax(1)

    def _reweighted(self, flat: Tensor, owners: Tensor, embedding: Tensor, rows: Tensor, search: NearestRows) -> Tensor:
        score, worst = flat.max(1)
        if min(self.neighbors, len(rows)) == 1:
            return score  # a lone row has no neighbourhood; the weight would be 0 for every picture
        worst = worst.unsqueeze(1)
        patch = embedding.take_along_dim(worst.unsqueeze(2), 1)
        owner = owners.take_along_dim(worst, 1).squeeze(1)
        _, support = search(rows[owner], min(self.neighbors, len(rows)))
        to_support = (patch - rows[support]).pow(2).sum(2).sqrt()
        return (1 - to_support.softmax(1)[:, 0]) * score


def _mean_of_top(flat: Tensor) -> Tensor:
    """Mean of each row's largest 1 %, at least one; written so that the number of patches may stay open in a graph."""
    count = (torch.ones_like(flat[:1]).sum() * TOP_FRACTION).floor().clamp_min(1)
    descending = flat.sort(1, descending=True).values
    kept = torch.ones_like(flat).cumsum(1) <= count
    return (descending * kept).sum(1) / count
