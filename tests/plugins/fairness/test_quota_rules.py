"""No fairness, equal and proportional quotas: against k-center, by hand, and against what a fair sharing must be."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.fairness.equal import Equal
from anomalib_federated_plugins.fairness.none import NoFairness
from anomalib_federated_plugins.fairness.proportional import Proportional
from anomalib_federated_plugins.fairness.quotas import equal_quotas, proportional_quotas

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def normal(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("groups", [1, 3, 50])
def test_no_fairness_picks_what_k_center_picks_from_the_same_row(groups, seed):
    features = normal(300, 6, seed)
    selection = NoFairness().select(features, torch.arange(300) % groups, budget=60, seed=seed)
    plain = KCenterCoreset(budget=60).select(features, start=int(selection.indices[0]))
    assert torch.equal(selection.indices, plain.indices)
    assert float(selection.radius.max()) == plain.radius


def test_the_seed_decides_the_first_row_of_no_fairness():
    features, group = normal(200, 6, 0), torch.zeros(200, dtype=torch.int64)
    firsts = {int(NoFairness().select(features, group, budget=1, seed=seed).indices[0]) for seed in range(20)}
    assert len(firsts) > 8


@settings(max_examples=200)
@given(sizes=SIZES, minimum=st.integers(0, 5), data=st.data())
def test_equal_quotas_differ_only_by_rounding_or_where_a_group_has_no_more(sizes, minimum, data):
    needed = sum(min(minimum, size) for size in sizes)
    budget = data.draw(st.integers(max(1, needed), max(1, needed, sum(sizes))))
    quotas = equal_quotas(sizes, budget, minimum=minimum)
    assert sum(quotas) == min(budget, sum(sizes))
    for quota, size in zip(quotas, sizes, strict=True):
        assert min(minimum, size) <= quota <= size
        assert quota == size or max(quotas) - quota <= 1


@settings(max_examples=200)
@given(sizes=SIZES, data=st.data())
def test_proportional_quotas_are_within_a_row_of_the_exact_ones_if_nothing_binds(sizes, data):
    budget = data.draw(st.integers(1, sum(sizes)))
    quotas = proportional_quotas(sizes, budget, minimum=0)
    assert sum(quotas) == budget
    for quota, size in zip(quotas, sizes, strict=True):
        assert abs(quota - budget * size / sum(sizes)) < 1
        assert quota <= size


def test_quotas_by_hand():
    assert equal_quotas([100, 100, 3], 30, minimum=1) == [14, 13, 3]
    assert equal_quotas([2, 3, 100], 60, minimum=1) == [2, 3, 55]
    assert proportional_quotas([900, 90, 10], 100, minimum=1) == [90, 9, 1]
    assert proportional_quotas([900, 90, 10], 100, minimum=5) == [86, 9, 5]
    assert proportional_quotas([900, 90, 3], 100, minimum=5) == [88, 9, 3]  # 97 rows are left for 990: 88.2 and 8.8
    assert proportional_quotas([900, 90, 10], 20, minimum=0) == [18, 2, 0]


@pytest.mark.parametrize("rule", [Equal(), Proportional(), Proportional(minimum=4)], ids=repr)
def test_each_groups_rows_are_those_of_k_center_on_it_alone(rule):
    features, group = normal(150, 5, 3), torch.tensor([0] * 100 + [1] * 45 + [2] * 5)
    selection = rule.select(features, group, budget=24, seed=7)
    for number, quota in enumerate(selection.quotas.tolist()):
        own = features[group == number]
        picked = selection.indices[group[selection.indices] == number]
        assert len(picked) == quota
        first = (group == number).nonzero().flatten().tolist().index(int(picked[0]))
        alone = KCenterCoreset(budget=quota).select(own, start=first)
        expected = (group == number).nonzero().flatten()[alone.indices]
        assert picked.tolist() == expected.tolist() or (
            quota == len(own) and set(picked.tolist()) == set(expected.tolist())
        )
        assert float(selection.own_radius[number]) == pytest.approx(alone.radius, rel=1e-6)


def test_a_rule_says_its_settings_and_refuses_others():
    assert repr(Proportional(minimum=3)) == "Proportional(minimum=3)"
    for minimum in (-1, 1.0, True, "2", None):
        with pytest.raises(ValueError, match=r"The fairness rule's minimum is .*; give a number of rows, an int"):
            Equal(minimum=minimum)
    with pytest.raises(ValueError, match="A budget of 7 rows cannot give each of 2 groups 4 rows; allow at least 8"):
        Equal(minimum=4).select(torch.eye(12), torch.arange(12) % 2, budget=7)
