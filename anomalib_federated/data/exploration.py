"""What a data set holds, and what each site of a partition would hold of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas import DataFrame

from anomalib_federated.data.autovi import AutoVI
from anomalib_federated.data.layout import TRAIN, discover_categories, read_layout
from anomalib_federated.interfaces.partitioner import TrainingImage
from anomalib_federated.pictures import header_size


def survey(root: Path, categories: Sequence[str] | None = None) -> DataFrame:
    """Count pictures and mask channels, and read the pictures' sizes from their headers.

    Args:
        root: Data folder.
        categories: Names of the categories; ``None`` takes all that ``root`` holds.

    Returns:
        A row per category, split (``train`` with all its pictures, or ``test``) and defect type: the columns of
        :meth:`AutoVI.statistics`, and ``min_height``, ``max_height``, ``min_width``, ``max_width`` in pixels.

    Raises:
        LayoutError: If the folders are not laid out as they should be.
        ValueError: If a picture's header cannot be read.
    """
    datamodule = AutoVI(root, categories, validation_share=0)
    counts = datamodule.statistics()
    samples = pd.concat([datamodule.train_data.samples, datamodule.test_data.samples])
    sizes = np.array([header_size(path) for path in samples["image_path"]])
    samples = samples.assign(height=sizes[:, 0], width=sizes[:, 1])
    grouped = samples.groupby(["category", "split", "label"])
    ranges = grouped.agg(
        min_height=("height", "min"),
        max_height=("height", "max"),
        min_width=("width", "min"),
        max_width=("width", "max"),
    )
    return counts.merge(ranges.reset_index(), on=["category", "split", "label"])


def training_images(root: Path, categories: Sequence[str] | None = None) -> list[TrainingImage]:
    """All normal training images of a data set, before any are held out for validation.

    Args:
        root: Data folder.
        categories: Names of the categories; ``None`` takes all that ``root`` holds.

    Raises:
        LayoutError: If the folders are not laid out as they should be.
    """
    found = []
    for category in discover_categories(root) if categories is None else categories:
        samples = read_layout(root, category)
        normal = samples[(samples["split"] == TRAIN) & (samples["label_index"] == 0)]
        found += [TrainingImage(category, name) for name in normal["name"]]
    return found


def count_by_site(images: Sequence[TrainingImage], parts: Mapping[str, Sequence[int]]) -> DataFrame:
    """How many images of each category each site holds.

    Args:
        images: The images.
        parts: What a partitioner made of them.

    Returns:
        A row per site, a column per category.

    Example:
        >>> images = [TrainingImage("nut", "nut/0.png"), TrainingImage("wing", "wing/0.png")]
        >>> count_by_site(images, {"north": [0], "south": [1]}).loc["north"].to_dict()
        {'nut': 1, 'wing': 0}
    """
    categories = sorted({image.category for image in images})
    held = {site: [images[position].category for position in part] for site, part in parts.items()}
    counts = [[names.count(category) for category in categories] for names in held.values()]
    return DataFrame(counts, index=list(held), columns=categories)
