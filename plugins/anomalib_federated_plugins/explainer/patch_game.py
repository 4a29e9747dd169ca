"""The cooperative game of patches: what a picture scores if some of its patches were normal."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalib_federated.interfaces.explainer import Case


class PatchGame:
    """Patches take part, or are replaced by normal ones; the worth is the score.

    Normal patches are rows of the category's bank, drawn by the seed. A row lies at distance 0 from a bank without
    places; with places it lies as far as the rows of that place are. Where several normal patches give the same
    distances, the game is valued once for them.

    Args:
        case: The picture and its detector.
        players: Numbers of the patches that take part or not, shape ``(n,)``; all others stay as they are.
        background: How many normal patches an absent one is replaced by; the worth is the mean. All rows, if fewer.
        seed: Decides which.

    Attributes:
        players: As given.
        rows: Numbers of the rows that were drawn.
        baseline: The worth if no player takes part.

    Example:
        >>> from anomalib_federated.testing.example_case import example_cases
        >>> case = example_cases()[0]
        >>> game = PatchGame(case, torch.arange(16), background=4, seed=0)
        >>> game.baseline, len(game.rows)
        (0.0, 4)
    """

    def __init__(self, case: Case, players: Tensor, *, background: int, seed: int) -> None:
        self.players = players
        self._case = case
        drawn = np.random.default_rng(seed).permutation(len(case.bank))[:background]
        self.rows: list[int] = sorted(drawn.tolist())
        normal = case.bank.features[self.rows].float()
        pairs = normal.repeat_interleave(len(players), 0), players.repeat(len(normal))
        distances = case.distances_in_place(*pairs).reshape(len(normal), len(players))
        different, counts = np.unique(distances.numpy(), axis=0, return_counts=True)
        self._normal, self._shares = torch.from_numpy(different), (counts / len(normal)).tolist()
        self.baseline = float(self.worth(np.zeros((1, len(players))))[0])

    def worth(self, coalitions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of the picture when only these players take part.

        Args:
            coalitions: Shape ``(n, players)``: 1 who takes part, 0 who does not.

        Returns:
            Shape ``(n,)``, float64.
        """
        present = torch.from_numpy(np.asarray(coalitions) > 0.5)
        worth = torch.zeros(len(present), dtype=torch.float64)
        grid = self._case.distances.flatten()
        for share, normal in zip(self._shares, self._normal, strict=True):
            grids = grid.repeat(len(present), 1)
            grids[:, self.players] = torch.where(present, grid[self.players], normal)
            worth += share * self._case.scores_of_distances(grids.reshape(-1, *self._case.distances.shape)).double()
        return worth.numpy()
