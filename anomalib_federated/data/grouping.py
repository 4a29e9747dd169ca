"""Groups of pictures: lines, cameras, exposures, or what looks alike.

A site's groups are the site's to decide, in its own settings, and never the centre's: the names of groups, and which
row of a bank is of which, leave the site. A pattern from outside, such as ``(?P<group>.*)``, would carry the names of
its files away.
"""

from __future__ import annotations

import csv
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from anomalib_federated.bank import BankError
from anomalib_federated.bank.row_groups import MAX_SITE_GROUPS
from anomalib_federated.bank.validation import check_name
from anomalib_federated.data.image_clusters import ImageClusters

IMAGE = "image"
"""Column of a metadata file that names the picture."""
_FORMS = "{pattern: REGEX}, {metadata: FILE.csv, column: NAME}, {found: CLUSTERS} (with seed: N) and {by: category}"


class GroupingError(ValueError):
    """Pictures cannot be grouped; the message says where and how to mend it."""


@dataclass(frozen=True)
class Picture:
    """A picture as a grouping sees it.

    Attributes:
        name: Path relative to the data root, with forward slashes.
        category: Name of its category.
        feature: Mean patch feature, shape ``(d,)``, finite; for groupings that need it.
    """

    name: str
    category: str
    feature: Tensor | None = field(default=None, compare=False, repr=False)


class Grouping(ABC):
    """Says which group each picture is of.

    Attributes:
        needs_features: Whether pictures must come with their feature.
    """

    needs_features: ClassVar[bool] = False

    def fit(self, pictures: Sequence[Picture]) -> Grouping:
        """A grouping that knows what training pictures teach; itself if there is nothing to learn.

        Args:
            pictures: Training pictures, in any order.

        Raises:
            GroupingError: If there are too few.
        """
        del pictures
        return self

    @abstractmethod
    def group_of(self, picture: Picture) -> str:
        """The name of a picture's group.

        Raises:
            GroupingError: If it cannot be told.
        """

    def names(self, pictures: Sequence[Picture]) -> list[str]:
        """The name of each picture's group; that of a picture depends on no other.

        Args:
            pictures: In any order, training pictures or others.

        Raises:
            GroupingError: If the group of a picture cannot be told, its name is not valid, or there are more groups
                than a site may have.
        """
        names = [self.group_of(picture) for picture in pictures]
        for picture, name in zip(pictures, names, strict=True):
            try:
                check_name("a group", name)
            except BankError as error:
                reason = str(error).removeprefix("Memory bank refused: ")
                msg = f"The picture {picture.name} ({picture.category}) has no usable group: {reason}"
                raise GroupingError(msg) from error
        if (count := len(set(names))) > MAX_SITE_GROUPS:
            msg = (
                f"{len(pictures)} pictures are of {count} groups, but a site may have at most {MAX_SITE_GROUPS}: a "
                "group is what many pictures have in common, such as their line or exposure; make it coarser."
            )
            raise GroupingError(msg)
        return names

    @staticmethod
    def of(spec: Mapping[str, Any]) -> Grouping:
        r"""The grouping that a configuration describes.

        Args:
            spec: ``{pattern: REGEX}``, ``{metadata: FILE.csv, column: NAME}``, ``{found: CLUSTERS}`` (``seed`` may go
                with it) or ``{by: category}``.

        Raises:
            GroupingError: If it describes none.

        Example:
            >>> tiles = [Picture("tile/train/good/exp1_7.jpg", "tile"), Picture("tile/train/good/exp3_2.jpg", "tile")]
            >>> Grouping.of({"pattern": r"^(?P<group>exp\d)_"}).names(tiles)
            ['exp1', 'exp3']
            >>> Grouping.of({"by": "category"}).names(tiles)
            ['tile', 'tile']
        """
        keys = set(spec) if isinstance(spec, Mapping) else set()
        if keys == {"pattern"}:
            return PatternGroups(spec["pattern"])
        if keys == {"metadata", "column"}:
            return MetadataGroups(spec["metadata"], column=spec["column"])
        if keys in ({"found"}, {"found", "seed"}):
            return FoundGroups(spec["found"], seed=spec.get("seed", 0))
        if spec == {"by": "category"}:
            return CategoryGroups()
        msg = f"The groups {spec!r} are not understood; give one of {_FORMS}."
        raise GroupingError(msg)


class PatternGroups(Grouping):
    """Takes the group out of each file's name.

    Args:
        pattern: Regular expression with a group named ``group``, searched in the file name (without folders).

    Raises:
        GroupingError: If it is no regular expression, or has no such group.
    """

    def __init__(self, pattern: str) -> None:
        try:
            self.pattern = re.compile(pattern)
        except (re.error, TypeError) as error:
            msg = f"The pattern {pattern!r} of the groups is no regular expression: {error}."
            raise GroupingError(msg) from error
        if "group" not in self.pattern.groupindex:
            msg = f"The pattern {pattern!r} does not say what names the group; put (?P<group>...) around that part."
            raise GroupingError(msg)

    def group_of(self, picture: Picture) -> str:
        """What the pattern finds."""
        match = self.pattern.search(picture.name.rsplit("/", 1)[-1])
        if match is None or not match["group"]:
            msg = (
                f"The pattern {self.pattern.pattern!r} names no group for the picture {picture.name} "
                f"({picture.category}); widen it, or rename the file."
            )
            raise GroupingError(msg)
        return match["group"]


class MetadataGroups(Grouping):
    """Looks each picture up in a table.

    Args:
        path: CSV file in UTF-8, its first line the names of the columns. The column ``image`` holds paths relative to
            the category's folder, or, in a table of several categories, to the data root; with forward slashes.
        column: The column that names the group.

    Raises:
        GroupingError: If there is no such file, it lacks a column, or a picture stands in it twice.
    """

    def __init__(self, path: str | Path, *, column: str) -> None:
        self.path, self.column = Path(path), column
        if not self.path.is_file():
            msg = f"There is no metadata file {path}; name a CSV file with the columns '{IMAGE}' and '{column}'."
            raise GroupingError(msg)
        self._groups: dict[str, str] = {}
        for image, group in self._lines():
            if self._groups.setdefault(image, group) != group:
                msg = f"{path} names two groups of {image}: {self._groups[image]!r} and {group!r}; keep one line of it."
                raise GroupingError(msg)

    def _lines(self) -> Iterator[tuple[str, str]]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as opened:
                lines = csv.DictReader(opened)
                for column in (IMAGE, self.column):
                    if column not in (lines.fieldnames or ()):
                        found = ", ".join(lines.fieldnames or ()) or "none"
                        msg = f"{self.path} has no column '{column}'; its columns are: {found}."
                        raise GroupingError(msg)
                for line in lines:
                    yield line[IMAGE] or "", line[self.column] or ""
        except (UnicodeDecodeError, csv.Error) as error:
            msg = f"{self.path} is no CSV file in UTF-8: {error}."
            raise GroupingError(msg) from error

    def group_of(self, picture: Picture) -> str:
        """What the table says."""
        return self._groups[self._line_of(picture)]

    def names(self, pictures: Sequence[Picture]) -> list[str]:
        """As of every grouping; but no line may be that of pictures of two categories."""
        names = super().names(pictures)
        line, times = Counter(map(self._line_of, dict.fromkeys(pictures))).most_common(1)[0] if pictures else ("", 0)
        if times > 1:
            msg = f"{self.path}: several pictures are called {line}; write its paths from the data folder on."
            raise GroupingError(msg)
        return names

    def _line_of(self, picture: Picture) -> str:
        """The name by which the table knows a picture: the longest that stands in it."""
        name, folder = picture.name, f"{picture.category}/"
        # A category's folder may lie in another one of its name.
        for candidate in (name, name.removeprefix(folder), name.removeprefix(folder).removeprefix(folder)):
            if candidate in self._groups:
                return candidate
        msg = f"{self.path} has no line for the picture {picture.name} ({picture.category}); add one."
        raise GroupingError(msg)


class FoundGroups(Grouping):
    """Finds pictures of each category that look alike, such as by their lighting or pose.

    k-means on the mean patch features of a category's training pictures, standardised; any picture is of the nearest
    centre. Groups are called ``found-1``, ``found-2``, ..., the largest first. Those of two categories, or of two
    sites, have their names in common and nothing else.

    Args:
        clusters: How many to find in each category, at least 1.
        seed: Decides where k-means starts.
        found: Per category, what was found; what :meth:`fit` fills in.

    Raises:
        GroupingError: If the number or the seed is impossible.
    """

    needs_features = True

    def __init__(self, clusters: int, *, seed: int = 0, found: Mapping[str, ImageClusters] | None = None) -> None:
        for value, least, what in ((clusters, 1, "clusters"), (seed, 0, "seed")):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                msg = f"The {what} of found groups is {value!r}; give a whole number of at least {least}."
                raise GroupingError(msg)
        self.clusters, self.seed, self._found = clusters, seed, dict(found or {})

    def fit(self, pictures: Sequence[Picture]) -> FoundGroups:
        """The groups of these training pictures.

        Raises:
            GroupingError: If a category has fewer different pictures than there shall be groups.
        """
        found = {}
        for category in sorted({picture.category for picture in pictures}):
            vectors = [_vector(picture) for picture in pictures if picture.category == category]
            try:
                found[category] = ImageClusters.fit(np.stack(vectors), self.clusters, seed=self.seed)
            except ValueError as error:
                msg = f"The {len(vectors)} training pictures of '{category}' cannot be grouped: {error}"
                raise GroupingError(msg) from error
        return FoundGroups(self.clusters, seed=self.seed, found=found)

    def group_of(self, picture: Picture) -> str:
        """The group of the nearest centre."""
        if picture.category not in self._found:
            msg = f"No groups of '{picture.category}' were found yet; fit the grouping to training pictures of it."
            raise GroupingError(msg)
        return f"found-{int(self._found[picture.category].nearest(_vector(picture)[None])[0]) + 1}"


class CategoryGroups(Grouping):
    """Each category is a group."""

    def group_of(self, picture: Picture) -> str:
        """The picture's category."""
        return picture.category


def _vector(picture: Picture) -> np.ndarray[Any, np.dtype[np.float64]]:
    if picture.feature is None:
        msg = f"The picture {picture.name} ({picture.category}) comes without the feature that found groups need."
        raise GroupingError(msg)
    return picture.feature.double().cpu().numpy()
