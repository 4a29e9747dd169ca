"""As many rows of every group as of any other."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated_plugins.fairness.quotas import QuotaRule, equal_quotas


class Equal(QuotaRule):
    """Shares the budget equally; a group with fewer rows keeps all, and the others share what it leaves.

    Args:
        minimum: Rows that every group surely keeps, or all that it has. Equal shares give it wherever the budget can;
            where it cannot, the budget is refused instead.

    Raises:
        ValueError: If the minimum is no whole number of at least 0; in a selection, if the budget is too small for it.

    Notes:
        Time ``O(sum of n_g k_g d)``, at most ``O(n k d)``.

    Example:
        >>> import torch
        >>> features, group = torch.arange(20.0)[:, None], torch.tensor([0] * 15 + [1] * 4 + [2])
        >>> Equal().select(features, group, budget=8).quotas
        tensor([4, 3, 1])
    """

    def quotas(self, sizes: Sequence[int], budget: int) -> list[int]:
        """Equal numbers."""
        return equal_quotas(sizes, budget, minimum=self.minimum)
