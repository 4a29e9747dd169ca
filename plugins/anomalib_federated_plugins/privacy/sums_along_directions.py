"""Noisy sums that look at patches along directions of the feature space, which nobody's pictures decide."""

from __future__ import annotations

from typing import ClassVar, Literal

from anomalib_federated.bank import FeatureSpace
from anomalib_federated.interfaces.privacy import SumPrivacy
from anomalib_federated.privacy.state import State
from anomalib_federated_plugins.privacy.directions import Directions


class SumsAlongDirections(SumPrivacy):
    """What such plugins have in common: where the directions come from.

    Args:
        epsilon: The promise, over all rounds, per picture (or part) added or removed.
        delta: Chance that it does not hold; well below 1 / number of pictures.
        noise_by: Who adds the noise, see :class:`anomalib_federated.privacy.sums.NoiseAdders`.
        honest_sites: How many sites surely add their part, with ``honest_sites``.
        public_images: Folder of pictures that you declare public: no promise is made about them, and what they tell
            is sent to all sites. Directions are then their principal components. ``None`` takes random directions,
            with which next to nothing is lost where the noise allows as many as the features have dimensions.

    Attributes:
        most_directions: How many are looked at, at most.
        also_public: Where else something comes from that nobody's pictures decide.

    Raises:
        ValueError: If an argument is impossible.
    """

    most_directions: ClassVar[int]
    also_public: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        epsilon: float = 2.0,
        delta: float = 1e-5,
        noise_by: Literal["centre", "each_site", "honest_sites"] = "each_site",
        honest_sites: int = 1,
        public_images: str | None = None,
    ) -> None:
        super().__init__(epsilon=epsilon, delta=delta, noise_by=noise_by, honest_sites=honest_sites)
        self.directions = Directions(public_images)
        self.public = (self.directions.in_words, *self.also_public)

    def start(self, space: FeatureSpace) -> State:
        """Directions of the feature space.

        Raises:
            BackboneError: If public images are given, and the backbone that should look at them cannot be had.
            FileNotFoundError: If their folder holds no picture.
            ValueError: If one of them cannot be read.
        """
        return self.directions.of(space, most=self.most_directions)
