"""Loading pictures in batches of one size."""

from __future__ import annotations

from collections.abc import Container, Iterator

from anomalib.data.transforms.utils import extract_transforms_by_type
from torch.utils.data import DataLoader, Sampler
from torchvision.transforms.v2 import Resize

from anomalib_federated.data.batch import InspectionBatch
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.pictures import header_size


class GivenBatches(Sampler[list[int]]):
    """Batches that are listed beforehand.

    Lightning wraps the sampler for prediction and needs an object with attributes, which a plain list is not.

    Args:
        groups: Positions of each batch.
    """

    def __init__(self, groups: list[list[int]]) -> None:
        self.groups = groups

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)


def batches(
    dataset: InspectionDataset, *, batch_size: int, num_workers: int = 0, known: Container[str] = ()
) -> DataLoader[InspectionBatch]:
    """Load a data set in batches whose pictures are of one size.

    The order depends on the file names only. Pictures that come out of the data set at sizes of their own are grouped
    by size, read from the files' headers.

    Args:
        dataset: The data set.
        batch_size: Largest number of pictures in a batch.
        num_workers: Processes that read ahead; 0 reads in this one.
        known: Paths of pictures that are not needed. Batches of nothing else are left out; the others stay as they are,
            since a network's last digits may depend on the batch.
    """
    paths = dataset.samples["image_path"].tolist()
    groups = [
        group for group in _groups(dataset, batch_size) if not all(paths[position] in known for position in group)
    ]
    return DataLoader(
        dataset,
        batch_sampler=GivenBatches(groups),
        num_workers=num_workers,
        collate_fn=dataset.collate_fn,
    )


def _groups(dataset: InspectionDataset, batch_size: int) -> list[list[int]]:
    by_size: dict[tuple[int, int], list[int]] = {}
    resized = bool(extract_transforms_by_type(dataset.augmentations, Resize)) if dataset.augmentations else False
    for position, path in enumerate(dataset.samples["image_path"]):
        by_size.setdefault((0, 0) if resized else header_size(path), []).append(position)
    return [
        positions[begin : begin + batch_size]
        for positions in by_size.values()
        for begin in range(0, len(positions), batch_size)
    ]
