"""How a collection over time is to go."""

from __future__ import annotations

import math
from dataclasses import dataclass

from anomalib_federated.bank import BankError
from anomalib_federated.bank.validation import check_name


@dataclass(frozen=True, kw_only=True)
class CollectionPlan:
    """How long to wait for whom.

    Attributes:
        sites: Names of the sites to wait for; nobody else is let in. Empty lets every site in, and waits until the
            deadline.
        renew: Names of those of them that are asked for a new bank, and waited for, though theirs is in; it stays in
            force until the new one is.
        deadline: Seconds after which the collection ends; counted anew when the server is started again.
        quorum: Banks that must be in by then, those of earlier runs included.
        attempts: How often a node is asked that fails, or sends what is refused. A node that comes back online is asked
            as often again: it may have been mended.
        backoff: Seconds before the second attempt; doubled before each further one.
        poll: Seconds between two looks at who is online and who has answered.

    Raises:
        ValueError: If a field has another type or value; the error names it.

    Example:
        >>> CollectionPlan(sites=("plant-a", "plant-b"), deadline=3600, quorum=3)
        Traceback (most recent call last):
        ...
        ValueError: A collection cannot be planned so: quorum is 3; give a whole number from 1 to the 2 sites expected.
    """

    sites: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()
    deadline: float = 24 * 3600
    quorum: int = 1
    attempts: int = 5
    backoff: float = 60.0
    poll: float = 3.0

    def __post_init__(self) -> None:
        most = len(self.sites) or math.inf
        limit = f"from 1 to the {most} sites expected" if self.sites else "of at least 1"
        checks = {
            "sites": (_are_names(self.sites), "names of sites, none twice"),
            "renew": (
                _are_names(self.renew) and (not self.sites or set(self.renew) <= set(self.sites)),
                "names of sites that are expected, none twice",
            ),
            "deadline": (_is_seconds(self.deadline), "seconds above 0"),
            "quorum": (_is_whole(self.quorum) and self.quorum <= most, f"a whole number {limit}"),
            "attempts": (_is_whole(self.attempts) and self.attempts <= 100, "a whole number from 1 to 100"),
            "backoff": (_is_seconds(self.backoff), "seconds above 0"),
            "poll": (_is_seconds(self.poll), "seconds above 0"),
        }
        for name, (valid, wanted) in checks.items():
            if not valid:
                msg = f"A collection cannot be planned so: {name} is {getattr(self, name)!r}; give {wanted}."
                raise ValueError(msg)


def _are_names(values: object) -> bool:
    if not isinstance(values, tuple):
        return False
    try:
        for value in values:
            check_name("site", value)
    except BankError:
        return False
    return len(set(values)) == len(values)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
