"""Sites that a file lists: a partition that was made before, or the true one of the plants."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from anomalib_federated.data.partition_file import PartitionError, read_partition
from anomalib_federated.interfaces.partitioner import Partitioner, TrainingImage

logger = logging.getLogger(__name__)


class FromFilePartitioner(Partitioner):
    """Reads which site holds which image from a partition file.

    The file lists all training images of a data set, so that one file serves every seed, every share that is held out
    for validation, and every choice of categories. Listed images that are not to be shared out are left out, and sites
    that hold none of the others take no part; how many is logged. An image that the file does not list is refused.

    Args:
        path: File that ``anomalib-federated data partition`` wrote.
    """

    def __init__(self, *, path: str | Path = "partition.json") -> None:
        self.path = Path(path)

    def partition(self, images: Sequence[TrainingImage], *, seed: int = 0) -> dict[str, list[int]]:
        """Look each image's site up; nothing is random.

        Raises:
            PartitionError: If the file is unusable or does not list an image.
        """
        del seed
        listed = read_partition(self.path).sites
        positions = {image.name: position for position, image in enumerate(images)}
        if not positions:
            msg = "There are no training images to share out."
            raise PartitionError(msg)
        parts = {site: sorted(positions[name] for name in names if name in positions) for site, names in listed.items()}
        self._check_complete(parts, images)
        left_out = sum(map(len, listed.values())) - len(positions)
        idle = [site for site, part in parts.items() if not part]
        if left_out:
            logger.info(
                "%s lists %d images; %d of them are not shared out in this run (held out for validation, or of other "
                "categories).", self.path, left_out + len(positions), left_out,
            )  # fmt: skip
        if idle:
            logger.warning("%s: without images in this run, and left out: %s.", self.path, ", ".join(idle))
        return {site: part for site, part in sorted(parts.items()) if part}

    def _check_complete(self, parts: dict[str, list[int]], images: Sequence[TrainingImage]) -> None:
        placed = {position for part in parts.values() for position in part}
        missing = [image for position, image in enumerate(images) if position not in placed]
        if missing:
            msg = (
                f"{self.path} does not list {len(missing)} of the {len(images)} training images, such as "
                f"{min(missing).name}; make the partition file again from this data set."
            )
            raise PartitionError(msg)
