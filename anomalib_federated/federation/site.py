"""One site: its pictures, and what it computes from them for the federation.

Nothing but memory banks, and how well a bank covers the site's patches, leaves this class.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from torchvision.transforms.v2 import Transform

from anomalib_federated.bank import BankError, FeatureSpace, MemoryBank
from anomalib_federated.data.batches import batches
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.grouping import Grouping
from anomalib_federated.federation.agreed_plugins import (
    check_bare,
    check_ungrouped,
    coreset_of,
    fairness_of,
    privacy_of,
)
from anomalib_federated.federation.frontier import Frontier
from anomalib_federated.federation.privacy_guard import PrivacyError, PrivacyGuard
from anomalib_federated.federation.refinement import more_rows
from anomalib_federated.federation.site_releases import NoisySums, check_question, noisy_sums, protected_bank
from anomalib_federated.interfaces.privacy import BankPrivacy, SumPrivacy
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.messages.sums import EVERY
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_collection import PatchCollection
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.privacy.state import State
from anomalib_federated.progress import progress_bar
from anomalib_federated.selection.budget import Budget
from anomalib_federated.selection.covering import Covering, measure_covering

logger = logging.getLogger(__name__)


class Site:
    """A plant's line.

    Args:
        name: Name of the site.
        images: Its normal training pictures.
        extractor: Turns them into patch features.
        batch_size: Pictures at a time.
        num_workers: Processes that read ahead.
        store: Folder in which patch features are kept, so that no picture goes through the network twice; ``None``
            keeps them in a temporary one.
        memory: What this process and its workers may use, such as ``"4GB"``; ``None`` leaves half of what the machine
            has free to others.
        store_dtype: Type in which features are stored: ``float16`` or ``float32``.
        guard: Holds the site to its privacy terms; ``None`` if it has none, and promises nothing about its pictures.
        noise: The source of chance of what is released under a promise.
        groups: Says which group each picture is of: the site decides that, never the centre. The groups' names, and
            which row is of which, leave the site. ``None`` tells of no groups.

    Raises:
        GroupingError: If the group of a picture cannot be told (for groups that are found, this shows later).
    """

    def __init__(
        self,
        name: str,
        images: InspectionDataset,
        *,
        extractor: PatchFeatureExtractor,
        batch_size: int = 4,
        num_workers: int = 0,
        store: Path | None = None,
        memory: str | int | None = None,
        store_dtype: str = "float16",
        guard: PrivacyGuard | None = None,
        noise: Noise | None = None,
        groups: Grouping | None = None,
    ) -> None:
        self.name = name
        self.images = images
        self.extractor = extractor
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.store = store
        self.memory = memory
        self.store_dtype = store_dtype
        self.guard = guard
        self.noise = noise or Noise()
        self.groups = groups
        if groups is not None and not groups.needs_features:  # before hours of extraction
            groups.names(list(self.images.pictures.values()))
        self._patches: PatchCollection | None = None
        self._frontier: Frontier | None = None
        self._built: tuple[Agreement, MemoryBank] | None = None

    @property
    def transform(self) -> Transform:
        """From pixels to what the backbone sees."""
        return image_transform(self.extractor.space)

    def build_bank(self, agreement: Agreement) -> MemoryBank:
        """Select this site's rows; asked for the same once more, it gives the bank that it built before.

        Args:
            agreement: How.

        Returns:
            The bank to send, of this site alone, as the privacy plugin agreed on leaves it.

        Raises:
            BankError: If this site's settings give another feature space than agreed; the error names the field.
            PluginError: If the coreset, fairness or privacy plugin is not installed here, or does not take the
                arguments agreed.
            PrivacyError: If the plugin makes no bank, promises less than the site's terms ask for, or the site has
                groups, of which no promise is true.
            BudgetExceededError: If the bank would give away more than they allow.
        """
        self._check_space(agreement.space)
        if self._built is not None and self._built[0] == agreement:
            return self._built[1]
        privacy = privacy_of(agreement)
        if not isinstance(privacy, BankPrivacy):
            msg = f"The privacy plugin '{agreement.privacy}' sends sums, no bank; use the strategy noisy_sums with it."
            raise PrivacyError(msg)
        coreset, fairness = coreset_of(agreement), fairness_of(agreement)
        if self.groups is not None:
            check_ungrouped(agreement, site=self.name)
        if agreement.privacy == "none" or not coreset.is_blind:  # before any picture is looked at
            self.refuse_unprotected("rows that were chosen by what they show")
        selected = self.patches().select(
            coreset,
            method=agreement.coreset if fairness is None else agreement.fairness,
            site=self.name,
            seed=agreement.seed,
            dtype=agreement.features_dtype,
            fairness=fairness,
        )
        bank = protected_bank(
            selected, privacy, agreement, guard=self.guard, noise=self.noise, chosen_blindly=coreset.is_blind
        )
        self._built = agreement, bank
        return bank

    def noisy_sums(self, states: Mapping[str, State], agreement: Agreement, *, number: int) -> NoisySums:
        """What the site adds to a round, per category that it has and is asked for.

        Args:
            states: What everybody knows, per category, or of ``EVERY`` one.
            agreement: How.
            number: Of the round, from 0.

        Raises:
            BankError: If this site's settings give another feature space than agreed; the error names the field.
            PluginError: If the privacy plugin is not installed here, or does not take the arguments agreed.
            PrivacyError: If the plugin makes no sums, there is no such round, it promises less than the site asks for,
                or the site has groups, of which no promise is true.
            BudgetExceededError: If the sums would give away more than the site allows.
        """
        self._check_space(agreement.space)
        privacy = privacy_of(agreement)
        if not isinstance(privacy, SumPrivacy) or number >= len(privacy.shares):
            msg = f"The privacy plugin '{agreement.privacy}' has no sums in round {number + 1}; agree on one that has."
            raise PrivacyError(msg)
        if self.groups is not None:
            check_ungrouped(agreement, site=self.name)
        check_question(privacy, states, number, space=agreement.space, guard=self.guard)
        held = self.patches().categories
        asked = dict.fromkeys(held, states[EVERY]) if EVERY in states else {k: states[k] for k in held if k in states}
        if not asked:
            msg = f"Site '{self.name}' has no picture of {', '.join(sorted(states))}, so it has nothing to add up."
            raise PrivacyError(msg)
        return noisy_sums(
            self.patches(),
            privacy,
            site=self.name,
            states=asked,
            number=number,
            agreement=agreement,
            guard=self.guard,
            noise=self.noise,
        )

    def covering(self, bank: MemoryBank) -> dict[str, Covering]:
        """How well a bank covers this site's patches, per category that both have.

        Raises:
            BankError: If the bank is of another feature space; the error names the field.
        """
        self.refuse_unprotected("how well a bank covers its patches")
        self._check_space(bank.space)
        return {
            category: self._covering(bank.for_category(category))
            for category in self.patches().categories
            if category in bank.categories
        }

    def candidates(
        self, picks: MemoryBank | None, agreement: Agreement, *, count: int
    ) -> tuple[MemoryBank, dict[str, float]]:
        """The patches that a federation's picks leave farthest, see :meth:`Frontier.candidates`.

        Args:
            picks: All picks so far; ``None`` before the first.
            agreement: How.
            count: Patches per category.

        Raises:
            BankError: If this site's settings give another feature space than agreed; the error names the field.
        """
        check_bare(agreement)
        self.refuse_unprotected("which patches lie far from others")
        self._check_space(agreement.space)
        if self._frontier is None:
            self._frontier = Frontier(self.patches(), self.name)
        bank, bounds = self._frontier.candidates(
            picks,
            count=count,
            budget=Budget.of(agreement.budget),
            seed=agreement.seed,
            dtype=agreement.features_dtype,
        )
        return agreement.rounded(bank), bounds

    def refine(
        self, bank: MemoryBank, agreement: Agreement, *, first: float, beyond: float
    ) -> tuple[MemoryBank | None, dict[str, list[int]]]:
        """More rows, where the federation's bank leaves this site's patches far away, see :func:`more_rows`.

        Args:
            bank: The global bank, with its covering radius.
            agreement: How; its budget is for all rows that the site sends.
            first: Share of that budget that was for the rows which the site sent before.
            beyond: Share of the bank's covering radius beyond which a patch is far away.

        Raises:
            BankError: If this site's settings give another feature space than agreed, or the bank was not measured.
        """
        check_bare(agreement)
        self.refuse_unprotected("which patches a bank leaves far away")
        self._check_space(bank.space)
        sent = self.build_bank(agreement.part(first))
        more, weights = more_rows(self.patches(), sent, bank, beyond=beyond, budget=Budget.of(agreement.budget))
        return agreement.rounded(more) if more else None, weights

    def patches(self) -> PatchCollection:
        """This site's patch features; at the first call, those that are not stored yet are extracted.

        Raises:
            ValueError: If a picture cannot be read, or gives impossible features.
            StoreError: If the store is of other settings, or in use.
            MemoryLimitError: If more memory is used than allowed.
            OSError: If the features cannot be stored.
            GroupingError: If the pictures cannot be grouped.
        """
        if self._patches is None:
            patches = PatchCollection(
                self.extractor.space,
                self.store,
                memory=self.memory,
                dtype=self.store_dtype,
                reading=self.images.reading,
            )
            with ExitStack() as on_failure:
                on_failure.callback(patches.close)
                self._extract(patches)
                if self.groups is not None:
                    patches.group_by(self.groups, self.images.pictures)
                on_failure.pop_all()
            self._patches = patches
        return self._patches

    def refuse_unprotected(self, question: str) -> None:
        """Refuse to tell what no promise covers, see :meth:`PrivacyGuard.refuse_unprotected`.

        Raises:
            PrivacyError: If the site tells nothing without a promise.
        """
        if self.guard is not None:
            self.guard.refuse_unprotected(question)

    def close(self) -> None:
        """Let go of the patch features; if they lie in a temporary folder, it is removed."""
        if self._patches is not None:
            self._patches.close()
            self._patches = self._frontier = self._built = None

    def _covering(self, bank: MemoryBank) -> Covering:
        rows = self.patches().rows(bank.categories[0], picks=len(bank))
        return measure_covering(rows, bank.features)

    def _check_space(self, space: FeatureSpace) -> None:
        if differing := self.extractor.space.differences(space):
            msg = f"Site '{self.name}' is set up differently from the federation: {differing}."
            raise BankError(msg)

    @torch.inference_mode()
    def _extract(self, patches: PatchCollection) -> None:
        began, transform, samples = time.perf_counter(), self.transform, self.images.samples
        pairs = zip(samples["category"], samples["image_path"], strict=True)
        stored = {path for category, path in pairs if patches.find(category, path)}
        loader = batches(self.images, batch_size=self.batch_size, num_workers=self.num_workers, known=stored)
        with progress_bar(f"{self.name}: features", total=len(self.images)) as advance:
            advance(len(stored))
            for batch in loader:
                patches.add(self.extractor(transform(batch.image)), batch.category, batch.image_path)
                advance(len(set(batch.image_path) - stored))
        logger.info(
            "%s: features of %d images, %d of them stored before, in %.1f s",
            self.name, len(self.images), len(stored), time.perf_counter() - began,
        )  # fmt: skip
