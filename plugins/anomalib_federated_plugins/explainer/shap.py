"""Shapley values of patches, sampled by the library shap."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalib_federated.interfaces.explainer import Case, Explainer, Explanation
from anomalib_federated_plugins.explainer.arguments import check_count
from anomalib_federated_plugins.explainer.patch_game import PatchGame
from anomalib_federated_plugins.explainer.worst_patches import contributions_of, relevance_of, worst_patches


class Shap(Explainer):
    """Shares out the score among the patches that are farthest from the bank, whatever the rule of the score.

    Lundberg and Lee 2017, *A Unified Approach to Interpreting Model Predictions*, https://arxiv.org/abs/1705.07874, by
    the library's permutation explainer. A player is a patch of this very picture; one that is absent is replaced by a
    normal patch of the category, see :class:`~anomalib_federated_plugins.explainer.patch_game.PatchGame`. So the
    contributions add up to the score minus what the picture would score if all of these patches were normal.

    Values are sampled: orders of the players are drawn, in ``repeats`` independent rounds, whose scatter gives the
    standard error that is told with each contribution.

    Args:
        patches: How many patches are players, the farthest from the bank first, at least 1.
        background: How many normal patches an absent one is replaced by, in turn; the mean counts. At least 1.
        samples: How often the game is valued in all, up to what makes whole orders of players; no fewer than one order,
            there and back, in each repeat.
        repeats: Independent rounds, at least 2.

    Raises:
        RuntimeError: If the library is not installed.
        ValueError: If an argument is impossible.

    Example:
        >>> Shap(patches=8).samples
        4096
    """

    def __init__(self, *, patches: int = 32, background: int = 20, samples: int = 4096, repeats: int = 8) -> None:
        if find_spec("shap") is None:
            msg = "The explainer 'shap' needs the library shap: run pip install 'anomalib-federated[explain]'."
            raise RuntimeError(msg)
        self.patches = check_count("patches", patches)
        self.background = check_count("background", background)
        self.samples = check_count("samples", samples)
        self.repeats = check_count("repeats", repeats, least=2)

    def explain(self, case: Case, *, seed: int) -> Explanation:
        """The sampled contributions."""
        game = PatchGame(case, worst_patches(case, self.patches), background=self.background, seed=seed)
        orders = max(1, self.samples // (self.repeats * (2 * len(game.players) + 1)))
        rounds = torch.stack([_sampled(game, orders, seed=[seed, each]) for each in range(self.repeats)])
        values, errors = rounds.mean(0), rounds.std(0) / self.repeats**0.5
        return Explanation(
            relevance=relevance_of(case, game.players, values),
            explained=case.score,
            explained_as=f"score of the picture ({case.score_rule})",
            baseline=game.baseline,
            contributions=contributions_of(case, game.players, values, errors),
            settings={
                "patches": self.patches,
                "background": self.background,
                "samples": self.samples,
                "repeats": self.repeats,
            },
            facts={
                "players": len(game.players),
                "orders_sampled": 2 * orders * self.repeats,
                "largest_standard_error": float(errors.max()),
                "background_rows": game.rows,
            },
        )


def _sampled(game: PatchGame, orders: int, *, seed: list[int]) -> Tensor:
    """Contributions, shape ``(players,)``, float64, as a mean over orders that are drawn, and their reverses."""
    import shap  # noqa: PLC0415 - an extra that takes seconds to import

    count = len(game.players)
    present, absent = np.ones((1, count)), np.zeros((1, count))
    before = np.random.get_state()
    try:
        number = int(np.random.SeedSequence(seed).generate_state(1)[0])
        explainer = shap.PermutationExplainer(game.worth, shap.maskers.Independent(absent), seed=number)
        found = explainer(present, max_evals=orders * (2 * count + 1), silent=True)
    finally:
        np.random.set_state(before)
    values: NDArray[np.float64] = found.values[0]
    return torch.from_numpy(values)
