"""What every screening promises, see :mod:`anomalib_federated.interfaces.screening`.

The honest sites of the checks see the same kind of part: their rows are normally distributed around one common point,
three standard deviations from the origin in each of eight coordinates. A bad site sends such rows a hundred times as
large, with flipped signs, or few of them many times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.federation_error import FederationError
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.interfaces.screening_chain import screen_banks
from anomalib_federated.registry import PluginError
from anomalib_federated.testing.banks import example_bank
from anomalib_federated.testing.construction import can_be_made_without_arguments
from anomalib_federated.testing.randomness import under_two_random_states

Plugin = type[Screening]

TOLERANCE = 0.05
"""Share of the honest rows that one more honest site may cost, since thresholds that are estimated move a little."""


class RefusesHalf(Screening):
    """Refuses every second row, and all of plant-a: a screening for checks of those who ask screenings.

    Example:
        >>> [refusal.rows.tolist() for refusal in RefusesHalf().screen([example_bank(site="b", rows=3)])]
        [[False, True, False]]
    """

    def screen(self, banks: Sequence[MemoryBank]) -> list[Refusal]:
        """The second, fourth ... row of each bank; all of plant-a."""
        return [
            Refusal(
                site=bank.sites[0], rows=torch.arange(len(bank)) % 2 >= (bank.sites[0] != "plant-a"), reason="a trial"
            )
            for bank in banks
        ]


def the_banks_stay_unchanged(plugin: Plugin) -> None:
    """The input is not written to."""
    for banks in _federations(4):
        before = [bank.to_bytes() for bank in banks]
        plugin().screen(banks)
        assert [bank.to_bytes() for bank in banks] == before, "screen must not change the banks that it is given"


def answers_are_refusals_of_rows_that_are_there(plugin: Plugin) -> None:
    """A list; each site that was asked about at most once; a bool per row, one of them true; a reason."""
    for banks in (*_federations(4), [bank.to(torch.float16) for bank in honest_banks(3)]):
        _check_answer(plugin, banks)


def one_site_or_two_get_an_answer(plugin: Plugin) -> None:
    """Where there is nobody to compare with, or of two nobody knows which is bad; and sites of a single row."""
    for banks in (honest_banks(1), honest_banks(2), *_federations(1), honest_banks(3, rows=1)):
        _check_answer(plugin, banks)


def equal_banks_give_equal_refusals(plugin: Plugin) -> None:
    """Of one object asked twice, with another federation between, and of two objects."""
    screening = plugin()
    for banks in _federations(4):
        first = _told(screening.screen(banks))
        screening.screen(honest_banks(3, seed=50))
        assert _told(screening.screen(banks)) == first, "asked again, it must refuse the same for the same reason"
        assert _told(plugin().screen(banks)) == first, "a second object must refuse the same for the same reason"


def the_order_of_sites_does_not_matter(plugin: Plugin) -> None:
    """Who came first is no merit."""
    for banks in _federations(4):
        first = _masks(plugin().screen(banks))
        assert _masks(plugin().screen(banks[::-1])) == first, "the same sites in another order must lose the same rows"
        assert _masks(plugin().screen([*banks[2:], *banks[:2]])) == first, (
            "the same sites in another order must lose the same rows"
        )


def names_of_sites_do_not_matter(plugin: Plugin) -> None:
    """A bank is judged by its rows, not by who sent it."""
    for banks in _federations(4):
        names = [bank.sites[0] for bank in banks]
        other = dict(zip(names, names[::-1], strict=True))
        renamed = sorted((_named(bank, other[bank.sites[0]]) for bank in banks), key=lambda bank: bank.sites)
        expected = {other[site]: rows for site, rows in _masks(plugin().screen(banks)).items()}
        assert _masks(plugin().screen(renamed)) == expected, "the same rows under other names of sites must be refused"


def the_global_random_state_plays_no_part(plugin: Plugin) -> None:
    """Chance comes from a seed alone, and nobody else's chance is disturbed."""
    for banks in _federations(4):
        first, second = under_two_random_states(lambda banks=banks: _told(plugin().screen(banks)))  # type: ignore[misc]
        assert first == second, "another global random state must give the same refusals"


def one_more_honest_site_costs_honest_rows_nothing(plugin: Plugin) -> None:
    """Neither among honest sites nor beside a bad one does a further site like them get more honest rows refused.

    As many as :data:`TOLERANCE` of them may be.
    """
    for seed in range(3):
        *honest, more = honest_banks(6, seed=10 * seed)
        for bad in ([], *([bank] for bank in _bad_banks(seed=90 + seed))):
            before, after = (_refused(plugin, [*honest, *further, *bad], honest) for further in ([], [more]))
            allowed = TOLERANCE * sum(map(len, honest))
            assert after <= before + allowed, (
                f"of {sum(map(len, honest))} honest rows, {before} are refused, but {after} when one more honest site "
                f"joins; only {allowed:g} more may be"
            )


CHECKS = (
    can_be_made_without_arguments,
    the_banks_stay_unchanged,  # first, since a plugin that changes its input fails others for no clear reason
    answers_are_refusals_of_rows_that_are_there,
    one_site_or_two_get_an_answer,
    equal_banks_give_equal_refusals,
    the_order_of_sites_does_not_matter,
    names_of_sites_do_not_matter,
    the_global_random_state_plays_no_part,
    one_more_honest_site_costs_honest_rows_nothing,
)


def honest_banks(count: int, *, rows: int = 30, seed: int = 0) -> list[MemoryBank]:
    """Banks of sites that see the same kind of part, with rows of one distribution, in the order of names.

    Args:
        count: Sites, at most 9.
        rows: Of each; every second site has a third more.
        seed: Decides the rows.

    Example:
        >>> [(bank.sites[0], len(bank)) for bank in honest_banks(3)]
        [('plant-1', 30), ('plant-2', 40), ('plant-3', 30)]
    """
    return [
        example_bank(site=f"plant-{number + 1}", rows=rows + number % 2 * (rows // 3), seed=seed + number, offset=3.0)
        for number in range(count)
    ]


def _bad_banks(*, seed: int) -> list[MemoryBank]:
    (bank,) = (_named(bank, "plant-x") for bank in honest_banks(1, seed=seed))
    return [
        replace(bank, features=100 * bank.features),
        replace(bank, features=-bank.features),
        replace(bank, features=bank.features[:3].repeat(10, 1)),
    ]


def _federations(honest: int) -> list[list[MemoryBank]]:
    """Honest sites alone, and with each kind of bad one; in the order of names."""
    return [honest_banks(honest + 1), *([*honest_banks(honest), bad] for bad in _bad_banks(seed=90))]


def _named(bank: MemoryBank, site: str) -> MemoryBank:
    contributions = tuple(replace(item, site=site) for item in bank.contributions)
    return replace(bank, sites=(site,), contributions=contributions)


def _check_answer(plugin: Plugin, banks: Sequence[MemoryBank]) -> None:
    try:
        screen_banks(banks, (("it", plugin()),))
    except FederationError:  # all was refused, which may be right
        return
    except PluginError as error:
        raise AssertionError(str(error)) from error


def _told(refusals: Sequence[Refusal]) -> list[tuple[str, list[bool], str]]:
    return sorted((refusal.site, refusal.rows.tolist(), refusal.reason) for refusal in refusals)


def _masks(refusals: Sequence[Refusal]) -> dict[str, list[bool]]:
    return {refusal.site: refusal.rows.tolist() for refusal in refusals}


def _refused(plugin: Plugin, banks: Sequence[MemoryBank], honest: Sequence[MemoryBank]) -> int:
    """How many rows of the honest sites are refused in a federation."""
    names = {bank.sites[0] for bank in honest}
    ordered = sorted(banks, key=lambda bank: bank.sites)
    return sum(int(each.rows.sum()) for each in plugin().screen(ordered) if each.site in names)
