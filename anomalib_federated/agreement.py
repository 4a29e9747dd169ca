"""What all sites agree on before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from flwr.app import ConfigRecord

from anomalib_federated.bank import BankError, FeatureSpace, MemoryBank
from anomalib_federated.bank.file import MAX_BYTES
from anomalib_federated.budget import Budget, BudgetLike
from anomalib_federated.messages import MessageError, text

DTYPES = ("float16", "float32")
_FIELD = "agreement"
META_BYTES = 1 << 20
"""Room for all but the rows in a bank: names, feature space, contribution."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The settings of a federation that reach every site.

    Attributes:
        space: Feature space of all banks.
        coreset: Name of the coreset plugin that every site uses. Only names of installed plugins are allowed: a server
            cannot make a site import a class of its choice.
        coreset_args: Further arguments of that plugin.
        budget: Rows per category that a site sends at most, as :class:`anomalib_federated.budget.Budget` reads it: a
            number (int), a share of its patches (float in (0, 1]), or a target radius with a most.
        dtype: Type of the features sent: ``float16`` (half the bytes) or ``float32``.
        seed: Decides every random choice at the sites.

    Raises:
        ValueError: If a field has another type or value.
    """

    space: FeatureSpace
    coreset: str = "k_center"
    coreset_args: Mapping[str, Any] = field(default_factory=dict)
    budget: BudgetLike = 10_000
    dtype: str = "float16"
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "coreset": (
                isinstance(self.coreset, str) and self.coreset != "" and not set(self.coreset) & set(".: "),
                "the name of an installed coreset plugin",
            ),
            "coreset_args": (isinstance(self.coreset_args, Mapping), "a mapping of names to values"),
            "dtype": (self.dtype in DTYPES, f"one of {', '.join(DTYPES)}"),
            "seed": (_is_int(self.seed, 0), "a whole number of at least 0 that fits 63 bits"),
        }
        for name, (valid, wanted) in checks.items():
            if not valid:
                msg = f"The federation's agreement is refused: {name} is {getattr(self, name)!r}; give {wanted}."
                raise ValueError(msg)
        try:
            budget = Budget.of(self.budget)
        except ValueError as error:
            msg = f"The federation's agreement is refused: {error}"
            raise ValueError(msg) from error
        object.__setattr__(self, "budget", budget.plain())  # values that JSON knows, since the agreement travels

    @property
    def max_bytes(self) -> int:
        """The most bytes that a site's bank of one category can have and still be what was agreed.

        A share says nothing of the number of rows, so only the limit for all banks holds then.
        """
        most = Budget.of(self.budget).most
        if isinstance(most, float):
            return MAX_BYTES
        itemsize: int = getattr(torch, self.dtype).itemsize
        provenance = 2 * torch.int32.itemsize + torch.float32.itemsize  # site, category and weight of a row
        return min(MAX_BYTES, META_BYTES + most * (self.space.dim * itemsize + provenance))

    def check(self, bank: MemoryBank) -> None:
        """Refuse a site's bank that is not what was agreed.

        Raises:
            BankError: If its feature space or type is another one, it holds more rows of a category than agreed, or
                another number than it says; the error names the site.
        """
        sender = f"The bank of site '{', '.join(bank.sites)}'"
        if differing := bank.space.differences(self.space):
            msg = f"{sender} was made by other settings than agreed: {differing}; set the site up as the federation is."
            raise BankError(msg)
        if bank.features.dtype != getattr(torch, self.dtype):
            msg = f"{sender} holds features in {bank.features.dtype}, but {self.dtype} was agreed."
            raise BankError(msg)
        for item in bank.contributions:
            rows, allowed = len(bank.for_category(item.category)), Budget.of(self.budget).limit(item.patches)
            if rows > allowed:
                msg = f"{sender} holds {rows} rows of category '{item.category}', but at most {allowed} were agreed."
                raise BankError(msg)
            if rows != item.rows:
                msg = f"{sender} holds {rows} rows of category '{item.category}', but says that it kept {item.rows}."
                raise BankError(msg)

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
