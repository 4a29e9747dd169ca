"""Local outlier factors across sites, against scikit-learn's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor

from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.screening import local_outlier_factor
from anomalib_federated_plugins.screening.local_outlier import LocalOutlier
from anomalib_federated_plugins.screening.local_outlier_factor import SiteNeighbours


def sites(*rows, seed=0, spread=0.5):
    return [
        example_bank(site=f"site-{number}", rows=count, dim=5, seed=100 * seed + number, offset=spread * number)
        for number, count in enumerate(rows)
    ]


def refused(screening, banks):
    masks = {bank.sites[0]: [False] * len(bank) for bank in banks}
    return masks | {each.site: each.rows.tolist() for each in screening.screen(banks)}


def reference_factors(banks, judged, among, *, neighbors):
    rows = np.concatenate([banks[site].features.double().numpy() for site in among])
    found = LocalOutlierFactor(n_neighbors=min(neighbors, len(rows) - 1), novelty=True, algorithm="brute").fit(rows)
    return -found.score_samples(banks[judged].features.double().numpy())


@settings(max_examples=25)
@given(
    rows=st.lists(st.integers(2, 15), min_size=3, max_size=5),
    neighbors=st.integers(1, 12),
    seed=st.integers(0, 999),
)
def test_factors_are_those_of_scikit_learn(rows, neighbors, seed):
    banks = sites(*rows, seed=seed)
    neighbours = SiteNeighbours(banks, count=neighbors)
    for among in (range(1, len(banks)), [1], [len(banks) - 1, 1] if len(banks) > 2 else [1]):
        expected = reference_factors(banks, 0, list(among), neighbors=neighbors)
        assert neighbours.factors(0, among=list(among)).numpy() == pytest.approx(expected, rel=2e-3)


def test_factors_do_not_depend_on_how_many_rows_are_searched_at_a_time(monkeypatch):
    banks = sites(30, 40, 50)
    whole = SiteNeighbours(banks, count=4).factors(0, among=[1, 2])
    monkeypatch.setattr(local_outlier_factor, "CHUNK_ELEMENTS", 100)
    assert torch.allclose(SiteNeighbours(banks, count=4).factors(0, among=[1, 2]), whole, rtol=1e-5)


@settings(max_examples=15)
@given(rows=st.lists(st.integers(6, 15), min_size=3, max_size=5), seed=st.integers(0, 99))
def test_the_limit_comes_from_third_sites(rows, seed):
    banks, typical = sites(*rows, seed=seed), 0.8
    found = refused(LocalOutlier(neighbors=3, typical=typical), banks)
    everybody = set(range(len(banks)))
    for judged, bank in enumerate(banks):
        limit = 0.0
        for third in everybody - {judged}:
            usual = np.sort(reference_factors(banks, third, sorted(everybody - {judged, third}), neighbors=3))
            limit = max(limit, usual[int(np.ceil(typical * len(usual) - 1e-6)) - 1])
        factors = reference_factors(banks, judged, sorted(everybody - {judged}), neighbors=3)
        clear = np.abs(factors / limit - 1) > 5e-3  # float32 decides ties as it likes
        assert (np.array(found[bank.sites[0]])[clear] == (factors > limit)[clear]).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 999), scale=st.sampled_from([0.0, 0.01, 3.0, 1e4]))
def test_a_site_does_not_move_the_measure_of_its_own_rows(seed, scale):
    banks = sites(10, 10, 10, 10, seed=seed)
    features = banks[0].features.clone()
    features[1:] = features[1:] * scale + scale
    other = [replace(banks[0], features=features), *banks[1:]]
    assert refused(LocalOutlier(), banks)["site-0"][0] == refused(LocalOutlier(), other)["site-0"][0]


@settings(max_examples=10)
@given(order=st.permutations(range(4)), seed=st.integers(0, 99))
def test_neither_order_nor_names_of_sites_matter(order, seed):
    banks = sites(8, 9, 7, 12, seed=seed)
    assert refused(LocalOutlier(), [banks[number] for number in order]) == refused(LocalOutlier(), banks)


def test_foreign_rows_are_seen_and_honest_ones_are_not():
    banks = sites(40, 40, 40, 40, spread=0.0)
    banks[2] = replace(banks[2], features=torch.cat([banks[2].features[:30], 9 + banks[2].features[30:]]))
    found = refused(LocalOutlier(typical=1.0), banks)
    assert found["site-2"] == [False] * 30 + [True] * 10
    assert not any(any(found[f"site-{number}"]) for number in (0, 1, 3))
    (refusal,) = LocalOutlier(typical=1.0).screen(banks)
    assert refusal.reason.startswith("10 rows have a local outlier factor among those of other sites above ")


def test_a_second_bad_site_opens_the_door_as_the_documentation_says():
    """What is told of two bad sites holds: wild rows of the one, which are refused, lift the limit of the other."""
    banks = sites(40, 40, 40, 40, 40, spread=0.0)
    banks[4] = replace(banks[4], features=torch.cat([banks[4].features[:30], 9 + banks[4].features[30:]]))
    assert refused(LocalOutlier(), banks)["site-4"][30:] == [True] * 10
    banks[3] = replace(banks[3], features=torch.cat([banks[3].features[:36], banks[3].features[36:] / 9 - 99]))
    found = refused(LocalOutlier(), banks)
    assert found["site-3"][36:] == [True] * 4
    assert not any(found["site-4"][30:])


def test_equal_rows_are_no_outliers():
    banks = [replace(bank, features=torch.ones(6, 5)) for bank in sites(6, 6, 6)]
    assert not LocalOutlier().screen(banks)


@pytest.mark.parametrize("rows", [(9,), (9, 9), (1, 5, 5), (1, 1, 1)], ids=str)
def test_too_few_sites_or_rows_have_all_refused_and_are_told_why(rows):
    banks = sites(*rows)
    refusals = LocalOutlier().screen(banks)
    assert all(bool(each.rows.all()) for each in refusals)
    assert [each.site for each in refusals] == [bank.sites[0] for bank in banks]
    assert f"there are {len(rows)} sites with {sum(rows)} rows" in refusals[0].reason


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"neighbors": 0}, "neighbors is 0; give a whole number of rows of at least 1"),
        ({"neighbors": 2.5}, "neighbors is 2.5"),
        ({"typical": 0}, "typical is 0; give a number from 0.01 to 1"),
        ({"typical": 2}, "typical is 2"),
    ],
    ids=str,
)
def test_impossible_arguments_are_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        LocalOutlier(**arguments)
