"""Occlusion: how much lower the score is when a box of the picture is covered."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalib_federated.interfaces.explainer import Box, Case, Explainer, Explanation
from anomalib_federated_plugins.explainer.arguments import check_count

RADIUS = 5
"""Of the pixels around a box that decide what it is filled with."""

GREY_LEVELS = 255
"""OpenCV's inpainting adds up to 1.4 to what it fills in: nothing among 255 levels, but all of a normalised picture."""

AT_A_TIME = 32
"""Covered pictures that are held at once."""


class Occlusion(Explainer):
    """Covers the picture box by box and tells by how much the score falls.

    Zeiler and Fergus 2014, *Visualizing and Understanding Convolutional Networks*, https://arxiv.org/abs/1311.2901. A
    box is filled from what surrounds it. No cover is wholly normal, so what is unusual about it does not count: patches
    whose middle is covered count as normal, and others with no more than their distance in the picture as it is. The
    value of a box is the score minus what remains of it with the box covered; a pixel has the mean of the boxes over
    it. If two places have the same defect, the score of the worst falls only to that of the other: values are no shares
    of the score.

    Args:
        box: Side of a box, in pixels of the picture as the network gets it, at least 1.
        stride: From one box to the next, likewise, at least 1 and at most ``box``.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> from anomalib_federated.testing.example_case import example_cases
        >>> Occlusion(box=16, stride=8).explain(example_cases()[0], seed=0).facts["boxes"]
        9
    """

    def __init__(self, *, box: int = 32, stride: int = 16) -> None:
        self.box, self.stride = check_count("box", box), check_count("stride", stride)
        if stride > box:
            msg = f"The explainer's stride is {stride}, so that boxes of {box} leave pixels out; give at most {box}."
            raise ValueError(msg)

    def explain(self, case: Case, *, seed: int) -> Explanation:
        """The fall of the score at each place; nothing is drawn by chance."""
        del seed
        boxes = self._boxes(case.image.shape[1], case.image.shape[2])
        grids = torch.cat([case.remaining_distances(covered) for covered in _covered(case.image, boxes)])
        remaining = case.scores_of_distances(grids.masked_fill(_middles_in(case, boxes), 0))
        falls = case.score - remaining.double()
        order = falls.sort(descending=True, stable=True).indices[:5].tolist()
        return Explanation(
            relevance=_mean_over_boxes(case.image.shape[1:], boxes, falls),
            explained=case.score,
            explained_as=f"score of the picture ({case.score_rule})",
            settings={"box": self.box, "stride": self.stride, "fill": "inpainted (Telea)"},
            facts={
                "boxes": len(boxes),
                "largest_falls": [
                    {"box": list(_in_file(case, boxes[each])), "fall": float(falls[each])} for each in order
                ],
            },
        )

    def _boxes(self, height: int, width: int) -> list[Box]:
        """Boxes from edge to edge; the last ones end at the edge."""
        high, wide = min(self.box, height), min(self.box, width)
        tops, lefts = _starts(height, high, self.stride), _starts(width, wide, self.stride)
        return [Box(left, top, left + wide, top + high) for top in tops for left in lefts]


def _starts(side: int, box: int, stride: int) -> list[int]:
    starts = list(range(0, side - box + 1, stride))
    return starts if starts[-1] == side - box else [*starts, side - box]


def _covered(image: Tensor, boxes: list[Box]) -> Iterator[Tensor]:
    """The picture with each of the boxes filled, some at a time: ``(n, 3, h, w)``."""
    for first in range(0, len(boxes), AT_A_TIME):
        yield torch.stack([_filled(image, box) for box in boxes[first : first + AT_A_TIME]])


def _filled(image: Tensor, box: Box) -> Tensor:
    mask = np.zeros(image.shape[1:], dtype=np.uint8)
    mask[box.top : box.bottom, box.left : box.right] = 255
    channels: list[NDArray[Any]] = [
        cv2.inpaint(each, mask, RADIUS, cv2.INPAINT_TELEA) for each in image.numpy() * GREY_LEVELS
    ]
    return torch.from_numpy(np.stack(channels)) / GREY_LEVELS


def _middles_in(case: Case, boxes: list[Box]) -> Tensor:
    """Which patches have their middle in which box, shape ``(boxes, rows, columns)``."""
    places = torch.tensor([case.box(patch) for patch in range(case.distances.numel())], dtype=torch.float64)
    across, down = (seen / file for seen, file in zip(case.image.shape[:0:-1], case.picture.shape[1::-1], strict=True))
    x, y = (places[:, 0] + places[:, 2]) / 2 * across, (places[:, 1] + places[:, 3]) / 2 * down
    left, top, right, bottom = torch.tensor(boxes, dtype=torch.float64).T[..., None]
    inside: Tensor = (left <= x) & (x < right) & (top <= y) & (y < bottom)
    return inside.reshape(len(boxes), *case.distances.shape)


def _mean_over_boxes(size: torch.Size, boxes: list[Box], falls: Tensor) -> Tensor:
    total, count = torch.zeros(size), torch.zeros(size)
    for box, fall in zip(boxes, falls.float(), strict=True):
        total[box.top : box.bottom, box.left : box.right] += fall
        count[box.top : box.bottom, box.left : box.right] += 1
    return total / count


def _in_file(case: Case, box: Box) -> Box:
    """A box of the picture as the network gets it, in pixels of the picture's file."""
    down, across = (file / seen for file, seen in zip(case.picture.shape[:2], case.image.shape[1:], strict=True))
    return Box(int(box.left * across), int(box.top * down), math.ceil(box.right * across), math.ceil(box.bottom * down))
