"""Exact Shapley values of patches for the largest patch distance."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.interfaces.explainer import Case, Explainer, Explanation
from anomalib_federated_plugins.explainer.arguments import check_count
from anomalib_federated_plugins.explainer.worst_patches import contributions_of, relevance_of, worst_patches


class ExactShapley(Explainer):
    """Shares out the largest patch distance among patches, in closed form.

    Players are the patches farthest from the bank; one that is absent counts as wholly normal, at distance 0. What a
    coalition is worth is the largest distance that is left. This is the airport game, in which the longest runway is
    paid for by all that land on it: Littlechild and Owen 1973, *A Simple Expression for the Shapley Value in a Special
    Case*, https://doi.org/10.1287/mnsc.20.3.370. With distances in order, ``c_1 <= ... <= c_n``, and ``c_0`` the
    largest of all other patches, patch ``i`` contributes the sum over ``j <= i`` of
    ``(c_j - c_{j-1}) / (n - j + 1)``.

    The largest patch distance is the score only if the rule is ``max``; of another rule, the same number is explained
    all the same and ``explained_as`` says that it is not the score.

    Args:
        patches: How many patches are players, at least 1; ``None`` takes all, so that the baseline is 0.

    Raises:
        ValueError: If the argument is impossible.

    Example:
        >>> airport(torch.tensor([3.0, 1.0]), below=0.0).tolist()
        [2.5, 0.5]
    """

    def __init__(self, *, patches: int | None = 32) -> None:
        self.patches = None if patches is None else check_count("patches", patches)

    def explain(self, case: Case, *, seed: int) -> Explanation:
        """The exact contributions; nothing is drawn by chance."""
        del seed
        distances, players = case.distances.flatten(), worst_patches(case, self.patches)
        others = distances.clone()
        others[players] = 0
        baseline = float(others.max())
        values = airport(distances[players], below=baseline)
        explained_as = "largest patch distance, which is the score of the picture"
        if case.score_rule.partition(",")[0] != "max":
            explained_as = f"largest patch distance; the score of the picture is another number ({case.score_rule})"
        return Explanation(
            relevance=relevance_of(case, players, values),
            explained=float(distances.max()),
            explained_as=explained_as,
            baseline=baseline,
            contributions=contributions_of(case, players, values),
            settings={"patches": self.patches},
            facts={"players": len(players)},
        )


def airport(costs: Tensor, *, below: float) -> Tensor:
    """The Shapley values of the game whose worth is the largest cost of those who take part.

    Args:
        costs: Shape ``(n,)``, none below ``below``.
        below: The worth if nobody takes part.

    Returns:
        Shape ``(n,)``, float64; they add up to the largest cost minus ``below``.

    Example:
        >>> airport(torch.tensor([1.0, 1.0]), below=0.5).tolist()
        [0.25, 0.25]
    """
    ordered, order = costs.double().sort(stable=True)
    steps = torch.diff(ordered, prepend=torch.tensor([below], dtype=torch.float64))
    sharing = torch.arange(len(costs), 0, -1)
    values = torch.empty_like(ordered)
    values[order] = (steps / sharing).cumsum(0)
    return values
