"""One site: its pictures, and the two things that it computes from them for the federation.

Nothing but a memory bank, and one covering radius per category, leaves this class.
"""

from __future__ import annotations

import logging
import time

import torch
from torchvision.transforms.v2 import Transform

from anomalib_federated import registry
from anomalib_federated.agreement import Agreement
from anomalib_federated.bank import BankError, FeatureSpace, MemoryBank
from anomalib_federated.data.batches import batches
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.distances import covering_radius
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_collection import PatchCollection
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.progress import progress_bar

logger = logging.getLogger(__name__)


class Site:
    """A plant's line.

    Args:
        name: Name of the site.
        images: Its normal training pictures.
        extractor: Turns them into patch features.
        batch_size: Pictures at a time.
        num_workers: Processes that read ahead.
    """

    def __init__(
        self,
        name: str,
        images: InspectionDataset,
        *,
        extractor: PatchFeatureExtractor,
        batch_size: int = 4,
        num_workers: int = 0,
    ) -> None:
        self.name = name
        self.images = images
        self.extractor = extractor
        self.batch_size = batch_size
        self.num_workers = num_workers
        self._patches: PatchCollection | None = None

    @property
    def transform(self) -> Transform:
        """From pixels to what the backbone sees."""
        return image_transform(self.extractor.space)

    def build_bank(self, agreement: Agreement) -> MemoryBank:
        """Select this site's rows.

        Args:
            agreement: How.

        Returns:
            The bank to send, of this site alone.

        Raises:
            BankError: If this site's settings give another feature space than agreed; the error names the field.
            PluginError: If the coreset plugin is not installed here, or does not take the arguments agreed.
        """
        self._check_space(agreement.space)
        spec = {"class_path": agreement.coreset, "init_args": agreement.coreset_args}
        coreset = registry.build("coreset", spec, budget=agreement.budget)
        dtype: torch.dtype = getattr(torch, agreement.dtype)
        return self.patches().build_bank(
            coreset, method=agreement.coreset, site=self.name, seed=agreement.seed, dtype=dtype
        )

    def covering_radius(self, bank: MemoryBank) -> dict[str, float]:
        """How well a bank covers this site's patches: per category that both have, the largest distance to a row.

        Raises:
            BankError: If the bank is of another feature space; the error names the field.
        """
        self._check_space(bank.space)
        patches = self.patches()
        return {
            category: covering_radius(patches.features(category), bank.for_category(category).features)
            for category in patches.categories
            if category in bank.categories
        }

    def patches(self) -> PatchCollection:
        """This site's patch features, extracted at the first call."""
        if self._patches is None:
            self._patches = self._extract()
        return self._patches

    def _check_space(self, space: FeatureSpace) -> None:
        if differing := self.extractor.space.differences(space):
            msg = f"Site '{self.name}' is set up differently from the federation: {differing}."
            raise BankError(msg)

    @torch.inference_mode()
    def _extract(self) -> PatchCollection:
        began, transform, patches = time.perf_counter(), self.transform, PatchCollection(self.extractor.space)
        with progress_bar(f"{self.name}: features", total=len(self.images)) as advance:
            for batch in batches(self.images, batch_size=self.batch_size, num_workers=self.num_workers):
                patches.add(self.extractor(transform(batch.image)), batch.category)
                advance(len(batch.image))
        seconds = time.perf_counter() - began
        logger.info("%s: features of %d images in %.1f s", self.name, len(self.images), seconds)
        return patches
