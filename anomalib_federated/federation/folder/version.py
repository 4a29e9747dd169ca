"""One version of the global bank: what went into it, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, with_config

from anomalib_federated.federation.folder.events import Count, StoredBank
from anomalib_federated.interfaces.refused import Refused

FORMAT = 1
"""How ``version.json`` is written."""


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How well a global bank covers the sites' patches.

    Attributes:
        digest: Digest of the bank with its measured radius and weights.
        radius: Per category, the largest distance of a patch of the sites that measured to its nearest row, in the full
            feature space.
        by: Per category, the sites that measured.
    """

    digest: str
    radius: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
    by: dict[str, tuple[str, ...]]


@with_config(ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of the global bank.

    Attributes:
        number: From 1 up; none is ever used again.
        time: When it was aggregated, by the clock of the centre.
        strategy: The strategy's ``class_path`` and ``init_args``, as :func:`anomalib_federated.registry.build` takes
            them.
        seed: The strategy's.
        package: Version of anomalib-federated that aggregated it.
        digest: Digest of the bank as it was aggregated: equal sites, strategy, screenings and seed give equal digests.
        rows: Its rows.
        sites: Per site, the bank that went in, rows that were refused among them.
        screening: The screenings' ``class_path`` and ``init_args``, in their order.
        refused: What they refused.
        measured: How well it covers the sites' patches; ``None`` until sites have measured it.
        format: How this is written.

    Raises:
        ValueError: If the strategy or a screening is something else.
    """

    number: Annotated[int, Field(ge=1)]
    time: AwareDatetime
    strategy: dict[str, Any]
    seed: int
    package: str
    digest: str
    rows: Count
    sites: dict[str, StoredBank]
    screening: tuple[dict[str, Any], ...] = ()
    refused: tuple[Refused, ...] = ()
    measured: Measurement | None = None
    format: int = FORMAT

    def __post_init__(self) -> None:
        known = {"class_path": str, "init_args": dict}
        for kind, specs in {"strategy": (self.strategy,), "screening": self.screening}.items():
            if any({name: type(value) for name, value in spec.items()} != known for spec in specs):
                msg = f"its {kind} is not a class_path with init_args"
                raise ValueError(msg)


VERSION = TypeAdapter(Version)
"""Between a version and its JSON."""
