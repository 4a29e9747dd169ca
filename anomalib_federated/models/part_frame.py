"""The part's own frame: pictures turned, moved and scaled so that the part lies level, with its heavy end to the left.

Everything follows from one picture alone, by its moments (Hu 1962, *Visual pattern recognition by moment invariants*,
https://doi.org/10.1109/TIT.1962.1057692), so nothing is learnt and nothing private is spent:

1. The background is the median colour of the picture's border. How far a pixel is from it is split in two by Otsu's
   threshold (1979, https://doi.org/10.1109/TSMC.1979.4310076), with a ramp, so that no single pixel decides.
2. Second moments give the long axis, quantiles along and across it the middle and the size.
3. The third moment along the axis says which end is heavy (it goes left); where the ends are alike, the one across it
   says which side is (it goes up). A part is turned, never mirrored.

Where a picture does not say it, less is done: a round part is moved and scaled but not turned; ends and sides that are
alike turn nothing over; a picture without a part on a plain background (a texture) stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, max_pool2d

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

CORE, FILL = 0.8, 0.8
"""Share of the part's pixels that sets its size, and how much of the frame a bar of that size fills."""

WHOLE, MARGIN = 0.995, 0.97
"""Share of the part's pixels that the frame must hold, along and across, and how much of it they may fill."""

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


def place_parts(images: Tensor) -> Placement:
    """Find the part of each picture.

    Args:
        images: Pictures, float, shape ``(batch, 3, height, width)``, in their own proportions.

    Example:
        >>> bar = torch.zeros(1, 3, 96, 96)
        >>> bar[..., 15:85, 40:50] = 1  # upright, its middle at (50, 45)
        >>> (place_parts(bar).affine[0, :, 2] * 48 + 48).round()
        tensor([45., 50.])
    """
    small = interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
    background = _median(_border(small))
    mask = _silhouette(small, background)
    found = (mask.mean((1, 2)) > SMALLEST_AREA) & (_border(mask).mean(1) < LARGEST_BORDER_SHARE)
    half_height, half_width = (torch.as_tensor(side) / 2 for side in images.shape[-2:])
    steps = _centres(SIDE, like=images)
    across, down = (steps * half_width).repeat(SIDE), (steps * half_height).repeat_interleave(SIDE)
    mask = mask.flatten(1)
    x, y = _mean(mask, across), _mean(mask, down)
    cos, sin = _turn(mask, across - x, down - y)
    u, v = cos * (across - x) + sin * (down - y), cos * (down - y) - sin * (across - x)
    (middle_u, length), (middle_v, breadth) = _extent(mask, u), _extent(mask, v)
    ratio = half_width / half_height
    half = torch.maximum(length, breadth * ratio) / 2
    rows = (
        torch.cat([cos * half, -sin * half / ratio, x + cos * middle_u - sin * middle_v], 1) / half_width,
        torch.cat([sin * half, cos * half / ratio, y + sin * middle_u + cos * middle_v], 1) / half_height,
    )
    identity = torch.eye(2, 3, device=images.device, dtype=images.dtype)
    return Placement(torch.where(found[:, None, None], torch.stack(rows, 1), identity), background)


def to_frame(images: Tensor, placement: Placement) -> Tensor:
    """Pictures ``(batch, 3, height, width)`` in the frame of their parts, which has the picture's size.

    What lies outside the picture has the colour of its background.
    """
    background = placement.background[..., None, None]
    return _sample(images - background, placement.affine, images.shape[-2:]) + background


def to_picture(grid: Tensor, affine: Tensor, size: tuple[int, int]) -> Tensor:
    """Anomaly grids ``(batch, 1, rows, columns)`` in the part's frame, back in the picture's: ``(batch, 1, *size)``.

    Args:
        grid: Scores of at least 0.
        affine: Of :class:`Placement`.
        size: Height and width of the picture.

    Returns:
        Scores; 0, the smallest, outside the frame, which the detector does not see.
    """
    turn, shift = affine[:, :, :2], affine[:, :, 2:]
    (a, b), (c, d) = (row.unbind(1) for row in turn.unbind(1))
    inverse = torch.stack([d, -b, -c, a], 1).reshape(-1, 2, 2) / (a * d - b * c).reshape(-1, 1, 1)
    return _sample(grid, torch.cat([inverse, -(inverse @ shift)], 2), size)


def _sample(images: Tensor, affine: Tensor, size: tuple[int, int]) -> Tensor:
    # The grid by hand: affine_grid does not convert to OpenVINO with sizes left open.
    y, x = _centres(size[0], like=images), _centres(size[1], like=images)
    columns = affine[:, None, None, :, 0] * x[:, None]
    grid = columns + affine[:, None, None, :, 1] * y[:, None, None] + affine[:, None, None, :, 2]
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


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
    """How much each pixel belongs to the part, 0 to 1, shape ``(batch, SIDE, SIDE)``; small holes are closed."""
    distance = (small - background[..., None, None]).square().sum(1).sqrt()
    low, high = (mean[:, None, None] for mean in _two_means(distance.flatten(1)))
    mask = (2 * (distance - low) / (high - low).clamp_min(_TINY) - 0.5).clamp(0, 1)
    grown = max_pool2d(mask, CLOSING, 1, CLOSING // 2)
    return -max_pool2d(-grown, CLOSING, 1, CLOSING // 2)


def _two_means(values: Tensor) -> tuple[Tensor, Tensor]:
    """Means of the values below and above Otsu's threshold, per row of ``(batch, n)``."""
    ordered = values.sort(1).values
    count = ordered.shape[1]
    below = torch.arange(1, count, device=values.device).to(values.dtype)
    sums = ordered.cumsum(1)
    low, high = sums[:, :-1] / below, (sums[:, -1:] - sums[:, :-1]) / (count - below)
    best = (below * (count - below) * (high - low).square()).argmax(1, keepdim=True)
    return low.gather(1, best)[:, 0], high.gather(1, best)[:, 0]


def _turn(mask: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the long axis, which points away from the heavy end; shape ``(batch, 1)`` each."""
    xx, yy, xy = _mean(mask, x * x), _mean(mask, y * y), _mean(mask, x * y)
    difference = ((xx - yy).square() + 4 * xy.square()).sqrt()
    double = (xx - yy) / difference.clamp_min(_TINY)  # the cosine of twice the angle
    cos = ((1 + double) / 2).clamp_min(0).sqrt()
    sin = ((1 - double) / 2).clamp_min(0).sqrt() * torch.where(xy < 0, -1.0, 1.0)
    along, across = _skewness(mask, cos * x + sin * y), _skewness(mask, cos * y - sin * x)
    telling = torch.where(along.abs() > ALIKE, along, torch.where(across.abs() > ALIKE, across, 1.0))
    over = torch.where(telling < 0, -1.0, 1.0)
    level = difference < ROUND * (xx + yy)
    return torch.where(level, 1.0, cos * over), torch.where(level, 0.0, sin * over)


def _extent(mask: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """Middle of the part along an axis, and how much the frame is to cover there; shape ``(batch, 1)`` each."""
    ordered, order = position.sort(1)
    share = mask.gather(1, order).cumsum(1)
    share = share / share[:, -1:].clamp_min(_TINY)
    low, high = (_quantile(ordered, share, at) for at in ((1 - CORE) / 2, (1 + CORE) / 2))
    middle = (low + high) / 2
    first, last = (_quantile(ordered, share, at) for at in ((1 - WHOLE) / 2, (1 + WHOLE) / 2))
    reach = 2 * torch.maximum(last - middle, middle - first)
    return middle, torch.maximum((high - low) / CORE / FILL, reach / MARGIN).clamp_min(_TINY)


def _quantile(ordered: Tensor, share: Tensor, at: float) -> Tensor:
    return ordered.gather(1, (share < at).sum(1, keepdim=True).clamp_max(ordered.shape[1] - 1))


def _skewness(mask: Tensor, position: Tensor) -> Tensor:
    variance = _mean(mask, position.square())
    return _mean(mask, position * position.square()) / (variance * variance.sqrt()).clamp_min(_TINY)


def _mean(mask: Tensor, values: Tensor) -> Tensor:
    """Mean over the part, shape ``(batch, 1)``."""
    return (mask * values).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp_min(_TINY)
