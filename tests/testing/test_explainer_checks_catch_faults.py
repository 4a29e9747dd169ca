"""The conformance checks of explainers: one with one fault fails, and at the check that is about this fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anomalib_federated.interfaces.explainer import Box, Explainer, Panel
from anomalib_federated.testing import check_plugin, checks
from anomalib_federated_plugins.explainer.nearest_normal import NearestNormal
from anomalib_federated_plugins.explainer.shapley_exact import ExactShapley
from tests.testing.faults import faults

FAULTS, fault = faults()


class Changed(ExactShapley):
    """Exact, but for what a subclass makes of the explanation."""

    def explain(self, case, *, seed):
        return self.change(super().explain(case, seed=seed), case)

    def change(self, explanation, case):
        return explanation


@fault("fits_the_interface")
class NotAnExplainer:
    pass


@fault("fits_the_interface")
class TakesNoSeed(ExactShapley):
    def explain(self, case):
        return super().explain(case, seed=0)


@fault("can_be_made_without_arguments")
class NeedsMore(ExactShapley):
    def __init__(self, *, more):
        super().__init__()


@fault("the_case_stays_unchanged")
class WritesIntoThePicture(Changed):
    def change(self, explanation, case):
        case.picture[0, 0] += 1
        return explanation


@fault("the_case_stays_unchanged")
class WritesIntoTheDistances(Changed):
    def change(self, explanation, case):
        case.distances[0, 0] = 9.0
        return explanation


@fault("the_case_stays_unchanged")
class WritesIntoTheBank(Changed):
    def change(self, explanation, case):
        case.bank.features[0] += 1
        return explanation


@fault("relevance_is_one_finite_number_a_pixel")
class GivesTheGrid(Changed):
    def change(self, explanation, case):
        return replace(explanation, relevance=case.distances.clone())


@fault("relevance_is_one_finite_number_a_pixel")
class GivesDoubles(Changed):
    def change(self, explanation, case):
        return replace(explanation, relevance=explanation.relevance.double())


@fault("relevance_is_one_finite_number_a_pixel")
class DividesByNothing(Changed):
    def change(self, explanation, case):
        return replace(explanation, relevance=explanation.relevance * torch.nan)


@fault("numbers_are_finite_and_named")
class SaysNothing(Changed):
    def change(self, explanation, case):
        return replace(explanation, explained_as=" ")


@fault("numbers_are_finite_and_named")
class ExplainsInfinity(Changed):
    def change(self, explanation, case):
        return replace(explanation, explained=float("inf"))


@fault("contributions_are_sorted_and_of_different_patches")
class SmallestFirst(Changed):
    def change(self, explanation, case):
        return replace(explanation, contributions=explanation.contributions[::-1])


@fault("contributions_are_sorted_and_of_different_patches")
class CountsTwice(Changed):
    def change(self, explanation, case):
        first = replace(explanation.contributions[0], value=explanation.contributions[0].value / 2)
        rest = tuple(replace(each, value=min(each.value, first.value)) for each in explanation.contributions[1:])
        return replace(explanation, contributions=(first, first, *rest))


@fault("boxes_lie_in_the_picture")
class BoxesOfTheNetworksPicture(Changed):
    def change(self, explanation, case):
        items = tuple(replace(each, box=Box(0, 0, case.picture.shape[1] + 1, 9)) for each in explanation.contributions)
        return replace(explanation, contributions=items)


@fault("boxes_lie_in_the_picture")
class BoxesOfOtherPatches(Changed):
    def change(self, explanation, case):
        items = tuple(replace(each, box=Box(0, 0, 1, 1)) for each in explanation.contributions)
        return replace(explanation, contributions=items)


@fault("contributions_and_baseline_add_up")
class LosesAPatch(Changed):
    def change(self, explanation, case):
        return replace(explanation, contributions=explanation.contributions[1:])


@fault("settings_and_facts_are_plain_data")
class TellsATensor(Changed):
    def change(self, explanation, case):
        return replace(explanation, facts={"peak": case.distances.max()})


@fault("settings_and_facts_are_plain_data")
class TellsTuples(Changed):
    def change(self, explanation, case):
        return replace(explanation, settings={"size": (1, 2)})


@fault("panels_are_pictures_with_captions")
class ShowsFloats(Changed):
    def change(self, explanation, case):
        return replace(explanation, panels=(Panel(picture=np.zeros((4, 4, 3)), caption="floats"),))


@fault("what_shows_own_pictures_is_private")
class TellsOfTheSite(NearestNormal):
    def explain(self, case, *, seed):
        return replace(super().explain(case, seed=seed), private=False)


@fault("equal_seeds_give_equal_explanations")
class RemembersItsLastCall(Changed):
    calls = 0

    def change(self, explanation, case):
        self.calls += 1
        return replace(explanation, facts={"calls": self.calls})


@fault("the_global_random_state_plays_no_part")
class RollsTheDice(Explainer):
    def explain(self, case, *, seed):
        np.random.seed(seed)
        return ExactShapley().explain(case, seed=seed)


@pytest.mark.parametrize(("check", "plugin"), FAULTS)
def test_a_fault_is_caught_by_its_check(check, plugin):
    with pytest.raises(AssertionError, match=rf"^{plugin.__name__} fails the explainer check '{check}': \w+"):
        check_plugin("explainer", plugin)


def test_every_check_catches_some_fault():
    assert {fault.values[0] for fault in FAULTS} == {check.__name__ for check in checks("explainer")}


@pytest.mark.parametrize("plugin", [ExactShapley, NearestNormal])
def test_faultless_explainers_pass(plugin):
    check_plugin("explainer", plugin)
