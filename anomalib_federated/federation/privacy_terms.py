"""What a site asks for before anything about its pictures leaves it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anomalib_federated.privacy.ledger import PrivacyBudget

NoiseFrom = Literal["each_site", "honest_sites", "centre"]
TRUST: tuple[NoiseFrom, ...] = ("each_site", "honest_sites", "centre")
"""Who adds the noise, from the promise that needs no trust to the one that needs most."""


@dataclass(frozen=True, kw_only=True)
class PrivacyTerms:
    r"""A site's terms.

    Attributes:
        folder: Where the ledger and the releases lie. Whoever deletes it forgets what was given away.
        epsilon: The most that may be given away of one unit, over all releases; ``None`` takes what the first
            federation agrees on.
        delta: Chance that the promise does not hold; well below 1 / number of pictures.
        unit: What is protected: one ``picture``, or one ``part`` with all its pictures.
        adjacency: ``add_or_remove`` (whether the unit was there), or ``replace`` (whether it was another one).
        part: With unit ``part``: pattern of file names without their ending, whose group ``part`` names the part.
        noise_by: The weakest that is accepted: ``each_site`` (this site adds all of the noise itself),
            ``honest_sites`` (a part of it), or ``centre`` (none; the centre is trusted).
        honest_sites: With ``honest_sites``: among how many sites the noise may be shared at most; each of so many must
            be trusted to add its part.

    Raises:
        ValueError: If a field is impossible.

    Example:
        >>> terms = PrivacyTerms(folder=Path("privacy"), epsilon=2.0, unit="part", part=r"exp\d_num_(?P<part>\d+)")
        >>> terms.unit_of("pictures/exp3_num_7.jpg")
        '7'
    """

    folder: Path
    epsilon: float | None = None
    delta: float = 1e-5
    unit: Literal["picture", "part"] = "picture"
    adjacency: Literal["add_or_remove", "replace"] = "add_or_remove"
    part: str | None = None
    noise_by: NoiseFrom = "each_site"
    honest_sites: int = 1

    def __post_init__(self) -> None:
        if self.noise_by not in TRUST:
            msg = f"A site's privacy.noise_by is {self.noise_by!r}; give one of {', '.join(TRUST)}."
            raise ValueError(msg)
        if self.honest_sites < 1 or (self.honest_sites > 1) != (self.noise_by == "honest_sites"):
            msg = (
                f"A site's privacy.honest_sites is {self.honest_sites!r}; give at least 2 with privacy.noise_by "
                "'honest_sites', and leave it out otherwise."
            )
            raise ValueError(msg)
        if (self.part is not None) != (self.unit == "part"):
            msg = "A site's privacy.unit 'part' needs privacy.part, a pattern of file names, and 'picture' has none."
            raise ValueError(msg)
        if self.part is not None and "part" not in _compiled(self.part).groupindex:
            msg = f"A site's privacy.part {self.part!r} has no group 'part': put (?P<part>...) around what names it."
            raise ValueError(msg)
        self.budget  # noqa: B018 - raises if it is impossible

    @property
    def budget(self) -> PrivacyBudget | None:
        """The most that may be given away, if the terms say it."""
        if self.epsilon is None:
            return None
        return PrivacyBudget(epsilon=self.epsilon, delta=self.delta, unit=self.unit, adjacency=self.adjacency)

    def unit_of(self, picture: str) -> str:
        """Name of the unit that a picture belongs to.

        Args:
            picture: Path of its file.

        Raises:
            ValueError: If the pattern does not find a part in the file's name.
        """
        if self.part is None:
            return picture
        found = _compiled(self.part).search(Path(picture).stem)
        if found is None or not found["part"]:
            msg = f"The picture {Path(picture).name} names no part by privacy.part {self.part!r}; mend one of the two."
            raise ValueError(msg)
        return found["part"]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        msg = f"A site's privacy.part {pattern!r} is no regular expression: {error}."
        raise ValueError(msg) from error
