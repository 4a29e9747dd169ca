"""What every fairness rule promises, see :mod:`anomalib_federated.interfaces.fairness`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anomalib_federated.interfaces.fairness import Fairness, FairSelection
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated.testing.construction import can_be_made_without_arguments
from anomalib_federated.testing.randomness import under_two_random_states
from anomalib_federated.testing.rows import BlockRows
from anomalib_federated.testing.selections import RADIUS_TOLERANCE, distances, normal_features

Plugin = type[Fairness]

SIZES = (30, 12, 5, 1)
"""Rows of the groups that most checks use, out of which they keep 9: as they stand, rules must allow this."""


def exactly_the_budget_is_chosen(plugin: Plugin) -> None:
    """``choose`` answers distinct row numbers, int64, 1-D, as many as the budget, whatever the groups' sizes."""
    for sizes in (SIZES, (20, 20), (1, 47), (9,), (2, 2, 2, 2, 2, 40)):
        features, group = _grouped(sizes)
        for budget in _budgets(plugin, sizes):
            indices = plugin().choose(TensorRows(features), group, budget=budget, seed=0)
            _check_indices(indices, n=len(group), k=budget)


def the_arguments_stay_unchanged(plugin: Plugin) -> None:
    """Neither features nor groups are written to."""
    features, group = _grouped(SIZES)
    before = features.clone(), group.clone()
    plugin().select(features, group, budget=9)
    assert torch.equal(features, before[0]), "select must not change the features that it is given"
    assert torch.equal(group, before[1]), "select must not change the groups that it is given"


def a_budget_above_n_keeps_all(plugin: Plugin) -> None:
    """As many rows as there are, or more: all of them in their order, and nothing is uncovered."""
    features, group = _grouped(SIZES)
    for budget in (len(group), 1000):
        selection = plugin().select(features, group, budget=budget)
        assert selection.indices.tolist() == list(range(len(group))), (
            f"a budget of {budget} must keep all {len(group)} rows in their order, got {selection.indices.tolist()}"
        )
        _check_figures(selection, features, group)


def quotas_count_the_rows_kept(plugin: Plugin) -> None:
    """The quotas are the rows kept of each group: they sum to the budget, and no group gives more than it has."""
    for sizes in (SIZES, (20, 20), (9,), (2, 2, 40)):
        features, group = _grouped(sizes)
        for budget in _budgets(plugin, sizes):
            selection = plugin().select(features, group, budget=budget)
            quotas, expected = selection.quotas, torch.bincount(group[selection.indices], minlength=len(sizes))
            assert torch.equal(quotas, expected), (
                f"quotas must be the rows kept of each group, {expected.tolist()}, got {quotas.tolist()}"
            )
            assert int(quotas.sum()) == budget, f"quotas must sum to the budget {budget}, got {quotas.tolist()}"
            assert all(quota <= size for quota, size in zip(quotas.tolist(), sizes, strict=True)), (
                f"groups of {list(sizes)} rows cannot give {quotas.tolist()}"
            )


def a_declared_minimum_is_kept(plugin: Plugin) -> None:
    """Every group keeps ``minimum`` rows, or all that it has; small ones give what they cannot use to the others."""
    least = plugin().minimum
    for sizes in (SIZES, (40, 3, 1), (200, 1, 1), (25, 25)):
        _, group = _grouped(sizes)
        features = normal_features(
            len(group), 6
        )  # small groups lie amid large ones, where nothing calls for their rows
        for budget in _budgets(plugin, sizes):
            quotas = plugin().select(features, group, budget=budget).quotas.tolist()
            assert all(quota >= min(least, size) for quota, size in zip(quotas, sizes, strict=True)), (
                f"each of groups of {list(sizes)} rows must keep {least} or all that it has, got {quotas}"
            )


def a_budget_below_the_minimum_is_refused(plugin: Plugin) -> None:
    """Fewer rows than the groups are promised: ``ValueError``."""
    if not plugin().minimum:
        return
    features, group = _grouped(SIZES)
    _check_refused(plugin, features, group, "a budget that cannot give each group its minimum", budget=3)


def equal_seeds_give_equal_choices(plugin: Plugin) -> None:
    """Of one object called twice, and of two objects."""
    (features, group), rule = _grouped(SIZES), plugin()
    first = rule.select(features, group, budget=9, seed=5)
    _check_same(first, rule.select(features, group, budget=9, seed=5), "a second call with the same seed")
    _check_same(first, plugin().select(features, group, budget=9, seed=5), "a second object with the same seed")


def the_order_of_rows_does_not_matter(plugin: Plugin) -> None:
    """The same rows in another order: the same rows are kept, where no two distances are equal."""
    features, group = _grouped((60, 30, 10))
    for seed in range(3):
        order = torch.randperm(len(group), generator=torch.Generator().manual_seed(seed))
        expected = set(plugin().select(features, group, budget=20, seed=seed).indices.tolist())
        found = plugin().select(features[order], group[order], budget=20, seed=seed).indices
        assert set(order[found].tolist()) == expected, (
            "the same rows in another order must be kept; let the seed draw for features, not for row numbers"
        )


def the_figures_are_true(plugin: Plugin) -> None:
    """Both radii of each group are those of the rows kept, computed here by direct differences in float64."""
    for seed, scale, offset in ((0, 1.0, 0.0), (1, 100.0, 0.0), (2, 1.0, 10.0)):
        features, group = _grouped(SIZES, seed=seed)
        features = features * scale + offset
        for budget in (len(SIZES), 9, 30):
            _check_figures(plugin().select(features, group, budget=budget, seed=seed), features, group)


def one_group_is_enough(plugin: Plugin) -> None:
    """All rows of one group: it keeps the budget, and both radii agree."""
    features, group = _grouped((40,))
    selection = plugin().select(features, group, budget=7)
    assert selection.quotas.tolist() == [7], f"the only group must keep 7 rows, got {selection.quotas.tolist()}"
    _check_figures(selection, features, group)
    assert torch.equal(selection.radius, selection.own_radius), "of one group, both radii must be equal"


def groups_of_one_row_are_no_trouble(plugin: Plugin) -> None:
    """As many groups as rows, but for one."""
    features, group = _grouped((1, 1, 1, 2, 1))
    selection = plugin().select(features, group, budget=5)
    _check_indices(selection.indices, n=6, k=5)
    _check_figures(selection, features, group)


def equal_rows_are_no_trouble(plugin: Plugin) -> None:
    """Rows that are equal, within a group and across groups: those chosen are still distinct."""
    features, group = torch.full((20, 4), 3.25), torch.tensor([0] * 14 + [1] * 5 + [2])
    two = torch.arange(20)[:, None].remainder(2) * torch.ones(4)
    for rows in (features, two):
        for budget in (3, 8, 19):
            selection = plugin().select(rows, group, budget=budget)
            _check_indices(selection.indices, n=20, k=budget)
            _check_figures(selection, rows, group)


def half_precision_changes_no_choice(plugin: Plugin) -> None:
    """float16 features and the same numbers in float32 give the same selection."""
    features, group = _grouped((200, 80, 20))
    half = features.half()
    chosen = plugin().select(half, group, budget=25)
    _check_same(
        chosen, plugin().select(half.float(), group, budget=25), "float32 in place of float16, of equal values,"
    )


def rows_may_come_in_blocks(plugin: Plugin) -> None:
    """Rows that are read block by block give the choice of a tensor, whatever the size of the blocks."""
    features, group = _grouped((200, 80, 20))
    expected = plugin().select(features, group, budget=25, seed=2)
    for step in (1, 7, 299):
        selection = plugin().select(BlockRows(features, step=step), group, budget=25, seed=2)
        _check_same(selection, expected, f"rows in blocks of {step}, in place of a tensor,")


def one_dimension_is_enough(plugin: Plugin) -> None:
    """Features of shape ``(n, 1)``."""
    features, group = normal_features(30, 1), torch.arange(30).remainder(3)
    selection = plugin().select(features, group, budget=5)
    _check_indices(selection.indices, n=30, k=5)
    _check_figures(selection, features, group)


def impossible_arguments_are_refused(plugin: Plugin) -> None:
    """Features that are not finite, groups that are not numbered from 0, no budget: ``ValueError``."""
    features, group = _grouped(SIZES)
    for value in (float("nan"), float("inf")):
        broken = features.clone()
        broken[4, 2] = value
        _check_refused(plugin, broken, group, f"a feature of {value}")
    _check_refused(plugin, torch.empty(0, 6), group[:0], "no rows at all")
    for wrong, what in ((group - 1, "a group of -1"), (group + 1, "groups from 1"), (2 * group, "a group without rows"),
                        (group[1:], "too few groups"), (group.float(), "groups in floats")):  # fmt: skip
        _check_refused(plugin, features, wrong, what)
    for budget in (0, -1):
        _check_refused(plugin, features, group, f"a budget of {budget}", budget=budget)


def the_global_random_state_plays_no_part(plugin: Plugin) -> None:
    """Chance comes from ``seed`` alone, and nobody else's chance is disturbed."""
    features, group = _grouped(SIZES)
    first, second = under_two_random_states(lambda: plugin().select(features, group, budget=9, seed=3))
    _check_same(first, second, "another global random state")


CHECKS = (
    can_be_made_without_arguments,
    the_arguments_stay_unchanged,  # first, since a plugin that changes its input fails others for no clear reason
    exactly_the_budget_is_chosen,
    a_budget_above_n_keeps_all,
    equal_seeds_give_equal_choices,
    quotas_count_the_rows_kept,
    a_declared_minimum_is_kept,
    a_budget_below_the_minimum_is_refused,
    the_figures_are_true,
    one_group_is_enough,
    groups_of_one_row_are_no_trouble,
    equal_rows_are_no_trouble,
    half_precision_changes_no_choice,
    one_dimension_is_enough,
    impossible_arguments_are_refused,
    the_global_random_state_plays_no_part,
    rows_may_come_in_blocks,
    the_order_of_rows_does_not_matter,
)


def _grouped(sizes: Sequence[int], *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Normal features, of each group around a point of its own, and the groups; rows of the groups are mixed."""
    group = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    group = group[torch.randperm(len(group), generator=torch.Generator().manual_seed(seed))]
    features = normal_features(len(group), 6, seed=seed)
    return features + 2 * normal_features(len(sizes), 6, seed=seed + 100)[group], group


def _budgets(plugin: Plugin, sizes: Sequence[int]) -> list[int]:
    """The smallest that the plugin promises to take, some, and the largest that leaves something to choose."""
    needed, n = max(1, sum(min(plugin().minimum, size) for size in sizes)), sum(sizes)
    return sorted({needed, min(needed + 1, n - 1), (needed + n) // 2, n - 1})


def _check_indices(indices: Tensor, *, n: int, k: int) -> None:
    """int64, 1-D, distinct, in range, ``k`` of them."""
    assert isinstance(indices, Tensor), f"the chosen rows must be a tensor, got {type(indices).__name__}"
    assert indices.dtype == torch.int64, f"the chosen rows must be int64, got {indices.dtype}"
    assert indices.shape == (k,), f"exactly {k} of {n} rows must be chosen, got the shape {tuple(indices.shape)}"
    assert len(torch.unique(indices)) == k, f"the chosen rows must be distinct, got {indices.tolist()}"
    assert 0 <= int(indices.min()) <= int(indices.max()) < n, f"the chosen rows must be in 0 .. {n - 1}"


def _check_figures(selection: FairSelection, features: Tensor, group: Tensor) -> None:
    """Quotas and radii are those of the rows chosen."""
    between = distances(features, features[selection.indices])
    foreign = group[:, None] != group[selection.indices][None]
    figures = {"radius": between.amin(1), "own_radius": between.masked_fill(foreign, torch.inf).amin(1)}
    groups = range(int(group.max()) + 1)
    for name, to_nearest in figures.items():
        found = getattr(selection, name)
        expected = torch.stack([to_nearest[group == number].max() for number in groups])
        assert found.dtype == torch.float64, f"{name} must be float64, got {found.dtype}"
        assert torch.allclose(found, expected, rtol=RADIUS_TOLERANCE, atol=1e-6), (
            f"{name} must be each group's largest distance, {expected.tolist()}, got {found.tolist()}"
        )


def _check_same(first: FairSelection, second: FairSelection, what: str) -> None:
    """Equal choices and figures, to the last bit."""
    assert torch.equal(first.indices, second.indices), (
        f"{what} must give the same rows in the same order, got {first.indices[:9].tolist()} and "
        f"{second.indices[:9].tolist()}"
    )
    for name in ("quotas", "radius", "own_radius"):
        assert torch.equal(getattr(first, name), getattr(second, name)), f"{what} must give the same {name}"


def _check_refused(plugin: Plugin, features: Tensor, group: Tensor, what: str, *, budget: int = 9) -> None:
    try:
        plugin().select(features, group, budget=budget)
    except ValueError:
        return
    msg = f"{what} must be refused with a ValueError; write choose, not select, and the arguments are checked for you"
    raise AssertionError(msg)
