"""What every strategy promises, see :class:`anomalib_federated.interfaces.strategy.BankStrategy`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from itertools import permutations

import torch

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.row_groups import group_of_rows, with_groups
from anomalib_federated.interfaces.strategy import BankStrategy, FederationError
from anomalib_federated.testing.banks import example_bank
from anomalib_federated.testing.construction import can_be_made_without_arguments
from anomalib_federated.testing.randomness import under_two_random_states
from anomalib_federated.testing.screening import RefusesHalf

Plugin = type[BankStrategy]


def the_order_of_banks_does_not_matter(plugin: Plugin) -> None:
    """Any order of arrival gives the same bank, byte by byte."""
    orders = list(permutations(_banks()))
    first = plugin().merge(orders[0]).to_bytes()
    for order in orders[1:]:
        assert plugin().merge(order).to_bytes() == first, (
            "the same banks in another order must give the same bank, row order included"
        )


def the_same_object_can_merge_again(plugin: Plugin) -> None:
    """No state is carried from one merge to the next."""
    strategy = plugin()
    first = strategy.merge(_banks()).to_bytes()
    strategy.merge([example_bank(site="plant-z", seed=99)])
    assert strategy.merge(_banks()).to_bytes() == first, "merging the same banks a second time must give the same bank"


def every_category_is_in_the_result(plugin: Plugin) -> None:
    """No category is lost, and none is made up."""
    sent = {category for bank in _banks() for category in bank.categories}
    found = set(plugin().merge(_banks()).categories)
    assert found == sent, f"the result must hold the categories {sorted(sent)}, got {sorted(found)}"


def the_feature_space_is_kept(plugin: Plugin) -> None:
    """The result lives where the banks live."""
    banks = _banks()
    differing = banks[0].space.differences(plugin().merge(banks).space)
    assert not differing, f"the result must be of the feature space of the banks, but {differing}"


def rows_are_rows_that_a_site_sent(plugin: Plugin) -> None:
    """Every row came in, at most once each, and is still of its site, category and group; in both precisions."""
    for dtype in (torch.float32, torch.float16):
        banks = [bank.to(dtype) for bank in _banks()]
        sent = {row for bank in banks for row in _rows(bank)}
        merged = _rows(plugin().merge(banks))
        for features, site, category, group in merged:
            assert (features, site, category, group) in sent, (
                f"a row said to be of site '{site}', category '{category}', group '{group}' is none that this site sent"
            )
        assert len(set(merged)) == len(merged), "no row may be in the result twice"


def one_bank_gives_rows_of_that_bank(plugin: Plugin) -> None:
    """A federation of one site."""
    bank = _banks()[1]
    merged = plugin().merge([bank])
    assert merged.sites == bank.sites, f"one bank of {bank.sites} must give a bank of it, got {merged.sites}"
    assert set(_rows(merged)) <= set(_rows(bank)), "the rows of the result must be rows of the only bank"


def equal_rows_of_two_sites_are_no_trouble(plugin: Plugin) -> None:
    """Two sites that see the same."""
    banks = [example_bank(site=site, seed=1) for site in ("plant-a", "plant-b")]
    merged = plugin().merge(banks)
    assert set(_rows(merged)) <= {row for bank in banks for row in _rows(bank)}, (
        "the rows of the result must be rows that a site sent"
    )


def no_patch_is_forgotten(plugin: Plugin) -> None:
    """Rows that are kept also stand for those dropped: no category's total weight changes."""
    banks = _banks()
    merged = plugin().merge(banks)
    for category in merged.categories:
        sent = sum(float(bank.for_category(category).weights.sum()) for bank in banks if category in bank.categories)
        found = float(merged.for_category(category).weights.sum())
        assert math.isclose(found, sent, rel_tol=1e-4), (
            f"the weights of '{category}' must sum to the {sent:.0f} patches that the sites' rows stand for, "
            f"got {found:.6g}"
        )


def rows_beside_which_none_is_dropped_keep_their_weights(plugin: Plugin) -> None:
    """One site, all of whose rows are kept: each stands for what it stood for."""
    bank = _banks()[1]
    merged = plugin().merge([bank])
    if len(merged) == len(bank):
        expected = dict(zip(_rows(bank), bank.weights.tolist(), strict=True))
        found = dict(zip(_rows(merged), merged.weights.tolist(), strict=True))
        assert found == expected, "where all rows of the only bank are kept, each must keep its weight"


def every_site_is_accounted_for(plugin: Plugin) -> None:
    """What each site saw of each category is on record, also where none of its rows is kept."""
    banks = _banks()
    sent = {(item.site, item.category): (item.images, item.patches) for bank in banks for item in bank.contributions}
    merged = plugin().merge(banks)
    found = {(item.site, item.category): (item.images, item.patches) for item in merged.contributions}
    assert found == sent, f"the contributions must be those of the sites, {sorted(sent)}, got {sorted(found)}"


def declared_minimum_shares_are_kept(plugin: Plugin) -> None:
    """Every site keeps ``minimum_share`` of an equal part of a category's rows, or all that it sent."""
    strategy, banks = plugin(), _banks()
    merged = strategy.merge(banks)
    for category in merged.categories:
        rows = Counter(site for _, site, of, _ in _rows(merged) if of == category)
        sent = {bank.sites[0]: len(bank.for_category(category)) for bank in banks if category in bank.categories}
        part = rows.total() // len(sent)
        for site, most in sent.items():
            least = min(most, math.floor(strategy.minimum_share * part))
            assert rows[site] >= least, (
                f"of {rows.total()} rows of '{category}', site '{site}' must keep {least}, since the strategy's "
                f"minimum_share is {strategy.minimum_share}; it keeps {rows[site]}"
            )


def the_banks_stay_unchanged(plugin: Plugin) -> None:
    """The input is not written to."""
    banks = _banks()
    before = [bank.to_bytes() for bank in banks]
    plugin().merge(banks)
    assert [bank.to_bytes() for bank in banks] == before, "merge must not change the banks that it is given"


def no_bank_at_all_is_refused(plugin: Plugin) -> None:
    """An empty federation: ``BankError``."""
    _check_refused(plugin, [], "an empty list of banks")


def a_site_that_comes_twice_is_refused(plugin: Plugin) -> None:
    """Two banks of one site: ``BankError``."""
    banks = [example_bank(site="plant-a", seed=1), example_bank(site="plant-a", seed=2)]
    _check_refused(plugin, banks, "two banks of one site")


def differing_feature_spaces_are_refused(plugin: Plugin) -> None:
    """Features that cannot be compared: ``BankError``."""
    bank = example_bank(site="plant-a")
    other = example_bank(site="plant-b", seed=1)
    other = replace(other, space=replace(other.space, weights="1" * 64))
    _check_refused(plugin, [bank, other], "banks of different feature spaces")


def the_global_random_state_plays_no_part(plugin: Plugin) -> None:
    """Chance comes from the strategy's seed alone, and nobody else's chance is disturbed."""
    first, second = under_two_random_states(lambda: plugin().merge(_banks()).to_bytes())
    assert first == second, "another global random state must give the same bank"


def what_screenings_refuse_leaves_no_trace(plugin: Plugin) -> None:
    """Rows that a screening refuses might as well never have been sent; what was refused is told."""
    if not plugin.keeps_site_banks:
        return
    strategy, banks = plugin(), _banks()
    strategy.screening = (("half", RefusesHalf()),)
    found = strategy.merge(banks)
    # Nuts of plant-b and plant-c, and screws of plant-b, are refused by half; those of plant-a altogether.
    left = [_without_half(bank) for bank in banks[1:]]
    expected = plugin().merge(left)
    assert found.to_bytes() == expected.to_bytes(), (
        "with a screening, merge must give the bank that it gives without one of the rows that are left; it must call "
        "BankStrategy.merge, which asks the screenings"
    )
    told = [(each.site, each.category, each.rows) for each in strategy.refused]
    assert told == [("plant-b", "nut", 2), ("plant-c", "nut", 3), ("plant-a", "screw", 12), ("plant-b", "screw", 4)], (
        f"the attribute refused must tell of each site and category how many rows were refused, got {told}"
    )
    strategy.screening = ()
    assert strategy.merge(banks).to_bytes() == plugin().merge(banks).to_bytes(), "screenings must be settable anew"
    assert strategy.refused == (), "the attribute refused must tell of the last merge alone"


def a_screening_that_cannot_run_is_refused(plugin: Plugin) -> None:
    """A strategy that merges no whole banks of sites takes no screening: ``FederationError`` when it is set."""
    if plugin.merges_banks and plugin.keeps_site_banks:
        return
    try:
        plugin().screening = (("half", RefusesHalf()),)
    except FederationError:
        return
    msg = (
        "a strategy whose merges_banks or keeps_site_banks is false must refuse a screening when it is set; leave the "
        "attribute screening to BankStrategy"
    )
    raise AssertionError(msg)


def banks_are_refused_if_they_are_not_merged(plugin: Plugin) -> None:
    """A strategy of which ``merges_banks`` is false says so: ``FederationError``."""
    if not plugin.merges_banks:
        try:
            plugin().merge(_banks())
        except FederationError:
            return
        msg = "a strategy that merges no banks must refuse them with a FederationError"
        raise AssertionError(msg)


def _of_banks(check: Callable[[Plugin], None]) -> Callable[[Plugin], None]:
    """The check, for strategies that merge banks."""

    @wraps(check)
    def checked(plugin: Plugin) -> None:
        if plugin.merges_banks:
            check(plugin)

    return checked


CHECKS = (
    can_be_made_without_arguments,
    banks_are_refused_if_they_are_not_merged,
    a_screening_that_cannot_run_is_refused,
    *map(
        _of_banks,
        (
            the_banks_stay_unchanged,  # first, since a plugin that changes its input fails others for no clear reason
            the_order_of_banks_does_not_matter,
            the_same_object_can_merge_again,
            every_category_is_in_the_result,
            the_feature_space_is_kept,
            rows_are_rows_that_a_site_sent,
            one_bank_gives_rows_of_that_bank,
            equal_rows_of_two_sites_are_no_trouble,
            no_patch_is_forgotten,
            rows_beside_which_none_is_dropped_keep_their_weights,
            every_site_is_accounted_for,
            declared_minimum_shares_are_kept,
            no_bank_at_all_is_refused,
            a_site_that_comes_twice_is_refused,
            differing_feature_spaces_are_refused,
            the_global_random_state_plays_no_part,
            what_screenings_refuse_leaves_no_trace,
        ),
    ),
)


def _without_half(bank: MemoryBank) -> MemoryBank:
    """The first, third ... row of each category."""
    parts = [bank.for_category(category) for category in bank.categories]
    return MemoryBank.merge(part.select(torch.arange(0, len(part), 2)) for part in parts)


def _banks() -> list[MemoryBank]:
    """Three sites, of which none holds what another holds: screws only, screws and nuts, nuts only; some in groups."""
    both = [
        with_groups(example_bank(rows=9, site="plant-b", seed=2, offset=1.0), ["dark"] * 4 + ["light"] * 5),
        example_bank(rows=4, site="plant-b", category="nut", seed=3),
    ]
    return [
        with_groups(example_bank(rows=12, site="plant-a", seed=1), ["light", "dark", "dim"] * 4),
        MemoryBank.merge(both),
        example_bank(rows=7, site="plant-c", category="nut", seed=4, offset=-2.0),
    ]


def _rows(bank: MemoryBank) -> list[tuple[bytes, str, str, str]]:
    """Per row its features, site, category and group."""
    return [
        (row.float().numpy().tobytes(), bank.sites[site], bank.categories[category], group)
        for row, site, category, group in zip(
            bank.features, bank.row_site.tolist(), bank.row_category.tolist(), group_of_rows(bank), strict=True
        )
    ]


def _check_refused(plugin: Plugin, banks: Sequence[MemoryBank], what: str) -> None:
    try:
        plugin().merge(banks)
    except BankError:
        return
    msg = f"{what} must be refused with a BankError"
    raise AssertionError(msg)
