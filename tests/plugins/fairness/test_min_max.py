"""The worst group's own radius against the best of all choices, and against farthest-first with infinite distances."""

import pytest
import torch
from grouped import best, grouped_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.selection.rows import TensorRows
from anomalib_federated.selection.subset_rows import SubsetRows
from anomalib_federated_plugins.fairness.equal import Equal
from anomalib_federated_plugins.fairness.min_max import MinMax
from anomalib_federated_plugins.fairness.within_group import extreme_row


@settings(max_examples=300, deadline=None)
@given(data=st.data(), rows=grouped_rows(most=10), seed=st.integers(0, 99))
def test_the_worst_own_radius_is_at_most_twice_the_best_of_all_quotas(data, rows, seed):
    features, group = rows
    budget = data.draw(st.integers(int(group.max()) + 1, len(group)))
    selection = MinMax().select(features, group, budget=budget, seed=seed)
    assert float(selection.own_radius.max()) <= 2 * best(features, group, budget=budget, own=True) + 1e-5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("budget", [4, 5, 20, 90])
def test_it_is_farthest_first_with_an_infinite_distance_between_groups(budget, seed):
    generator = torch.Generator().manual_seed(seed)
    group = torch.randint(4, (120,), generator=generator)
    features = torch.randn(120, 5, generator=generator) * torch.tensor([0.1, 1.0, 3.0, 1.0])[group][:, None]
    between = torch.cdist(features.double(), features.double())
    between = between.masked_fill(group[:, None] != group[None], torch.inf)
    picks = []
    for number in range(4):
        members = (group == number).nonzero().flatten()
        picks.append(int(members[extreme_row(SubsetRows(TensorRows(features), members), seed=seed)]))
    while len(picks) < budget:
        picks.append(int(between[:, picks].amin(1).argmax()))
    selection = MinMax().select(features, group, budget=budget, seed=seed)
    assert selection.indices.tolist() == picks


def test_a_wide_group_gets_more_rows_than_a_narrow_one_of_equal_size():
    features = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
    group = torch.arange(200) // 100
    features[:100] *= 10
    quotas = MinMax().select(features, group, budget=40).quotas.tolist()
    assert quotas == [39, 1]
    worst = [float(rule.select(features, group, budget=40).own_radius.max()) for rule in (MinMax(), Equal())]
    assert worst[0] < 0.9 * worst[1]


def test_more_rows_never_leave_the_worst_group_worse():
    features = torch.randn(80, 3, generator=torch.Generator().manual_seed(2))
    group = torch.arange(80) % 3
    worst = [float(MinMax().select(features, group, budget=k).own_radius.max()) for k in range(3, 81)]
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] == 0


def test_more_groups_than_rows_are_refused():
    with pytest.raises(ValueError, match="A budget of 1 rows cannot give each of 2 groups a row"):
        MinMax().select(torch.eye(4), torch.tensor([0, 0, 1, 1]), budget=1)
