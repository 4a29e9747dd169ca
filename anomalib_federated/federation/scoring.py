"""Federated evaluation: each site scores a global bank on its own test pictures, and tells figures alone."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Protocol, get_args

from flwr.app import ConfigRecord
from flwr.serverapp import Grid

from anomalib_federated.bank import MemoryBank
from anomalib_federated.federation.asking import ask_about
from anomalib_federated.federation.scores import FederatedScores, SiteScores, from_reply
from anomalib_federated.federation.site import Site
from anomalib_federated.messages import MessageError, text, whole
from anomalib_federated.models.image_score import ImageScore, ScoreRule
from anomalib_federated.models.patch_scorer import PatchScorer

logger = logging.getLogger(__name__)

METRICS = "evaluate.metrics"
"""Type of the message."""
RULE, NEIGHBORS, CLIP, QUORUM = "score", "num_neighbors", "score_clip", "site_quorum"
"""Fields of its configuration, named as the settings of the detector: how a picture is scored. A clip may be absent."""


class ScorePictures(Protocol):
    """What a site calls to score a bank on its test pictures."""

    def __call__(self, site: Site, bank: MemoryBank, scorer: PatchScorer) -> Mapping[str, SiteScores]:
        """Figures per category of which the site has test pictures and the bank rows.

        Args:
            site: The site.
            bank: The global bank.
            scorer: How a picture is scored.
        """


def score_global_bank(
    grid: Grid, bank: MemoryBank, nodes: Mapping[str, int], *, scorer: PatchScorer | None = None, timeout: float = 3600
) -> FederatedScores:
    """Have the sites that are online score a global bank on their own test pictures.

    Args:
        grid: Reaches the sites.
        bank: The global bank.
        nodes: Node id of each site that has one; sites of the bank that are not in it are left out.
        scorer: How a picture is scored; ``None`` takes the detector's default, ``smoothed_max``.
        timeout: Seconds to wait for all answers.
    """
    scorer = scorer or PatchScorer(ImageScore("smoothed_max"))
    config = ConfigRecord({name: value for name, value in scorer.settings.items() if value is not None})
    answers = ask_about(bank, grid, nodes, kind=METRICS, read=from_reply, config=config, timeout=timeout)
    for site, reason in answers.left_out.items():
        logger.warning("Site %s did not score the global bank: %s", site, reason)
    return FederatedScores(sites=answers.of, left_out=answers.left_out, traffic=answers.traffic)


def scorer_of(config: ConfigRecord, *, source: str) -> PatchScorer:
    """How a message's configuration says that pictures are scored.

    Raises:
        MessageError: If it does not, or not validly.
    """
    quorum = whole(config, QUORUM, source=source)
    try:
        return PatchScorer(_image_score_of(config, source=source), site_quorum=quorum)
    except ValueError as error:
        msg = f"The field '{QUORUM}' of the message from {source} cannot be used: {error}"
        raise MessageError(msg) from error


def _image_score_of(config: ConfigRecord, *, source: str) -> ImageScore:
    name = text(config, RULE, source=source)
    clip = config.get(CLIP)
    if clip is not None and not (isinstance(clip, float) and 0 < clip < math.inf and name != "reweighted"):
        msg = f"The field '{CLIP}' of the message from {source} is no distance above 0, or none goes with its rule."
        raise MessageError(msg)
    for rule in get_args(ScoreRule):
        if rule == name:
            return ImageScore(rule, neighbors=whole(config, NEIGHBORS, source=source), clip=clip)
    rules = ", ".join(get_args(ScoreRule))
    msg = f"There is no image score rule {name[:50]!a}, as {source} asks for; it may be {rules}."
    raise MessageError(msg)
