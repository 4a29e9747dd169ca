"""Small grouped rows to choose from, and what every choice there is can reach."""

from itertools import combinations

import torch
from hypothesis import strategies as st


@st.composite
def grouped_rows(draw, *, most=9, groups=3):
    """Features (n, 2) and groups: points of an integer grid, many of them equal or as far as others, or normal ones."""
    m = draw(st.integers(1, groups))
    n = draw(st.integers(m + 1, most))
    group = torch.tensor([*range(m), *draw(st.lists(st.integers(0, m - 1), min_size=n - m, max_size=n - m))])
    if draw(st.booleans()):
        features = torch.tensor(draw(st.lists(st.integers(0, 6), min_size=2 * n, max_size=2 * n))).float()
        return features.reshape(n, 2), group
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    offsets = draw(st.sampled_from([0.0, 0.5, 5.0])) * torch.randn(m, 2, generator=generator)
    return torch.randn(n, 2, generator=generator) + offsets[group], group


def best(features, group, *, budget, quotas=None, own=False):
    """The smallest covering radius of the worst group by any choice of as many rows.

    Args:
        features: Shape (n, d).
        group: Shape (n,).
        budget: Rows of a choice.
        quotas: Rows of each group; any if absent.
        own: Whether rows are covered by those of their own group alone.
    """
    between = torch.cdist(features.double(), features.double())
    if own:
        between = between.masked_fill(group[:, None] != group[None], torch.inf)
    choices = (list(choice) for choice in combinations(range(len(features)), budget))
    fitting = (
        choice
        for choice in choices
        if quotas is None or torch.bincount(group[choice], minlength=len(quotas)).tolist() == list(quotas)
    )
    return min(float(between[:, choice].amin(1).max()) for choice in fitting)
