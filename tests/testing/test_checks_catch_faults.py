"""The conformance checks themselves: a plugin with one fault fails, and at the check that is about this fault."""

import math
import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.interfaces.coreset import Picks
from anomalib_federated.registry import INTERFACES, PluginError
from anomalib_federated.testing import check_plugin, checks, example_bank
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.partitioner.iid import IIDPartitioner
from anomalib_federated_plugins.strategy.concatenate import Concatenate

FAULTS = []

ROW_FIELDS = ("features", "row_category", "row_site", "row_group", "weights")


def fault(kind, check):
    """Notes a faulty class and the check that must catch it."""

    def note(plugin):
        FAULTS.append(pytest.param(kind, check, plugin, id=f"{kind}-{plugin.__name__}"))
        return plugin

    return note


def with_selection(change):
    """A k-center whose selections are changed afterwards."""

    def select(self, features, *, seed=0, start=None):
        return change(KCenterCoreset.select(self, features, seed=seed, start=start), features)

    return select


# --- coresets -------------------------------------------------------------------------------------------------------


@fault("coreset", "fits_the_interface")
class NotACoreset:
    pass


@fault("coreset", "fits_the_interface")
class TakesNoStart(KCenterCoreset):
    def pick(self, rows, *, seed):
        return super().pick(rows, seed=seed, start=None)


@fault("coreset", "can_be_made_with_a_budget_alone")
class NeedsMore(KCenterCoreset):
    def __init__(self, *, budget, more):
        super().__init__(budget=budget)


@fault("coreset", "impossible_budgets_are_refused")
class TakesAnyBudget(KCenterCoreset):
    def __init__(self, *, budget):
        try:
            super().__init__(budget=budget)
        except ValueError:
            super().__init__(budget=1)


@fault("coreset", "picks_are_distinct_row_numbers")
class Int32(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, indices=found.indices.int()))


@fault("coreset", "picks_are_distinct_row_numbers")
class PicksTwice(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, indices=found.indices[:1].repeat(len(found.indices))))


@fault("coreset", "picks_are_distinct_row_numbers")
class CountsFromOne(KCenterCoreset):
    select = with_selection(
        lambda found, features: replace(found, indices=torch.arange(len(features), 0, -1)[: len(found.indices)])
    )


@fault("coreset", "picks_are_distinct_row_numbers")
class ReturnsAList(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, indices=found.indices.tolist()))


@fault("coreset", "a_number_of_rows_is_kept_to")
class AtLeastTwo(KCenterCoreset):
    def rows(self, n):
        return min(n, max(2, super().rows(n)))


@fault("coreset", "a_share_of_the_rows_is_kept_to")
class RoundsUp(KCenterCoreset):
    def rows(self, n):
        return super().rows(n) if isinstance(self.budget.most, int) else math.ceil(self.budget.most * n)


@fault("coreset", "a_budget_above_n_keeps_all")
class RefusesLargeBudgets(KCenterCoreset):
    def rows(self, n):
        if isinstance(self.budget.most, int) and self.budget.most > n:
            raise ValueError(n)
        return super().rows(n)


@fault("coreset", "equal_seeds_give_equal_selections")
class RemembersItsLastCall(KCenterCoreset):
    calls = 0

    def select(self, features, *, seed=0, start=None):
        self.calls += 1
        return super().select(features, seed=seed + self.calls, start=start)


@fault("coreset", "the_start_is_picked_first")
class IgnoresTheStart(KCenterCoreset):
    def pick(self, rows, *, seed, start):
        return super().pick(rows, seed=seed, start=None)


@fault("coreset", "a_start_out_of_range_is_refused")
class CountsFromTheEnd(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        return super().select(features, seed=seed, start=None if start is None else start % len(features))


@fault("coreset", "the_covering_radius_is_true")
class SlightlyTooSmall(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, radius=found.radius * 0.999))


@fault("coreset", "the_covering_radius_is_true")
class SquaredDistance(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, radius=found.radius**2))


@fault("coreset", "weights_count_the_nearest_rows")
class UnitWeights(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, weights=torch.ones(len(found.indices))))


@fault("coreset", "weights_count_the_nearest_rows")
class DoubleWeights(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, weights=found.weights.double()))


@fault("coreset", "the_mean_distance_is_true")
class MeanOfSquares(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, mean_distance=found.mean_distance**2))


@fault("coreset", "its_cost_is_told")
class CountsNoPasses(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, passes=0))


@fault("coreset", "a_target_radius_is_kept_to")
class StopsTooEarly(KCenterCoreset):
    def pick(self, rows, *, seed, start):
        picks = super().pick(rows, seed=seed, start=start)
        return picks if self.budget.radius is None else Picks(picks.indices[: len(picks.indices) // 2 + 1])


@fault("coreset", "the_features_stay_unchanged")
class CentresInPlace(KCenterCoreset):
    select = with_selection(lambda found, features: (features.sub_(1.0), found)[1])


@fault("coreset", "one_row_is_enough")
class NeedsTwoRows(KCenterCoreset):
    select = with_selection(lambda found, features: replace(found, radius=found.radius + float(len(features) == 1)))


@fault("coreset", "equal_rows_are_no_trouble")
class WeighsOnlyTheFirstOfEquals(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        found = super().select(features, seed=seed, start=start)
        equal = bool((features == features[0]).all()) and len(features) > 1
        weights = torch.zeros(len(found.indices)).index_fill_(0, torch.tensor([0]), len(features))
        return replace(found, weights=weights) if equal else found


@fault("coreset", "half_precision_is_taken")
class SinglePrecisionOnly(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        if features.dtype == torch.float16:
            raise TypeError(features.dtype)
        return super().select(features, seed=seed, start=start)


@fault("coreset", "half_precision_changes_no_pick")
class OtherPicksInHalfPrecision(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        half = isinstance(features, torch.Tensor) and features.dtype == torch.float16
        return super().select(features, seed=seed + half, start=start)


@fault("coreset", "rows_may_come_in_blocks")
class LooksAtTheFirstBlock(KCenterCoreset):
    def pick(self, rows, *, seed, start):
        _, block = next(iter(rows.blocks()))
        return super().pick(rows, seed=seed + len(rows) - len(block), start=start)


@fault("coreset", "one_dimension_is_enough")
class NeedsTwoDimensions(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        if features.ndim == 2 and features.shape[1] == 1:
            raise IndexError(1)
        return super().select(features, seed=seed, start=start)


@fault("coreset", "memory_layout_does_not_matter")
class ReadsMemoryInOrder(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        if features.is_contiguous():
            return super().select(features, seed=seed, start=start)
        return super().select(features.T.contiguous().reshape(features.shape), seed=seed, start=start)


@fault("coreset", "nan_and_infinity_are_refused")
class ReplacesNan(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        return super().select(torch.nan_to_num(features), seed=seed, start=start)


@fault("coreset", "other_shapes_are_refused")
class ReshapesVectors(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        return super().select(features[None] if features.ndim == 1 else features, seed=seed, start=start)


@fault("coreset", "the_global_random_state_plays_no_part")
class SeedsEverything(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        torch.manual_seed(seed)
        return super().select(features, seed=seed, start=start)


@fault("coreset", "the_global_random_state_plays_no_part")
class DrawsFromNumpy(KCenterCoreset):
    def select(self, features, *, seed=0, start=None):
        np.random.random()
        return super().select(features, seed=seed, start=start)


@fault("coreset", "equal_seeds_give_equal_selections")
class DrawsFromTheGlobalGenerator(KCenterCoreset):
    def pick(self, rows, *, seed, start):
        first = int(torch.randint(len(rows), (1,))) if start is None else start
        return super().pick(rows, seed=seed, start=first)


@fault("coreset", "the_number_of_threads_plays_no_part")
class CountsThreads(KCenterCoreset):
    select = with_selection(lambda found, _: replace(found, radius=found.radius * (1 + 1e-9 * torch.get_num_threads())))


# --- strategies -----------------------------------------------------------------------------------------------------


def with_merged(change):
    """Concatenation whose result is changed afterwards."""
    return lambda self, banks: change(MemoryBank.merge(banks))


@fault("strategy", "fits_the_interface")
class NotAStrategy:
    def merge(self, banks):
        return MemoryBank.merge(banks)


@fault("strategy", "can_be_made_without_arguments")
class NeedsABudget(Concatenate):
    def __init__(self, *, budget):
        super().__init__()


@fault("strategy", "the_order_of_banks_does_not_matter")
class InOrderOfArrival(Concatenate):
    def merge(self, banks):
        return self.aggregate(list(banks))


@fault("strategy", "the_same_object_can_merge_again")
class KeepsEarlierRounds(Concatenate):
    earlier = None

    def aggregate(self, banks):
        merged = MemoryBank.merge(banks)
        if self.earlier is not None:
            merged = merged.select(torch.arange(len(merged)).roll(1))
        self.earlier = merged
        return merged


@fault("strategy", "every_category_is_in_the_result")
class FirstCategoryOnly(Concatenate):
    aggregate = with_merged(lambda merged: merged.for_category(merged.categories[0]))


@fault("strategy", "the_feature_space_is_kept")
class OtherSpace(Concatenate):
    aggregate = with_merged(lambda merged: replace(merged, space=replace(merged.space, pooling=5)))


@fault("strategy", "rows_are_rows_that_a_site_sent")
class AddsNoise(Concatenate):
    aggregate = with_merged(lambda merged: replace(merged, features=merged.features + 0.01))


@fault("strategy", "rows_are_rows_that_a_site_sent")
class ForgetsTheSites(Concatenate):
    def aggregate(self, banks):
        merged = MemoryBank.merge(banks)
        everybody_has_all = tuple(
            replace(merged.contributions[0], site=site, category=category, rows=merged.contributions[0].patches)
            for site, category in product(merged.sites, merged.categories)
        )
        return replace(merged, row_site=torch.zeros_like(merged.row_site), contributions=everybody_has_all)


@fault("strategy", "rows_are_rows_that_a_site_sent")
class ForgetsTheGroups(Concatenate):
    aggregate = with_merged(lambda merged: replace(merged, row_group=None, groups=()))


@fault("strategy", "rows_are_rows_that_a_site_sent")
class Repeats(Concatenate):
    def aggregate(self, banks):
        merged = MemoryBank.merge(banks)
        fields = {name: getattr(merged, name) for name in ROW_FIELDS}
        twice = {name: torch.cat([each, each[:1]]) for name, each in fields.items() if each is not None}
        contributions = tuple(replace(item, rows=item.patches) for item in merged.contributions)
        return replace(merged, **twice, contributions=contributions)


@fault("strategy", "one_bank_gives_rows_of_that_bank")
class AddsAPublicBank(Concatenate):
    def aggregate(self, banks):
        if len(banks) == 1:
            banks = [*banks, example_bank(site="public", seed=7)]
        return MemoryBank.merge(banks)


@fault("strategy", "equal_rows_of_two_sites_are_no_trouble")
class StumblesOverEqualRows(Concatenate):
    def aggregate(self, banks):
        merged = MemoryBank.merge(banks)
        if len(torch.unique(merged.features, dim=0)) < len(merged):
            raise ArithmeticError(len(merged))
        return merged


@fault("strategy", "banks_are_refused_if_they_are_not_merged")
class MergesInSilence(Concatenate):
    merges_banks = False


@fault("strategy", "a_screening_that_cannot_run_is_refused")
class TakesAScreeningForNothing(Concatenate):
    keeps_site_banks = False
    screening = ()


@fault("strategy", "what_screenings_refuse_leaves_no_trace")
class AsksNoScreening(Concatenate):
    def merge(self, banks):
        banks = sorted(banks, key=lambda bank: bank.sites)
        if not banks or len({bank.sites for bank in banks}) != len(banks):
            raise BankError(banks)
        return self.aggregate(banks)


@fault("strategy", "what_screenings_refuse_leaves_no_trace")
class FlagsAndKeeps(Concatenate):
    def merge(self, banks):
        banks = list(banks)
        super().merge(banks)
        return self.aggregate(sorted(banks, key=lambda bank: bank.sites))


@fault("strategy", "what_screenings_refuse_leaves_no_trace")
class TellsNothing(Concatenate):
    def merge(self, banks):
        merged = super().merge(banks)
        self.refused = ()
        return merged


@fault("strategy", "no_patch_is_forgotten")
class DropsWithoutTrace(Concatenate):
    aggregate = with_merged(lambda merged: merged.select(torch.arange(0, len(merged), 2)))


@fault("strategy", "no_patch_is_forgotten")
class TriplesTheWeights(Concatenate):
    aggregate = with_merged(lambda merged: replace(merged, weights=3 * merged.weights))


@fault("strategy", "rows_beside_which_none_is_dropped_keep_their_weights")
class EvensOutALonelySite(Concatenate):
    def aggregate(self, banks):
        merged = MemoryBank.merge(banks)
        even = torch.full_like(merged.weights, float(merged.weights.mean()))
        return replace(merged, weights=even) if len(banks) == 1 else merged


@fault("strategy", "every_site_is_accounted_for")
class CountsImagesAnew(Concatenate):
    def aggregate(self, banks):
        merged = MemoryBank.merge(banks)
        return replace(merged, contributions=tuple(replace(item, images=1) for item in merged.contributions))


@fault("strategy", "declared_minimum_shares_are_kept")
class PromisesWhatItDoesNotKeep(Concatenate):
    """Of screws only the rows of plant-a, 12 of them, are kept."""

    minimum_share = 0.2

    def aggregate(self, banks):
        union = MemoryBank.merge(banks)
        return MemoryBank.merge(self.shrunk(union.for_category(name)) for name in union.categories)

    def shrunk(self, bank):
        kept = bank.select(torch.arange(min(len(bank), 12)))
        weights = kept.weights.clone()
        weights[0] += bank.weights.sum() - weights.sum()
        return replace(kept, weights=weights)


@fault("strategy", "the_banks_stay_unchanged")
class ChangesTheirWeights(Concatenate):
    def aggregate(self, banks):
        merged = MemoryBank.merge(banks)
        for bank in banks:
            bank.weights.mul_(2)
        return merged


@fault("strategy", "no_bank_at_all_is_refused")
class MakesUpABank(Concatenate):
    def merge(self, banks):
        return super().merge(banks) if banks else example_bank()


@fault("strategy", "a_site_that_comes_twice_is_refused")
class TakesTheLastOfASite(Concatenate):
    def merge(self, banks):
        return super().merge({bank.sites: bank for bank in banks}.values())


@fault("strategy", "differing_feature_spaces_are_refused")
class SkipsOtherSpaces(Concatenate):
    def merge(self, banks):
        banks = list(banks)
        return super().merge([bank for bank in banks if bank.space == banks[0].space])


@fault("strategy", "the_global_random_state_plays_no_part")
class SeedsThePython(Concatenate):
    def aggregate(self, banks):
        random.seed(self.seed)
        return MemoryBank.merge(banks)


# --- partitioners ---------------------------------------------------------------------------------------------------


def with_parts(change):
    """Identical sites whose parts are changed afterwards."""

    def partition(self, images, *, seed=0):
        return change(IIDPartitioner.partition(self, images, seed=seed), images)

    return partition


@fault("partitioner", "fits_the_interface")
class TakesNoSeed(IIDPartitioner):
    def partition(self, images):
        return super().partition(images)


@fault("partitioner", "can_be_made_without_arguments")
class NeedsSites(IIDPartitioner):
    def __init__(self, *, sites):
        super().__init__(sites=sites)


@fault("partitioner", "every_image_is_at_exactly_one_site")
class LosesOne(IIDPartitioner):
    partition = with_parts(lambda parts, _: parts | {"site_1": parts["site_1"][1:]})


@fault("partitioner", "every_image_is_at_exactly_one_site")
class SharesOne(IIDPartitioner):
    partition = with_parts(lambda parts, _: parts | {"site_1": [*parts["site_1"], parts["site_2"][0]]})


@fault("partitioner", "every_image_is_at_exactly_one_site")
class GoesBeyond(IIDPartitioner):
    partition = with_parts(lambda parts, images: parts | {"site_6": [len(images)]})


@fault("partitioner", "no_site_is_empty")
class HasAnIdleSite(IIDPartitioner):
    partition = with_parts(lambda parts, _: parts | {"site_6": []})


@fault("partitioner", "sites_are_named_and_positions_are_ints")
class NumbersItsSites(IIDPartitioner):
    partition = with_parts(lambda parts, _: dict(enumerate(parts.values())))


@fault("partitioner", "sites_are_named_and_positions_are_ints")
class GivesNumpyInts(IIDPartitioner):
    partition = with_parts(lambda parts, _: {site: list(np.array(part)) for site, part in parts.items()})


@fault("partitioner", "equal_seeds_give_equal_parts")
class DealsAnew(IIDPartitioner):
    calls = 0

    def partition(self, images, *, seed=0):
        self.calls += 1
        return super().partition(images, seed=seed + self.calls)


@fault("partitioner", "the_order_of_images_does_not_matter")
class InOrderOfTheList(IIDPartitioner):
    def partition(self, images, *, seed=0):
        if not images:
            raise ValueError(images)
        return {f"site_{number}": list(range(number, len(images), 5)) for number in range(5)}


@fault("partitioner", "the_images_stay_unchanged")
class SortsInPlace(IIDPartitioner):
    def partition(self, images, *, seed=0):
        parts = super().partition(images, seed=seed)
        images.reverse()
        return {site: sorted(len(images) - 1 - i for i in part) for site, part in parts.items()}


@fault("partitioner", "no_image_at_all_is_refused")
class SharesNothing(IIDPartitioner):
    def partition(self, images, *, seed=0):
        return super().partition(images, seed=seed) if images else {}


@fault("partitioner", "the_global_random_state_plays_no_part")
class Shuffles(IIDPartitioner):
    def partition(self, images, *, seed=0):
        np.random.seed(seed)
        return super().partition(images, seed=seed)


@fault("partitioner", "what_a_name_tells_is_what_is_done")
class TellsAnotherSite(IIDPartitioner):
    def site_of(self, image):
        return "site_1"


# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "check", "plugin"), FAULTS)
def test_a_fault_is_caught_by_its_check(kind, check, plugin):
    with pytest.raises(AssertionError, match=rf"^{plugin.__name__} fails the {kind} check '{check}': \w+"):
        check_plugin(kind, plugin)


OF_THEIR_OWN = {"attack", "explainer", "fairness", "privacy", "screening"}  # kinds whose faults have files of their own


@pytest.mark.parametrize("kind", sorted(set(INTERFACES) - OF_THEIR_OWN))
def test_every_check_catches_some_fault(kind):
    caught = {check for of_kind, check, _ in (fault.values for fault in FAULTS) if of_kind == kind}
    assert caught == {check.__name__ for check in checks(kind)}


@pytest.mark.parametrize("kind", INTERFACES)
def test_checks_have_distinct_names_and_say_what_they_check(kind):
    names = [check.__name__ for check in checks(kind)]
    assert len(set(names)) == len(names) > 5
    assert all(check.__doc__ for check in checks(kind))


@pytest.mark.parametrize("call", [checks, lambda kind: check_plugin(kind, KCenterCoreset)])
def test_an_unknown_kind_is_refused(call):
    with pytest.raises(PluginError, match="no kind of plugin named 'corset'"):
        call("corset")


def test_an_instance_is_no_plugin():
    with pytest.raises(AssertionError, match="fails the coreset check 'fits_the_interface'"):
        check_plugin("coreset", KCenterCoreset(budget=3))


def test_checks_leave_the_process_as_it_was():
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state(), torch.get_num_threads()
    for kind, plugin in (("coreset", KCenterCoreset), ("strategy", Concatenate), ("partitioner", IIDPartitioner)):
        check_plugin(kind, plugin)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state(), torch.get_num_threads()
    assert after[:2] == before[:2]
    assert torch.equal(after[2], before[2])
    assert after[3] == before[3]


# --- example_bank ---------------------------------------------------------------------------------------------------


def test_example_banks_of_equal_arguments_are_equal():
    assert example_bank(seed=4).to_bytes() == example_bank(seed=4).to_bytes()
    assert example_bank(seed=4).to_bytes() != example_bank(seed=5).to_bytes()


def test_example_banks_are_as_asked():
    bank = example_bank(rows=3, dim=5, site="s", category="c", dtype=torch.float16, offset=100.0)
    assert (bank.features.shape, bank.features.dtype, bank.space.dim) == ((3, 5), torch.float16, 5)
    assert (bank.sites, bank.categories) == (("s",), ("c",))
    assert float(bank.features.float().mean()) == pytest.approx(100, abs=2)
    assert bank.contributions[0].patches == int(bank.weights.sum())
    with pytest.raises(BankError, match="images is 0, not >= 1"):
        example_bank(rows=0)
