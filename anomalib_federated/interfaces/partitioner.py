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

    def site_of(self, image: TrainingImage) -> str | None:
        """The site of an image whose own name tells it, be it a training or a test image.

        A partitioner that draws, or that follows a list of training images, keeps this: it says nothing of others.

        Args:
            image: Any image of the data set.

        Returns:
            The name of the site; ``None`` if the image's name does not tell.
        """
        del image
        return None
