"""Whether the screening of whole sites fires when it should: with few sites, and with several attackers of one kind."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from anomalib_federated.testing import example_bank
from anomalib_federated.testing.screening import honest_banks
from anomalib_federated_plugins.screening.site_zscore import SiteZScore

ATTACKS = {
    "scaling": lambda rows, generator: 100 * rows,
    "noise": lambda rows, generator: rows + 10 * torch.randn(rows.shape, generator=generator),
    "sign_flip": lambda rows, generator: -rows,
    "shrinking": lambda rows, generator: rows / 100,
}


def attacked(bank, attack, *, seed=0):
    return replace(bank, features=ATTACKS[attack](bank.features, torch.Generator().manual_seed(seed)))


def refused(banks, **settings_):
    return [each.site for each in SiteZScore(**settings_).screen(banks)]


def plain_z_scores(banks):
    """Of mean norms, with the sample standard deviation of all sites."""
    norms = np.array([float(bank.features.norm(dim=1).mean()) for bank in banks])
    return np.abs(norms - norms.mean()) / norms.std(ddof=1)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("count", [3, 4, 5, 6, 9])
def test_one_attacker_is_refused_and_nobody_else(attack, count):
    banks = honest_banks(count)
    for position in (0, count - 1):
        changed = [attacked(bank, attack) if number == position else bank for number, bank in enumerate(banks)]
        assert refused(changed) == [banks[position].sites[0]]


def test_a_plain_z_score_could_not_fire_with_five_sites():
    banks = honest_banks(5)
    banks[2] = attacked(banks[2], "scaling")
    assert plain_z_scores(banks).max() <= 4 / np.sqrt(5) + 1e-12 < 2
    assert refused(banks) == ["plant-3"]


@pytest.mark.parametrize("attack", ["scaling", "noise", "sign_flip"])
@pytest.mark.parametrize(
    ("count", "bad", "caught"),
    [(5, 2, True), (6, 2, True), (9, 4, True), (4, 2, False), (6, 3, False), (8, 4, False)],
)
def test_of_identical_attackers_a_minority_is_refused_and_a_half_is_not(attack, count, bad, caught):
    """Of two halves that are equally far from the middle nobody can tell which is which, so nobody is refused."""
    honest = honest_banks(count)[: count - bad]
    one = attacked(honest_banks(9)[-1], attack)
    names = [f"z-{number}" for number in range(bad)]
    copies = [
        replace(one, sites=(name,), contributions=tuple(replace(item, site=name) for item in one.contributions))
        for name in names
    ]
    assert refused([*honest, *copies]) == (names if caught else [])


def test_a_majority_of_attackers_has_the_honest_refused():
    """Nothing that compares sites with each other can prevent that."""
    honest, bad = honest_banks(5)[:2], [attacked(bank, "scaling") for bank in honest_banks(5)[2:]]
    assert refused([*honest, *bad]) == ["plant-1", "plant-2"]


@pytest.mark.parametrize("count", range(1, 10))
@pytest.mark.parametrize("rows", [1, 2, 5, 30, 200])
def test_honest_sites_are_not_refused(count, rows):
    for seed in range(3):
        assert refused(honest_banks(count, rows=rows, seed=20 * seed)) == []


def test_honest_sites_of_very_different_size_are_not_refused():
    sizes = {"a": 400, "b": 400, "c": 3, "d": 400, "e": 1}
    banks = [example_bank(site=s, rows=n, seed=i, offset=3.0) for i, (s, n) in enumerate(sizes.items())]
    assert refused(banks) == []


def test_sites_that_differ_a_little_are_not_refused_for_being_nearly_alike():
    """Five copies and one that is a fifth brighter: a median absolute deviation of zero makes no outlier of it."""
    bank = honest_banks(1)[0]
    copies = [
        replace(bank, sites=(s,), contributions=tuple(replace(i, site=s) for i in bank.contributions)) for s in "abcde"
    ]
    copies.append(replace(honest_banks(2)[1], features=1.2 * honest_banks(2)[1].features))
    assert refused(copies) == []
    assert refused(copies, floor=0.0) == ["plant-2"]


def test_sites_that_differ_among_each_other_widen_the_range():
    scales = [0.5, 0.7, 1.0, 1.4, 2.0, 2.8]
    banks = [replace(bank, features=scale * bank.features) for bank, scale in zip(honest_banks(6), scales, strict=True)]
    assert refused(banks) == []
    alike = [replace(bank, features=scale * bank.features)
             for bank, scale in zip(honest_banks(6), [1, 1, 1, 1, 1, 2.8], strict=True)]  # fmt: skip
    assert refused(alike) == ["plant-6"]


def test_the_score_of_a_mean_norm_is_that_of_scipy():
    banks = [replace(b, features=s * b.features) for b, s in zip(honest_banks(5), [1, 1.1, 1.3, 1.5, 9], strict=True)]
    (told,) = SiteZScore().screen(banks)
    logs = np.log([float(bank.features.double().norm(dim=1).mean()) for bank in banks])
    score = abs(logs[-1] - np.median(logs)) / median_abs_deviation(logs, scale="normal")
    assert (
        f"mean norm {np.exp(logs[-1]):.3g}, {np.exp(np.median(logs)):.3g} in the middle: {score:.2f}"[:-1]
        in told.reason
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), attack=st.sampled_from(sorted(ATTACKS)), data=st.data())
def test_order_and_one_more_honest_site_change_nothing(seed, attack, data):
    *banks, more = honest_banks(6, seed=seed)
    banks[1] = attacked(banks[1], attack, seed=seed)
    assert refused(banks) == ["plant-2"]
    assert refused([*banks, more]) == ["plant-2"]
    assert refused(data.draw(st.permutations(banks))) == ["plant-2"]


def test_rows_of_zeros_are_no_trouble():
    nought = replace(honest_banks(1)[0], features=torch.zeros(30, 8))
    assert refused([nought]) == []
    assert refused([nought, *honest_banks(4)[1:]]) == ["plant-1"]


@pytest.mark.parametrize("arguments", [{"threshold": -1}, {"floor": float("inf")}, {"threshold": "3"}], ids=str)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r"The screening's (threshold|floor) is .*; give a number from 0"):
        SiteZScore(**arguments)


def test_a_site_amid_the_others_is_not_refused_for_being_near_to_them_all():
    """Four lines each turned another way, and one that is like the middle of them: nothing speaks against it."""
    banks = [example_bank(site=site, rows=200, seed=seed) for seed, site in enumerate("abcde")]
    towards = [(1, 4.0), (1, -4.0), (2, 4.0), (2, -4.0), (0, 0.0)]
    for number, (axis, by) in enumerate(towards):
        moved = 0.3 * banks[number].features
        moved[:, 0] += 5.0
        moved[:, axis] += by
        banks[number] = replace(banks[number], features=moved)
    assert refused(banks) == []
