"""The patch features of a training set, gathered batch by batch on disk and turned into a memory bank."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from anomalib_federated.bank import Contribution, FeatureSpace, MemoryBank
from anomalib_federated.bank.row_groups import with_groups
from anomalib_federated.bank.validation import check_name
from anomalib_federated.data.grouping import Grouping, Picture
from anomalib_federated.interfaces.coreset import Coreset, Selection
from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.memory import MemoryLimit, MemoryLimitError, selection_bytes
from anomalib_federated.models.fair_selection import select_fairly
from anomalib_federated.models.patch_features import patch_rows
from anomalib_federated.models.patch_groups import PatchGroups, find_groups
from anomalib_federated.patch_store import Identity, PatchStore, StoredPicture, StoredRows

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class SelectedRows:
    """A bank of one site, and what it does not tell.

    Attributes:
        bank: The bank.
        pictures: The picture that each of its rows is of.
    """

    bank: MemoryBank
    pictures: tuple[StoredPicture, ...]


class PatchCollection:
    """Patch features per category, each in a store of its own.

    Only pictures that were added, or found by :meth:`find`, belong to the collection, whatever else the stores hold.

    Args:
        space: Feature space of all that is added.
        folder: Where the stores lie, one folder per category; ``None`` takes a temporary folder, which is removed when
            the collection is closed.
        memory: What this process and its workers may use, such as ``"4GB"``; ``None`` leaves half of what the machine
            has free to others.
        dtype: Type in which features are stored: ``float16`` or ``float32``.
        reading: How pictures are read before the model sees them; features of pictures read otherwise are not found.

    Attributes:
        groups: Per category, the group of each of :meth:`rows`; empty unless :meth:`group_by` was called.

    Raises:
        ValueError: If the memory is not a size.
    """

    def __init__(
        self,
        space: FeatureSpace,
        folder: Path | None = None,
        *,
        memory: str | int | None = None,
        dtype: str = "float16",
        reading: str = "",
    ) -> None:
        self.space = space
        self.dtype = dtype
        self.reading = reading
        self.memory = MemoryLimit.of(memory)
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="anomalib-federated-")
        self._folder = folder or Path(self._temporary.name if self._temporary else "")
        self._stores: dict[str, PatchStore] = {}
        self._pictures: dict[str, set[str]] = {}
        self.groups: dict[str, PatchGroups] = {}

    def find(self, category: str, picture: str) -> bool:
        """Take in the stored features of a picture, if there are any and its file has not changed since.

        Args:
            category: Category of the picture.
            picture: Path of its file.

        Returns:
            Whether there are.
        """
        name = str(Path(picture).absolute())
        found = self._store(category).holds(name, Identity.of_file(Path(picture)))
        if found:
            self._pictures.setdefault(category, set()).add(name)
        return found

    def add(self, embedding: Tensor, categories: Sequence[str], pictures: Sequence[str] | None = None) -> None:
        """Add a batch; pictures whose features are stored already are left as they are.

        Args:
            embedding: Patch features, shape ``(batch, d, rows, columns)``.
            categories: Category of each picture.
            pictures: Path of each picture's file; ``None`` numbers them, which a temporary folder alone allows.

        Raises:
            ValueError: If a feature is not finite, or too large to be stored; the error names the picture.
            MemoryLimitError: If more memory is used than allowed.
            OSError: If the features cannot be stored.
        """
        if pictures is None and not self._temporary:
            msg = f"Pictures without a path cannot be found again in the store {self._folder}; leave the store out."
            raise ValueError(msg)
        if self.memory.limit is not None:
            self._check_memory()
        for position, category in enumerate(categories):
            if pictures is not None and self.find(category, pictures[position]):
                continue
            known = self._pictures.setdefault(category, set())
            name = (
                f"number {len(known):06d} of {category}"
                if pictures is None
                else str(Path(pictures[position]).absolute())
            )
            identity = Identity(0, 0) if pictures is None else Identity.of_file(Path(pictures[position]))
            grid = embedding[position : position + 1]
            self._store(category).add(name, identity, patch_rows(grid), columns=grid.shape[3])
            known.add(name)

    @property
    def categories(self) -> list[str]:
        """Names of the categories seen, in alphabetical order."""
        return sorted(name for name, pictures in self._pictures.items() if pictures)

    def images(self, category: str) -> int:
        """Number of pictures of a category."""
        return len(self._pictures[category])

    def patches(self, category: str) -> int:
        """Number of patches of a category."""
        return self._store(category).count(self._pictures[category])

    def rows(self, category: str, *, picks: int = 0) -> StoredRows:
        """All patches of a category, in the order of the pictures' names; as many in memory as may be.

        Args:
            category: Name of the category.
            picks: How many rows will be picked out of them, for which memory is left free.

        Raises:
            MemoryLimitError: If there is too little memory to select from them.
        """
        needed = selection_bytes((self.patches(category), self.space.dim), picks=picks)
        left = self._check_memory(needed)
        return self._store(category).rows(self._pictures[category], resident_bytes=left)

    def group_by(self, grouping: Grouping, pictures: Mapping[str, Picture]) -> None:
        """Give every row of the banks made from now on the group of its picture, once all pictures are added.

        Args:
            grouping: Says which; it is fitted to the pictures of this collection first.
            pictures: By their absolute paths.

        Raises:
            GroupingError: If the group of a picture cannot be told.
        """
        self.groups = find_groups(self, grouping, pictures)

    def with_groups(self, bank: MemoryBank, rows: Tensor) -> MemoryBank:
        """A bank of one category with the groups of its rows, if there are groups.

        Args:
            bank: The bank.
            rows: Number of each of its rows among :meth:`rows`, int64.
        """
        return with_groups(bank, self.groups[bank.categories[0]].of_rows(rows)) if self.groups else bank

    def build_bank(
        self,
        coreset: Coreset,
        *,
        method: str,
        site: str,
        seed: int,
        dtype: torch.dtype = torch.float32,
        fairness: Fairness | None = None,
    ) -> MemoryBank:
        """The bank of the rows that :meth:`select` chooses."""
        return self.select(coreset, method=method, site=site, seed=seed, dtype=dtype, fairness=fairness).bank

    def select(
        self,
        coreset: Coreset,
        *,
        method: str,
        site: str,
        seed: int,
        dtype: torch.dtype = torch.float32,
        fairness: Fairness | None = None,
    ) -> SelectedRows:
        """Select each category's rows.

        Args:
            coreset: Chooses the rows.
            method: Name of what chooses them, for the record.
            site: Name of the site, for the record.
            seed: Decides every random choice.
            dtype: float32 or float16.
            fairness: Chooses the rows by the pictures' groups instead, as many as the coreset's budget says; pictures
                without groups are all of one.

        Returns:
            The bank, with the covering radius that each selection measured, and the picture of each row.

        Raises:
            ValueError: If nothing was collected.
            MemoryLimitError: If more memory is needed than allowed.
        """
        if not self.categories:
            msg = f"Site '{site}' has no training picture, so there is nothing to build a memory bank from."
            raise ValueError(msg)
        selected = [
            self._select_category(category, coreset, fairness, method=method, site=site, seed=seed)
            for category in self.categories
        ]
        return SelectedRows(
            bank=MemoryBank.merge(each.bank.to(dtype) for each in selected),
            pictures=tuple(picture for each in selected for picture in each.pictures),
        )

    def close(self) -> None:
        """Let go of the stores; a temporary folder is removed."""
        for store in self._stores.values():
            store.close()
        self._stores, self._pictures, self.groups = {}, {}, {}
        if self._temporary:
            self._temporary.cleanup()

    def _store(self, category: str) -> PatchStore:
        if category not in self._stores:
            check_name("category", category)
            folder = self._folder / category
            self._stores[category] = PatchStore(folder, self.space, dtype=self.dtype, reading=self.reading)
        return self._stores[category]

    def _check_memory(self, needed: int = 0) -> int:
        try:
            return self.memory.check(needed)
        except MemoryLimitError as error:
            if self._temporary:
                msg = f"{error} (Name a store, and the next run need not extract the same features again.)"
            else:
                msg = f"{error} (The features extracted so far are kept in {self._folder}.)"
            raise MemoryLimitError(msg) from error

    def _select_category(
        self, category: str, coreset: Coreset, fairness: Fairness | None, *, method: str, site: str, seed: int
    ) -> SelectedRows:
        rows = self.rows(category, picks=coreset.rows(self.patches(category)))
        if fairness is None:
            selection = coreset.select(rows, seed=seed)
        else:
            groups = self.groups.get(category) or PatchGroups.all_one(len(rows))
            selection = select_fairly(fairness, rows, groups, budget=coreset.budget, seed=seed)
        self._log(site, category, rows, selection, method=method)
        bank = MemoryBank(
            features=rows.take(selection.indices),
            row_category=torch.zeros(len(selection.indices), dtype=torch.int32),
            row_site=torch.zeros(len(selection.indices), dtype=torch.int32),
            weights=selection.weights,
            categories=(category,),
            sites=(site,),
            space=self.space,
            contributions=(
                Contribution(
                    site=site,
                    category=category,
                    images=self.images(category),
                    patches=len(rows),
                    rows=len(selection.indices),
                    coreset=method,
                    covering_radius=selection.radius,
                    mean_distance=selection.mean_distance,
                    passes=selection.passes,
                    seconds=selection.seconds,
                ),
            ),
            coresets={category: method},
            covering_radius={category: selection.radius},
        )
        pictures = tuple(rows.pictures_of(selection.indices))
        return SelectedRows(bank=self.with_groups(bank, selection.indices), pictures=pictures)

    def _log(self, site: str, category: str, rows: StoredRows, selection: Selection, *, method: str) -> None:
        logger.info(
            "%s, %s: %d images, %d patches, %.1f MB on disk, %d rows by %s, covering radius %.4g, mean distance %.4g, "
            "%.1f s, %d passes",
            site, category, self.images(category), len(rows), self._store(category).size / 1e6,
            len(selection.indices), method, selection.radius, selection.mean_distance, selection.seconds,
            selection.passes,
        )  # fmt: skip
