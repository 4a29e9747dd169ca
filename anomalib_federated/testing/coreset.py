"""What every coreset promises, see :class:`anomalib_federated.interfaces.coreset.Coreset`."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.interfaces.coreset import Coreset, Selection
from anomalib_federated.testing.randomness import under_two_random_states

Plugin = type[Coreset]

RADIUS_TOLERANCE = 1e-4
"""Relative; distances by a matrix product in float32 keep about this many digits."""


def can_be_made_with_a_budget_alone(plugin: Plugin) -> None:
    """``plugin(budget=...)`` works and the budget is kept."""
    try:
        coreset = plugin(budget=3)
    except TypeError as error:
        msg = f"plugin(budget=3) must work, so that a config can name the plugin alone; give defaults ({error})"
        raise AssertionError(msg) from error
    assert coreset.budget == 3, f"its attribute 'budget' must be the 3 that it was given, got {coreset.budget!r}"


def impossible_budgets_are_refused(plugin: Plugin) -> None:
    """Neither rows nor a share: ``ValueError``."""
    for budget in (0, -1, 0.0, 1.5, float("nan"), True):
        try:
            plugin(budget=budget)
        except ValueError:
            continue
        msg = f"the budget {budget!r} must be refused with a ValueError; call super().__init__(budget=budget)"
        raise AssertionError(msg)


def picks_are_distinct_row_numbers(plugin: Plugin) -> None:
    """int64, 1-D, none twice, all in range."""
    features = _features(40, 6)
    for seed in range(3):
        _check_indices(plugin(budget=9).select(features, seed=seed), n=40, k=9)


def a_number_of_rows_is_kept_to(plugin: Plugin) -> None:
    """An int budget is a number of rows."""
    for budget in (1, 2, 17, 40):
        _check_indices(plugin(budget=budget).select(_features(40, 6)), n=40, k=budget)


def a_share_of_the_rows_is_kept_to(plugin: Plugin) -> None:
    """A float budget is a share of the rows, at least one."""
    for share, n in ((0.5, 40), (0.25, 10), (1.0, 7), (0.001, 40)):
        _check_indices(plugin(budget=share).select(_features(n, 6)), n=n, k=max(1, math.floor(share * n)))


def a_budget_above_n_keeps_all(plugin: Plugin) -> None:
    """More rows than there are: all of them."""
    features = _features(12, 6)
    selection = plugin(budget=1000).select(features)
    _check_indices(selection, n=12, k=12)
    _check_radius(selection, features)


def equal_seeds_give_equal_selections(plugin: Plugin) -> None:
    """Of one object called twice, and of two objects."""
    features, coreset = _features(50, 6), plugin(budget=8)
    first = coreset.select(features, seed=5)
    _check_same(first, coreset.select(features, seed=5), "a second call with the same seed")
    _check_same(first, plugin(budget=8).select(features, seed=5), "a second object with the same seed")


def the_start_is_picked_first(plugin: Plugin) -> None:
    """``start`` is the first pick."""
    for start in (0, 13, 29):
        indices = plugin(budget=5).select(_features(30, 6), start=start).indices
        assert int(indices[0]) == start, f"with start={start} the first pick must be {start}, got {int(indices[0])}"


def a_start_out_of_range_is_refused(plugin: Plugin) -> None:
    """``start`` is no row: ``ValueError``."""
    for start in (-1, 30):
        _check_refused(plugin, _features(30, 6), f"start={start} of 30 rows", start=start)


def the_covering_radius_is_true(plugin: Plugin) -> None:
    """The radius is that of the picks, computed here by direct differences in float64."""
    for seed, scale, offset in ((0, 1.0, 0.0), (1, 100.0, 0.0), (2, 1.0, 10.0)):
        features = _features(60, 6, seed=seed) * scale + offset
        for budget in (1, 7, 30):
            _check_radius(plugin(budget=budget).select(features, seed=seed), features)


def weights_count_the_nearest_rows(plugin: Plugin) -> None:
    """Every row counts for its nearest pick, so that the weights sum to ``n`` where no rows are equal."""
    features = _features(60, 6)
    selection = plugin(budget=7).select(features)
    _check_weights(selection)
    owner = _distances(features, features[selection.indices]).argmin(1)
    expected = torch.bincount(owner, minlength=7).float()
    assert torch.equal(selection.weights, expected), (
        f"the weights must be the numbers of rows nearest to each pick, {expected.tolist()}, "
        f"got {selection.weights.tolist()}"
    )


def the_features_stay_unchanged(plugin: Plugin) -> None:
    """The input is not written to."""
    features = _features(40, 6)
    before = features.clone()
    plugin(budget=8).select(features)
    assert torch.equal(features, before), "select must not change the features that it is given"


def one_row_is_enough(plugin: Plugin) -> None:
    """``n = 1``."""
    features = _features(1, 6)
    selection = plugin(budget=5).select(features)
    _check_indices(selection, n=1, k=1)
    _check_radius(selection, features)


def equal_rows_are_no_trouble(plugin: Plugin) -> None:
    """All rows equal: picks are still distinct, and each stands for at least something."""
    features = torch.full((20, 4), 3.25)
    selection = plugin(budget=6).select(features)
    _check_indices(selection, n=20, k=6)
    _check_radius(selection, features)
    _check_weights(selection)
    total = float(selection.weights.sum())
    # Which of several equal picks a row counts for is open; a pick that got none may stand for itself.
    assert 20 <= total <= 26, f"the weights of 6 picks among 20 equal rows must sum to 20 .. 26, got {total}"


def half_precision_is_taken(plugin: Plugin) -> None:
    """float16 features."""
    features = _features(30, 6).half()
    selection = plugin(budget=5).select(features)
    _check_indices(selection, n=30, k=5)
    _check_radius(selection, features)
    _check_weights(selection)


def one_dimension_is_enough(plugin: Plugin) -> None:
    """Features of shape ``(n, 1)``."""
    features = _features(30, 1)
    selection = plugin(budget=5).select(features)
    _check_indices(selection, n=30, k=5)
    _check_radius(selection, features)


def memory_layout_does_not_matter(plugin: Plugin) -> None:
    """A transposed view gives what its contiguous copy gives."""
    view = _features(6, 40).T
    picked = plugin(budget=8).select(view)
    _check_same(picked, plugin(budget=8).select(view.contiguous()), "a contiguous copy of a transposed view")


def nan_and_infinity_are_refused(plugin: Plugin) -> None:
    """Not finite: ``ValueError``."""
    for value in (float("nan"), float("inf"), float("-inf")):
        features = _features(10, 6)
        features[4, 2] = value
        _check_refused(plugin, features, f"a feature of {value}")


def other_shapes_are_refused(plugin: Plugin) -> None:
    """Empty, 1-D or integer features: ``ValueError``."""
    _check_refused(plugin, torch.empty(0, 6), "no rows at all")
    _check_refused(plugin, torch.ones(6), "1-D features")
    _check_refused(plugin, torch.ones(10, 6, dtype=torch.int64), "integer features")


def the_global_random_state_plays_no_part(plugin: Plugin) -> None:
    """Chance comes from ``seed`` alone, and nobody else's chance is disturbed."""
    features = _features(40, 6)
    first, second = under_two_random_states(lambda: plugin(budget=8).select(features, seed=3))
    _check_same(first, second, "another global random state")


def the_number_of_threads_plays_no_part(plugin: Plugin) -> None:
    """One thread or two: the same selection, bit by bit."""
    features, before = _features(3000, 16), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = plugin(budget=50).select(features)
        torch.set_num_threads(2)
        second = plugin(budget=50).select(features)
    finally:
        torch.set_num_threads(before)
    _check_same(first, second, "another number of threads")


CHECKS = (
    can_be_made_with_a_budget_alone,
    impossible_budgets_are_refused,
    the_features_stay_unchanged,  # first, since a plugin that changes its input fails others for no clear reason
    picks_are_distinct_row_numbers,
    a_number_of_rows_is_kept_to,
    a_share_of_the_rows_is_kept_to,
    a_budget_above_n_keeps_all,
    equal_seeds_give_equal_selections,
    the_start_is_picked_first,
    a_start_out_of_range_is_refused,
    the_covering_radius_is_true,
    weights_count_the_nearest_rows,
    one_row_is_enough,
    equal_rows_are_no_trouble,
    half_precision_is_taken,
    one_dimension_is_enough,
    memory_layout_does_not_matter,
    nan_and_infinity_are_refused,
    other_shapes_are_refused,
    the_global_random_state_plays_no_part,
    the_number_of_threads_plays_no_part,
)


def _features(n: int, d: int, *, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d))).float()


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Shape ``(n, m)``, float64, by direct differences."""
    differences = x.double()[:, None] - y.double()[None]
    return differences.pow(2).sum(2).sqrt()


def _check_indices(selection: Selection, *, n: int, k: int) -> None:
    indices = selection.indices
    assert isinstance(indices, Tensor), f"indices must be a tensor, got {type(indices).__name__}"
    assert indices.dtype == torch.int64, f"indices must be int64, got {indices.dtype}"
    assert indices.shape == (k,), f"indices must have the shape ({k},) for {n} rows, got {tuple(indices.shape)}"
    assert len(torch.unique(indices)) == k, f"indices must be distinct, got {indices.tolist()}"
    assert int(indices.min()) >= 0, f"indices must be row numbers in 0 .. {n - 1}, got {int(indices.min())}"
    assert int(indices.max()) < n, f"indices must be row numbers in 0 .. {n - 1}, got {int(indices.max())}"


def _check_radius(selection: Selection, features: Tensor) -> None:
    expected = float(_distances(features, features[selection.indices]).amin(1).max())
    assert isinstance(selection.radius, float), f"radius must be a float, got {type(selection.radius).__name__}"
    # Where all rows are covered the true radius is 0, of which a matrix product leaves a rounding error.
    scale = float((features.double() - features.double().mean(0)).norm(dim=1).max())
    tolerance = max(RADIUS_TOLERANCE * expected, 2e-3 * scale if expected == 0 else 0.0, 1e-6)
    assert abs(selection.radius - expected) <= tolerance, (
        f"radius must be the largest distance of a row to its nearest pick, {expected:.6g}, got {selection.radius:.6g}"
    )


def _check_weights(selection: Selection) -> None:
    weights = selection.weights
    assert isinstance(weights, Tensor), f"weights must be a tensor, got {type(weights).__name__}"
    assert weights.dtype == torch.float32, f"weights must be float32, got {weights.dtype}"
    assert weights.shape == selection.indices.shape, (
        f"there must be one weight per pick, {len(selection.indices)}, got {tuple(weights.shape)}"
    )
    assert bool((weights > 0).all()), f"weights must be positive, got {weights.tolist()}"


def _check_same(first: Selection, second: Selection, what: str) -> None:
    assert torch.equal(first.indices, second.indices), (
        f"{what} must give the same picks in the same order, got {first.indices[:9].tolist()} and "
        f"{second.indices[:9].tolist()}"
    )
    assert torch.equal(first.weights, second.weights), f"{what} must give the same weights"
    assert first.radius == second.radius, f"{what} must give the same radius, got {first.radius} and {second.radius}"


def _check_refused(plugin: Plugin, features: Tensor, what: str, *, start: int | None = None) -> None:
    try:
        plugin(budget=3).select(features, start=start)
    except ValueError:
        return
    msg = f"{what} must be refused with a ValueError; call self.check(features, start) first"
    raise AssertionError(msg)
