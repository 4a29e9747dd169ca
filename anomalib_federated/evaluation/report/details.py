"""The tables of the report that one opens: defect types, operating points, sites, settings, versions."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anomalib_federated.evaluation.figures import Group, OperatingPoint
from anomalib_federated.evaluation.report.numbers import Cells
from anomalib_federated.evaluation.results import BankFacts, Result, SiteShare
from anomalib_federated.evaluation.undefined import NOT_DEFINED, mean, show
from anomalib_federated.false_alarms import pictures_expected
from anomalib_federated.interfaces.refused import Refused, refused_altogether
from anomalib_federated.privacy import PrivacyReport

LIMIT = "0.05"
"""Of the false positive rate, for AUC-sPRO of a part of the images; as ``auc_spro`` names it."""


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """A part of a category's defective images.

    Attributes:
        kind: What the group is made by.
        name: Its name.
        images: Defective images.
        figures: AUC-sPRO, then image AUROC, per method.
    """

    kind: str
    name: str
    images: int
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class PointRow:
    """An operating point of a method on a category; means over seeds."""

    wished: str
    test_tnr: str
    tpr: str
    validation_images: str
    coarse: bool
    """Whether there are too few validation images to tell the wished share from all of them."""


@dataclass(frozen=True, kw_only=True)
class SiteRow:
    """What a site put into a method's banks, over all categories.

    Attributes:
        site: Its name.
        images: That it saw; 0 if that is not known.
        patches: Of them.
        rows: Of the banks.
        share_of_patches: Of those of all sites, from 0 to 1.
        share_of_rows: Likewise.
        megabytes_up: That it sent.
        megabytes_down: That it was sent.
        unknown: Why its images are not known, in a word or two.
    """

    site: str
    images: int
    patches: int
    rows: int
    share_of_patches: float
    share_of_rows: float
    megabytes_up: float
    megabytes_down: float
    unknown: str = "not told"


@dataclass(frozen=True, kw_only=True)
class BankTable:
    """The banks of one method and seed.

    Attributes:
        method: Name of the method.
        rows: Of all categories' banks.
        megabytes: Likewise.
        megabytes_sent: By all sites together.
        megabytes_received: By all sites together.
        covering_radius: The largest of the categories; empty if not measured everywhere.
        sites: Sorted by name.
        fairness: In words, how rows are shared compared to patches; empty if one site or none is known.
        promises: What was promised about the pictures, each promise once.
        refused: What screenings refused, by category.
    """

    method: str
    rows: int
    megabytes: float
    megabytes_sent: float
    megabytes_received: float
    covering_radius: str
    sites: tuple[SiteRow, ...]
    fairness: str
    promises: tuple[PrivacyReport, ...]
    refused: tuple[Refused, ...]


def group_rows(cells: Cells, methods: Sequence[str], category: str) -> list[GroupRow]:
    """Figures per defect type, folder and kind.

    Args:
        cells: Results.
        methods: The columns.
        category: Of the images.
    """
    groups: dict[tuple[str, str], dict[str, list[Group]]] = {}
    for method in methods:
        for result in cells.get((method, category), ()):
            for group in result.figures.groups:
                groups.setdefault((group.kind, group.name), {}).setdefault(method, []).append(group)
    return [
        GroupRow(
            kind=kind,
            name=name,
            images=max(group.images for own in of_methods.values() for group in own),
            figures=tuple(
                (
                    show(mean([(group.auc_spro or {}).get(LIMIT) for group in of_methods.get(method, ())])),
                    show(mean([group.classification.auroc for group in of_methods.get(method, ())])),
                )
                for method in methods
            ),
        )
        for (kind, name), of_methods in groups.items()
    ]


def point_rows(cells: Cells, methods: Sequence[str], category: str) -> list[tuple[str, list[PointRow]]]:
    """Every operating point of a category by method; means over seeds."""
    rows = []
    for method in methods:
        points: dict[float, list[OperatingPoint]] = {}
        for result in cells.get((method, category), ()):
            for point in result.figures.operating_points:
                points.setdefault(point.tnr, []).append(point)
        if points:
            rows.append((method, [_point_row(own) for _, own in sorted(points.items(), reverse=True)]))
    return rows


def _point_row(points: Sequence[OperatingPoint]) -> PointRow:
    images = sorted({point.validation_images for point in points})
    return PointRow(
        wished=f"{100 * points[0].tnr:g} %",
        test_tnr=_percent(mean([point.test_tnr for point in points])),
        tpr=_percent(mean([point.tpr for point in points])),
        validation_images=str(images[0]) if len(images) == 1 else f"{images[0]} to {images[-1]}",
        coarse=images[0] < pictures_expected(1 - points[0].tnr),
    )


def bank_tables(cells: Cells, methods: Sequence[str]) -> list[BankTable]:
    """The banks of each method, of the first seed; a method without one is left out."""
    tables = []
    for method in methods:
        first = [results[0] for (own, _), results in cells.items() if own == method]
        banks = [result.bank for result in first if result.bank is not None]
        if banks:
            tables.append(_bank_table(method, banks))
    return tables


def _bank_table(method: str, banks: Sequence[BankFacts]) -> BankTable:
    refused = tuple(each for bank in banks for each in bank.refused)
    sites = _site_rows(
        [share for bank in banks for share in bank.sites], {site for site, _ in refused_altogether(refused)}
    )
    radii = [bank.covering_radius for bank in banks]
    return BankTable(
        method=method,
        rows=sum(bank.rows for bank in banks),
        megabytes=sum(bank.bytes for bank in banks) / 1e6,
        megabytes_sent=sum(bank.bytes_sent for bank in banks) / 1e6,
        megabytes_received=sum(bank.bytes_received for bank in banks) / 1e6,
        covering_radius="" if None in radii else show(max(radius for radius in radii if radius is not None)),
        sites=sites,
        fairness=_fairness(sites),
        promises=_promises(banks),
        refused=refused,
    )


def _promises(banks: Sequence[BankFacts]) -> tuple[PrivacyReport, ...]:
    texts = dict.fromkeys(json.dumps(promise, sort_keys=True) for bank in banks for promise in bank.privacy)
    return tuple(PrivacyReport.from_json(text, source="a result") for text in texts)


def _site_rows(shares: Sequence[SiteShare], refused: Collection[str]) -> tuple[SiteRow, ...]:
    patches, rows = sum(share.patches for share in shares), sum(share.rows for share in shares)
    found = []
    for site in sorted({share.site for share in shares}):
        own = [share for share in shares if share.site == site]
        own_patches, own_rows = sum(share.patches for share in own), sum(share.rows for share in own)
        found.append(
            SiteRow(
                site=site,
                images=sum(share.images for share in own),
                patches=own_patches,
                rows=own_rows,
                share_of_patches=own_patches / patches if patches else 0.0,
                share_of_rows=own_rows / rows if rows else 0.0,
                megabytes_up=sum(share.bytes_up for share in own) / 1e6,
                megabytes_down=sum(share.bytes_down for share in own) / 1e6,
                unknown="refused" if site in refused else "not told",
            )
        )
    return tuple(found)


def _fairness(sites: Sequence[SiteRow]) -> str:
    ratios = {site.site: site.share_of_rows / site.share_of_patches for site in sites if site.share_of_patches}
    if len(ratios) < 2:
        return ""
    least, most = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    if round(ratios[least], 2) == round(ratios[most], 2):
        return "Every site has the share of the rows that it has of the patches."
    return (
        f"Per patch, {most} has the most rows ({ratios[most]:.2f} of its share) "
        f"and {least} the fewest ({ratios[least]:.2f})."
    )


def settings_table(results: Sequence[Result], methods: Sequence[str]) -> list[tuple[str, tuple[str, ...], bool]]:
    """Every setting, its value per method, and whether the methods differ in it."""
    flat = {
        method: _merged([_flat(result.settings) for result in results if result.method == method]) for method in methods
    }
    names = dict.fromkeys(name for settings in flat.values() for name in settings)
    rows = []
    for name in names:
        values = tuple(flat[method].get(name, "") for method in methods)
        rows.append((name, values, len(set(values)) > 1))
    return rows


def versions_table(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Every package and its version, or versions."""
    return sorted(_merged([result.versions for result in results]).items())


def _merged(tables: Sequence[Mapping[str, str]]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for table in tables:
        for name, value in table.items():
            if value not in values.setdefault(name, []):
                values[name].append(value)
    return {name: ", ".join(found) for name, found in values.items()}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found


def _percent(value: float | None) -> str:
    return NOT_DEFINED if value is None else f"{100 * value:.1f} %"
