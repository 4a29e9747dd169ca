"""Scoring patch features against bank rows: nearest rows, anomaly map, image score."""

from __future__ import annotations

from functools import partial

import torch
from anomalib.models.components import GaussianBlur2d
from torch import Tensor, nn
from torch.nn.functional import interpolate

from anomalib_federated.models.category_rows import CategoryRows
from anomalib_federated.models.image_score import ImageScore
from anomalib_federated.models.nearest_rows import (
    nearest_rows,
    nearest_rows_at,
    nearest_rows_in_place,
    several_nearest_rows,
)
from anomalib_federated.models.part_frame import to_picture
from anomalib_federated.models.patch_features import patch_rows
from anomalib_federated.models.site_quorum import nearest_by_quorum
from anomalib_federated.models.two_stage_search import nearest_in_two_stages

MAP_SIGMA = 4
"""Smoothing of the anomaly map in pixels, as in Roth et al. 2022."""

SMALLEST_SIDE = 4 * MAP_SIGMA + 1
"""Of a picture, in pixels as the network sees it: the smoothing reflects four sigma at each border."""


class PatchScorer(nn.Module):
    """Scores patch features of pictures.

    Args:
        image_score: Rule for the score of a picture.
        site_quorum: A patch's distance is that to its site of this rank, the nearest being 1: so many sites must have
            seen the like of what is normal. See :mod:`anomalib_federated.models.site_quorum`.

    Raises:
        ValueError: If the quorum is no number of sites, or above 1 for ``reweighted``, which weights by rows of all
            sites.
    """

    def __init__(self, image_score: ImageScore, *, site_quorum: int = 1) -> None:
        super().__init__()
        if isinstance(site_quorum, bool) or not isinstance(site_quorum, int) or site_quorum < 1:
            msg = f"site_quorum is {site_quorum!r}; give a number of sites, 1 for the distance to any row."
            raise ValueError(msg)
        if site_quorum > 1 and image_score.rule == "reweighted":
            msg = "The rule reweighted weights by rows of all sites; leave site_quorum at 1, or choose another rule."
            raise ValueError(msg)
        self.image_score = image_score
        self.site_quorum = site_quorum
        # Smoothing down and then across is the same as at once, in 2 x 33 instead of 33 x 33 products a pixel.
        self.smooth = nn.Sequential(*(_blur_along(axis) for axis in range(2)))

    @property
    def settings(self) -> dict[str, str | int | float | None]:
        """All that decides a score besides features and rows, by the names of the detector's settings.

        Example:
            >>> PatchScorer(ImageScore("max", clip=2.5)).settings
            {'score': 'max', 'num_neighbors': 9, 'score_clip': 2.5, 'site_quorum': 1}
        """
        rule = self.image_score
        return {
            "score": rule.rule,
            "num_neighbors": rule.neighbors,
            "score_clip": None if rule.clip is None else float(rule.clip),
            "site_quorum": self.site_quorum,
        }

    @property
    def words(self) -> str:
        """The same in words.

        Example:
            >>> PatchScorer(ImageScore("max"), site_quorum=2).words
            'max, distances to the site of rank 2'
        """
        quorum = "" if self.site_quorum == 1 else f", distances to the site of rank {self.site_quorum}"
        return self.image_score.words + quorum

    def forward(
        self, embedding: Tensor, bank: CategoryRows, image_size: torch.Size, affine: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Score pictures of one category.

        Args:
            embedding: Patch features, shape ``(batch, d, rows, columns)``.
            bank: The category's bank rows.
            image_size: Height and width of the anomaly map.
            affine: From the frame of the features to the picture, shape ``(batch, 2, 3)``; ``None`` if they are one.

        Returns:
            Image scores of shape ``(batch,)`` and anomaly maps of shape ``(batch, 1, height, width)``, both in units
            of feature distance (after the projection, if the rows have one), and none beyond the clip.

        Raises:
            ValueError: If the rows have places and the rule is ``reweighted``: the rows around one of them, by which it
                weights, count at other places.
        """
        if bank.places is not None:
            self._check_rule()
        batch, _, height, width = embedding.shape
        distances, owners, queries = self.nearest(embedding, bank)
        grid = self.image_score.clipped(distances.reshape(batch, 1, height, width))
        scores = self.image_score(
            grid,
            owners.reshape(batch, -1),
            queries.reshape(batch, -1, queries.shape[1]),
            bank.rows,
            partial(several_nearest_rows, rows=bank.rows),
        )
        if affine is None:
            return scores, self._enlarged(grid, image_size)
        return scores, self.smooth(to_picture(grid, affine, image_size))

    def nearest(self, embedding: Tensor, bank: CategoryRows) -> tuple[Tensor, Tensor, Tensor]:
        """The nearest bank row of each patch: of the site whose rank is the quorum, if the rows are told apart.

        Args:
            embedding: Patch features, shape ``(batch, d, rows, columns)``.
            bank: The category's bank rows.

        Returns:
            Distances and row numbers, for each of the ``batch * rows * columns`` patches, and the patches as they are
            compared, one a row.

        Raises:
            ValueError: If the rows were not arranged for this quorum.
        """
        batch, _, height, width = embedding.shape
        queries = bank.compared(patch_rows(embedding))
        self._check_arrangement(bank)
        if bank.blocks is not None:
            distances, owners = nearest_by_quorum(queries, bank.rows, bank.blocks, self.site_quorum)
        elif bank.places is not None:
            distances, owners = nearest_rows_in_place(queries, bank.rows, bank.places, (height, width))
        elif bank.sketch is not None:
            distances, owners = nearest_in_two_stages(queries.reshape(batch, height, width, -1), bank.rows, bank.sketch)
        else:
            distances, owners = nearest_rows(queries, bank.rows)
        return distances, owners, queries

    def nearest_at(self, features: Tensor, bank: CategoryRows, where: Tensor) -> tuple[Tensor, Tensor]:
        """The same for patches that are no whole picture.

        Args:
            features: Shape ``(n, d)``, float32.
            bank: The category's bank rows.
            where: Place of each patch, see :func:`~anomalib_federated.models.nearest_rows.cell_middles`, shape
                ``(n, 2)``; matters only if the rows have places.

        Returns:
            Row numbers, shape ``(n,)``, and the patches as they are compared, one a row.

        Raises:
            ValueError: If the rows were not arranged for this quorum.
        """
        queries = bank.compared(features)
        self._check_arrangement(bank)
        if bank.blocks is not None:
            _, owners = nearest_by_quorum(queries, bank.rows, bank.blocks, self.site_quorum)
        elif bank.places is not None:
            _, owners = nearest_rows_at(queries, bank.rows, bank.places, where)
        else:
            _, owners = nearest_rows(queries, bank.rows)
        return owners, queries

    def _check_arrangement(self, bank: CategoryRows) -> None:
        if (bank.blocks is None) != (self.site_quorum == 1):
            msg = (
                f"The bank rows were not arranged for a site_quorum of {self.site_quorum}; set the model's bank again."
            )
            raise ValueError(msg)

    def _enlarged(self, grid: Tensor, size: torch.Size) -> Tensor:
        """The grid in the picture's size, smoothed.

        Both steps treat rows and columns alike and apart, so that each axis is one small matrix, made by doing both to
        the axis's unit vectors; two products with these are much faster than smoothing the large map.
        """
        down, across = (self._along(side, size[axis], grid) for axis, side in enumerate(grid.shape[2:]))
        return down @ grid @ across.transpose(2, 3)

    def _along(self, cells: int, pixels: int, like: Tensor) -> Tensor:
        """What each pixel of an axis takes from each cell, shape ``(1, 1, pixels, cells)``."""
        cell = torch.eye(cells, device=like.device)[None, None]
        smoothed: Tensor = self.smooth[0](interpolate(cell, size=(pixels, cells)))
        return smoothed

    def _check_rule(self) -> None:
        if self.image_score.rule == "reweighted":
            msg = (
                "The image score 'reweighted' weights by the rows around the nearest one, but these rows count at "
                "other places; choose max, smoothed_max or top_fraction."
            )
            raise ValueError(msg)


def _blur_along(axis: int) -> nn.Module:
    size = 2 * 4 * MAP_SIGMA + 1  # as much of the Gaussian as anomalib takes
    blur: nn.Module = GaussianBlur2d(
        sigma=(MAP_SIGMA, MAP_SIGMA), channels=1, kernel_size=(size, 1) if axis == 0 else (1, size)
    )
    return blur
