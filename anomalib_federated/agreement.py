"""What all sites agree on before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import floor
from typing import Any

import torch
from flwr.app import ConfigRecord

from anomalib_federated.bank import BankError, FeatureSpace, MemoryBank
from anomalib_federated.messages import MessageError, text

DTYPES = ("float16", "float32")
_FIELD = "agreement"
_SHARE_ROUNDING = 1e-6
"""Lets a site round a share as its coreset does."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The settings of a federation that reach every site.

    Attributes:
        space: Feature space of all banks.
        coreset: Name of the coreset plugin that every site uses. Only names of installed plugins are allowed: a server
            cannot make a site import a class of its choice.
        coreset_args: Further arguments of that plugin.
        budget: Rows per category that a site sends: a number (int) or a share of its patches (float in (0, 1]).
        dtype: Type of the features sent: ``float16`` (half the bytes) or ``float32``.
        seed: Decides every random choice at the sites.

    Raises:
        ValueError: If a field has another type or value.
    """

    space: FeatureSpace
    coreset: str = "k_center"
    coreset_args: Mapping[str, Any] = field(default_factory=dict)
    budget: int | float = 10_000
    dtype: str = "float16"
    seed: int = 0

    def __post_init__(self) -> None:
        share = isinstance(self.budget, float) and 0 < self.budget <= 1
        checks = {
            "coreset": (
                isinstance(self.coreset, str) and self.coreset != "" and not set(self.coreset) & set(".: "),
                "the name of an installed coreset plugin",
            ),
            "coreset_args": (isinstance(self.coreset_args, Mapping), "a mapping of names to values"),
            "budget": (share or _is_int(self.budget, 1), "a number of rows (int >= 1) or a share (float in (0, 1])"),
            "dtype": (self.dtype in DTYPES, f"one of {', '.join(DTYPES)}"),
            "seed": (_is_int(self.seed, 0), "a whole number of at least 0 that fits 63 bits"),
        }
        for name, (valid, wanted) in checks.items():
            if not valid:
                msg = f"The federation's agreement is refused: {name} is {getattr(self, name)!r}; give {wanted}."
                raise ValueError(msg)

    def check(self, bank: MemoryBank) -> None:
        """Refuse a site's bank that is not what was agreed.

        Raises:
            BankError: If its feature space or type is another one, or it holds more rows of a category than agreed; the
                error names the site.
        """
        sender = f"The bank of site '{', '.join(bank.sites)}'"
        if differing := bank.space.differences(self.space):
            msg = f"{sender} was made by other settings than agreed: {differing}; set the site up as the federation is."
            raise BankError(msg)
        if bank.features.dtype != getattr(torch, self.dtype):
            msg = f"{sender} holds features in {bank.features.dtype}, but {self.dtype} was agreed."
            raise BankError(msg)
        for item in bank.contributions:
            rows, allowed = len(bank.for_category(item.category)), self._rows(item.patches)
            if rows > allowed:
                msg = f"{sender} holds {rows} rows of category '{item.category}', but at most {allowed} were agreed."
                raise BankError(msg)

    def _rows(self, patches: int) -> int:
        """Rows that a site may send of a category of which it saw so many patches."""
        if isinstance(self.budget, int):
            return min(patches, self.budget)
        return max(1, floor(self.budget * patches + _SHARE_ROUNDING))

    def to_record(self) -> ConfigRecord:
        """The agreement as a record of a Flower message."""
        return ConfigRecord({_FIELD: json.dumps(asdict(self), sort_keys=True, allow_nan=False)})

    @classmethod
    def from_record(cls, record: ConfigRecord, *, source: str) -> Agreement:
        """Read and validate an agreement that came in a message.

        Raises:
            MessageError: If there is none, or it is not valid.
        """
        try:
            values = json.loads(text(record, _FIELD, source=source))
            return cls(**values | {"space": FeatureSpace.from_dict(values["space"])})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            msg = f"The agreement from {source} cannot be used: {error}"
            raise MessageError(msg) from error


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 63
