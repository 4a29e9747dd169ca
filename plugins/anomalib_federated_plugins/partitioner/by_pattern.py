"""Sites that the file names tell: the camera, the line or the exposure is part of the name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from anomalib_federated.interfaces.partitioner import Partitioner, TrainingImage


class PatternPartitioner(Partitioner):
    """Takes the site out of each file's name.

    Args:
        pattern: Regular expression searched in the file name (without folders); its group named ``site``, or else its
            first group, is the site. The default takes what stands before the first underscore or hyphen.

    Raises:
        ValueError: If the pattern is no regular expression, or has no group.

    Example:
        >>> images = [TrainingImage("tile", "train/good/exp1_7.jpg"), TrainingImage("tile", "train/good/exp2_7.jpg")]
        >>> PatternPartitioner().partition(images)
        {'exp1': [0], 'exp2': [1]}
    """

    def __init__(self, *, pattern: str = r"^(?P<site>[^_\-]+)[_\-]") -> None:
        try:
            self.pattern = re.compile(pattern)
        except re.error as error:
            msg = f"The pattern {pattern!r} of the by_pattern partitioner is no regular expression: {error}."
            raise ValueError(msg) from error
        if self.pattern.groups == 0:
            msg = f"The pattern {pattern!r} of the by_pattern partitioner has no group that could name the site."
            raise ValueError(msg)

    def partition(self, images: Sequence[TrainingImage], *, seed: int = 0) -> dict[str, list[int]]:
        """Share the images out; nothing is random."""
        del seed
        if not images:
            msg = "There are no training images to share out."
            raise ValueError(msg)
        sites: dict[str, list[int]] = {}
        for position, image in enumerate(images):
            site = self.site_of(image)
            if site is None:
                msg = f"The pattern {self.pattern.pattern!r} names no site for {image.name} ({image.category})."
                raise ValueError(msg)
            sites.setdefault(site, []).append(position)
        return dict(sorted(sites.items()))

    def site_of(self, image: TrainingImage) -> str | None:
        """What the pattern finds in the file name."""
        match = self.pattern.search(image.name.rsplit("/", 1)[-1])
        group = "site" if "site" in self.pattern.groupindex else 1
        return match[group] or None if match else None
