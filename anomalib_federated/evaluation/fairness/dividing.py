"""All divisions of a source's test pictures, and what is known of the normal pictures held out in each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from anomalib_federated.data.batches import batches
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.grouping import Grouping, GroupingError, Picture
from anomalib_federated.data.layout import name_of
from anomalib_federated.evaluation.fairness.covering import Distances, patch_distances
from anomalib_federated.evaluation.fairness.division import Division, by_defect_type, by_grouping, by_site
from anomalib_federated.evaluation.measuring.source import Source
from anomalib_federated.interfaces.partitioner import Partitioner
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.progress import progress_bar


def divisions_of(
    source: Source, category: str, *, groups: Grouping | None = None, sites: Partitioner | None = None
) -> list[Division]:
    """How the pictures of a category are divided: by defect type always, by group and by site where that is told.

    Args:
        source: Of scored test images.
        category: Name of the category.
        groups: Which group each picture is of; it is fitted to the training pictures.
        sites: The federation's partitioner.

    Raises:
        GroupingError: If the group of a picture cannot be told, or groups need a detector's features and there is none.
    """
    test, held_out = (data.of_category(category) for data in (source.data.test_data, source.data.val_data))
    divisions = [
        by_defect_type(dict(zip(map(name_of, test.samples["image_path"]), test.samples["label"], strict=True)))
    ]
    if groups is not None:
        training = source.data.train_data.of_category(category)
        seen, others = _pictures(source, groups, training), [_pictures(source, groups, own) for own in (test, held_out)]
        divisions.insert(0, by_grouping(groups.fit(list(seen.values())), others[0] | others[1]))
    if sites is not None and (division := by_site(sites, _plain(test) | _plain(held_out))) is not None:
        divisions.insert(0, division)
    return divisions


def held_out_distances(source: Source, category: str, divisions: Sequence[Division]) -> dict[str, Distances]:
    """Distances of the patches of a category's validation pictures to their nearest bank rows.

    Args:
        source: Of scored test images.
        category: Name of the category.
        divisions: Of its pictures.

    Returns:
        By name below the category's folder; of none if no division has one of them, or if only maps were given.
    """
    held_out = source.data.val_data.of_category(category)
    names = set(map(name_of, held_out.samples["image_path"]))
    if source.model is None or not any(names & division.groups.keys() for division in divisions):
        return {}
    return patch_distances(source.model, held_out, batch_size=source.data.eval_batch_size)


def _pictures(source: Source, groups: Grouping, pictures: InspectionDataset) -> dict[str, Picture]:
    if not groups.needs_features:
        return _plain(pictures)
    if source.model is None:
        msg = "Groups that are found in features need a detector; with --maps take them from file names or a table."
        raise GroupingError(msg)
    return _plain(pictures, _mean_features(source.model, pictures, batch_size=source.data.eval_batch_size))


def _plain(pictures: InspectionDataset, features: Mapping[str, Tensor] | None = None) -> dict[str, Picture]:
    """Pictures by their names below the category's folder."""
    samples = pictures.samples
    return {
        name_of(path): Picture(name, category, (features or {}).get(name_of(path)))
        for path, name, category in zip(samples["image_path"], samples["name"], samples["category"], strict=True)
    }


@torch.inference_mode()
def _mean_features(model: FederatedPatchcore, pictures: InspectionDataset, *, batch_size: int) -> dict[str, Tensor]:
    """Mean patch feature of each picture, shape ``(d,)``, by its name below the category's folder."""
    model.eval()
    found: dict[str, Tensor] = {}
    with progress_bar("features of pictures", total=len(pictures)) as advance:
        for batch in batches(pictures, batch_size=batch_size):
            images = batch.image if model.pre_processor is None else model.pre_processor.transform(batch.image)
            for path, mean in zip(batch.image_path, model.model(images).mean(dim=(2, 3)), strict=True):
                found[name_of(path)] = mean.cpu()
            advance(len(images))
    return found
