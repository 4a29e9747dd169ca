"""The AutoVI data set, and any other in its layout or in MVTec AD's, as an anomalib datamodule.

Carvalho et al. 2024, *The Automotive Visual Inspection Dataset (AutoVI)*, https://doi.org/10.5281/zenodo.10459003.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from anomalib.data import AnomalibDataModule
from pandas import DataFrame
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import Resize, Transform

from anomalib_federated.data.batch import InspectionBatch
from anomalib_federated.data.batches import batches
from anomalib_federated.data.corruption import Corruption, CorruptionLike
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.download import download_autovi
from anomalib_federated.data.layout import (
    DEFECT_GROUPS,
    GOOD,
    TEST,
    TRAIN,
    LayoutError,
    category_folder,
    discover_categories,
    mask_files,
    read_layout,
)
from anomalib_federated.metrics import DefectsConfig

logger = logging.getLogger(__name__)


class AutoVI(AnomalibDataModule):
    """One category or several, with all defect channels.

    Training pictures are normal; a part of them, per category, is held out for validation, from which thresholds come.
    Test pictures serve testing alone.

    Args:
        root: Folder of the categories.
        categories: Names of the categories; ``None`` takes all that ``root`` holds.
        train_batch_size: Pictures per batch in training; on a CPU, more than a few at a time are slower.
        eval_batch_size: Pictures per batch in validation, test and prediction.
        num_workers: Processes that read ahead.
        image_size: Height and width to which pictures are resized as they are read; ``None`` leaves their size to the
            model.
        validation_share: Share of each category's training pictures held out for validation, in [0, 1); at least one
            picture unless 0.
        augmentations: Applied to all pictures as they are read.
        train_corruption: What befalls training pictures before: ``low``, ``medium``, ``high``, or fields of
            :class:`~anomalib_federated.data.corruption.Corruption`; ``None`` leaves them as they are.
        test_corruption: What befalls test pictures, and validation pictures alike: thresholds come from normal pictures
            as the station would see them. Masks stay as they are.
        seed: Decides which pictures are held out, and what befalls which.
        download: If true, categories of AutoVI that are missing are downloaded.

    Raises:
        TypeError: If ``categories`` is one name instead of a list.
        ValueError: If the share is out of range, a corruption is impossible, or both ``image_size`` and
            ``augmentations`` are given.

    Example:
        >>> datamodule = AutoVI("datasets/AutoVI", ["pipe_clip"])
        >>> datamodule.validation_share
        0.1
    """

    def __init__(
        self,
        root: str | Path = "datasets/AutoVI",
        categories: Sequence[str] | None = None,
        *,
        train_batch_size: int = 4,
        eval_batch_size: int = 4,
        num_workers: int = 0,
        image_size: tuple[int, int] | None = None,
        validation_share: float = 0.1,
        augmentations: Transform | None = None,
        train_corruption: CorruptionLike | None = None,
        test_corruption: CorruptionLike | None = None,
        seed: int = 0,
        download: bool = False,
    ) -> None:
        if not 0 <= validation_share < 1:
            msg = f"validation_share is {validation_share}; give a share of the training pictures in [0, 1)."
            raise ValueError(msg)
        if isinstance(categories, str):
            msg = f"categories must be a list of names, such as ['{categories}'], got the text {categories!r}."
            raise TypeError(msg)
        if image_size is not None and augmentations is not None:
            msg = "Give either image_size or augmentations: a resize can be part of the augmentations."
            raise ValueError(msg)
        super().__init__(
            train_batch_size=train_batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            augmentations=Resize(list(image_size), antialias=True) if image_size else augmentations,
            seed=seed,
        )
        self.root = Path(root).absolute()
        self.requested = None if categories is None else list(categories)
        self.validation_share = validation_share
        self.train_corruption = self.corruption_of(train_corruption)
        self.test_corruption = self.corruption_of(test_corruption)
        self.download = download

    def corruption_of(self, spec: CorruptionLike | None) -> Corruption | None:
        """A corruption with this data set's seed, unless it names one of its own.

        Raises:
            ValueError: If it is impossible.
        """
        return None if spec is None else Corruption.of(spec, seed=self.seed or 0)

    @property
    def categories(self) -> list[str]:
        """Names of the categories.

        Raises:
            LayoutError: If none were named and ``root`` holds none, or a name stands twice.
        """
        if self.requested is None:
            return discover_categories(self.root)
        if not self.requested or len(set(self.requested)) != len(self.requested):
            msg = f"data.categories must name each category once and at least one, got {self.requested}."
            raise LayoutError(msg)
        return self.requested

    @property
    def name(self) -> str:
        """Name of the data folder: anomalib keeps pictures of equal name apart by what follows it in their paths."""
        return self.root.name

    @property
    def category(self) -> str:
        """Names of the categories in one word, for result folders."""
        return "-".join(self.categories)

    def prepare_data(self) -> None:
        """Download what is missing, if that is wished."""
        if self.download:
            download_autovi(self.root, self.requested)

    def _setup(self, _stage: str | None = None) -> None:
        samples = pd.concat([read_layout(self.root, category) for category in self.categories], ignore_index=True)
        configs = self._read_configs()
        normal_training = (samples["split"] == TRAIN) & (samples["label_index"] == 0)
        held_out = self._held_out(samples[normal_training])
        train, test = (self.train_corruption, self.test_corruption)
        self.train_data = InspectionDataset(_rows(samples, normal_training & ~held_out), configs, corruption=train)
        self.val_data = InspectionDataset(_rows(samples, normal_training & held_out), configs, corruption=test)
        self.test_data = InspectionDataset(_rows(samples, samples["split"] == TEST), configs, corruption=test)
        logger.info(
            "%s: %d training, %d validation, %d test images",
            ", ".join(self.categories), len(self.train_data), len(self.val_data), len(self.test_data),
        )  # fmt: skip

    def _create_test_split(self) -> None:
        """Nothing to do: the test set is what the test folders hold."""

    def _create_val_split(self) -> None:
        """Nothing to do: validation pictures were held out of the training pictures."""

    def _read_configs(self) -> dict[str, DefectsConfig]:
        files = {name: category_folder(self.root, name) / "defects_config.json" for name in self.categories}
        for name, file in files.items():
            if not file.is_file():
                logger.info(
                    "%s has no defects_config.json: each mask file is one defect, saturated when covered whole.", name
                )
        return {name: DefectsConfig.from_file(file) for name, file in files.items() if file.is_file()}

    def _held_out(self, training: DataFrame) -> pd.Series[bool]:
        chosen: list[int] = []
        for category, group in training.groupby("category"):
            if self.validation_share == 0:
                continue
            if len(group) < 2:
                msg = (
                    f"Category '{category}' has one training picture; it needs two, one of them to set thresholds "
                    "(or validation_share: 0, which leaves it without thresholds)."
                )
                raise LayoutError(msg)
            count = min(max(1, round(self.validation_share * len(group))), len(group) - 1)
            # The draw depends on the names of this category alone, not on which others are loaded.
            order = np.random.default_rng([self.seed or 0, *str(category).encode()]).permutation(len(group))
            chosen += group.sort_values("name").index[order[:count]].tolist()
        return pd.Series(training.index.isin(chosen), index=training.index)

    def train_dataloader(self) -> DataLoader[InspectionBatch]:
        """Training pictures in a fixed order: nothing is learnt by gradient, so nothing is shuffled."""
        return batches(self.train_data, batch_size=self.train_batch_size, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader[InspectionBatch]:
        """Normal pictures held out of training."""
        return batches(self.val_data, batch_size=self.eval_batch_size, num_workers=self.num_workers)

    def test_dataloader(self) -> DataLoader[InspectionBatch]:
        """Test pictures."""
        return batches(self.test_data, batch_size=self.eval_batch_size, num_workers=self.num_workers)

    def statistics(self) -> DataFrame:
        """Number of pictures and mask channels per category, split and defect type, with the defects' group."""
        self.setup()
        every = pd.concat(
            [data.samples.assign(split=split) for split, data in
             ((TRAIN, self.train_data), ("validation", self.val_data), (TEST, self.test_data))]
        )  # fmt: skip
        every["channels"] = [len(mask_files(path)) if path else 0 for path in every["mask_path"]]
        every["group"] = [GOOD if label == GOOD else DEFECT_GROUPS.get(label, "") for label in every["label"]]
        grouped = every.groupby(["category", "split", "label", "group"], sort=True)
        return grouped.agg(images=("name", "size"), channels=("channels", "sum")).reset_index()


def _rows(samples: DataFrame, mask: pd.Series[bool]) -> DataFrame:
    return samples[mask.reindex(samples.index, fill_value=False)].reset_index(drop=True)
