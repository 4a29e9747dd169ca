"""The conformance checks of fairness rules: a rule with one fault fails, and at the check that is about this fault."""

from dataclasses import replace

import pytest
import torch

from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated.testing import check_plugin, checks
from anomalib_federated_plugins.fairness.equal import Equal
from anomalib_federated_plugins.fairness.none import NoFairness
from tests.testing.faults import faults

FAULTS, fault = faults()


def with_choice(change):
    """Equal shares whose choice is changed afterwards."""

    def choose(self, rows, group, *, budget, seed):
        return change(Equal.choose(self, rows, group, budget=budget, seed=seed), group)

    return choose


def with_selection(change):
    """Equal shares whose selection is changed afterwards."""

    def select(self, features, group, *, budget, seed=0):
        return change(Fairness.select(self, features, group, budget=budget, seed=seed), group)

    return select


@fault("fits_the_interface")
class NotARule:
    pass


@fault("fits_the_interface")
class TakesNoGroups(Equal):
    def choose(self, rows, *, budget, seed):
        return torch.arange(budget)


@fault("can_be_made_without_arguments")
class NeedsAMinimum(Equal):
    def __init__(self, *, minimum):
        super().__init__(minimum=minimum)


@fault("the_arguments_stay_unchanged")
class CentresInPlace(Equal):
    select = with_selection(lambda found, _: found)

    def choose(self, rows, group, *, budget, seed):
        if isinstance(rows, TensorRows):
            rows.features.sub_(1.0)
        return super().choose(rows, group, budget=budget, seed=seed)


@fault("the_arguments_stay_unchanged")
class RenumbersInPlace(Equal):
    choose = with_choice(lambda chosen, group: (chosen, group.zero_())[0])


@fault("exactly_the_budget_is_chosen")
class OneTooFew(NoFairness):
    """A rule that keeps to the wish in all but the smallest budgets."""

    def choose(self, rows, group, *, budget, seed):
        chosen = super().choose(rows, group, budget=budget, seed=seed)
        return chosen if budget == 9 else chosen[1:]


@fault("exactly_the_budget_is_chosen")
class RoundsEveryQuotaUp(Equal):
    def quotas(self, sizes, budget):
        part = -(-budget // len(sizes))
        return super().quotas(sizes, budget) if budget == 9 else [min(part, size) for size in sizes]


@fault("exactly_the_budget_is_chosen")
class NamesSmallGroupsTwice(Equal):
    """Does not give back what a small group cannot use."""

    choose = with_choice(
        lambda chosen, group: chosen if len(chosen) == 9 else torch.cat([chosen[:1], chosen[:1], chosen[2:]])
    )


@fault("exactly_the_budget_is_chosen")
class ChoosesInInt32(Equal):
    choose = with_choice(lambda chosen, _: chosen if len(chosen) == 9 else chosen.int())


@fault("a_budget_above_n_keeps_all")
class ShufflesAll(Equal):
    def select(self, features, group, *, budget, seed=0):
        found = super().select(features, group, budget=budget, seed=seed)
        return replace(found, indices=found.indices.flip(0)) if len(found.indices) == len(features) else found


@fault("equal_seeds_give_equal_choices")
class RemembersItsLastCall(Equal):
    calls = 0

    def choose(self, rows, group, *, budget, seed):
        self.calls += 1
        return super().choose(rows, group, budget=budget, seed=seed + self.calls)


@fault("quotas_count_the_rows_kept")
class CountsWhatThereIs(Equal):
    select = with_selection(lambda found, group: replace(found, quotas=torch.bincount(group)))


@fault("a_declared_minimum_is_kept")
class PromisesARow(NoFairness):
    minimum = 1


@fault("a_budget_below_the_minimum_is_refused")
class KeepsToTheBudgetInstead(Equal):
    def quotas(self, sizes, budget):
        return super().quotas(sizes, budget) if budget >= len(sizes) else [1] * budget + [0] * (len(sizes) - budget)


@fault("the_figures_are_true")
class SlightlyTooSmall(Equal):
    select = with_selection(lambda found, _: replace(found, radius=found.radius * 0.999))


@fault("the_figures_are_true")
class TakesForeignRowsForOwn(Equal):
    select = with_selection(lambda found, _: replace(found, own_radius=found.radius))


@fault("one_group_is_enough")
class NeedsTwoGroups(Equal):
    select = with_selection(
        lambda found, group: found if int(group.max()) or len(group) < 40 else replace(found, radius=found.radius * 2)
    )


@fault("groups_of_one_row_are_no_trouble")
class CannotCoverASingleRow(Equal):
    select = with_selection(lambda found, group: replace(found, own_radius=found.own_radius + 1.0 * (len(group) == 6)))


@fault("equal_rows_are_no_trouble")
class StumblesOverEqualRows(Equal):
    select = with_selection(
        lambda found, group: replace(found, radius=found.radius + 1.0 * (len(group) == 20 and not found.radius.any()))
    )


@fault("half_precision_changes_no_choice")
class OtherChoiceInHalfPrecision(Equal):
    def select(self, features, group, *, budget, seed=0):
        half = isinstance(features, torch.Tensor) and features.dtype == torch.float16
        return super().select(features, group, budget=budget, seed=seed + half)


@fault("one_dimension_is_enough")
class NeedsTwoDimensions(Equal):
    def choose(self, rows, group, *, budget, seed):
        chosen = super().choose(rows, group, budget=budget, seed=seed)
        return chosen[1:] if rows.shape[1] == 1 else chosen


@fault("impossible_arguments_are_refused")
class ReplacesNan(Equal):
    def select(self, features, group, *, budget, seed=0):
        return super().select(
            torch.nan_to_num(features) if isinstance(features, torch.Tensor) else features,
            group,
            budget=budget,
            seed=seed,
        )


@fault("impossible_arguments_are_refused")
class RenumbersGroups(Equal):
    def select(self, features, group, *, budget, seed=0):
        return super().select(features, torch.unique(group, return_inverse=True)[1], budget=budget, seed=seed)


@fault("the_global_random_state_plays_no_part")
class SeedsEverything(Equal):
    choose = with_choice(lambda chosen, _: (chosen, torch.manual_seed(0))[0])


@fault("rows_may_come_in_blocks")
class LooksAtTheFirstBlock(Equal):
    def choose(self, rows, group, *, budget, seed):
        _, block = next(iter(rows.blocks()))
        return super().choose(rows, group, budget=budget, seed=seed + len(rows) - len(block))


@fault("the_order_of_rows_does_not_matter")
class DrawsRowNumbers(Equal):
    def choose(self, rows, group, *, budget, seed):
        generator = torch.Generator().manual_seed(seed)
        chosen = []
        for number, quota in enumerate(self.quotas(torch.bincount(group).tolist(), budget)):
            members = (group == number).nonzero().flatten()
            chosen.append(members[torch.randperm(len(members), generator=generator)[:quota]])
        return torch.cat(chosen)


@pytest.mark.parametrize(("check", "plugin"), FAULTS)
def test_a_fault_is_caught_by_its_check(check, plugin):
    with pytest.raises(AssertionError, match=rf"^{plugin.__name__} fails the fairness check '{check}': \w+"):
        check_plugin("fairness", plugin)


def test_every_check_catches_some_fault():
    assert {fault.values[0] for fault in FAULTS} == {check.__name__ for check in checks("fairness")}
