"""What every coreset promises, see :class:`anomalib_federated.interfaces.coreset.Coreset`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from anomalib_federated.interfaces.coreset import Coreset
from anomalib_federated.testing.randomness import under_two_random_states
from anomalib_federated.testing.rows import BlockRows
from anomalib_federated.testing.selections import (
    RADIUS_TOLERANCE,
    check_indices,
    check_radius,
    check_same,
    check_weights,
    distances,
    normal_features,
)

Plugin = type[Coreset]


def can_be_made_with_a_budget_alone(plugin: Plugin) -> None:
    """``plugin(budget=...)`` works and the budget is kept."""
    try:
        coreset = plugin(budget=3)
    except TypeError as error:
        msg = f"plugin(budget=3) must work, so that a config can name the plugin alone; give defaults ({error})"
        raise AssertionError(msg) from error
    rows = coreset.rows(100)
    assert rows == 3, f"its budget must be the 3 rows it was given, got {rows}; call super().__init__(budget=budget)"


def impossible_budgets_are_refused(plugin: Plugin) -> None:
    """Neither rows nor a share: ``ValueError``."""
    for budget in (0, -1, 0.0, 1.5, float("nan"), True, {"radius": 0.0}, {"radius": -1.0, "rows": 3}, {"rows": 3}):
        try:
            plugin(budget=budget)
        except ValueError:
            continue
        msg = f"the budget {budget!r} must be refused with a ValueError; call super().__init__(budget=budget)"
        raise AssertionError(msg)


def picks_are_distinct_row_numbers(plugin: Plugin) -> None:
    """int64, 1-D, none twice, all in range."""
    features = normal_features(40, 6)
    for seed in range(3):
        check_indices(plugin(budget=9).select(features, seed=seed), n=40, k=9)


def a_number_of_rows_is_kept_to(plugin: Plugin) -> None:
    """An int budget is a number of rows."""
    for budget in (1, 2, 17, 40):
        check_indices(plugin(budget=budget).select(normal_features(40, 6)), n=40, k=budget)


def a_share_of_the_rows_is_kept_to(plugin: Plugin) -> None:
    """A float budget is a share of the rows, at least one."""
    for share, n in ((0.5, 40), (0.25, 10), (1.0, 7), (0.001, 40)):
        check_indices(plugin(budget=share).select(normal_features(n, 6)), n=n, k=max(1, math.floor(share * n)))


def a_budget_above_n_keeps_all(plugin: Plugin) -> None:
    """As many rows as there are, or more: all of them in their order, but the start first."""
    features = normal_features(12, 6)
    for budget in (12, 1000, 1.0):
        for start in (None, 0, 5):
            selection = plugin(budget=budget).select(features, start=start)
            check_indices(selection, n=12, k=12)
            check_radius(selection, features)
            expected = list(range(12)) if start is None else [start, *(row for row in range(12) if row != start)]
            found = selection.indices.tolist()
            assert found == expected, f"with start={start}, all 12 rows must be kept as {expected}, got {found}"


def a_target_radius_is_kept_to(plugin: Plugin) -> None:
    """``{radius, rows}``: covered within the radius by at most the rows, or all the rows that are allowed."""
    features = normal_features(200, 3)
    for radius, most in ((1.0, 150), (0.2, 5), (100.0, 50)):
        selection = plugin(budget={"radius": radius, "rows": most}).select(features)
        picked = len(selection.indices)
        check_indices(selection, n=200, k=picked)
        check_radius(selection, features)
        within = selection.radius <= radius * (1 + RADIUS_TOLERANCE)
        assert picked <= most, f"a target radius with at most {most} rows must not give more, got {picked}"
        assert within or picked == most, (
            f"{picked} rows cover within {selection.radius:.6g}, not within the target {radius}; {most} may be kept"
        )


def equal_seeds_give_equal_selections(plugin: Plugin) -> None:
    """Of one object called twice, and of two objects."""
    features, coreset = normal_features(50, 6), plugin(budget=8)
    first = coreset.select(features, seed=5)
    check_same(first, coreset.select(features, seed=5), "a second call with the same seed")
    check_same(first, plugin(budget=8).select(features, seed=5), "a second object with the same seed")


def the_start_is_picked_first(plugin: Plugin) -> None:
    """``start`` is the first pick."""
    for start in (0, 13, 29):
        indices = plugin(budget=5).select(normal_features(30, 6), start=start).indices
        assert int(indices[0]) == start, f"with start={start} the first pick must be {start}, got {int(indices[0])}"


def a_start_out_of_range_is_refused(plugin: Plugin) -> None:
    """``start`` is no row: ``ValueError``."""
    for start in (-1, 30):
        _check_refused(plugin, normal_features(30, 6), f"start={start} of 30 rows", start=start)


def the_covering_radius_is_true(plugin: Plugin) -> None:
    """The radius is that of the picks, computed here by direct differences in float64."""
    for seed, scale, offset in ((0, 1.0, 0.0), (1, 100.0, 0.0), (2, 1.0, 10.0)):
        features = normal_features(60, 6, seed=seed) * scale + offset
        for budget in (1, 7, 30):
            check_radius(plugin(budget=budget).select(features, seed=seed), features)


def the_mean_distance_is_true(plugin: Plugin) -> None:
    """The mean distance of the rows to their nearest pick, computed here by direct differences in float64."""
    for seed, offset in ((0, 0.0), (1, 10.0)):
        features = normal_features(60, 6, seed=seed) + offset
        selection = plugin(budget=7).select(features, seed=seed)
        expected = float(distances(features, features[selection.indices]).amin(1).mean())
        assert math.isclose(selection.mean_distance, expected, rel_tol=RADIUS_TOLERANCE), (
            f"mean_distance must be the mean distance of the rows to their nearest pick, {expected:.6g}, "
            f"got {selection.mean_distance:.6g}"
        )


def its_cost_is_told(plugin: Plugin) -> None:
    """Seconds and passes over the rows are counted."""
    selection = plugin(budget=7).select(normal_features(60, 6))
    assert 0 <= selection.seconds < math.inf, f"seconds must be a wall time, got {selection.seconds}"
    assert selection.passes >= 1, f"the rows cannot be checked without one pass, got {selection.passes} passes"


def weights_count_the_nearest_rows(plugin: Plugin) -> None:
    """Every row counts for its nearest pick, so that the weights sum to ``n`` where no rows are equal."""
    features = normal_features(60, 6)
    selection = plugin(budget=7).select(features)
    check_weights(selection)
    owner = distances(features, features[selection.indices]).argmin(1)
    expected = torch.bincount(owner, minlength=7).float()
    assert torch.equal(selection.weights, expected), (
        f"the weights must be the numbers of rows nearest to each pick, {expected.tolist()}, "
        f"got {selection.weights.tolist()}"
    )


def the_features_stay_unchanged(plugin: Plugin) -> None:
    """The input is not written to."""
    features = normal_features(40, 6)
    before = features.clone()
    plugin(budget=8).select(features)
    assert torch.equal(features, before), "select must not change the features that it is given"


def one_row_is_enough(plugin: Plugin) -> None:
    """``n = 1``."""
    features = normal_features(1, 6)
    selection = plugin(budget=5).select(features)
    check_indices(selection, n=1, k=1)
    check_radius(selection, features)


def equal_rows_are_no_trouble(plugin: Plugin) -> None:
    """All rows equal: picks are still distinct, and each stands for at least something."""
    features = torch.full((20, 4), 3.25)
    selection = plugin(budget=6).select(features)
    check_indices(selection, n=20, k=6)
    check_radius(selection, features)
    check_weights(selection)
    total = float(selection.weights.sum())
    # Which of several equal picks a row counts for is open; a pick that got none may stand for itself.
    assert 20 <= total <= 26, f"the weights of 6 picks among 20 equal rows must sum to 20 .. 26, got {total}"


def half_precision_is_taken(plugin: Plugin) -> None:
    """float16 features."""
    features = normal_features(30, 6).half()
    selection = plugin(budget=5).select(features)
    check_indices(selection, n=30, k=5)
    check_radius(selection, features)
    check_weights(selection)


def half_precision_changes_no_pick(plugin: Plugin) -> None:
    """float16 features and the same numbers in float32 give the same selection."""
    features = normal_features(300, 8).half()
    picked = plugin(budget=25).select(features)
    check_same(picked, plugin(budget=25).select(features.float()), "float32 in place of float16, of the same values,")


def rows_may_come_in_blocks(plugin: Plugin) -> None:
    """Rows that are read block by block give the picks of a tensor, whatever the size of the blocks."""
    features = normal_features(300, 8)
    expected = plugin(budget=25).select(features, seed=2)
    for step in (1, 7, 64, 299, 300):
        rows = BlockRows(features, step=step)
        selection = plugin(budget=25).select(rows, seed=2)
        check_same(selection, expected, f"rows in blocks of {step}, in place of a tensor,")
        assert selection.passes == rows.passes, (
            f"passes must be the {rows.passes} that were made, got {selection.passes}"
        )


def one_dimension_is_enough(plugin: Plugin) -> None:
    """Features of shape ``(n, 1)``."""
    features = normal_features(30, 1)
    selection = plugin(budget=5).select(features)
    check_indices(selection, n=30, k=5)
    check_radius(selection, features)


def memory_layout_does_not_matter(plugin: Plugin) -> None:
    """A transposed view gives what its contiguous copy gives."""
    view = normal_features(6, 40).T
    picked = plugin(budget=8).select(view)
    check_same(picked, plugin(budget=8).select(view.contiguous()), "a contiguous copy of a transposed view")


def nan_and_infinity_are_refused(plugin: Plugin) -> None:
    """Not finite: ``ValueError``."""
    for value in (float("nan"), float("inf"), float("-inf")):
        features = normal_features(10, 6)
        features[4, 2] = value
        _check_refused(plugin, features, f"a feature of {value}")


def other_shapes_are_refused(plugin: Plugin) -> None:
    """Empty, 1-D or integer features: ``ValueError``."""
    _check_refused(plugin, torch.empty(0, 6), "no rows at all")
    _check_refused(plugin, torch.ones(6), "1-D features")
    _check_refused(plugin, torch.ones(10, 6, dtype=torch.int64), "integer features")


def the_global_random_state_plays_no_part(plugin: Plugin) -> None:
    """Chance comes from ``seed`` alone, and nobody else's chance is disturbed."""
    features = normal_features(40, 6)
    first, second = under_two_random_states(lambda: plugin(budget=8).select(features, seed=3))
    check_same(first, second, "another global random state")


def the_number_of_threads_plays_no_part(plugin: Plugin) -> None:
    """One thread or two: the same selection, bit by bit."""
    features, before = normal_features(3000, 16), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = plugin(budget=50).select(features)
        torch.set_num_threads(2)
        second = plugin(budget=50).select(features)
    finally:
        torch.set_num_threads(before)
    check_same(first, second, "another number of threads")


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
    the_mean_distance_is_true,
    its_cost_is_told,
    weights_count_the_nearest_rows,
    a_target_radius_is_kept_to,
    one_row_is_enough,
    equal_rows_are_no_trouble,
    half_precision_is_taken,
    half_precision_changes_no_pick,
    one_dimension_is_enough,
    memory_layout_does_not_matter,
    nan_and_infinity_are_refused,
    other_shapes_are_refused,
    the_global_random_state_plays_no_part,
    the_number_of_threads_plays_no_part,
    rows_may_come_in_blocks,
)


def _check_refused(plugin: Plugin, features: Tensor, what: str, *, start: int | None = None) -> None:
    try:
        plugin(budget=3).select(features, start=start)
    except ValueError:
        return
    msg = f"{what} must be refused with a ValueError; write pick, not select, and this is done for you"
    raise AssertionError(msg)
