"""Rows that are more like a defect than like a good part, as far as the centre can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.models.reference_bank import CLEAN, DEFECTS
from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.rows import TensorRows

HOW = (
    "make one of a few pictures of good parts by 'anomalib-federated bank reference --data.root FOLDER --category NAME "
    "--output reference.safetensors'"
)


class TrustedReference(Screening):
    """Refuses rows that are nearer to a synthetic defect than to any patch of the centre's own clean pictures.

    Such a row would hide the defect that it is near to. The centre's pictures decide alone: no site, and no number of
    bad sites, has a part in it, and one site alone can be screened. There is nothing to set: both distances are of one
    space, so that no unit enters.

    It sees features of defects that resemble the synthetic ones more than they resemble good parts. It does not see a
    defect of a kind that the synthetic ones do not cover, nor what is foreign altogether: that lies on one side or the
    other by chance. Its price is small: an honest mode that none of the centre's pictures shows is refused only where
    it lies towards a synthetic defect.

    Args:
        reference: File of the command ``anomalib-federated bank reference``, or several merged into one by ``bank
            merge``, one per category; ``None`` leaves the screening without one, so that it refuses to work.

    Raises:
        FileNotFoundError: If there is no such file.
        BankError: If it is no reference.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> TrustedReference().screen([example_bank()])
        Traceback (most recent call last):
        ...
        ValueError: The screening trusted_reference has no reference; make one of a few pictures of good parts by ...
    """

    def __init__(self, *, reference: str | None = None) -> None:
        self.reference = reference
        self._bank = None if reference is None else _load(reference)

    def screen(self, banks: Sequence[MemoryBank]) -> list[Refusal]:
        """Refuse rows on the side of the defects.

        Raises:
            ValueError: If there is no reference at all.
            BankError: If it is of another feature space, or lacks the category.
        """
        if not banks:
            return []
        clean, defects = self._rows(banks[0])
        refusals = []
        for bank in banks:
            blocks = [block for _, block in TensorRows(bank.features).blocks()]
            to_clean = torch.cat([nearest(block, clean)[0] for block in blocks])
            to_defect = torch.cat([nearest(block, defects)[0] for block in blocks])
            rows = to_defect < to_clean
            if bool(rows.any()):
                reason = (
                    f"{int(rows.sum())} rows are nearer to a synthetic defect of the reference than to its clean "
                    f"patches: {float(to_defect[rows].median()):.3g} and {float(to_clean[rows].median()):.3g} in the "
                    "middle"
                )
                refusals.append(Refusal(site=bank.sites[0], rows=rows, reason=reason))
        return refusals

    def _rows(self, bank: MemoryBank) -> tuple[Tensor, Tensor]:
        """Clean rows and rows of defects, of the category and the feature space of a bank."""
        if self._bank is None:
            msg = f"The screening trusted_reference has no reference; {HOW}, and name the file."
            raise ValueError(msg)
        if differing := self._bank.space.differences(bank.space):
            msg = (
                f"The reference {self.reference} and the banks of the sites were made by other settings: {differing}; "
                "make it again, with --agreement of this federation."
            )
            raise BankError(msg)
        (category,) = bank.categories
        if category not in self._bank.categories:
            held = ", ".join(self._bank.categories)
            msg = f"The reference {self.reference} has no category '{category}', only {held}; {HOW}."
            raise BankError(msg)
        own = self._bank.for_category(category)
        clean, defects = (own.features[own.row_site == own.sites.index(site)].float() for site in (CLEAN, DEFECTS))
        return clean, defects


def _load(path: str) -> MemoryBank:
    """The reference in a file."""
    if not Path(path).is_file():
        msg = f"The screening trusted_reference finds no reference at {path}; {HOW}."
        raise FileNotFoundError(msg)
    bank = MemoryBank.load(path)
    kinds = {(bank.sites[site], bank.categories[category])
             for site, category in zip(bank.row_site.tolist(), bank.row_category.tolist(), strict=True)}  # fmt: skip
    wanted = {(site, category) for site in (CLEAN, DEFECTS) for category in bank.categories}
    if kinds != wanted:
        msg = f"{path} is a bank of {', '.join(bank.sites)}, which is no reference; {HOW}."
        raise BankError(msg)
    return bank
