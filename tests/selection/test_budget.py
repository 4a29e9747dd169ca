"""Budgets: rows, a share, or a target radius with a maximum."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_federated.selection.budget import Budget


@given(st.integers(1, 10**9), st.integers(1, 10**7))
def test_rows_are_kept_to_but_never_above_n(rows, n):
    assert Budget.of(rows).limit(n) == (rows if rows <= n else n)


@given(st.integers(1, 100), st.integers(1, 10**7))
def test_a_share_in_per_cent_is_exact(per_cent, n):
    assert Budget.of(per_cent / 100).limit(n) == max(1, Fraction(per_cent, 100) * n // 1)


@given(st.floats(0, 1, exclude_min=True), st.integers(1, 10**6))
def test_a_share_gives_at_least_one_row_and_at_most_all(share, n):
    assert 1 <= Budget.of(share).limit(n) <= n


@pytest.mark.parametrize(
    ("written", "budget"),
    [
        (7, Budget(most=7)),
        (0.25, Budget(most=0.25)),
        (1, Budget(most=1)),
        (1.0, Budget(most=1.0)),
        ({"radius": 2}, Budget(most=1.0, radius=2.0)),
        ({"radius": 0.5, "rows": 9}, Budget(most=9, radius=0.5)),
        ({"radius": 0.5, "share": 0.1}, Budget(most=0.1, radius=0.5)),
        (np.int64(7), Budget(most=7)),
        (np.float32(0.25), Budget(most=0.25)),
        ({"radius": np.float64(0.5), "rows": np.int32(9)}, Budget(most=9, radius=0.5)),
    ],
)
def test_what_configurations_write(written, budget):
    read = Budget.of(written)
    assert read == budget
    assert type(read.most) is type(budget.most)
    assert Budget.of(read) is read
    assert Budget.of(read.plain()) == read


@pytest.mark.parametrize("most", [0, -3, 0.0, -0.1, 1.0001, float("nan"), float("inf"), True, "7", None, [7], 1j])
def test_other_numbers_are_refused(most):
    with pytest.raises(ValueError, match=r"coreset budget is .*; give a number of rows"):
        Budget.of(most)
    with pytest.raises(ValueError, match=r"coreset budget is .*; give a number of rows"):
        Budget.of({"radius": 1.0, "rows": most})


@pytest.mark.parametrize("radius", [0, 0.0, -1.0, float("nan"), float("inf"), True, "1"])
def test_other_radii_are_refused(radius):
    with pytest.raises(ValueError, match=r"target radius of the coreset budget is .*; give a number above 0"):
        Budget.of({"radius": radius})


@pytest.mark.parametrize(
    "written", [{}, {"rows": 3}, {"radius": 1.0, "row": 3}, {"radius": 1.0, "rows": 3, "share": 0.5}, {"share": 0.5}]
)
def test_other_keys_are_refused(written):
    with pytest.raises(ValueError, match="give a number of rows"):
        Budget.of(written)
