"""What one bank does to the pictures, and what an attack did to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data.layout import GOOD
from anomalib_federated.evaluation.figures import ImageFigures
from anomalib_federated.evaluation.measuring.groups import Part, channels_of, classification_of, has_free_pixels
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.evaluation.robustness.scene import Scene
from anomalib_federated.interfaces.attack import forged
from anomalib_federated.metrics import auc_spro_of, threshold_at_tnr
from anomalib_federated.selection.distances import nearest

TNR = 0.95
"""Share of normal validation pictures that pass the threshold."""
LIMIT = 0.05
"""Of the false positive rate, of AUC-sPRO."""
RADIUS_QUANTILE = 0.95
RARE = 0.05
"""Share of honest rows that count as rare modes."""


@dataclass(frozen=True, kw_only=True)
class BankFigures:
    """What a bank does to the pictures.

    Attributes:
        threshold: Of image scores, which a share :data:`TNR` of normal validation pictures passes.
        image_auroc: Over all test pictures measured.
        auc_spro_target: AUC-sPRO@0.05 over the good pictures and those of the target type; ``None`` without masks.
        auc_spro_others: Over the good pictures and those of all other types; ``None`` if there are none.
        honest_radius: 95th percentile of the distances to the bank of a quarter of the normal validation patches.
        target_scores: Score of each picture of the target type.
        good_scores: Score of each good picture.
        triggered_scores: Score of each good picture with the trigger.
    """

    threshold: float
    image_auroc: float
    auc_spro_target: float | None
    auc_spro_others: float | None
    honest_radius: float
    target_scores: dict[str, float]
    good_scores: dict[str, float]
    triggered_scores: dict[str, float]

    @property
    def target_found(self) -> float:
        """Share of the pictures of the target type above the threshold."""
        return _share(score > self.threshold for score in self.target_scores.values())

    def false_alarms(self, threshold: float) -> float:
        """Share of the good pictures above a threshold."""
        return _share(score > threshold for score in self.good_scores.values())


@dataclass(frozen=True, kw_only=True)
class Success:
    """How many pictures that the clean bank finds are missed with the attacked one.

    Attributes:
        pictures: How many there are.
        found_clean: How many of them the clean bank finds, at its own threshold.
        missed: How many of those found the attacked bank misses at its own threshold.
        missed_frozen: How many it misses at the threshold of the clean bank.
    """

    pictures: int
    found_clean: int
    missed: int
    missed_frozen: int

    @property
    def rate(self) -> float | None:
        """Share of the pictures found that are missed at the attacked bank's threshold; ``None`` if none were found."""
        return self.missed / self.found_clean if self.found_clean else None

    @property
    def rate_frozen(self) -> float | None:
        """The same at the clean bank's threshold."""
        return self.missed_frozen / self.found_clean if self.found_clean else None


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What the defence did to rows.

    Attributes:
        poison: Rows that bad sites forged.
        poison_admitted: How many of them passed the screenings.
        poison_in_bank: How many of them are in the global bank; ``None`` if its rows are not those that sites sent.
        bank_rows: Rows of the global bank.
        honest: Rows of honest sites.
        honest_refused: How many of them the screenings refused.
        detector_auroc: Area under the ROC curve of the refusals as a detector of forged rows among all: a screening
            says yes or no, so it is the mean of the share of forged rows refused and of others admitted. ``None`` if
            nothing is forged.
        rare_kept: Of the 5 % of the honest sites' rows that are farthest from all rows of other honest sites, the
            share that the global bank covers as well as the clean, undefended bank covers any row.
    """

    poison: int
    poison_admitted: int
    poison_in_bank: int | None
    bank_rows: int
    honest: int
    honest_refused: int
    detector_auroc: float | None
    rare_kept: float


def measure_bank(bank: MemoryBank, scene: Scene, *, site_quorum: int = 1) -> BankFigures:
    """Score all pictures against a bank, by so many sites: one pass over their patches."""
    parts: dict[str, Part] = {}
    for item in scene.test.scored(bank, site_quorum=site_quorum):
        # Pictures of one folder may have channels of several types; none is told apart here.
        part = parts.setdefault(item.defect_type, Part(folder=item.defect_type, types=frozenset()))
        part.add(item, ImageFigures(name=item.name, defect_type=item.defect_type, score=item.score))
    auroc = classification_of(image for part in parts.values() for image in part.images).auroc
    if auroc is None:
        msg = "The test pictures are not both good and defective, so an attack on them shows nothing; add the others."
        raise ValueError(msg)
    good, target = parts[GOOD], parts[scene.target]
    others = [part for name, part in parts.items() if name not in {GOOD, scene.target}]
    return BankFigures(
        threshold=threshold_at_tnr(
            [item.score for item in scene.validation.scored(bank, site_quorum=site_quorum)], TNR
        ),
        image_auroc=auroc,
        auc_spro_target=_auc_spro([good, target]),
        auc_spro_others=_auc_spro([good, *others]) if others else None,
        honest_radius=float(torch.quantile(scene.validation.distances(bank).double(), RADIUS_QUANTILE)),
        target_scores=_scores(target.images),
        good_scores=_scores(good.images),
        triggered_scores=_scores(scene.with_trigger.scored(bank, site_quorum=site_quorum)),
    )


def success_of(
    clean: Mapping[str, float], attacked: Mapping[str, float], *, thresholds: tuple[float, float]
) -> Success:
    """Whitelisting success, out of the scores of the same pictures.

    Args:
        clean: Score of each picture by the clean bank.
        attacked: By the attacked bank.
        thresholds: Of the clean and of the attacked bank; a picture is found if it scores strictly above.

    Example:
        >>> success = success_of({"a": 3.0, "b": 2.0, "c": 0.5}, {"a": 3.0, "b": 1.1, "c": 0.1}, thresholds=(1.0, 1.2))
        >>> success, success.rate, success.rate_frozen
        (Success(pictures=3, found_clean=2, missed=1, missed_frozen=0), 0.5, 0.0)
    """
    before, after = thresholds
    found = [name for name, score in clean.items() if score > before]
    return Success(
        pictures=len(clean),
        found_clean=len(found),
        missed=sum(attacked[name] <= after for name in found),
        missed_frozen=sum(attacked[name] <= before for name in found),
    )


def measure_admission(
    scene: Scene,
    sent: Mapping[str, MemoryBank],
    passed: Mapping[str, Tensor],
    bank: MemoryBank,
    *,
    bad: Sequence[str],
    undefended: MemoryBank,
) -> Admission:
    """What became of the rows.

    Args:
        scene: With the honest banks.
        sent: Per site, the bank that it sent.
        passed: Per site, which of its rows passed the screenings.
        bank: The global bank.
        bad: Names of the bad sites.
        undefended: The global bank of honest sites without a screening.
    """
    own = {site: forged(scene.honest[site], sent[site]) for site in bad}
    honest = [site for site in sent if site not in bad]
    poison = sum(int(mask.sum()) for mask in own.values())
    refused_honest = sum(int((~passed[site]).sum()) for site in honest)
    return Admission(
        poison=poison,
        poison_admitted=sum(int((mask & passed[site]).sum()) for site, mask in own.items()),
        poison_in_bank=_held(bank, sent, own),
        bank_rows=len(bank),
        honest=sum(len(sent[site]) for site in honest),
        honest_refused=refused_honest,
        detector_auroc=_auroc(own, passed) if poison else None,
        rare_kept=rare_kept([sent[site].features for site in honest], bank.features, undefended.features),
    )


def rare_kept(honest: Sequence[Tensor], bank: Tensor, undefended: Tensor) -> float:
    """Share of the rarest honest rows that a bank still covers.

    Args:
        honest: Rows of each honest site, shape ``(n, d)``.
        bank: Rows of the global bank.
        undefended: Rows of the clean bank that no screening saw; how far any honest row is from it at most is how well
            a row must be covered.

    Example:
        >>> common, rare = torch.zeros(9, 1), torch.tensor([[9.0]])
        >>> sites = [torch.cat([common, rare]), common]
        >>> rare_kept(sites, torch.tensor([[0.0], [9.0]]), torch.cat(sites)), rare_kept(sites, common, torch.cat(sites))
        (1.0, 0.0)
    """
    rows = torch.cat([each.float() for each in honest])
    if len(honest) < 2:
        apart = torch.zeros(len(rows))  # with no other site, no row is rarer than another
    else:
        others = [torch.cat([*honest[:number], *honest[number + 1 :]]) for number in range(len(honest))]
        apart = torch.cat([nearest(each, other)[0] for each, other in zip(honest, others, strict=True)])
    rarest = rows[apart.argsort(descending=True, stable=True)[: max(1, round(RARE * len(rows)))]]
    within = float(nearest(rows, undefended)[0].max())
    # Distances by products: a row that is in the bank may seem to be a little away from itself.
    return _share((nearest(rarest, bank)[0] <= within * (1 + 1e-3) + 1e-3).tolist())


def _held(bank: MemoryBank, sent: Mapping[str, MemoryBank], own: Mapping[str, Tensor]) -> int | None:
    """How many rows of the global bank are forged; ``None`` if not all of its rows were sent."""
    kinds: dict[tuple[str, bytes], bool] = {}
    for site, each in sent.items():
        marks = own[site].tolist() if site in own else [False] * len(each)
        kinds |= {(site, row): mark for row, mark in zip(_rows(each), marks, strict=True)}
    found = [kinds.get((bank.sites[site], row)) for site, row in zip(bank.row_site.tolist(), _rows(bank), strict=True)]
    return None if None in found else sum(map(bool, found))


def _rows(bank: MemoryBank) -> list[bytes]:
    return [row.tobytes() for row in bank.features.float().numpy()]


def _auroc(own: Mapping[str, Tensor], passed: Mapping[str, Tensor]) -> float | None:
    is_own = torch.cat([own.get(site, torch.zeros_like(mask)) for site, mask in passed.items()])
    refused = torch.cat([~mask for mask in passed.values()])
    return float(roc_auc_score(is_own, refused)) if not bool(is_own.all()) else None


def _auc_spro(parts: Sequence[Part]) -> float | None:
    if any(part.without_masks for part in parts) or channels_of(parts) == 0 or not has_free_pixels(parts):
        return None
    return auc_spro_of([part.pixels for part in parts], fpr_limits=[LIMIT])[LIMIT]


def _scores(images: Iterable[ImageFigures | ScoredImage]) -> dict[str, float]:
    return {image.name: image.score for image in images}


def _share(values: Iterable[bool]) -> float:
    found = list(values)
    return sum(found) / len(found)
