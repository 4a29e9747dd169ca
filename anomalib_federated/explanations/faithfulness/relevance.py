"""Relevance maps as they are judged: by the order of their pixels alone, and never with a guess."""

from __future__ import annotations

from torch import Tensor


class RelevanceError(ValueError):
    """A relevance map, or what it is compared with, cannot be judged; the message says why."""


def checked_relevance(relevance: Tensor, size: tuple[int, int], *, of: str = "the relevance map") -> Tensor:
    """The map, if it can be judged.

    Args:
        relevance: Shape ``(h, w)``, any floating type.
        size: Height and width that it must have.
        of: What error messages call it.

    Returns:
        The same in float32, without gradient.

    Raises:
        RelevanceError: If it has another shape, or holds a value that is not finite.

    Example:
        >>> import torch
        >>> try:
        ...     checked_relevance(torch.full((2, 2), torch.nan), (2, 2))
        ... except RelevanceError as error:
        ...     print(error)
        Of the relevance map, 4 of 4 values are not finite; an explainer must give a number to every pixel.
    """
    if tuple(relevance.shape) != size:
        shown = " x ".join(map(str, relevance.shape))
        msg = f"Of {of}, the shape is {shown}, but that of the picture {size[0]} x {size[1]}; they must be the same."
        raise RelevanceError(msg)
    found = relevance.detach().float()
    if broken := int((~found.isfinite()).sum()):
        msg = (
            f"Of {of}, {broken} of {found.numel()} values are not finite; an explainer must give a number to every "
            "pixel."
        )
        raise RelevanceError(msg)
    return found
