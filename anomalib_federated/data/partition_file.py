"""Partitions as JSON: which site holds which training images, to be looked at, kept and used again.

::

    {"format": 1, "partitioner": {"class_path": "iid", "init_args": {"sites": 2}}, "seed": 0,
     "sites": {"site_1": ["nut/train/good/000.png"], "site_2": ["nut/train/good/001.png"]}}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from anomalib_federated.bank import BankError
from anomalib_federated.bank.validation import check_names
from anomalib_federated.files import write_file
from anomalib_federated.first_problem import first_problem

MOST_BYTES = 1 << 28
"""Size of the largest file that is read: some million images."""


class PartitionError(ValueError):
    """A partition cannot be used; the message says where and how to mend it."""


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, kw_only=True)
class Partition:
    """Which site holds which training images.

    Attributes:
        sites: By site, the names of its images: paths relative to the data folder, with forward slashes.
        partitioner: What made it: ``class_path`` and ``init_args``, or nothing if somebody wrote it by hand.
        seed: With which it was made.
        format: Of the file.

    Raises:
        PartitionError: If there is no site, one is empty or has no usable name, or an image is listed twice or is no
            path relative to the data folder.

    Example:
        >>> Partition(sites={"north": ["nut/train/good/0.png"], "south": ["nut/train/good/0.png"]})
        Traceback (most recent call last):
            ...
        anomalib_federated.data.partition_file.PartitionError: The image nut/train/good/0.png is listed 2 times; an \
image is at exactly one site.
    """

    sites: Mapping[str, list[str]]
    partitioner: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        if not self.sites:
            msg = "It has no site; name at least one under 'sites'."
            raise PartitionError(msg)
        try:
            check_names("sites", list(self.sites))
        except BankError as error:  # no bank of such sites could be written or sent
            msg = f"{str(error).removeprefix('Memory bank refused: ').rstrip('.')}; give other names."
            raise PartitionError(msg) from error
        for site, images in self.sites.items():
            _check_images(site, images)
        image, times = Counter(self.images()).most_common(1)[0]
        if times > 1:
            msg = f"The image {image} is listed {times} times; an image is at exactly one site."
            raise PartitionError(msg)

    def images(self) -> list[str]:
        """All images, site by site."""
        return [image for images in self.sites.values() for image in images]


_PARTITION = TypeAdapter(Partition)


def write_partition(path: Path, partition: Partition) -> Path:
    """Write a partition; it appears only when it is complete.

    Args:
        path: File to write; one that is there is replaced.
        partition: What to write.

    Returns:
        The path.
    """
    return write_file(path, to_json(partition))


def to_json(partition: Partition) -> bytes:
    """What :func:`write_partition` writes: equal partitions give equal bytes."""
    content = {
        "format": partition.format,
        "partitioner": partition.partitioner,
        "seed": partition.seed,
        "sites": dict(partition.sites),
    }
    return (json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def read_partition(path: Path) -> Partition:
    """Read what :func:`write_partition` wrote, or somebody wrote by hand.

    Raises:
        PartitionError: If there is no such file, or it is no partition; the message says what in it is wrong.
    """
    if not path.is_file():
        msg = f"There is no partition file {path}; make one with 'anomalib-federated data partition'."
        raise PartitionError(msg)
    if path.stat().st_size > MOST_BYTES:
        msg = f"{path} has {path.stat().st_size} bytes, more than the {MOST_BYTES} that a partition file may have."
        raise PartitionError(msg)
    try:
        content = path.read_bytes()
        json.loads(content, object_pairs_hook=_distinct)
        return _PARTITION.validate_json(content)
    except ValidationError as error:
        msg = f"{path} is no usable partition file: {_sentence(error)}"
        raise PartitionError(msg) from error
    except PartitionError as error:
        msg = f"{path} is no usable partition file: {error}"
        raise PartitionError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path} is no JSON file: {error}."
        raise PartitionError(msg) from error


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    if isinstance(own := first.get("ctx", {}).get("error"), PartitionError):
        return str(own)
    return f"{first_problem(error)}."


def _check_images(site: str, images: list[str]) -> None:
    if not images:
        msg = f"The site '{site}' is empty; give it an image or leave it out."
        raise PartitionError(msg)
    for image in images:
        parts = image.split("/")
        if not image.isprintable() or "\\" in image or len(parts) < 2 or set(parts) & {"", ".", ".."}:
            msg = (
                f"Site '{site}' lists {image[:200]!r}; images are named by their path below the data folder, with "
                "forward slashes, such as 'nut/train/good/000.png'."
            )
            raise PartitionError(msg)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what JSON readers pass over in silence: of two equal names the first is lost."""
    twice = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
    if twice:
        msg = f"The name {twice[0]!r} stands twice; give each site one list."
        raise PartitionError(msg)
    return dict(pairs)
