"""Nearest bank rows for all patches of a picture in a fraction of the time, for exported graphs.

Comparing every patch with every row is nearly all that an exported detector does. Three things make it cheap: patches
beside each other are alike, so that a tile of 2 x 2 patches looks for its nearest rows together; this first look needs
few digits and few dimensions, so that it is made in 8 bit integers along the rows' principal directions; and only large
distances decide, so that the patches which are farthest from their rows are compared with all rows again, in float32.

1. The mean of each tile is compared with the sketch of all rows (:class:`RowSketch`). The rows are dealt out to
   :data:`CANDIDATES` hands, like cards, and of each hand the row that looks nearest is kept: unlike the nearest of all,
   this needs no sorting.
2. Each patch of the tile gets its exact distance to the nearest candidate. It is never below the true one.
3. The :data:`RECHECKED` patches with the largest distances are compared with all rows.

So the score ``max`` is exact if the largest distance of step 3 is not below what step 2 left elsewhere, and every other
value can only be too large. How much this changes is measured at each export.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from anomalib_federated.models.nearest_rows import nearest_rows
from anomalib_federated.models.principal_directions import principal_directions
from anomalib_federated.selection.distances import not_negative

TILE = 2
"""Patches along each side of a tile."""

CANDIDATES = 32
"""Rows that the patches of a tile are compared with: a multiple of 16, the width of vectors."""

RECHECKED = 64
"""Patches of a picture that are compared with all rows."""

SKETCH_SHARE = 0.9
"""Of the rows' squared norms, what the principal directions that the first look uses hold at least."""

MOST_DIRECTIONS = 256
"""Of a sketch: of features with many dimensions some of that share may be left out."""

DIRECTION_STEP = 32
"""Their number is a multiple of this, as vectors of 8 bit integers are."""

FEWEST_ROWS = 1000
"""With fewer rows, comparing all is as fast; a sketch is made of no less."""

LEVELS = 127
"""Of 8 bit integers, on each side of 0."""

SMALLEST_STEP = 1e-12
"""Of features, where all rows are one."""

NEVER = -1e30
"""Likeness of what fills the hands up."""


class RowSketch(NamedTuple):
    """Few digits of bank rows: enough to tell which are near.

    The likeness of a patch to a row is their product, less half of the row's squared norm: largest where the distance
    is smallest.

    Attributes:
        directions: Shape ``(d, k)``, float32: a patch times this, rounded, is its 8 bit integers.
        codes: Shape ``(m, k)``, int8, those of the rows; ``m`` is filled up to a multiple of :data:`CANDIDATES`.
        steps: What a product of these integers is worth, per row, shape ``(m,)``, float32.
        offsets: What is added to it, shape ``(m,)``, float32.

    Example:
        >>> rows = torch.rand(2000, 8, generator=torch.Generator().manual_seed(0))
        >>> sketch = RowSketch.of(rows - rows.mean(0))
        >>> int(sketch.likeness((rows - rows.mean(0))[7:8]).argmax())
        7
    """

    directions: Tensor
    codes: Tensor
    steps: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> RowSketch:
        """The sketch of rows of shape ``(m, d)``, float32, around their mean."""
        directions = _sketched_directions(rows)
        projected = rows @ directions
        step = (projected.abs().max() / LEVELS).clamp_min(SMALLEST_STEP)
        steps = projected.abs().amax(1).clamp_min(step) / LEVELS
        codes = (projected / steps.unsqueeze(1)).round().to(torch.int8)
        filling = -len(rows) % CANDIDATES
        return cls(
            directions / step,
            pad(codes, (0, 0, 0, filling)),
            pad(steps * step, (0, filling)),
            pad(rows.pow(2).sum(1) / -2, (0, filling), value=NEVER),
        )

    def likeness(self, patches: Tensor) -> Tensor:
        """Of patches ``(n, d)`` to all rows: ``(n, m)``."""
        rounded = torch.fake_quantize_per_tensor_affine(patches @ self.directions, 1.0, 0, -LEVELS - 1, LEVELS)
        return linear(rounded, self.codes.float() * self.steps.unsqueeze(1)) + self.offsets


def nearest_in_two_stages(patches: Tensor, rows: Tensor, sketch: RowSketch) -> tuple[Tensor, Tensor]:
    """Distance of each patch to its nearest row, or a little more, and which row that is.

    Args:
        patches: Shape ``(batch, height, width, d)``, float32, around the rows' mean.
        rows: Shape ``(m, d)``, float32.
        sketch: Of these rows.

    Returns:
        Two tensors of shape ``(batch, height * width)``: float32 and int64.
    """
    order, back = _tile_order(*patches.shape[1:3], device=patches.device)
    flat = patches.flatten(1, 2)
    tiles = flat[:, order].reshape(-1, TILE * TILE, flat.shape[2])
    candidates = _most_like(sketch.likeness(tiles.mean(1)))
    squared, which = _nearest_candidates(tiles, rows, candidates)
    distances = not_negative(squared).sqrt().reshape(patches.shape[0], -1)[:, back]
    owners = candidates.gather(1, which).reshape(patches.shape[0], -1)[:, back]
    return _recheck(distances, owners, flat, rows)


def _sketched_directions(rows: Tensor) -> Tensor:
    """As many as a sketch of these rows has, shape ``(d, k)``."""
    shares, directions = principal_directions(rows)
    needed = shares.flip(0).clamp_min(0).cumsum(0) > (1 - SKETCH_SHARE) * shares.sum()
    count = min(-(-max(int(needed.sum()), 1) // DIRECTION_STEP) * DIRECTION_STEP, MOST_DIRECTIONS)
    return directions[:, :count].float()


def _tile_order(height: int, width: int, *, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Numbers of the patches of a grid, tile by tile, and where in this each patch is.

    At the far borders of odd grids the last patches are in their tile twice.

    Example:
        >>> _tile_order(1, 3)
        (tensor([0, 1, 0, 1, 2, 2, 2, 2]), tensor([0, 1, 4]))
    """
    down, across = ((side + TILE - 1) // TILE for side in (height, width))
    count = partial(torch.arange, device=device)
    row = (TILE * count(down)[:, None] + count(TILE)).clamp_max(height - 1)
    column = (TILE * count(across)[:, None] + count(TILE)).clamp_max(width - 1)
    order = row[:, None, :, None] * width + column[:, None, :]
    row, column = count(height)[:, None], count(width)
    tile = (row // TILE) * across + column // TILE
    back = (tile * TILE + row % TILE) * TILE + column % TILE
    return order.flatten(), back.flatten()


def _most_like(likeness: Tensor) -> Tensor:
    """Of each line of ``(tiles, m)`` the number of the largest in each hand: ``(tiles, CANDIDATES)``."""
    best = likeness.reshape(-1, likeness.shape[1] // CANDIDATES, CANDIDATES).argmax(1)
    return best * CANDIDATES + torch.arange(CANDIDATES, device=best.device)


def _nearest_candidates(tiles: Tensor, rows: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance of each patch to its tile's nearest candidate, and which one: both ``(tiles, 4)``."""
    products = tiles @ rows[candidates].transpose(1, 2)
    squared, which = (rows.pow(2).sum(1)[candidates].unsqueeze(1) - 2 * products).min(2)
    return squared + tiles.pow(2).sum(2), which


def _recheck(distances: Tensor, owners: Tensor, patches: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The same for all but the patches with the largest distances, which are compared with all rows."""
    filled = pad(distances, (0, RECHECKED), value=-1.0)  # small pictures have fewer patches
    doubtful = filled.topk(RECHECKED, dim=1).indices.clamp_max(distances.shape[1] - 1)
    queries = patches.gather(1, doubtful.unsqueeze(2).expand(-1, -1, patches.shape[2])).flatten(0, 1)
    exact, nearest = nearest_rows(queries, rows)
    return (
        distances.scatter(1, doubtful, exact.reshape(-1, RECHECKED)),
        owners.scatter(1, doubtful, nearest.reshape(-1, RECHECKED)),
    )
