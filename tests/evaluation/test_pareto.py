"""Who is beaten, against all numbers that the missing values could be."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_federated.evaluation.comparison.pareto import pareto

KNOWN = (0.0, 1.0, 2.0)
ANY = (-9.0, *KNOWN, 0.5, 9.0)
"""What a missing value may be: each known number, between two of them, and beyond all."""


def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and one != other


@st.composite
def candidates(draw: st.DrawFn) -> dict[str, tuple[float | None, ...]]:
    count, width = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    values = draw(
        st.lists(st.tuples(*[st.sampled_from([*KNOWN, *KNOWN, None])] * width), min_size=count, max_size=count)
    )
    missing = 0
    kept = []
    for row in values:  # at most three missing values, or there are too many ways to fill them
        own = []
        for value in row:
            missing += value is None
            own.append(0.0 if value is None and missing > 3 else value)
        kept.append(tuple(own))
    return {f"m{number}": row for number, row in enumerate(kept)}


@given(candidates())
def test_it_is_what_all_completions_agree_on(given_values: dict[str, tuple[float | None, ...]]) -> None:
    found = pareto(given_values)
    names = list(given_values)
    gaps = [(name, at) for name, row in given_values.items() for at, value in enumerate(row) if value is None]
    beaten: dict[str, list[set[str]]] = {name: [] for name in names}
    for filled in itertools.product(ANY, repeat=len(gaps)):
        full = {name: list(row) for name, row in given_values.items()}
        for (name, at), value in zip(gaps, filled, strict=True):
            full[name][at] = value
        for name in names:
            beaten[name].append({other for other in names if beats(tuple(full[other]), tuple(full[name]))})
    for name in names:
        always = set.intersection(*beaten[name])
        assert set(found[name].beaten_by) == always
        expected = False if always else True if not any(beaten[name]) else None
        assert found[name].optimal is expected


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_changes_nothing(order: list[str]) -> None:
    values = {"a": (1.0, 0.0), "b": (1.0, 0.0), "c": (0.5, None), "d": (0.0, 2.0)}
    found = pareto({name: values[name] for name in order})
    assert {name: standing.optimal for name, standing in found.items()} == {"a": True, "b": True, "c": None, "d": None}


def test_equals_do_not_beat_each_other_and_infinity_is_a_number() -> None:
    found = pareto({"a": (0.5, float("-inf")), "b": (0.5, float("-inf")), "c": (0.5, -4.0)})
    assert [found[name].optimal for name in "abc"] == [False, False, True]
    assert found["a"].beaten_by == ("c",)


def test_values_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="values of different number"):
        pareto({"a": (1.0,), "b": (1.0, 2.0)})
