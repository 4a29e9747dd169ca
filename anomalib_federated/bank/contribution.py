"""What one site saw of one category when it built its part of a bank, and how well its rows stand for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anomalib_federated.bank.validation import MAX_COUNT, MAX_NUMBER, check_name, is_count, is_number, refuse
from anomalib_federated.untrusted import shown

MEAN_ROUNDING = 1e-5
"""A mean of equal distances may come out this much above the largest of them."""


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one site saw of one category when it built its part of a bank.

    Distances are Euclidean, in the full feature space.

    Attributes:
        site: Name of the site.
        category: Name of the category.
        images: Number of training images seen.
        patches: Number of patch features seen.
        rows: Number of rows that the site kept; a bank made of several may hold fewer of them.
        coreset: Name of the coreset method that chose the site's rows.
        covering_radius: Largest distance of one of the site's patches to the nearest row *that the site kept*;
            ``None`` if it is not told, as under a promise about the pictures.
        mean_distance: Mean distance of the site's patches to the nearest row that it kept; ``None`` if not told.
        passes: How often the last selection read all that it chose from.
        seconds: Wall time of the last selection. Equal runs differ in it.

    Raises:
        BankError: If a field has another type or an impossible value.
    """

    site: str
    category: str
    images: int
    patches: int
    rows: int
    coreset: str
    covering_radius: float | None
    mean_distance: float | None
    passes: int
    seconds: float

    def __post_init__(self) -> None:
        check_name("site", self.site)
        check_name("category", self.category)
        check_name("coreset", self.coreset)
        for field in ("images", "patches", "rows", "passes"):
            value = getattr(self, field)
            if not is_count(value):
                self._refuse(f"{field} is {shown(value)}, not >= 1 (and at most {MAX_COUNT})")
        for field in ("covering_radius", "mean_distance", "seconds"):
            value = getattr(self, field)
            told = value is not None or field == "seconds"
            if told and not is_number(value):
                self._refuse(f"{field} is {shown(value)}, not a number >= 0 (and at most {MAX_NUMBER:g})")
        if self.rows > self.patches:
            self._refuse(f"rows is {self.rows}, more than the {self.patches} patches")
        if self.mean_distance is None or self.covering_radius is None:
            return
        if self.mean_distance > self.covering_radius * (1 + MEAN_ROUNDING):
            self._refuse(f"mean_distance is {self.mean_distance!r}, above the covering_radius {self.covering_radius!r}")

    def _refuse(self, problem: str) -> None:
        refuse(f"contribution of site '{self.site}', category '{self.category}': {problem}")


def check_contributions(
    items: Sequence[Contribution],
    held: Mapping[tuple[str, str], int],
    *,
    categories: Sequence[str],
    sites: Sequence[str],
) -> None:
    """Refuse contributions that repeat, name what the bank does not hold, or do not account for some rows.

    Args:
        items: A bank's contributions.
        held: Per (site, category), how many rows the bank holds.
        categories: The bank's categories.
        sites: The bank's sites.

    Raises:
        BankError: As said above; the error names the site and category.
    """
    seen: set[tuple[str, str]] = set()
    known_sites, known_categories = set(sites), set(categories)  # sets: a list of thousands is slow to search
    for item in items:
        pair = (item.site, item.category)
        if item.category not in known_categories or item.site not in known_sites:
            refuse(f"a contribution names site '{item.site}', category '{item.category}', which the bank does not hold")
        if pair in seen:
            refuse(f"site '{item.site}' contributes category '{item.category}' twice")
        seen.add(pair)
    if missing := sorted(set(held) - seen):
        site, category = missing[0]
        refuse(f"there is no contribution for the rows of site '{site}', category '{category}'")
    for item in items:
        rows = held.get((item.site, item.category), 0)
        if rows > item.rows:
            refuse(f"it holds {rows} rows of site '{item.site}', category '{item.category}', which kept {item.rows}")
