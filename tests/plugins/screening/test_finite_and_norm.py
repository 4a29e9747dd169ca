"""Norms out of range and repeated rows, against plain loops."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.testing import example_bank
from anomalib_federated.testing.screening import honest_banks
from anomalib_federated_plugins.screening.finite_and_norm import FiniteAndNorm
from anomalib_federated_plugins.screening.repeated_rows import BLOCK, repeated_rows


def with_rows(bank, features):
    return replace(bank, features=features.to(bank.features.dtype))


def refused(banks, **settings_):
    return {each.site: each.rows.tolist() for each in FiniteAndNorm(**settings_).screen(banks)}


def with_norms(site, *norms):
    """Rows of these norms, in directions that all differ."""
    features = torch.eye(8)[: len(norms)] * torch.tensor(norms)[:, None]
    return with_rows(example_bank(site=site, rows=len(norms)), features)


def test_limits_of_ones_own_are_kept_to_exactly():
    bank = with_norms("a", 0.5, 1.0, 2.0, 2.5)
    assert refused([bank], norm_min=1.0, norm_max=2.0) == {"a": [True, False, False, True]}
    assert refused([bank], norm_max=2.0) == {"a": [False, False, False, True]}
    assert refused([bank], norm_min=1.0) == {"a": [True, False, False, False]}
    # With one limit of one's own, the other sites set none.
    others = [with_norms(site, 900.0, 901.0) for site in "bc"]
    assert refused([bank, *others], norm_min=1.0) == {"a": [True, False, False, False]}


def test_the_range_is_set_by_the_other_sites():
    banks = [with_norms("a", 1.0, 4.0), with_norms("b", 2.0, 3.0), with_norms("c", 3.0, 8.0), with_norms("d", 5.0, 6.0)]
    # Of a's others, smallest norms are 2, 3, 5 and largest 3, 6, 8: from 3 / 2 to 6 * 2. Nobody else is out of range.
    assert refused(banks, times=2.0) == {"a": [True, False]}
    assert refused(banks, times=3.0) == {}
    # Of c's others they are 1, 2, 5 and 3, 4, 6: from 2 to 4.
    assert refused(banks, times=1.0)["c"] == [False, True]


def test_of_an_even_number_the_middle_one_that_allows_more_counts():
    banks = [with_norms("a", 1.0, 2.0), with_norms("b", 1.0, 2.0), with_norms("x", 100.0, 200.0)]
    assert refused(banks) == {"x": [True, True]}  # of three sites, one bad: the other two agree on it, and stay


def test_of_two_sites_nobody_knows_which_is_bad():
    assert refused([with_norms("a", 1.0, 2.0), with_norms("x", 100.0, 200.0)]) == {}


@pytest.mark.parametrize("bad", [1, 2])
def test_a_minority_is_refused_and_no_honest_row(bad):
    *banks, _ = honest_banks(7 - bad)
    banks += [with_rows(bank, 100 * bank.features) for bank in honest_banks(9)[-bad:]]
    assert list(refused(banks)) == [bank.sites[0] for bank in banks[-bad:]]


def test_many_rows_are_no_weight():
    banks = [*honest_banks(4), with_rows(example_bank(site="z", rows=900), 300 * torch.randn(900, 8).abs() + 300)]
    assert list(refused(banks)) == ["z"]


def test_the_reason_tells_the_figures():
    (told,) = FiniteAndNorm(norm_max=2.0).screen([with_norms("a", 1.0, 3.0, 4.0)])
    assert told.reason == "norms of 2 rows, 3 to 4, are outside 0 to 2"
    bank = with_norms("a", 1.0, 3.0, 4.0)
    (told,) = FiniteAndNorm(norm_max=3.5).screen([with_rows(bank, bank.features[[1, 1, 2]])])
    assert told.reason == "norms of 1 rows, 4 to 4, are outside 0 to 3.5; 1 rows repeat an earlier row of the site"


def test_norms_of_huge_rows_do_not_overflow():
    huge = with_rows(example_bank(site="a", rows=2), torch.tensor([1e14, 9e14])[:, None].expand(2, 8).clone())
    assert refused([huge], norm_max=1e15) == {"a": [False, True]}
    (told,) = FiniteAndNorm(norm_max=1e15).screen([huge])
    assert f"{9e14 * 8**0.5:.4g}" in told.reason


def brute_repeats(features, within):
    """Row after row, against all that repeat none so far."""
    first, repeats = [], []
    for number, row in enumerate(features.double()):
        repeats.append(any(math.dist(row, features[other].double()) <= within[number] for other in first))
        if not repeats[-1]:
            first.append(number)
    return repeats


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30),
    within=st.floats(0, 3),
)
def test_repeated_rows_are_those_of_a_plain_loop(points, within):
    features = torch.tensor(points, dtype=torch.float32)
    limits = torch.full((len(points),), within, dtype=torch.float64)
    assert repeated_rows(features, limits).tolist() == brute_repeats(features, limits)


def test_repeated_rows_are_found_beyond_a_block():
    features = torch.randn(BLOCK + 40, 3, generator=torch.Generator().manual_seed(0))
    features[-3:] = features[[2, 5, BLOCK + 1]]
    found = repeated_rows(features, torch.zeros(len(features), dtype=torch.float64))
    assert found.nonzero().flatten().tolist() == list(range(len(features) - 3, len(features)))
    near = features + 1e-5
    both = repeated_rows(
        torch.cat([features[:-3], near]), torch.full((2 * len(features) - 3,), 1e-3, dtype=torch.float64)
    )
    assert both.tolist() == [False] * (len(features) - 3) + [True] * len(features)


def test_a_little_noise_does_not_hide_a_repetition_and_honest_rows_are_none():
    bank = honest_banks(1)[0]
    noisy = bank.features * (1 + 1e-4 * torch.randn(bank.features.shape, generator=torch.Generator().manual_seed(1)))
    doubled = with_rows(example_bank(site="a", rows=2 * len(bank)), torch.cat([bank.features, noisy]))
    assert refused([doubled]) == {"a": [False] * len(bank) + [True] * len(bank)}
    assert refused([doubled], repeat_within=0.0) == {}
    assert refused([with_rows(doubled, doubled.features.half()).to(torch.float16)], repeat_within=1e-2) == {
        "a": [False] * len(bank) + [True] * len(bank)
    }


def test_rows_of_two_sites_may_be_equal():
    one, two = (example_bank(site=site, seed=1) for site in "ab")
    assert refused([one, two]) == {}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"norm_min": -1}, "norm_min is -1; give a number from 0"),
        ({"norm_min": 3.0, "norm_max": 2.0}, "norm_max is 2.0; give a number from 3"),
        ({"norm_max": math.nan}, "norm_max is nan"),
        ({"times": 0.9}, "times is 0.9; give a number from 1"),
        ({"times": "2"}, "times is '2'"),
        ({"repeat_within": 1.5}, "repeat_within is 1.5; give a number from 0 to 1"),
        ({"repeat_within": True}, "repeat_within is True"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_impossible_arguments_are_refused(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        FiniteAndNorm(**arguments)
