"""How many rows a coreset may keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TypeAlias, TypeGuard, cast

SHARE_ROUNDING = 1e-6
"""Makes 0.29 of 100 rows 29, though their product in floating point is a little less."""

_WANTED = (
    "give a number of rows (an int >= 1), a share (a float in (0, 1]), or {radius: R, rows: MOST} for as many rows as "
    "it takes to cover all within R"
)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How many rows a coreset may keep.

    Attributes:
        most: An int is a number of rows; a float in (0, 1] is a share of the rows there are.
        radius: If given, no more rows are kept than it takes to bring the covering radius down to this.

    Raises:
        ValueError: If a field is neither.

    Example:
        >>> Budget.of(100).limit(30), Budget.of(0.5).limit(30), Budget.of({"radius": 0.6, "rows": 20}).limit(30)
        (30, 15, 20)
    """

    most: int | float
    radius: float | None = None

    def __post_init__(self) -> None:
        rows = isinstance(self.most, int) and not isinstance(self.most, bool) and self.most >= 1
        share = isinstance(self.most, float) and 0 < self.most <= 1
        if not (rows or share):
            msg = f"The coreset budget is {self.most!r}; {_WANTED}."
            raise ValueError(msg)
        if self.radius is not None and not (isinstance(self.radius, float) and 0 < self.radius < math.inf):
            msg = f"The target radius of the coreset budget is {self.radius!r}; give a number above 0."
            raise ValueError(msg)

    @classmethod
    def of(cls, value: BudgetLike) -> Budget:
        """Read a budget as configurations write it.

        Args:
            value: A number of rows, a share, ``{"radius": R}`` with ``"rows": MOST`` or ``"share": MOST`` beside it if
                there is a maximum, or a budget.

        Raises:
            ValueError: If it is none of these.
        """
        if isinstance(value, Budget):
            return value
        if not isinstance(value, Mapping):
            return cls(most=_number(value))
        unknown = sorted(set(value) - {"radius", "rows", "share"})
        if value.get("radius") is None or unknown or {"rows", "share"} <= set(value):
            msg = f"The coreset budget is {dict(value)!r}; {_WANTED}."
            raise ValueError(msg)
        radius = value["radius"]
        most = value.get("rows", value.get("share", 1.0))
        return cls(most=_number(most), radius=float(radius) if _is_real(radius) else radius)

    def limit(self, n: int) -> int:
        """The most rows that may be kept out of ``n``."""
        if isinstance(self.most, int):
            return min(n, self.most)
        return max(1, math.floor(self.most * n + SHARE_ROUNDING))

    def part(self, share: float) -> Budget:
        """A share in (0, 1] of this budget, at least one row; a target radius stays.

        Example:
            >>> Budget.of(101).part(0.5).most, Budget.of(0.5).part(0.5).most
            (50, 0.25)
        """
        most = Budget(most=share).limit(self.most) if isinstance(self.most, int) else share * self.most
        return replace(self, most=most)

    def plain(self) -> int | float | dict[str, int | float]:
        """The budget as configurations write it."""
        if self.radius is None:
            return self.most
        return {"radius": self.radius, "rows" if isinstance(self.most, int) else "share": self.most}


BudgetLike: TypeAlias = Budget | int | float | Mapping[str, int | float]
"""What :meth:`Budget.of` reads."""


def _is_real(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


def _number(value: object) -> int | float:
    """Numpy's numbers as Python's; anything else as it is, for the check to refuse."""
    if not isinstance(value, bool) and isinstance(value, Integral):
        return int(value)
    return float(value) if _is_real(value) else cast("float", value)
