"""What a promise costs, before anything is released: noise, and what is left to be learnt from so many pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from scipy.special import ndtri

from anomalib_federated.privacy.gaussian import mu_of
from anomalib_federated.privacy.sums import NoiseAdders

Verdict = Literal["good", "poor", "useless"]
GOOD, POOR = 150.0, 75.0
"""Pictures per noise from which a detector loses little, and from which it still works.

``adaptive_gaussian`` lost 3 points of image AUROC at 310, 3 to 4 at 165 and 6 to 8 at 68, on 617 pictures of magnetic
tile; where normality lies in rare patches (screws), no figure here is enough: 13 to 15 at 530, on 320 pictures.
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A release that sums up one clipped vector per picture.

    Attributes:
        pictures: Of all sites together, of one category.
        epsilon: The promise, per picture added or removed.
        delta: Chance that it does not hold.
        sites: How many sites take part.
        adders: Who adds the noise.

    Raises:
        ValueError: If a field is impossible, or delta is so large that single pictures may be published by chance.

    Example:
        >>> plan = Plan(pictures=617, epsilon=2.0)
        >>> round(plan.noise, 2), round(plan.pictures_per_noise), plan.verdict
        (1.99, 309, 'good')
        >>> Plan(pictures=617, epsilon=2.0, sites=6).verdict, Plan(pictures=100, epsilon=1.0).verdict
        ('poor', 'useless')
    """

    pictures: int
    epsilon: float
    delta: float = 1e-5
    sites: int = 1
    adders: NoiseAdders = field(default_factory=NoiseAdders)

    def __post_init__(self) -> None:
        mu_of(self.epsilon, self.delta)  # refuses what is impossible
        if not 1 <= self.sites <= self.pictures:
            msg = f"{self.pictures} pictures cannot be those of {self.sites} sites; each site has one at least."
            raise ValueError(msg)
        if self.adders.honest_sites > self.sites:
            msg = f"{self.adders.honest_sites} honest sites are wanted, but only {self.sites} take part."
            raise ValueError(msg)
        if self.delta * self.pictures >= 1:
            msg = (
                f"With delta {self.delta:g}, publishing one of the {self.pictures} pictures would keep the promise; "
                f"give a delta well below {1 / self.pictures:.2g}."
            )
            raise ValueError(msg)

    @property
    def noise(self) -> float:
        """Standard deviation of all noise in the sum of all sites, divided by the clip."""
        added = {"centre": 1, "each_site": self.sites, "honest_sites": self.sites / self.adders.honest_sites}
        return math.sqrt(added[self.adders.noise_by]) / mu_of(self.epsilon, self.delta)

    @property
    def pictures_per_noise(self) -> float:
        """By how much what all pictures have in common stands out of the noise."""
        return self.pictures / self.noise

    @property
    def verdict(self) -> Verdict:
        """Whether a detector can be learnt, by :data:`GOOD` and :data:`POOR`."""
        if self.pictures_per_noise >= GOOD:
            return "good"
        return "poor" if self.pictures_per_noise >= POOR else "useless"

    @property
    def pictures_needed(self) -> int:
        """How many pictures make it good."""
        return math.ceil(GOOD * self.noise)

    def second_moment_noise(self, dimensions: int) -> float:
        """Largest eigenvalue of the noise in the mean of the pictures' second moments.

        These are released as half of their entries, those off the diagonal times the root of 2, which keeps lengths;
        put back, entries off the diagonal have half of the variance. Real eigenvalues below the noise's are lost.

        Args:
            dimensions: Of the features.

        Returns:
            As a share of the clip, the longest Frobenius norm of a picture's second moment.
        """
        return math.sqrt(2 * dimensions) * self.noise / self.pictures

    def smallest_share(
        self, *, cells: int, cells_per_picture: int, false_cells: float = 5.0, admitted: float = 0.95
    ) -> float:
        """How common a thing must be to be learnt with a codebook.

        Args:
            cells: Of the codebook.
            cells_per_picture: How many cells a picture votes for, each with one over the root of their number.
            false_cells: Cells that only noise votes for and that are admitted, on average.
            admitted: Chance that a cell of the share is admitted.

        Returns:
            Share of the pictures that must contain the cell; above 1, nothing can be learnt.

        Raises:
            ValueError: If an argument is impossible.
        """
        if not 1 <= cells_per_picture <= cells or not 0 < false_cells < cells or not 0 < admitted < 1:
            msg = (
                f"{cells} cells, {cells_per_picture} of them a picture's, {false_cells:g} false, {admitted:g} admitted "
                "are impossible: give counts in this order, and a chance in (0, 1)."
            )
            raise ValueError(msg)
        threshold = float(ndtri(1 - false_cells / cells)) + float(ndtri(admitted))
        return math.sqrt(cells_per_picture) * self.noise * threshold / self.pictures
