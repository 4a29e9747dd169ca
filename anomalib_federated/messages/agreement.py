"""What all sites agree on before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from flwr.app import ConfigRecord

from anomalib_federated.bank import BankError, FeatureSpace, MemoryBank
from anomalib_federated.bank.file import MAX_BYTES
from anomalib_federated.bank.own_distance import check_plain
from anomalib_federated.bank.quantised import as_quantised, quantised_bank
from anomalib_federated.bank.row_groups import MAX_SITE_GROUPS
from anomalib_federated.messages import MessageError, text
from anomalib_federated.selection.budget import Budget, BudgetLike
from anomalib_federated.untrusted import read_json, said, shown

DTYPES = {"float16": torch.float16, "float32": torch.float32, "int8": torch.float32}
"""What may be agreed, and the type of the features in a bank as agreed: int8 is how rows travel, see ``quantised``."""
MAX_TEXT = 1 << 16
"""Characters of an agreement as text."""
_FIELD = "agreement"
WEIGHT_ROUNDING = 1e-3
META_BYTES = 1 << 20
"""Room for all but the rows in a bank: names, feature space, contribution, and what is promised."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The settings of a federation that reach every site.

    Attributes:
        space: Feature space of all banks.
        coreset: Name of the coreset plugin that every site uses. Only names of installed plugins are allowed: a server
            cannot make a site import a class of its choice.
        coreset_args: Further arguments of that plugin.
        budget: Rows per category that a site sends at most, as :class:`anomalib_federated.selection.budget.Budget`
            reads it: a number (int), a share of its patches (float in (0, 1]), or a target radius with a most.
        dtype: How the rows travel: ``float16`` (half the bytes of ``float32``), ``float32`` or ``int8`` (a quarter).
        seed: Decides every random choice at the sites.
        privacy: Name of the privacy plugin, by the same rule: what a site sends in place of its bank.
        privacy_args: Arguments of that plugin.
        fairness: Name of the fairness plugin, by the same rule, by which a site chooses its rows among its own groups
            of pictures, in place of the coreset; ``none`` leaves it to the coreset. What a site's groups are, it alone
            decides.
        fairness_args: Arguments of that plugin.

    Raises:
        ValueError: If a field has another type or value.
    """

    space: FeatureSpace
    coreset: str = "k_center"
    coreset_args: Mapping[str, Any] = field(default_factory=dict)
    budget: BudgetLike = 10_000
    dtype: str = "float16"
    seed: int = 0
    privacy: str = "none"
    privacy_args: Mapping[str, Any] = field(default_factory=dict)
    fairness: str = "none"
    fairness_args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks = {
            "coreset": (_is_plugin(self.coreset), "the name of an installed coreset plugin"),
            "privacy": (_is_plugin(self.privacy), "the name of an installed privacy plugin"),
            "fairness": (_is_plugin(self.fairness), "the name of an installed fairness plugin"),
            "fairness_args": (isinstance(self.fairness_args, Mapping), "a mapping of names to values"),
            "privacy_args": (isinstance(self.privacy_args, Mapping), "a mapping of names to values"),
            "coreset_args": (isinstance(self.coreset_args, Mapping), "a mapping of names to values"),
            "dtype": (isinstance(self.dtype, str) and self.dtype in DTYPES, f"one of {', '.join(DTYPES)}"),
            "seed": (_is_int(self.seed, 0), "a whole number of at least 0 that fits 63 bits"),
        }
        for name, (valid, wanted) in checks.items():
            if not valid:
                msg = f"The federation's agreement is refused: {name} is {shown(getattr(self, name))}; give {wanted}."
                raise ValueError(msg)
        try:
            budget = Budget.of(self.budget)
        except ValueError as error:
            msg = f"The federation's agreement is refused: {error}"
            raise ValueError(msg) from error
        if self.fairness != "none" and (budget.radius is not None or self.privacy != "none"):
            needs = "a number or a share of rows as budget" if budget.radius is not None else "the privacy plugin none"
            msg = f"The federation's agreement is refused: the fairness rule '{self.fairness}' needs {needs}."
            raise ValueError(msg)
        object.__setattr__(self, "budget", budget.plain())  # values that JSON knows, since the agreement travels

    @property
    def features_dtype(self) -> torch.dtype:
        """Type of the features in a bank as agreed: float16 or float32."""
        return DTYPES[self.dtype]

    @property
    def max_rows(self) -> int | None:
        """The most rows that a site's bank of one category can have; a share says nothing of it (``None``)."""
        most = Budget.of(self.budget).most
        return most if isinstance(most, int) else None

    @property
    def max_bytes(self) -> int:
        """The most bytes that a site's bank of one category can have and still be what was agreed.

        A share says nothing of the number of rows, so only the limit for all banks holds then.
        """
        if self.max_rows is None:
            return MAX_BYTES
        dtype: torch.dtype = getattr(torch, self.dtype)
        scale = torch.float32.itemsize if dtype == torch.int8 else 0
        provenance = 3 * torch.int32.itemsize + torch.float32.itemsize  # site, category, group and weight of a row
        return min(MAX_BYTES, META_BYTES + self.max_rows * (self.space.dim * dtype.itemsize + scale + provenance))

    def rounded(self, bank: MemoryBank) -> MemoryBank:
        """A site's bank with its rows as agreed, so that they travel in as few bytes.

        Returns:
            A bank that :meth:`check` takes, if nothing else is amiss. With ``int8`` its radii are upper bounds, see
            :func:`anomalib_federated.bank.quantised.quantised_bank`; rounding to ``float16`` leaves them as they are.

        Raises:
            BankError: If a feature exceeds the range of float16.
        """
        return quantised_bank(bank) if self.dtype == "int8" else bank.to(self.features_dtype)

    def check(self, bank: MemoryBank) -> None:
        """Refuse a site's bank that is not what was agreed.

        Raises:
            BankError: If its feature space or type is another one, it measures distances in a way of its own, it has
                more groups than a site may, it holds more rows of a category than agreed or another number than it
                says, or they stand for more patches than it saw; the error names the site.
        """
        sender = f"The bank of site '{', '.join(bank.sites)}'"
        if differing := bank.space.differences(self.space):
            msg = f"{sender} was made by other settings than agreed: {differing}; set the site up as the federation is."
            raise BankError(msg)
        for category in bank.categories:
            check_plain([bank], category)
        if self.privacy != "none" and set(bank.privacy) != set(bank.sites):
            msg = f"{sender} comes without a privacy report, but the privacy plugin '{self.privacy}' was agreed."
            raise BankError(msg)
        if len(bank.groups) > MAX_SITE_GROUPS:
            msg = f"{sender} has {len(bank.groups)} groups; a site may have at most {MAX_SITE_GROUPS}."
            raise BankError(msg)
        exact = self.dtype != "int8" or as_quantised(bank.features) is not None
        if bank.features.dtype != self.features_dtype or not exact:
            msg = f"{sender} holds features in {bank.features.dtype}, but {self.dtype} was agreed."
            raise BankError(msg)
        for item in bank.contributions:
            own = bank.row_category == bank.categories.index(item.category)
            rows, allowed = int(own.sum()), Budget.of(self.budget).limit(item.patches)
            if rows > allowed:
                msg = f"{sender} holds {rows} rows of category '{item.category}', but at most {allowed} were agreed."
                raise BankError(msg)
            if rows != item.rows:
                msg = f"{sender} holds {rows} rows of category '{item.category}', but says that it kept {item.rows}."
                raise BankError(msg)
            # Sums of weights in float32 may be a little off.
            if (weight := float(bank.weights[own].double().sum())) > item.patches * (1 + WEIGHT_ROUNDING):
                msg = (
                    f"{sender} holds rows of category '{item.category}' that stand for {weight:g} patches, but says "
                    f"that it saw {item.patches}."
                )
                raise BankError(msg)

    def to_json(self) -> str:
        """The agreement as text for a file, which :meth:`from_json` reads.

        Without a fairness rule it says nothing of it, as before there were any: what was released under the same
        agreement is known by its text.

        Example:
            >>> from anomalib_federated.testing import example_bank
            >>> agreement = Agreement(space=example_bank().space, budget=500)
            >>> Agreement.from_json(agreement.to_json(), source="example") == agreement
            True
        """
        fields = asdict(self)
        if self.fairness == "none":
            del fields["fairness"], fields["fairness_args"]
        return json.dumps(fields, sort_keys=True, allow_nan=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, given: str, *, source: str) -> Agreement:
        """Read and validate an agreement that came as text.

        Args:
            given: What :meth:`to_json` wrote; not trusted.
            source: Where it comes from, for error messages.

        Raises:
            MessageError: If it is not valid; a ``ValueError``.
        """
        try:
            return cls(**_fields(given))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            problem = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            msg = f"The agreement from {source} cannot be used: {said(problem)}"
            raise MessageError(msg) from error

    def part(self, share: float) -> Agreement:
        """The same agreement with a share in (0, 1] of the budget, for sites that send their rows in several rounds."""
        return replace(self, budget=Budget.of(self.budget).part(share))

    def to_record(self) -> ConfigRecord:
        """The agreement as a record of a Flower message."""
        return ConfigRecord({_FIELD: self.to_json()})

    @classmethod
    def from_record(cls, record: ConfigRecord, *, source: str) -> Agreement:
        """Read and validate an agreement that came in a message.

        Raises:
            MessageError: If there is none, or it is not valid.
        """
        return cls.from_json(text(record, _FIELD, source=source), source=source)


def _fields(given: str) -> dict[str, Any]:
    """The fields of an agreement in text that is not trusted."""
    if len(given) > MAX_TEXT:
        msg = f"it has {len(given)} characters, more than the {MAX_TEXT} accepted"
        raise ValueError(msg)
    values = read_json(given)
    if not isinstance(values, dict):
        msg = "it is no mapping"
        raise TypeError(msg)
    return values | {"space": FeatureSpace.from_dict(values["space"])}


def _is_plugin(name: object) -> bool:
    """Whether it may name a plugin, and is no class path."""
    return isinstance(name, str) and 0 < len(name) <= 100 and not set(name) & set(".: ")


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 63
