"""The memory bank: patch features of good parts, where they come from, and in which feature space they live.

A bank is all that leaves a site. It is validated whenever it is constructed, and therefore whenever it arrives: from a
file or from a message, both of which hold the same safetensors bytes (never a pickle).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from anomalib_federated.bank import content, file
from anomalib_federated.bank.contribution import Contribution, check_contributions
from anomalib_federated.bank.feature_space import FeatureSpace
from anomalib_federated.bank.own_distance import check_projections, places_in_use
from anomalib_federated.bank.promises import check_privacy
from anomalib_federated.bank.reindex import reindex
from anomalib_federated.bank.row_groups import groups_in_use
from anomalib_federated.bank.union import fields_of_union
from anomalib_federated.bank.validation import (
    check_features,
    check_index,
    check_methods,
    check_names,
    check_radii,
    check_row_numbers,
    check_weights,
    refuse,
    refusing,
)
from anomalib_federated.files import whole_file
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.untrusted import shown


@dataclass(frozen=True, eq=False, kw_only=True)
class MemoryBank:
    """Rows of patch features with their provenance.

    Args:
        features: Shape ``(n, d)``, float32 or float16, finite, ``n >= 1``.
        row_category: Shape ``(n,)``, int32: index into ``categories``.
        row_site: Shape ``(n,)``, int32: index into ``sites``.
        weights: Shape ``(n,)``, float32, positive: how many patches the row stands for.
        categories: Names of the categories; each has at least one row.
        sites: Names of the sites.
        space: What decides the feature space; banks of different spaces cannot be merged.
        contributions: What each site saw of each category, and the rows it kept: no fewer than this bank has of them.
        coresets: Per category, the method that chose the rows of *this* bank.
        covering_radius: Per category, the measured largest distance of a training patch of any contributing site to its
            nearest row of *this* bank, in the full feature space. A category is absent where nobody measured it.
        privacy: Per site, what was promised about its pictures; nothing was about a site that is absent.
        row_place: Shape ``(n, 2)``, float32, in 0 .. 1: row and column as shares of height and width. A patch is
            compared only with the rows of its category whose place is nearest to its own. Rows that count everywhere
            are at .5, .5, as are all others of their category; if all rows are, it becomes ``None``.
        projections: Per category, shape ``(d, k)``, float32, finite, ``1 <= k <= d``: its distances are lengths after
            multiplication by it. A category is absent whose distances are Euclidean.
        row_group: Shape ``(n,)``, int32: index into ``groups``; ``None`` if no groups are told.
        groups: Names of the groups of pictures that rows are of, in any order; kept sorted, without those of no row.

    Raises:
        BankError: If anything above does not hold.

    Example:
        >>> import torch
        >>> from anomalib_federated.testing import example_bank
        >>> bank = example_bank(rows=4, site="plant-a", category="screw")
        >>> bank.select(torch.tensor([2, 0])).features.shape
        torch.Size([2, 8])
    """

    features: Tensor
    row_category: Tensor
    row_site: Tensor
    weights: Tensor
    categories: tuple[str, ...]
    sites: tuple[str, ...]
    space: FeatureSpace
    contributions: tuple[Contribution, ...]
    coresets: dict[str, str]
    covering_radius: dict[str, float]
    privacy: dict[str, PrivacyReport] = field(default_factory=dict)
    row_place: Tensor | None = None
    projections: dict[str, Tensor] = field(default_factory=dict)
    row_group: Tensor | None = None
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_features(self.features, self.space.dim)
        for kind in ("categories", "sites"):
            check_names(kind, getattr(self, kind))
        n = len(self.features)
        check_index("row_category", self.row_category, n, len(self.categories))
        check_index("row_site", self.row_site, n, len(self.sites))
        check_weights(self.weights, n)
        empty = sorted(set(range(len(self.categories))) - set(torch.unique(self.row_category).tolist()))
        if empty:
            refuse(f"category '{self.categories[empty[0]]}' has no row; leave it out or build its bank again")
        check_contributions(self.contributions, self._row_counts(), categories=self.categories, sites=self.sites)
        if set(self.coresets) != set(self.categories):
            refuse(f"coresets name {shown(sorted(self.coresets))}, but the bank holds {shown(sorted(self.categories))}")
        check_methods(self.coresets)
        check_radii(self.covering_radius, self.categories)
        check_privacy(self.privacy, self.sites)
        object.__setattr__(self, "row_place", places_in_use(self.row_place, n))
        check_projections(self.projections, self.features, self.categories)
        for name, value in zip(("row_group", "groups"), groups_in_use(self.row_group, self.groups, n), strict=True):
            object.__setattr__(self, name, value)

    def _row_counts(self) -> dict[tuple[str, str], int]:
        """The number of rows of each pair of site and category that has any."""
        both = self.row_site.long() * len(self.categories) + self.row_category
        pairs, counts = torch.unique(both, return_counts=True)
        return {
            (self.sites[pair // len(self.categories)], self.categories[pair % len(self.categories)]): count
            for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
        }

    def __len__(self) -> int:
        return len(self.features)

    @classmethod
    def merge(cls, banks: Iterable[MemoryBank]) -> MemoryBank:
        """Put all rows of several banks below each other, in the order given.

        Args:
            banks: At least one bank; all of one feature space, no (site, category) twice.

        Returns:
            The merged bank, float32 if any bank is. The covering radius of a category stays known only if it comes from
            one bank: that of a union must be measured. If any has groups, rows of the others are of group ``unnamed``.

        Raises:
            BankError: If there is no bank, the feature spaces differ (the error says in which field), a site
                contributes the same category twice or comes with two promises, or two banks hold a category of which
                one has places or a projection.
        """
        banks = list(banks)
        if not banks:
            refuse("there is no bank to merge; pass at least one")
        if len(banks) == 1:
            return banks[0]
        return cls(**fields_of_union(banks))

    def check_same_space(self, other: MemoryBank) -> None:
        """Refuse a bank whose features cannot be compared with this one's.

        Raises:
            BankError: If the feature spaces differ; the error names both banks' sites and the fields.
        """
        if differing := self.space.differences(other.space):
            sites = f"{', '.join(self.sites)} and {', '.join(other.sites)}"
            refuse(f"the banks of {sites} were made by other settings: {differing}; build them with the same")

    def select(self, indices: Tensor) -> MemoryBank:
        """Keep the rows named by ``indices``, in that order.

        Args:
            indices: Shape ``(k,)``, int64 row numbers, none twice, ``k >= 1``.

        Returns:
            A bank of ``k`` rows, whose features are a view if these follow each other. Categories that lost all rows
            are dropped; the covering radius is forgotten, since it was that of the rows before.

        Raises:
            BankError: If an index is out of range or named twice.
        """
        check_row_numbers(indices, len(self))
        kept = tuple(self.categories[i] for i in torch.unique(self.row_category[indices]).tolist())
        return replace(
            self,
            features=_taken(self.features, indices),
            row_category=reindex(self.row_category[indices], self.categories, kept),
            row_site=self.row_site[indices],
            weights=self.weights[indices],
            categories=kept,
            contributions=tuple(item for item in self.contributions if item.category in kept),
            coresets={name: self.coresets[name] for name in kept},
            covering_radius={},
            row_place=None if self.row_place is None else self.row_place[indices],
            projections={name: self.projections[name] for name in kept if name in self.projections},
            row_group=None if self.row_group is None else self.row_group[indices],
        )

    def for_category(self, category: str) -> MemoryBank:
        """The rows of one category, in their order.

        Raises:
            BankError: If the bank holds no such category; the error lists those it holds.
        """
        if category not in self.categories:
            refuse(f"the bank holds no category '{category}', only {', '.join(self.categories)}")
        rows = (self.row_category == self.categories.index(category)).nonzero().flatten()
        bank = self.select(rows)
        return replace(bank, covering_radius={k: v for k, v in self.covering_radius.items() if k == category})

    def to(self, dtype: torch.dtype) -> MemoryBank:
        """The same bank with its features in float32 or float16.

        Raises:
            BankError: If a feature exceeds the range of float16.
        """
        return replace(self, features=self.features.to(dtype))

    @property
    def digest(self) -> str:
        """sha256 of all but the seconds and passes that selections took, hexadecimal: equal runs give equal digests."""
        return file.digest(content.tensors_of(self), content.meta_of(self))

    def to_bytes(self) -> bytes:
        """The bank as safetensors bytes: what is stored and what is sent. Equal banks give equal bytes.

        Rows that int8 and a scale per row give exactly, see :mod:`anomalib_federated.bank.quantised`, are written so.
        """
        return file.encode(content.stored_of(self) | content.costs_of(self), content.meta_of(self))

    @classmethod
    def from_bytes(
        cls, data: bytes, *, source: str, max_bytes: int = file.MAX_BYTES, max_rows: int | None = None
    ) -> MemoryBank:
        """Read and validate a bank that came from outside.

        Args:
            data: What :meth:`to_bytes` wrote; not trusted.
            source: Where the bytes come from (a path, a site), for error messages.
            max_bytes: Refuse anything larger.
            max_rows: Refuse more rows, before they are read; ``None`` leaves it to the limit on bytes.

        Raises:
            BankError: If the bytes are too many, truncated, corrupt, or no valid bank; the error names the source.
        """
        with refusing(source):
            declared, meta = file.read_header(data, max_bytes=max_bytes)
            content.check_declared(declared, meta, max_rows=max_rows)
            return cls(**content.fields_of(file.read_tensors(data), meta))

    def save(self, path: str | Path) -> Path:
        """Write the bank to a safetensors file, which appears only when it is complete.

        Args:
            path: File to write; missing folders are made.

        Returns:
            The path.
        """
        with whole_file(Path(path)) as beside:
            self.write(beside)
        return Path(path)

    def write(self, path: Path) -> None:
        """Put a new file in this place, of the bytes of :meth:`to_bytes`, without holding them in memory."""
        file.write(path, content.stored_of(self) | content.costs_of(self), content.meta_of(self))

    @classmethod
    def load(cls, path: str | Path, *, max_bytes: int = file.MAX_BYTES) -> MemoryBank:
        """Read and validate a bank from a file.

        Args:
            path: The file.
            max_bytes: Refuse a larger file, before reading it.

        Raises:
            FileNotFoundError: If there is no such file.
            BankError: If it is no valid bank; the error names the file.
        """
        return cls.from_bytes(file.read(Path(path), max_bytes=max_bytes), source=str(path), max_bytes=max_bytes)

    @classmethod
    def open(cls, path: str | Path, *, source: str = "", max_rows: int | None = None) -> MemoryBank:
        """The same, but rows stay in the file and are read when they are used; those in int8 are restored in memory.

        The file may be replaced or deleted meanwhile, but never written to: that would change the bank.

        Args:
            path: The file.
            source: Where it comes from, for error messages; by default the path.
            max_rows: Refuse more rows, before they are read.

        Raises:
            FileNotFoundError: If there is no such file.
            BankError: If it is no valid bank; the error names the source.
        """
        path = Path(path)
        file.check_file(path)
        with refusing(source or str(path)):
            declared, meta = file.header_of(path)
            content.check_declared(declared, meta, max_rows=max_rows)
            return cls(**content.fields_of(file.tensors_on_disk(path), meta))


def _taken(features: Tensor, indices: Tensor) -> Tensor:
    """Rows by their numbers; a view if they follow each other."""
    first = int(indices[0])
    if torch.equal(indices, torch.arange(first, first + len(indices))):
        return features[first : first + len(indices)]
    return features[indices]
