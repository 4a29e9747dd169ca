"""What one site saw of one category when it built its part of a bank."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from anomalib_federated.bank.validation import check_name, refuse


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one site saw of one category when it built its part of a bank.

    Attributes:
        site: Name of the site.
        category: Name of the category.
        images: Number of training images seen.
        patches: Number of patch features seen.
        coreset: Name of the coreset method that chose the site's rows.
        covering_radius: Largest distance of one of the site's patches to the nearest row *that the site kept*, in the
            full feature space.
    """

    site: str
    category: str
    images: int
    patches: int
    coreset: str
    covering_radius: float

    def __post_init__(self) -> None:
        check_name("site", self.site)
        check_name("category", self.category)
        check_name("coreset", self.coreset)
        for field in ("images", "patches"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                refuse(
                    f"contribution of site '{self.site}', category '{self.category}': {field} is {value!r}, not >= 1"
                )
        radius = self.covering_radius
        if not isinstance(radius, int | float) or not 0 <= radius <= sys.float_info.max:
            refuse(f"contribution of site '{self.site}', category '{self.category}': covering_radius is {radius!r}")


def check_contributions(
    items: Sequence[Contribution],
    pairs: AbstractSet[tuple[str, str]],
    *,
    categories: Sequence[str],
    sites: Sequence[str],
) -> None:
    """Refuse contributions that repeat, name what the bank does not hold, or leave out who sent some rows.

    Args:
        items: A bank's contributions.
        pairs: The (site, category) of its rows.
        categories: The bank's categories.
        sites: The bank's sites.
    """
    seen: set[tuple[str, str]] = set()
    for item in items:
        if item.category not in categories or item.site not in sites:
            refuse(f"a contribution names site '{item.site}', category '{item.category}', which the bank does not hold")
        if (item.site, item.category) in seen:
            refuse(f"site '{item.site}' contributes category '{item.category}' twice")
        seen.add((item.site, item.category))
    if missing := sorted(pairs - seen):
        site, category = missing[0]
        refuse(f"there is no contribution for the rows of site '{site}', category '{category}'")
