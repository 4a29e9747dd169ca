"""The figures of scored test images, written with all that a report shows of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data.grouping import Grouping
from anomalib_federated.evaluation.fairness.dividing import divisions_of, held_out_distances
from anomalib_federated.evaluation.fairness.fairness_file import write_fairness
from anomalib_federated.evaluation.fairness.measure import cut_of, measure_fairness
from anomalib_federated.evaluation.gallery.gallery import GALLERY, Gallery
from anomalib_federated.evaluation.maps.writer import MapForm, MapWriter
from anomalib_federated.evaluation.measuring.measure import measure_set
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage, shown
from anomalib_federated.evaluation.measuring.scored_set import collect
from anomalib_federated.evaluation.measuring.source import Source
from anomalib_federated.evaluation.results import BankFacts, Result, SiteShare, result_folder, write_result
from anomalib_federated.interfaces.partitioner import Partitioner
from anomalib_federated.interfaces.refused import Refused
from anomalib_federated.messages.traffic import Traffic, TrafficBySite

logger = logging.getLogger(__name__)

MAPS = "maps"
"""Folder of written maps in an output folder: ``maps/<method>/<category>/test/<type>/<stem>.png``."""

PACKAGES = ("anomalib-federated", "anomalib", "flwr", "torch", "timm", "numpy")
"""Whose versions a result tells."""


def score_source(
    source: Source,
    category: str,
    *,
    method: str,
    output: Path,
    traffic: TrafficBySite | None = None,
    refused: Iterable[Refused] = (),
    settings: Mapping[str, Any] | None = None,
    write_maps: MapForm | None = None,
    groups: Grouping | None = None,
    sites: Partitioner | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Result:
    """Measure a category; write its figures, those of groups, its gallery and, if wished, its maps.

    Args:
        source: Scored test images.
        category: Name of the category.
        method: Name of the method.
        output: Folder of the run.
        traffic: What the federation that made the bank cost; ``None`` if nothing had to be sent.
        refused: What its screenings refused, of any category.
        settings: What decided the method, as plain data; ``None`` takes what the source says of itself.
        write_maps: How maps are written; ``None`` writes none.
        groups: Which group each picture is of; it is fitted to the training pictures here. ``None`` has no groups
            besides the types of defects.
        sites: The federation's partitioner: which site would hold a test picture, if names tell that.
        resamples: Of the bootstrap behind the intervals.
        seed: Of the run.

    Raises:
        ValueError: If maps are to be written but there are no validation images to set their scale.
        GroupingError: If the group of a picture cannot be told.
    """
    divisions = divisions_of(source, category, groups=groups, sites=sites)
    threshold = source.thresholds.get(category)
    looks: list[Callable[[ScoredImage], object]] = []
    gallery = None
    if threshold is not None and threshold.pixel > 0:
        gallery = Gallery(threshold.image, threshold.pixel)
        looks.append(gallery.add)
    else:
        logger.info("%s: no threshold from normal validation images, so no gallery is written.", category)
    if write_maps is not None:
        if threshold is None:
            msg = f"'{category}' has no normal validation images to set the scale of its maps; do not write maps."
            raise ValueError(msg)
        looks.append(MapWriter(folder=output / MAPS / method, form=write_maps, pixel_threshold=threshold.pixel).write)
    test_set = collect(
        shown(source.scored(category), *looks),
        with_counts=resamples > 0,
        cut=lambda picture: cut_of(divisions, picture),
    )
    scores = source.validation_scores.get(category, ())
    figures = measure_set(test_set, validation_scores=scores, resamples=resamples, seed=seed)
    fairness = measure_fairness(
        test_set,
        divisions,
        method=method,
        validation_scores=scores,
        distances=held_out_distances(source, category, divisions),
        resamples=resamples,
        seed=seed,
    )
    result = Result(
        method=method,
        category=category,
        seed=seed,
        figures=figures,
        bank=bank_facts(source.bank, category, traffic=traffic or {}, refused=refused) if source.bank else None,
        image_score=source.image_score,
        settings=source.settings if settings is None else dict(settings),
        versions=versions(),
    )
    if gallery is not None:
        gallery.write(result_folder(output, method, category) / GALLERY)
    write_fairness(output, fairness)
    # Last, since it says that the rest is there.
    write_result(output, result)
    logger.info("%s, %s: image AUROC %s", method, category, figures.classification.auroc)
    return result


def bank_facts(
    bank: MemoryBank, category: str, *, traffic: TrafficBySite, refused: Iterable[Refused] = ()
) -> BankFacts:
    """What a result tells of a category's bank."""
    own = bank.for_category(category)
    counts = dict(zip(own.sites, torch.bincount(own.row_site, minlength=len(own.sites)).tolist(), strict=True))
    senders = {site for site, sent in traffic.items() if category in sent}
    return BankFacts(
        rows=len(own),
        bytes=own.features.nbytes,
        covering_radius=bank.covering_radius.get(category),
        sites=tuple(_share(site, own, counts.get(site, 0), traffic) for site in sorted({*own.sites, *senders})),
        privacy=tuple(json.loads(text) for text in sorted({report.to_json() for report in own.privacy.values()})),
        unpromised=sum(site not in own.privacy for site in own.sites),
        refused=tuple(each for each in refused if each.category == category),
    )


def _share(site: str, bank: MemoryBank, rows: int, traffic: TrafficBySite) -> SiteShare:
    """A site's share of a category's bank; of sums nobody knows how much of them is whose."""
    (category,) = bank.categories
    seen = next((item for item in bank.contributions if item.site == site), None)
    bytes_ = traffic.get(site, {}).get(category, Traffic())
    return SiteShare(
        site=site,
        images=seen.images if seen else 0,
        patches=seen.patches if seen else 0,
        rows=rows,
        bytes_up=bytes_.up,
        bytes_down=bytes_.down,
    )


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide figures."""
    return {"python": python_version()} | {name: version(name) for name in PACKAGES}
