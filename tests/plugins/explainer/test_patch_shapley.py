"""Shapley values of patches: the closed form and the sampled ones against sums over all coalitions."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.testing.example_case import example_cases
from anomalib_federated_plugins.explainer import shap as shap_module
from anomalib_federated_plugins.explainer.patch_game import PatchGame
from anomalib_federated_plugins.explainer.shap import Shap
from anomalib_federated_plugins.explainer.shapley_exact import ExactShapley, airport
from anomalib_federated_plugins.explainer.worst_patches import worst_patches


def brute_force(worth, players):
    """The Shapley value as it is defined: each coalition's gain by the player, weighted by how many orders make it."""
    values = []
    for player in range(players):
        others = [each for each in range(players) if each != player]
        value = 0.0
        for size in range(players):
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            value += sum(weight * (worth({*some, player}) - worth(set(some))) for some in combinations(others, size))
        values.append(value)
    return values


@settings(max_examples=60, deadline=None)
@given(
    costs=st.lists(st.floats(0, 100, width=32), min_size=1, max_size=7),
    below=st.floats(0, 100, width=32),
)
def test_the_closed_form_is_the_sum_over_all_coalitions(costs, below):
    costs = [max(cost, below) for cost in costs]

    def worth(coalition):
        return max([below, *(costs[each] for each in coalition)])

    expected = brute_force(worth, len(costs))
    found = airport(torch.tensor(costs), below=below)
    np.testing.assert_allclose(found, expected, atol=1e-9 * max(1, *costs))
    assert float(found.sum()) == pytest.approx(max(costs) - below, abs=1e-9)


@pytest.mark.parametrize("patches", [5, None])
def test_exact_values_are_of_the_largest_distance_and_say_so(patches):
    smoothed, greatest = example_cases()[:2]
    for case in (smoothed, greatest):
        found = ExactShapley(patches=patches).explain(case, seed=0)
        ordered = case.distances.flatten().sort(descending=True).values
        assert found.explained == float(ordered[0])
        assert found.baseline == (0 if patches is None else float(ordered[patches]))
        total = found.baseline + sum(each.value for each in found.contributions)
        assert total == pytest.approx(found.explained)
        assert ("is another number" in found.explained_as) == (case is smoothed)
    assert greatest.score == pytest.approx(found.explained)


@pytest.mark.parametrize("number", [0, 1, 2, 3], ids=["smoothed_max", "max", "top_fraction_places", "reweighted"])
def test_sampled_values_are_near_the_sum_over_all_coalitions(number):
    case = example_cases()[number]
    players = worst_patches(case, 6)
    game = PatchGame(case, players, background=4, seed=1)

    def worth(coalition):
        return float(game.worth(np.isin(np.arange(6), list(coalition))[None].astype(float))[0])

    expected = dict(zip(players.tolist(), brute_force(worth, 6), strict=True))
    found = Shap(patches=6, background=4, samples=1500, repeats=10).explain(case, seed=1)
    assert found.baseline + sum(each.value for each in found.contributions) == pytest.approx(case.score, rel=1e-5)
    for each in found.contributions:
        error = abs(each.value - expected[each.patch])
        assert error <= 5 * each.standard_error + 1e-6, each
    assert found.facts["background_rows"] == game.rows


def test_more_samples_bring_sampled_values_nearer_and_the_stated_error_is_honest():
    case = example_cases()[1]  # scored by max: the closed form is the truth
    truth = {each.patch: each.value for each in ExactShapley(patches=10).explain(case, seed=0).contributions}
    stated, errors = [], []
    for samples in (21 * 8, 21 * 8 * 25):
        found = Shap(patches=10, samples=samples, repeats=8).explain(case, seed=2)
        errors.append(np.array([each.value - truth[each.patch] for each in found.contributions]))
        stated.append(np.array([each.standard_error for each in found.contributions]))
    rough, fine = (float(np.sqrt((each**2).mean())) for each in errors)
    assert fine < rough / 2  # a fifth is expected
    for error, told in zip(errors, stated, strict=True):
        ratio = float(np.sqrt((error**2).mean()) / np.sqrt((told**2).mean()))
        assert 0.3 < ratio < 3


def test_absent_patches_lie_where_normal_ones_do():
    case = example_cases()[2]  # rows have places, so a bank row is not at distance 0 everywhere
    players = worst_patches(case, 3)
    game = PatchGame(case, players, background=5, seed=3)
    scores = []
    for row in game.rows:
        distances = case.distances.flatten().clone()
        for player in players.tolist():
            features = case.bank.features[row : row + 1].float()
            distances[player] = case.distances_in_place(features, torch.tensor([player]))[0]
        scores.append(float(case.scores_of_distances(distances.reshape(1, *case.distances.shape))))
    assert game.baseline == pytest.approx(np.mean(scores))
    assert game.worth(np.ones((1, 3)))[0] == pytest.approx(case.score)


def test_a_background_larger_than_the_bank_takes_all_rows():
    game = PatchGame(example_cases()[0], torch.arange(2), background=999, seed=0)
    assert game.rows == list(range(24))


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(shap_module, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"pip install 'anomalib-federated\[explain\]'"):
        Shap()


@pytest.mark.parametrize(
    ("plugin", "arguments"),
    [(Shap, {"patches": 0}), (Shap, {"repeats": 1}), (Shap, {"background": True}), (ExactShapley, {"patches": 1.5})],
    ids=lambda value: str(value) if isinstance(value, dict) else value.__name__,
)
def test_impossible_arguments_are_refused(plugin, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        plugin(**arguments)
