"""What all sites agree on before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from flwr.app import ConfigRecord

from anomalib_federated.bank import FeatureSpace
from anomalib_federated.messages import MessageError, text

DTYPES = ("float16", "float32")
_FIELD = "agreement"


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
        checks = {
            "coreset": isinstance(self.coreset, str) and self.coreset.isidentifier(),
            "coreset_args": isinstance(self.coreset_args, Mapping),
            "budget": isinstance(self.budget, int | float) and not isinstance(self.budget, bool) and self.budget > 0,
            "dtype": self.dtype in DTYPES,
            "seed": isinstance(self.seed, int) and not isinstance(self.seed, bool),
        }
        for name, valid in checks.items():
            if not valid:
                msg = f"The federation's agreement is refused: {name} is {getattr(self, name)!r}."
                raise ValueError(msg)

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
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            msg = f"The agreement from {source} cannot be used: {error}"
            raise MessageError(msg) from error
