"""Of every group as large a share of its rows as of any other."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated_plugins.fairness.quotas import QuotaRule, proportional_quotas


class Proportional(QuotaRule):
    """Shares the budget in proportion to the groups' sizes, with a minimum for small ones.

    A group in a hundred of the rows gets a hundredth of the budget, however much there is to see in it: fair to rows,
    not to groups.

    Args:
        minimum: Rows that every group surely keeps, or all that it has.

    Raises:
        ValueError: If the minimum is no whole number of at least 0; in a selection, if the budget is too small for it.

    Notes:
        Time ``O(sum of n_g k_g d)``, at most ``O(n k d)``.

    Example:
        >>> import torch
        >>> features, group = torch.arange(20.0)[:, None], torch.tensor([0] * 15 + [1] * 4 + [2])
        >>> Proportional().select(features, group, budget=8).quotas
        tensor([6, 1, 1])
    """

    def quotas(self, sizes: Sequence[int], budget: int) -> list[int]:
        """Numbers in proportion to the sizes."""
        return proportional_quotas(sizes, budget, minimum=self.minimum)
