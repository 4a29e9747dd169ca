"""The audit by cosine and norm, against numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.interfaces.screening_chain import screen_banks
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.screening import honest_banks
from anomalib_federated_plugins.screening.centroid_cosine import CentroidCosine


def with_rows(bank, features):
    return replace(bank, features=features)


def turned(bank, rows):
    """The bank with the signs of its first rows flipped."""
    return with_rows(bank, torch.cat([-bank.features[:rows], bank.features[rows:]]))


def refused(banks, **settings_):
    return {each.site: each.rows.tolist() for each in CentroidCosine(**settings_).screen(banks)}


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 6),
    limits=st.fixed_dictionaries(
        {
            "cosine_min": st.floats(-1, 1),
            "norm_min": st.floats(0, 3),
            "norm_max": st.floats(3, 6),
            "outlier_fraction_max": st.floats(0, 1),
            "action": st.sampled_from(["site", "rows"]),
        }
    ),
)
def test_outliers_are_those_of_numpy(seed, count, limits):
    banks = [example_bank(site=f"s{number}", rows=7, dim=4, seed=seed + number, offset=1.0) for number in range(count)]
    rows = [bank.features.numpy().astype(np.float64) for bank in banks]
    centroid = np.median([each.mean(0) for each in rows], axis=0)
    expected = {}
    for bank, each in zip(banks, rows, strict=True):
        norms = np.linalg.norm(each, axis=1)
        cosines = each @ centroid / norms / np.linalg.norm(centroid)
        outliers = (cosines < limits["cosine_min"]) | (norms < limits["norm_min"]) | (norms > limits["norm_max"])
        if outliers.mean() > limits["outlier_fraction_max"]:
            expected[bank.sites[0]] = outliers.tolist() if limits["action"] == "rows" else [True] * len(each)
    assert refused(banks, **limits) == expected


def test_a_site_fails_by_the_share_of_its_outliers():
    *banks, last = honest_banks(5)
    assert len(last) == 30
    assert refused([*banks, turned(last, 3)]) == {}  # a tenth
    assert refused([*banks, turned(last, 4)]) == {last.sites[0]: [True] * 30}
    assert refused([*banks, turned(last, 4)], action="rows") == {last.sites[0]: [True] * 4 + [False] * 26}
    assert refused([*banks, turned(last, 4)], outlier_fraction_max=0.2) == {}
    assert refused([*banks, turned(last, 1)], outlier_fraction_max=0, action="rows") == {
        last.sites[0]: [True] + [False] * 29
    }
    assert refused([*banks, turned(last, 30)], outlier_fraction_max=1) == {}


def test_a_minority_does_not_move_the_centroid():
    *banks, one, two = honest_banks(5)
    huge = [with_rows(bank, -1000 * bank.features) for bank in (one, two)]
    assert set(refused([*banks, *huge])) == {one.sites[0], two.sites[0]}


def test_noise_as_of_the_earlier_systems_is_seen():
    *banks, last = honest_banks(5)
    noise = 10 * torch.randn(last.features.shape, generator=torch.Generator().manual_seed(0))
    assert set(refused([*banks, with_rows(last, last.features + noise)])) == {last.sites[0]}


def test_if_all_fail_nobody_is_let_in_instead():
    banks = honest_banks(3)
    assert set(refused(banks, norm_max=0.1)) == {bank.sites[0] for bank in banks}
    with pytest.raises(FederationError, match=r"leave no row of category 'screw': audit refused 30 of 30 rows"):
        screen_banks(banks, (("audit", CentroidCosine(norm_max=0.1)),))


def test_rows_without_a_direction_have_the_cosine_zero():
    nought = with_rows(example_bank(rows=4), torch.zeros(4, 8))
    assert refused([nought]) == {}
    assert refused([nought], cosine_min=0.1) == {"plant-a": [True] * 4}


def test_the_reason_tells_the_figures():
    *banks, last = honest_banks(5)
    (told,) = CentroidCosine(norm_max=50.0).screen([*banks, turned(last, 6)])
    assert told.reason == (
        "20.0% of its rows are outliers, more than 10.0%: 6 have a cosine below 0 to the centroid of the sites, "
        "0 a norm out of range"
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"cosine_min": 1.5}, "cosine_min is 1.5; give a number from -1 to 1"),
        ({"norm_min": 2, "norm_max": 1}, "norm_max is 1; give a number from 2"),
        ({"outlier_fraction_max": -0.1}, "outlier_fraction_max is -0.1"),
        ({"action": "flag"}, "action is 'flag'; give one of site, rows"),
    ],
    ids=str,
)
def test_impossible_arguments_are_refused(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        CentroidCosine(**arguments)
