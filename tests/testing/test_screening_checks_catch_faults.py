"""The checks of screenings: a plugin with one fault fails at the check that is about this fault."""

import pytest
import torch

from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.testing.screening import CHECKS, honest_banks
from tests.testing.faults import assert_caught_first_by, faults

FAULTS, fault = faults()


def all_of(bank):
    return torch.ones(len(bank), dtype=torch.bool)


def large(bank):
    """The rows that a screening without a fault might refuse."""
    return bank.features.float().norm(dim=1) > 100


class RefusesLargeRows(Screening):
    """Has no fault; those that have change a part of it."""

    def screen(self, banks):
        return self.answer([self.refusal(bank) for bank in banks if self.concerns(bank)])

    def answer(self, refusals):
        return refusals

    def concerns(self, bank):
        return bool(large(bank).any())

    def refusal(self, bank, **changed):
        return Refusal(**{"site": bank.sites[0], "rows": large(bank), "reason": "too large"} | changed)


@fault("can_be_made_without_arguments")
class NeedsALimit(RefusesLargeRows):
    def __init__(self, limit):
        self.limit = limit


@fault("the_banks_stay_unchanged")
class ScalesInPlace(RefusesLargeRows):
    def screen(self, banks):
        for bank in banks:
            bank.features.mul_(0.5)
        return super().screen(banks)


@fault("answers_are_refusals_of_rows_that_are_there")
class AnswersWithATuple(RefusesLargeRows):
    def answer(self, refusals):
        return tuple(refusals)


@fault("answers_are_refusals_of_rows_that_are_there")
class AnswersWithNames(RefusesLargeRows):
    def answer(self, refusals):
        return [refusal.site for refusal in refusals]


@fault("answers_are_refusals_of_rows_that_are_there")
class NamesAnotherSite(RefusesLargeRows):
    def refusal(self, bank):
        return super().refusal(bank, site=f"{bank.sites[0]}-2")


@fault("answers_are_refusals_of_rows_that_are_there")
class NamesASiteTwice(RefusesLargeRows):
    def answer(self, refusals):
        return 2 * refusals


@fault("answers_are_refusals_of_rows_that_are_there")
class RefusesNoRow(RefusesLargeRows):
    def concerns(self, bank):
        return True


@fault("answers_are_refusals_of_rows_that_are_there")
class GivesRowNumbers(RefusesLargeRows):
    def refusal(self, bank):
        return super().refusal(bank, rows=large(bank).nonzero().flatten())


@fault("answers_are_refusals_of_rows_that_are_there")
class GivesAShortMask(RefusesLargeRows):
    def refusal(self, bank):
        return super().refusal(bank, rows=large(bank)[1:])


@fault("answers_are_refusals_of_rows_that_are_there")
class GivesAnArray(RefusesLargeRows):
    def refusal(self, bank):
        return super().refusal(bank, rows=large(bank).numpy())


@fault("answers_are_refusals_of_rows_that_are_there")
class GivesNoReason(RefusesLargeRows):
    def refusal(self, bank):
        return super().refusal(bank, reason=" ")


@fault("one_site_or_two_get_an_answer")
class ComparesWithOthers(RefusesLargeRows):
    def screen(self, banks):
        if not banks[1:]:
            return [self.refusal(banks[0], rows=~all_of(banks[0]))]
        return super().screen(banks)


@fault("equal_banks_give_equal_refusals")
class RefusesWhomItSawBefore(RefusesLargeRows):
    def __init__(self):
        self.seen = set()

    def screen(self, banks):
        again = [bank for bank in banks if bank.digest in self.seen]
        self.seen |= {bank.digest for bank in banks}
        return [self.refusal(bank, rows=all_of(bank)) for bank in again]


@fault("the_order_of_sites_does_not_matter")
class RefusesTheLast(RefusesLargeRows):
    def screen(self, banks):
        return [self.refusal(banks[-1], rows=all_of(banks[-1]))]


@fault("names_of_sites_do_not_matter")
class HasAFavourite(RefusesLargeRows):
    def concerns(self, bank):
        return bank.sites[0] != "plant-1"

    def refusal(self, bank):
        return super().refusal(bank, rows=all_of(bank))


@fault("the_global_random_state_plays_no_part")
class DrawsLots(RefusesLargeRows):
    def refusal(self, bank):
        return super().refusal(bank, reason=f"lot {torch.rand(())}")

    def screen(self, banks):
        with torch.random.fork_rng():
            return super().screen(banks)


@fault("one_more_honest_site_costs_honest_rows_nothing")
class SharesAFixedNumberOfRows(Screening):
    def screen(self, banks):
        each = 150 // len(banks)
        rows = {bank.sites[0]: torch.arange(len(bank)) >= each for bank in banks}
        return [Refusal(site=site, rows=mask, reason="no room") for site, mask in rows.items() if bool(mask.any())]


@pytest.mark.parametrize(("check", "plugin"), FAULTS)
def test_a_fault_is_caught_by_its_check(check, plugin):
    assert_caught_first_by(check, plugin, CHECKS)


def test_the_class_that_the_faults_are_put_into_has_none():
    for check in CHECKS:
        check(RefusesLargeRows)


def test_every_check_catches_some_fault():
    assert {check for check, _ in (fault.values for fault in FAULTS)} == {check.__name__ for check in CHECKS}


def test_checks_have_distinct_names_and_say_what_they_check():
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all(check.__doc__ for check in CHECKS)


def test_honest_banks_are_of_one_distribution_and_no_two_are_equal():
    banks = honest_banks(9, rows=300)
    assert len({bank.digest for bank in banks}) == 9
    for bank in banks:
        assert bank.features.mean(0) == pytest.approx(torch.full((8,), 3.0), abs=0.3)
        assert bank.features.std(0) == pytest.approx(torch.ones(8), abs=0.2)
