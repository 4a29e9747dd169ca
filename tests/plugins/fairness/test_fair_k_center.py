"""Fair k-center against the best of all choices, and its matching against all assignments."""

from itertools import product

import numpy as np
import pytest
import torch
from grouped import best, grouped_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated_plugins.fairness import fair_k_center, shifting
from anomalib_federated_plugins.fairness.fair_k_center import QUOTAS, FairKCenter
from anomalib_federated_plugins.fairness.none import NoFairness


@settings(max_examples=300, deadline=None)
@given(data=st.data(), rows=grouped_rows(), quotas=st.sampled_from(list(QUOTAS)), seed=st.integers(0, 99))
def test_all_rows_are_within_three_times_the_best_radius_of_the_same_quotas(data, rows, quotas, seed):
    features, group = rows
    sizes = torch.bincount(group).tolist()
    budget = data.draw(st.integers(len(sizes), len(group) - 1)) if len(sizes) < len(group) else len(sizes)
    expected = QUOTAS[quotas](sizes, budget, minimum=1)
    selection = FairKCenter(quotas=quotas).select(features, group, budget=budget, seed=seed)
    assert selection.quotas.tolist() == expected
    optimum = best(features, group, budget=budget, quotas=expected)
    assert float(selection.radius.max()) <= 3 * optimum + 1e-5


def shifts_of_all(features, group, heads, quotas):
    """For every number of heads, from 1 on, the smallest possible largest shift within the quotas; infinite if none."""
    between = torch.cdist(features.double(), features.double())
    away = [[float(between[head, group == g].min()) for g in range(len(quotas))] for head in heads]
    for count in range(1, len(heads) + 1):
        fitting = (
            groups
            for groups in product(range(len(quotas)), repeat=count)
            if all(groups.count(g) <= quota for g, quota in enumerate(quotas))
        )
        yield min((max(away[j][g] for j, g in enumerate(groups)) for groups in fitting), default=np.inf)


@settings(max_examples=150, deadline=None)
@given(rows=grouped_rows(most=8), budget=st.integers(1, 6), start=st.integers(0, 99), data=st.data())
def test_as_many_heads_as_possible_are_shifted_as_little_as_possible(rows, budget, start, data):
    features, group = rows
    sizes = torch.bincount(group).tolist()
    quotas = [data.draw(st.integers(0, size)) for size in sizes]
    if not sum(quotas):
        return
    greedy = LazyGreedy(TensorRows(features), start=start % len(group))
    greedy.grow(min(budget, len(group)))
    chosen = shifting.shift_to_quotas(TensorRows(features), group, greedy.indices, greedy.heights, quotas)
    least = list(shifts_of_all(features, group, greedy.indices.tolist(), quotas))
    possible = [j for j, shift in enumerate(least, start=1) if shift < float(greedy.heights[j - 1]) / 2]
    assert len(chosen) == max(possible)
    heads = greedy.indices[: len(chosen)]
    assert torch.unique(chosen).tolist() == sorted(chosen.tolist())
    assert all(int((group[chosen] == g).sum()) <= quota for g, quota in enumerate(quotas))
    shift = (features[heads].double() - features[chosen].double()).norm(dim=1).max()
    assert float(shift) == pytest.approx(least[len(chosen) - 1], abs=1e-9)


def test_by_hand_a_quota_moves_a_head_to_its_neighbour():
    """Greedy takes 0 and 12, both of group 0; of that only one may stay, so 12 gives way to 11, of group 1."""
    line = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    group = torch.tensor([0, 0, 0, 0, 1, 0])
    assert set(NoFairness().select(line, group, budget=2).indices.tolist()) == {0, 5}
    selection = FairKCenter().select(line, group, budget=2)
    assert set(selection.indices.tolist()) == {0, 4}
    assert selection.radius.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("seed", range(5))
def test_where_greedy_keeps_to_the_quotas_already_nothing_moves(seed):
    """Beside every row there is one that float32 products cannot tell from it."""
    features = 100 * torch.randn(60, 4, generator=torch.Generator().manual_seed(seed))
    features = torch.cat([features - 1e-5, features])
    picks = NoFairness().select(features, torch.zeros(120, dtype=torch.int64), budget=10, seed=seed).indices
    group = torch.zeros(120, dtype=torch.int64)
    group[picks] = torch.arange(10) % 2
    selection = FairKCenter().select(features, group, budget=10, seed=seed)
    assert selection.quotas.tolist() == [5, 5]
    assert selection.indices.tolist() == picks.tolist()


@pytest.mark.parametrize("given", [[], [3], [3, 40], [90, 40, 41], [3, 90, 91]])
def test_groups_are_filled_up_by_what_is_farthest_from_the_rows_of_all_groups(given):
    generator = torch.Generator().manual_seed(4)
    features, group = torch.randn(100, 3, generator=generator), torch.tensor([0] * 30 + [1] * 55 + [2] * 15)
    rows, chosen = TensorRows(features), torch.tensor(given, dtype=torch.int64)
    for number, count in ((0, 4), (2, 6), (1, 0)):
        found = fair_k_center._farthest_of_group(rows, group == number, chosen, count, seed=1).tolist()
        picks = [*given] if given else found[:1]
        for _ in range(count - (not given and count > 0)):
            away = torch.cdist(features.double(), features[picks].double()).amin(1)
            picks.append(int(away.masked_fill(group != number, -1).argmax()))
        assert found == (picks[len(given) :] if count else [])


def test_a_small_group_far_away_is_covered_by_rows_of_its_own():
    generator = torch.Generator().manual_seed(0)
    wide, small = 10 * torch.randn(200, 3, generator=generator), torch.randn(20, 3, generator=generator) + 3
    features, group = torch.cat([wide, small]), torch.tensor([0] * 200 + [1] * 20)
    plain = NoFairness().select(features, group, budget=20)
    fair = FairKCenter().select(features, group, budget=20)
    assert int(plain.quotas[1]) < 3
    assert fair.quotas.tolist() == [10, 10]
    assert float(fair.radius[1]) < float(plain.radius[1]) / 2


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="quotas of the fairness rule are 'even'; give one of equal, proportional"):
        FairKCenter(quotas="even")
    with pytest.raises(ValueError, match="minimum is -1; give a number of rows"):
        FairKCenter(minimum=-1)
    features, group = torch.eye(6), torch.arange(6) % 3
    with pytest.raises(ValueError, match="2 rows cannot give each of 3 groups a row; allow at least 3"):
        FairKCenter().select(features, group, budget=2)
