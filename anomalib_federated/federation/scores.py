"""Figures of a global bank on the test pictures of each site, and what they say together.

Figures leave a site, never a score of a picture, a name or a curve. Few pictures would still tell: with one defective
picture, the area under the ROC curve is its rank. So a site tells its figures only from :data:`LEAST_PICTURES` good and
as many defective test pictures on; it tells the two counts always.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, TypeAlias

from flwr.app import Message, MetricRecord
from pydantic import Field, TypeAdapter, ValidationError

from anomalib_federated import messages
from anomalib_federated.messages import MessageError
from anomalib_federated.messages.traffic import TrafficBySite
from anomalib_federated.metrics import FPR_LIMITS

LEAST_PICTURES = 5
"""Good, and defective, test pictures from which on a site tells its figures, unless it sets another number."""

Count: TypeAlias = Annotated[int, Field(strict=True, ge=0, lt=1 << 40)]
Share: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
SharesAtLimits: TypeAlias = Annotated[tuple[Share, ...], Field(min_length=len(FPR_LIMITS), max_length=len(FPR_LIMITS))]


@dataclass(frozen=True, kw_only=True)
class SiteScores:
    """One site's figures of one category; what is not defined or kept back is ``None``, never 0.

    Attributes:
        good: Good test pictures.
        defective: Defective test pictures.
        auroc: Area under the ROC curve of picture scores.
        average_precision: Area under their precision-recall curve, by steps.
        auc_spro: AUC-sPRO at each of the limits :data:`anomalib_federated.metrics.FPR_LIMITS`, in their order.

    Raises:
        ValueError: If there is no test picture, or a figure without both good and defective ones.
    """

    good: Count
    defective: Count
    auroc: Share | None = None
    average_precision: Share | None = None
    auc_spro: SharesAtLimits | None = None

    def __post_init__(self) -> None:
        if not self.pictures:
            msg = "a category without test pictures has no figures"
            raise ValueError(msg)
        if not (self.good and self.defective) and any(
            figure is not None for figure in (self.auroc, self.average_precision, self.auc_spro)
        ):
            msg = "figures need good and defective test pictures"
            raise ValueError(msg)

    @property
    def pictures(self) -> int:
        """All test pictures."""
        return self.good + self.defective

    def figure(self, name: str) -> float | None:
        """A figure by its name: ``auroc``, ``average_precision``, or ``auc_spro@`` and a limit.

        Raises:
            KeyError: If there is no figure of this name.

        Example:
            >>> SiteScores(good=5, defective=5, auc_spro=(0.1, 0.2, 0.3, 0.4, 0.5)).figure("auc_spro@0.05")
            0.2
        """
        at_limits = self.auc_spro or (None,) * len(FPR_LIMITS)
        return {
            "auroc": self.auroc,
            "average_precision": self.average_precision,
            **{f"auc_spro@{limit}": value for limit, value in zip(FPR_LIMITS, at_limits, strict=True)},
        }[name]


_SCORES = TypeAdapter(dict[str, SiteScores])
_ATTRIBUTES = tuple(item.name for item in fields(SiteScores))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One figure of one category over the sites that tell it.

    Attributes:
        mean: Of the sites' figures, weighted by their test pictures. Not the figure of all pictures together: pictures
            of two sites are never ranked against each other.
        worst: The lowest figure.
        worst_site: Whose that is; of equals the first by name.
        spread: Highest less lowest.
        sites: How many sites tell it.
    """

    mean: float
    worst: float
    worst_site: str
    spread: float
    sites: int


@dataclass(frozen=True, kw_only=True)
class FederatedScores:
    """Figures of one global bank on the test pictures of the sites.

    Attributes:
        sites: Per site and category, both sorted by name.
        left_out: Sites that should have answered but did not, with the reason.
        traffic: Bytes of the question and its answers.
    """

    sites: dict[str, dict[str, SiteScores]]
    left_out: dict[str, str]
    traffic: TrafficBySite

    def spread(self, category: str, figure: str) -> Spread | None:
        """A figure of a category over the sites; ``None`` if no site tells it.

        Raises:
            KeyError: If there is no figure of this name.

        Example:
            >>> north = {"screw": SiteScores(good=5, defective=5, auroc=0.8)}
            >>> south = {"screw": SiteScores(good=20, defective=10, auroc=1.0)}
            >>> FederatedScores(sites={"north": north, "south": south}, left_out={}, traffic={}).spread(
            ...     "screw", "auroc").mean
            0.95
        """
        own = {site: found[category] for site, found in sorted(self.sites.items()) if category in found}
        told = {site: value for site, scores in own.items() if (value := scores.figure(figure)) is not None}
        if not told:
            return None
        worst = min(told, key=lambda site: told[site])
        pictures = sum(own[site].pictures for site in told)
        return Spread(
            mean=sum(value * own[site].pictures for site, value in told.items()) / pictures,
            worst=told[worst],
            worst_site=worst,
            spread=max(told.values()) - min(told.values()),
            sites=len(told),
        )


def to_records(scores: Mapping[str, SiteScores]) -> dict[str, MetricRecord]:
    """The records of a reply: one per attribute, which holds its value per category; what is ``None`` is absent."""
    records: dict[str, dict[str, int | float | list[float]]] = {name: {} for name in _ATTRIBUTES}
    for category, each in scores.items():
        for name, value in asdict(each).items():
            if value is not None:
                records[name][category] = list(value) if isinstance(value, tuple) else value
    return {name: MetricRecord(dict(values)) for name, values in records.items()}


def from_reply(reply: Message, categories: Collection[str]) -> dict[str, SiteScores]:
    """Read and check what :func:`to_records` made.

    Args:
        reply: The site's reply; not trusted.
        categories: Those that it was asked about; it may have test pictures of some of them only.

    Raises:
        MessageError: If a record is missing, names another category, or holds an impossible figure.
    """
    site, values = messages.site_name(reply), dict[str, dict[str, object]]()
    for name in _ATTRIBUTES:
        for category, value in messages.record(reply, name, MetricRecord).items():
            if category not in categories:
                msg = f"Site '{site}' tells a figure of {category[:50]!a}, about which it was not asked."
                raise MessageError(msg)
            values.setdefault(category, {})[name] = value
    try:
        return _SCORES.validate_python(dict(sorted(values.items())))
    except ValidationError as error:
        first = error.errors()[0]
        where = ", ".join(map(str, first["loc"]))
        msg = f"Site '{site}' tells an impossible figure ({where}): {first['msg']}."
        raise MessageError(msg) from error
