"""A site's test pictures, on which it scores global banks."""

from __future__ import annotations

from collections.abc import Mapping

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.evaluation.figures import Figures
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import scored_images
from anomalib_federated.federation.scores import LEAST_PICTURES, SiteScores
from anomalib_federated.federation.site import Site
from anomalib_federated.metrics import FPR_LIMITS
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.patch_scorer import PatchScorer


class SitePictures:
    """Scores global banks on test pictures of sites: what :func:`anomalib_federated.federation.client_app` calls.

    Args:
        model: A detector of the federation's feature space; its bank and image score are replaced.
        pictures: Test pictures per site, of any categories.
        least_pictures: Good, and defective, pictures of a category from which on its figures are told; fewer would
            tell of single pictures.
        batch_size: Pictures at a time.

    Raises:
        ValueError: If ``least_pictures`` is below 1.
    """

    def __init__(
        self,
        model: FederatedPatchcore,
        pictures: Mapping[str, InspectionDataset],
        *,
        least_pictures: int = LEAST_PICTURES,
        batch_size: int = 4,
    ) -> None:
        if least_pictures < 1:
            msg = f"least_pictures is {least_pictures}; give at least 1."
            raise ValueError(msg)
        self._model = model
        self._pictures = dict(pictures)
        self._least = least_pictures
        self._batch_size = batch_size

    def __call__(self, site: Site, bank: MemoryBank, scorer: PatchScorer) -> dict[str, SiteScores]:
        """Figures per category of which the site has test pictures and the bank rows.

        Raises:
            BankError: If the bank is of another feature space than the detector.
        """
        pictures = self._pictures.get(site.name)
        if pictures is None:
            return {}
        self._model.scorer = scorer.to(self._model.device)  # before the bank, whose rows it arranges
        self._model.bank = bank
        present = set(pictures.samples["category"])
        return {name: self._scores(pictures.of_category(name)) for name in sorted(present & set(bank.categories))}

    def _scores(self, pictures: InspectionDataset) -> SiteScores:
        figures = measure(scored_images(self._model, pictures, batch_size=self._batch_size), resamples=0)
        return site_scores(figures, least_pictures=self._least)


def site_scores(figures: Figures, *, least_pictures: int = LEAST_PICTURES) -> SiteScores:
    """What a site tells of its figures.

    Args:
        figures: All that it measured.
        least_pictures: Good, and defective, pictures below which it tells the two counts alone.
    """
    good, defective = figures.counts.good, figures.counts.defective
    if min(good, defective) < least_pictures:
        return SiteScores(good=good, defective=defective)
    auc_spro = figures.localization.auc_spro
    return SiteScores(
        good=good,
        defective=defective,
        auroc=figures.classification.auroc,
        average_precision=figures.classification.average_precision,
        auc_spro=None if auc_spro is None else tuple(auc_spro[str(limit)] for limit in FPR_LIMITS),
    )
