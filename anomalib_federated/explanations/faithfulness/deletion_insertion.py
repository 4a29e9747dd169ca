"""Does the score go when the relevant pixels go, and come when they come?

Petsiuk et al. 2018, *RISE*, https://arxiv.org/abs/1806.07421, section 4.1. The most relevant pixels are replaced first
by those of a reference (deletion), or put into the reference first (insertion), and each picture on the way is scored.

Three things are done otherwise. No patch counts as farther from the bank than in the picture itself, see
:meth:`~anomalib_federated.interfaces.explainer.Case.remaining_scores`: the border between two pictures is an anomaly of
neither, and would score more than most defects. Pixels that tie are replaced together: a map that is constant has no
order, and gets the straight line. And the steps are shorter where the first pixels go, since a defect is often less
than a hundredth of a picture; the area is still over the share of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.explanations.faithfulness.relevance import checked_relevance
from anomalib_federated.interfaces.explainer import Case

STEPS = 16
"""Of which the first replaces 0.4 % of the pixels, the last 12 %."""

_BATCH = 4
"""Changed pictures that are scored at once; on a CPU more are no faster."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What is left of a picture's score, between the picture and its reference.

    Attributes:
        shares: Of the pixels, most relevant first, from 0 to 1.
        deletion: Of the score, with these pixels of the reference, the others of the picture.
        insertion: Of the score, with these pixels of the picture, the others of the reference.
    """

    shares: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]

    @property
    def score(self) -> float:
        """Of the picture."""
        return self.deletion[0]

    @property
    def remaining(self) -> float:
        """With all pixels of the reference."""
        return self.insertion[0]

    @property
    def deletion_area(self) -> float | None:
        """Area under the deletion curve: the lower, the better; see :meth:`_area`."""
        return self._area(self.deletion)

    @property
    def insertion_area(self) -> float | None:
        """Area under the insertion curve: the higher, the better."""
        return self._area(self.insertion)

    def _area(self, scores: Sequence[float]) -> float | None:
        """Area of a curve where the picture scores 1 and what remains 0; a mixture may score less.

        ``None`` if all remains, so that no order of pixels could be a good one.
        """
        if self.score <= self.remaining:
            return None
        scaled = (np.array(scores) - self.remaining) / (self.score - self.remaining)
        return float(np.trapezoid(scaled, self.shares))


def deletion_insertion(case: Case, relevance: Tensor, *, reference: Tensor, steps: int = STEPS) -> Curves:
    """Tell what is left of the score between a picture and its reference.

    Args:
        case: The picture.
        relevance: Shape ``(h, w)`` of the case's image.
        reference: Shape ``(3, h, w)``, normalised like the case's image: what a pixel is replaced by.
        steps: At most so many of each curve; fewer where pixels tie.

    Raises:
        RelevanceError: If the map cannot be judged.
        ValueError: If there is no step, or the reference is of another shape than the image.
    """
    if steps < 1 or reference.shape != case.image.shape:
        msg = (
            f"steps is {steps} and the reference of shape {tuple(reference.shape)}; give at least one step, and a "
            f"reference of shape {tuple(case.image.shape)} like the image."
        )
        raise ValueError(msg)
    relevance = checked_relevance(relevance, (case.image.shape[1], case.image.shape[2]))
    borders = _borders(relevance, steps)
    chosen = [relevance >= border for border in borders]
    shares = [int(pixels.sum()) / pixels.numel() for pixels in chosen]
    deleted = [torch.where(pixels, reference, case.image) for pixels in chosen]
    inserted = [torch.where(pixels, case.image, reference) for pixels in chosen[:-1]]  # with all it is the picture
    scores = _scores(case, [case.image, *deleted, *inserted])
    picture, deletion, insertion = scores[0], scores[1 : 1 + len(deleted)], scores[1 + len(deleted) :]
    return Curves(
        shares=(0.0, *shares),
        deletion=(picture, *deletion),
        insertion=(deletion[-1], *insertion, picture),
    )


def _borders(relevance: Tensor, steps: int) -> list[float]:
    """Least relevance of a replaced pixel at each step, falling, none twice; the last is the smallest of all.

    A step that would end among pixels that tie stops before them, too: else a map that is 0 but for a few patches would
    lose those few.
    """
    falling = relevance.flatten().sort(descending=True).values.numpy()
    counts = np.ceil(len(falling) * (np.arange(1, steps + 1) / steps) ** 2).astype(int)
    first, last = (np.searchsorted(-falling, -falling[counts - 1], side=side) for side in ("left", "right"))
    before = first[(last > counts) & (first > 0)]
    ends = sorted({*(before - 1).tolist(), *(counts - 1).tolist()})
    return list(dict.fromkeys(falling[ends].tolist()))


def _scores(case: Case, pictures: Sequence[Tensor]) -> list[float]:
    batches = (pictures[begin : begin + _BATCH] for begin in range(0, len(pictures), _BATCH))
    return [score for batch in batches for score in case.remaining_scores(torch.stack(list(batch))).tolist()]
