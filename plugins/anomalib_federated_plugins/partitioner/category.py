"""Specialised stations: each makes some of the categories, and quality control sees a little of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomalib_federated.interfaces.partitioner import Partitioner, TrainingImage


class CategoryPartitioner(Partitioner):
    """Gives whole categories to stations, and a share of every category to a quality-control station.

    Args:
        stations: Number of stations besides quality control; no more are made than there are categories. The
            categories are dealt to them in alphabetical order, neighbours together.
        quality_control_share: Share of each category's images that goes to the station ``quality_control``, in [0, 1).
            Nothing is held twice. At 0 there is no such station.

    Example:
        >>> images = [TrainingImage(c, f"{c}{i}.png") for c in "ab" for i in range(10)]
        >>> {site: len(held) for site, held in CategoryPartitioner().partition(images).items()}
        {'station_1': 9, 'station_2': 9, 'quality_control': 2}
    """

    def __init__(self, *, stations: int = 4, quality_control_share: float = 0.1) -> None:
        if stations < 1 or not 0 <= quality_control_share < 1:
            msg = (
                f"The category partitioner got stations={stations}, quality_control_share={quality_control_share}; "
                "give at least 1 station and a share in [0, 1)."
            )
            raise ValueError(msg)
        self.stations = stations
        self.quality_control_share = quality_control_share

    def partition(self, images: Sequence[TrainingImage], *, seed: int = 0) -> dict[str, list[int]]:
        """Share the images out; stations are named ``station_1`` and so on."""
        if not images:
            msg = "There are no training images to share out."
            raise ValueError(msg)
        generator = np.random.default_rng(seed)
        order = sorted(range(len(images)), key=lambda i: images[i])
        categories = sorted({image.category for image in images})
        sites: dict[str, list[int]] = {}
        quality_control: list[int] = []
        for number, group in enumerate(np.array_split(categories, min(self.stations, len(categories))), start=1):
            held: list[int] = []
            for category in group:
                shuffled = generator.permutation([i for i in order if images[i].category == category]).tolist()
                # A category of one image stays with its station: no site may end up empty.
                taken = min(round(self.quality_control_share * len(shuffled)), len(shuffled) - 1)
                quality_control += shuffled[:taken]
                held += shuffled[taken:]
            sites[f"station_{number}"] = sorted(held)
        if quality_control:
            sites["quality_control"] = sorted(quality_control)
        return sites
