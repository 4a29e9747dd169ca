"""Partitioners: which site gets which training images, when a federation is simulated on one machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class TrainingImage:
    """One training image, as a partitioner sees it.

    Attributes:
        category: Name of its category.
        name: Path relative to the data root, with forward slashes; distinct within a data set.
    """

    category: str
    name: str


class Partitioner(ABC):
    """Shares training images out to sites."""

    @abstractmethod
    def partition(self, images: Sequence[TrainingImage], *, seed: int = 0) -> dict[str, list[int]]:
        """Name the images of each site.

        Args:
            images: The training images of all categories; not changed.
            seed: Decides every random choice.

        Returns:
            For each site, by name, the positions of its images in ``images``. Every image is at exactly one site, no
            site is empty, and which images share a site does not depend on the order of ``images``.

        Raises:
            ValueError: If the images cannot be shared out like that (fewer images than sites, say).
        """
