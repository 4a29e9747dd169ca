"""The part's own frame: pictures turned, moved and scaled so that the part lies level, with its heavy end to the left.

Everything follows from one picture alone, by its moments (Hu 1962, *Visual pattern recognition by moment invariants*,
https://doi.org/10.1109/TIT.1962.1057692), so nothing is learnt and nothing private is spent:

1. The background is the median colour of the picture's border. How far pixels are from it is split at the middle of the
   means of both sides (Ridler and Calvard 1978, *Picture thresholding using an iterative selection method*,
   https://doi.org/10.1109/TSMC.1978.4310039), with a ramp, so that no single pixel decides.
2. Second moments give the long axis, higher ones along and across it the middle and the size.
3. The third moment along the axis says which end is heavy (it goes left); where the ends are alike, the one across it
   says which side is (it goes up). A part is turned, never mirrored.

Where a picture does not say it, less is done: a round part is moved and scaled but not turned; ends and sides that are
alike turn nothing over; a picture without a part on a plain background (a texture) stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, max_pool2d

from anomalib_federated.models.image_transform import resizing

SIDE = 128
"""Of the small square picture on which the part is measured, in pixels."""

BORDER = 3
"""Width of the border that shows the background, in pixels of the small picture."""

LARGEST_BORDER_SHARE = 0.15
"""Of the border that a part may cover; what covers more is no part before a background."""

SMALLEST_AREA = 0.002
"""Of a part, as a share of the picture."""

ROUND = 0.1
"""Difference of the variances along and across, over their sum, below which a part counts as round."""

ALIKE = 0.05
"""Skewness below which two ends, or two sides, count as alike."""

ENDS, REACH = 4, 16
"""Orders of the moments that say where a part ends, and how far it reaches."""

FILL = 0.85
"""How much of the frame a part fills that ends as a bar does; one with light ends fills more."""

ROUNDS = 16
"""In which the threshold settles."""

CLOSING = 5
"""Width of gaps in the silhouette, such as reflections, that are closed, in pixels of the small picture."""

_TINY = 1e-6


class Placement(NamedTuple):
    """Where the parts of a batch lie.

    Attributes:
        affine: From the frame to the picture, both in -1 .. 1, as ``torch.nn.functional.affine_grid`` takes it; shape
            ``(batch, 2, 3)``.
        background: Colour of the background, shape ``(batch, 3)``.
    """

    affine: Tensor
    background: Tensor


def place_parts(images: Tensor, size: Sequence[int]) -> Placement:
    """Find the part of each picture.

    Args:
        images: Pictures, float, shape ``(batch, 3, height, width)``, in their own proportions.
        size: Height and width of the frame; only its shape matters.

    Example:
        >>> bar = torch.zeros(1, 3, 96, 96)
        >>> bar[..., 15:85, 40:50] = 1  # upright, its middle at (50, 45)
        >>> (place_parts(bar, (96, 96)).affine[0, :, 2] * 48 + 48).round()
        tensor([45., 50.])
    """
    # OpenVINO 2026.4 plans its own antialiasing for 0.7 s at each new size of picture.
    down, across = (resizing(side, SIDE).to(images.device, images.dtype) for side in images.shape[-2:])
    small = down @ (images @ across.T)
    background = _median(_border(small))
    mask = _silhouette(small, background)
    found = (mask.mean((1, 2)) > SMALLEST_AREA) & (_border(mask).mean(1) < LARGEST_BORDER_SHARE)
    ratio, frame_ratio = (
        torch.as_tensor(width) / torch.as_tensor(height) for height, width in (images.shape[-2:], size)
    )
    steps = _centres(SIDE, like=images)
    across, down = (steps * ratio).repeat(SIDE), steps.repeat_interleave(SIDE)  # the unit is half the height
    mask = mask.flatten(1)
    x, y = _mean(mask, across), _mean(mask, down)
    cos, sin = _turn(mask, across - x, down - y)
    u, v = cos * (across - x) + sin * (down - y), cos * (down - y) - sin * (across - x)
    (middle_u, length), (middle_v, breadth) = _extent(mask, u), _extent(mask, v)
    half = torch.maximum(length, breadth * frame_ratio).clamp_min(_TINY)
    rows = (
        torch.cat([cos * half, -sin * half / frame_ratio, x + cos * middle_u - sin * middle_v], 1) / ratio,
        torch.cat([sin * half, cos * half / frame_ratio, y + sin * middle_u + cos * middle_v], 1),
    )
    identity = torch.eye(2, 3, device=images.device, dtype=images.dtype)
    return Placement(torch.where(found[:, None, None], torch.stack(rows, 1), identity), background)


def to_frame(images: Tensor, placement: Placement, size: Sequence[int], *, oversampling: int) -> Tensor:
    """Pictures in the frame of their parts; what lies outside a picture has the colour of its background.

    Args:
        images: Shape ``(batch, 3, height, width)``.
        placement: Where their parts lie.
        size: Height and width of the frame.
        oversampling: How many times each way a pixel is sampled, to be averaged.

    Returns:
        Shape ``(batch, 3, *size)``.
    """
    background = placement.background[..., None, None]
    places = _places(placement.affine, [side * oversampling for side in size])
    turned = grid_sample(images - background, places, align_corners=False) + background  # zeros outside
    return turned if oversampling == 1 else avg_pool2d(turned, oversampling)


def to_picture(grid: Tensor, affine: Tensor, size: Sequence[int]) -> Tensor:
    """Anomaly grids in the part's frame, ``(batch, 1, rows, columns)``, back in the picture's: ``(batch, 1, *size)``.

    Args:
        grid: Scores of at least 0.
        affine: Of :class:`Placement`.
        size: Height and width of the map.

    Returns:
        Scores. Outside the frame, where the detector does not look, they fade to 0 over one cell of the grid.
    """
    turn, shift = affine[:, :, :2], affine[:, :, 2:]
    (a, b), (c, d) = (row.unbind(1) for row in turn.unbind(1))
    inverse = torch.stack([d, -b, -c, a], 1).reshape(-1, 2, 2) / (a * d - b * c).reshape(-1, 1, 1)
    places = _places(torch.cat([inverse, -(inverse @ shift)], 2), size)
    rows, columns = (torch.as_tensor(side) for side in grid.shape[-2:])
    beyond_x, beyond_y = (places.abs() - 1).clamp_min(0).unbind(-1)
    inside = (1 - beyond_x * columns / 2).clamp_min(0) * (1 - beyond_y * rows / 2).clamp_min(0)
    return grid_sample(grid, places, padding_mode="border", align_corners=False) * inside.unsqueeze(1)


def _places(affine: Tensor, size: Sequence[int]) -> Tensor:
    """What ``affine_grid`` gives, which does not convert to OpenVINO with sizes left open: ``(batch, *size, 2)``."""
    y, x = _centres(size[0], like=affine), _centres(size[1], like=affine)
    along_x, along_y, shift = affine[:, None, None].unbind(-1)
    return along_x * x[:, None] + along_y * y[:, None, None] + shift


def _centres(count: int, *, like: Tensor) -> Tensor:
    """Pixel centres of a side, in -1 .. 1."""
    return (torch.arange(count, device=like.device).to(like.dtype) + 0.5) * 2 / torch.as_tensor(count) - 1


def _border(pictures: Tensor) -> Tensor:
    """The border of small pictures ``(..., SIDE, SIDE)``: ``(..., n)``."""
    top_and_bottom = torch.cat([pictures[..., :BORDER, :], pictures[..., -BORDER:, :]], -2)
    between = pictures[..., BORDER:-BORDER, :]
    left_and_right = torch.cat([between[..., :BORDER], between[..., -BORDER:]], -1)
    return torch.cat([top_and_bottom.flatten(-2), left_and_right.flatten(-2)], -1)


def _median(values: Tensor) -> Tensor:
    return values.sort(-1).values[..., values.shape[-1] // 2]


def _silhouette(small: Tensor, background: Tensor) -> Tensor:
    """How much each pixel belongs to the part, 0 to 1, shape ``(batch, SIDE, SIDE)``; small gaps are closed."""
    distance = (small - background[..., None, None]).square().sum(1).sqrt()
    values = distance.flatten(1)
    low, high = torch.zeros_like(values[:, :1]), values.amax(1, keepdim=True)
    for _ in range(ROUNDS):
        above = _between(values, low, high)
        low, high = _mean(1 - above, values), _mean(above, values)
    mask = _between(distance, low[..., None], high[..., None])
    grown = max_pool2d(mask, CLOSING, 1, CLOSING // 2)
    return -max_pool2d(-grown, CLOSING, 1, CLOSING // 2)


def _between(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """A ramp about the middle of two levels, from 0 at a quarter of the way to 1 at three quarters."""
    return (2 * (values - low) / (high - low).clamp_min(_TINY) - 0.5).clamp(0, 1)


def _turn(mask: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the long axis, which points away from the heavy end; shape ``(batch, 1)`` each."""
    xx, yy, xy = _mean(mask, x * x), _mean(mask, y * y), _mean(mask, x * y)
    difference = ((xx - yy).square() + 4 * xy.square()).sqrt().clamp_min(_TINY)
    # Of cosine and sine, the larger comes from the half-angle formula, which loses the smaller's digits.
    larger = ((1 + (xx - yy).abs() / difference) / 2).sqrt()
    smaller = xy.abs() / (difference * larger)
    cos = torch.where(xx > yy, larger, smaller)
    sin = torch.where(xx > yy, smaller, larger) * torch.where(xy < 0, -1.0, 1.0)
    along, across = _skewness(mask, cos * x + sin * y), _skewness(mask, cos * y - sin * x)
    telling = torch.where(along.abs() > ALIKE, along, torch.where(across.abs() > ALIKE, across, 1.0))
    over = torch.where(telling < 0, -1.0, 1.0)
    level = difference < ROUND * (xx + yy)
    return torch.where(level, 1.0, cos * over), torch.where(level, 0.0, sin * over)


def _extent(mask: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """Middle of the part along an axis through its centroid, and half of what the frame is to show there.

    A moment of either side stands for its end, so that no single pixel decides: exact for a bar. A higher one, of all
    that lies about the middle, sees to it that light ends, such as a tip, are in the frame too.
    """
    first, last = (
        (2 * (ENDS + 1) * _mean(mask, side.clamp_min(0) ** ENDS)) ** (1 / ENDS) for side in (-position, position)
    )
    middle = (last - first) / 2
    reach = ((REACH + 1) * _mean(mask, (position - middle) ** REACH)) ** (1 / REACH)
    return middle, torch.maximum((last + first) / 2, reach) / FILL


def _skewness(mask: Tensor, position: Tensor) -> Tensor:
    variance = _mean(mask, position.square())
    return _mean(mask, position * position.square()) / (variance * variance.sqrt()).clamp_min(_TINY)


def _mean(mask: Tensor, values: Tensor) -> Tensor:
    """Mean over the part, shape ``(batch, 1)``."""
    return (mask * values).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp_min(_TINY)
