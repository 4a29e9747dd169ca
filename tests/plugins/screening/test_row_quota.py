"""How many rows of a site are kept, and that nobody can choose which."""

from dataclasses import replace

import pytest
import torch

from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.screening.row_quota import RowQuota


def banks_of(**rows):
    return [example_bank(site=site, rows=count, seed=number) for number, (site, count) in enumerate(rows.items())]


def kept(banks, **settings):
    found = {bank.sites[0]: len(bank) for bank in banks}
    for refusal in RowQuota(**settings).screen(banks):
        found[refusal.site] -= int(refusal.rows.sum())
    return found


@pytest.mark.parametrize(
    ("rows", "settings", "expected"),
    [
        ({"a": 10, "b": 12, "c": 90}, {}, {"a": 10, "b": 12, "c": 36}),
        ({"a": 10, "b": 12, "c": 90}, {"times": 1}, {"a": 10, "b": 12, "c": 12}),
        ({"a": 10, "b": 12, "c": 90}, {"times": 1.3}, {"a": 10, "b": 12, "c": 15}),
        ({"a": 10, "b": 12, "c": 90}, {"most": 11}, {"a": 10, "b": 11, "c": 11}),
        ({"a": 10, "c": 90}, {}, {"a": 10, "c": 90}),  # of two, the larger one counts: who knows which is loud?
        ({"a": 10, "b": 11, "c": 40, "d": 90}, {"times": 2}, {"a": 10, "b": 11, "c": 40, "d": 80}),
        ({"c": 90}, {}, {"c": 90}),
        ({"c": 90}, {"most": 1}, {"c": 1}),
    ],
    ids=str,
)
def test_a_quota_is_kept_to(rows, settings, expected):
    assert kept(banks_of(**rows), **settings) == expected


def test_the_reason_tells_the_figures():
    (told,) = RowQuota().screen(banks_of(a=10, b=12, c=90))
    assert told.reason == (
        "it sent 90 rows, at most 3 times the 12 of the middle site are kept of a site; which of them was drawn by lot"
    )
    (told,) = RowQuota(most=20).screen(banks_of(c=90))
    assert told.reason == "it sent 90 rows, at most 20 are kept of a site; which of them was drawn by lot"


def test_every_row_has_the_same_chance():
    """Over many lots, each of 40 rows is kept in about a quarter, wherever it stands."""
    (bank,) = banks_of(a=40)
    counts = torch.zeros(40)
    for seed in range(400):
        (refusal,) = RowQuota(most=10, seed=seed).screen([bank])
        counts += ~refusal.rows
    assert float(counts.sum()) == 4000
    # A binomial of 400 draws has a standard deviation of 8.7; none of 40 is five of them away.
    assert float((counts - 100).abs().max()) < 45


def test_the_lot_depends_on_what_all_send():
    loud, other = banks_of(a=90, b=5)

    def lot(*banks, **settings):
        return next(
            each.rows.tolist() for each in RowQuota(most=20, **settings).screen(list(banks)) if each.site == "a"
        )

    assert lot(loud) == lot(loud)
    touched = replace(other, features=other.features + 1e-3)
    lots = [lot(loud), lot(loud, other), lot(loud, touched), lot(loud, seed=1)]
    assert all(one != two for number, one in enumerate(lots) for two in lots[:number])


def test_two_loud_sites_do_not_share_a_lot():
    first, second = RowQuota(most=20).screen(banks_of(a=90, b=90))
    assert first.rows.tolist() != second.rows.tolist()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"times": 0.5}, "times is 0.5; give a number from 1"),
        ({"most": 0}, "most is 0; give a whole number of rows"),
        ({"most": 2.5}, "most is 2.5"),
        ({"most": True}, "most is True"),
    ],
    ids=str,
)
def test_impossible_arguments_are_refused(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        RowQuota(**arguments)
