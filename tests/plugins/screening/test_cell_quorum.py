"""Which rows have a quorum, against a reference that goes row by row, and what follows from the rule."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.screening.cell_quorum import CellQuorum


def sites(*rows, seed=0, spread=0.0):
    """Banks of as many rows each, of normal distributions that may lie apart."""
    return [
        example_bank(site=f"site-{number}", rows=count, dim=4, seed=100 * seed + number, offset=spread * number)
        for number, count in enumerate(rows)
    ]


def refused(screening, banks):
    """Per site, a list of whether each row is refused."""
    masks = {bank.sites[0]: [False] * len(bank) for bank in banks}
    return masks | {each.site: each.rows.tolist() for each in screening.screen(banks)}


def with_rows(bank, features):
    """The bank with other rows, as many as it had."""
    return replace(bank, features=features)


def row_by_row(banks, *, quorum, typical):
    """The rule as its documentation says it, with numpy and without a thought to time."""
    rows = [bank.features.double().numpy() for bank in banks]
    nearest = {(a, b): cdist(rows[a], rows[b]).min(1) for a, b in permutations(range(len(rows)), 2)}
    far = {pair: np.sort(found)[int(np.ceil(typical * len(found))) - 1] for pair, found in nearest.items()}
    masks = {}
    for i, bank in enumerate(banks):
        votes = np.zeros(len(rows[i]))
        for k in set(range(len(rows))) - {i}:
            third = sorted((far[j, k] for j in range(len(rows)) if j not in {i, k}), reverse=True)
            votes += nearest[i, k] <= third[quorum - 2]
        masks[bank.sites[0]] = (votes < quorum - 1).tolist()
    return masks


@settings(max_examples=40)
@given(
    rows=st.lists(st.integers(1, 12), min_size=5, max_size=6),
    quorum=st.integers(2, 4),
    typical=st.sampled_from([0.25, 0.5, 0.75, 1.0]),
    spread=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 99),
)
def test_it_is_the_rule_that_its_documentation_says(rows, quorum, typical, spread, seed):
    banks = sites(*rows, seed=seed, spread=spread)
    found = refused(CellQuorum(quorum=quorum, typical=typical), banks)
    assert found == row_by_row(banks, quorum=quorum, typical=typical)


@settings(max_examples=30)
@given(seed=st.integers(0, 999), far=st.floats(-20, 20), quorum=st.integers(2, 3))
def test_one_more_site_whatever_it_sends_gets_no_row_of_another_refused(seed, far, quorum):
    banks = sites(9, 14, 6, 11, seed=seed, spread=0.7)
    more = example_bank(site="z", rows=8, dim=4, seed=seed + 7, offset=far)
    screening = CellQuorum(quorum=quorum)
    before, after = refused(screening, banks), refused(screening, [*banks, more])
    for site, rows in before.items():
        assert not any(now and not was for was, now in zip(rows, after[site], strict=True))


@settings(max_examples=30)
@given(seed=st.integers(0, 999), scale=st.sampled_from([0.0, 0.01, 3.0, 1e4]))
def test_a_site_does_not_move_the_measure_of_its_own_rows(seed, scale):
    """Whatever else it sends, a row of it is judged the same."""
    banks = sites(10, 10, 10, 10, seed=seed, spread=0.7)
    features = banks[0].features.clone()
    features[1:] = features[1:] * scale + scale
    other = [with_rows(banks[0], features), *banks[1:]]
    assert refused(CellQuorum(), banks)["site-0"][0] == refused(CellQuorum(), other)["site-0"][0]


@settings(max_examples=20)
@given(order=st.permutations(range(5)), seed=st.integers(0, 99))
def test_neither_order_nor_names_of_sites_matter(order, seed):
    banks = sites(8, 9, 3, 12, 5, seed=seed, spread=0.8)
    assert refused(CellQuorum(), [banks[number] for number in order]) == refused(CellQuorum(), banks)


def poisoned(count, *, colluding):
    """``count`` sites of which some send the same far rows in the place of their last ones."""
    banks = sites(*[20] * count)
    for number in range(colluding):
        features = torch.cat([banks[number].features[:15], torch.full((5, 4), 30.0)])
        banks[number] = with_rows(banks[number], features)
    return banks


@pytest.mark.parametrize(
    ("quorum", "colluding", "seen"), [(2, 1, True), (2, 2, False), (3, 2, True), (3, 3, False)], ids=str
)
def test_a_quorum_withstands_one_bad_site_fewer_than_itself(quorum, colluding, seen):
    banks = poisoned(7, colluding=colluding)
    found = refused(CellQuorum(quorum=quorum, typical=1.0), banks)
    bad = [found[f"site-{number}"][15:] for number in range(colluding)]
    assert bad == [[seen] * 5] * colluding
    assert not any(any(found[bank.sites[0]]) for bank in banks[colluding:])


@pytest.mark.parametrize(("quorum", "count"), [(2, 1), (2, 2), (3, 3), (5, 4)], ids=str)
def test_too_few_sites_have_all_refused_and_are_told_why(quorum, count):
    banks = sites(*[4] * count)
    refusals = CellQuorum(quorum=quorum).screen(banks)
    assert [each.site for each in refusals] == [bank.sites[0] for bank in banks]
    assert all(bool(each.rows.all()) for each in refusals)
    assert (
        f"a quorum of {quorum} needs rows of {quorum + 1} sites at least, and there are {count}" == refusals[0].reason
    )


def test_the_reason_gives_the_figures():
    (refusal,) = CellQuorum(typical=1.0).screen(poisoned(4, colluding=1))
    assert refusal.reason.startswith("5 rows lie in cells of 0 or fewer other sites, 1 are needed: the middle one is ")


def test_float16_and_equal_rows_are_judged_alike():
    banks = [bank.to(torch.float16) for bank in poisoned(5, colluding=1)]
    assert sum(refused(CellQuorum(typical=1.0), banks)["site-0"]) == 5
    same = [with_rows(bank, torch.ones(20, 4)) for bank in sites(20, 20, 20)]
    assert not CellQuorum().screen(same)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"quorum": 1}, "quorum is 1; give a whole number of sites of at least 2"),
        ({"quorum": 2.0}, "quorum is 2.0"),
        ({"quorum": True}, "quorum is True"),
        ({"typical": 0}, "typical is 0; give a number from 0.01 to 1"),
        ({"typical": 1.5}, "typical is 1.5"),
        ({"typical": float("nan")}, "typical is nan"),
    ],
    ids=str,
)
def test_impossible_arguments_are_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        CellQuorum(**arguments)


def test_sites_that_send_the_same_rows_lose_none():
    """Of equal rows the distance is 0, not what rounding makes of large features."""
    features = 10 + torch.randn(200, 32, generator=torch.Generator().manual_seed(0))
    banks = [with_rows(example_bank(site=site, rows=200, dim=32), features) for site in "abc"]
    assert CellQuorum().screen(banks) == []
