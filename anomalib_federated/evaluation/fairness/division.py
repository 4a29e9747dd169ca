"""How test pictures are divided into groups: by site, by defect type, or by what a grouping says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from anomalib_federated.data.grouping import Grouping, Picture
from anomalib_federated.data.layout import GOOD
from anomalib_federated.evaluation.fairness.figures import By
from anomalib_federated.interfaces.partitioner import Partitioner, TrainingImage


@dataclass(frozen=True, kw_only=True)
class Division:
    """Which group each picture of a category is of; a picture in neither ``groups`` nor ``shared`` is of none.

    Attributes:
        by: What they are divided by.
        groups: Group of a picture, by its name below the category's folder: ``test/scratch/0001.png``.
        shared: Pictures that count in every group.
    """

    by: By
    groups: Mapping[str, str]
    shared: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the groups, in alphabetical order."""
        return tuple(sorted(set(self.groups.values())))

    def label(self, picture: str) -> str:
        """What tells pictures apart that are not always in the same groups."""
        return f"group {self.groups[picture]}" if picture in self.groups else str(picture in self.shared)

    def has(self, picture: str, group: str) -> bool:
        """Whether a picture counts in a group."""
        return picture in self.shared or self.groups.get(picture) == group


def by_defect_type(folders: Mapping[str, str]) -> Division:
    """Defective pictures by their folder, each group together with all good ones.

    Args:
        folders: Folder of each picture, by its name; ``good`` if it is normal.

    Example:
        >>> division = by_defect_type({"test/good/0.png": "good", "test/bent/0.png": "bent"})
        >>> division.names, division.has("test/good/0.png", "bent")
        (('bent',), True)
    """
    return Division(
        by="defect type",
        groups={name: folder for name, folder in folders.items() if folder != GOOD},
        shared=frozenset(name for name, folder in folders.items() if folder == GOOD),
    )


def by_grouping(grouping: Grouping, pictures: Mapping[str, Picture]) -> Division:
    """Pictures by what a grouping says of them.

    Args:
        grouping: Fitted to training pictures.
        pictures: By name below the category's folder.
    """
    groups = grouping.names(list(pictures.values()))
    return Division(by="group", groups=dict(zip(pictures, groups, strict=True)))


def by_site(partitioner: Partitioner, pictures: Mapping[str, Picture]) -> Division | None:
    """Pictures by the site that would hold them if they were training pictures.

    Args:
        partitioner: Of the federation.
        pictures: By name below the category's folder.

    Returns:
        ``None`` if the partitioner tells of no picture, since it draws or keeps a list.
    """
    told = {
        name: partitioner.site_of(TrainingImage(picture.category, picture.name)) for name, picture in pictures.items()
    }
    sites = {name: site for name, site in told.items() if site is not None}
    return Division(by="site", groups=sites) if sites else None


def of_no_group(division: Division, pictures: Iterable[str]) -> int:
    """How many pictures are in no group."""
    return sum(name not in division.groups and name not in division.shared for name in pictures)
