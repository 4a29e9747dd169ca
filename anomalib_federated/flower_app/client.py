"""The client app of a SuperNode: one site, set up by the ``site.yaml`` that the node's configuration names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache

from flwr.app import ConfigRecord, Context, Error, Message, MessageType
from flwr.clientapp.typing import ClientAppCallable
from flwr.common.constant import ErrorCode

from anomalib_federated import messages
from anomalib_federated.bank import BankError, FeatureSpace, MemoryBank
from anomalib_federated.evaluation.measuring.site_pictures import SitePictures
from anomalib_federated.federation import Site, client_app
from anomalib_federated.federation.privacy_guard import PrivacyError
from anomalib_federated.federation.scores import SiteScores
from anomalib_federated.federation.settings import QuotaError, SettingsError, SiteSettings
from anomalib_federated.federation.settings.site import ConfiguredSite
from anomalib_federated.flower_app.logs import show_logs
from anomalib_federated.messages import MessageError
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.patch_scorer import PatchScorer
from anomalib_federated.privacy.ledger import BudgetExceededError
from anomalib_federated.registry import PluginError

logger = logging.getLogger(__name__)

CONFIG = "config"
"""Key of the node's configuration that names its ``site.yaml``."""
TOLD = (BankError, BudgetExceededError, MessageError, PluginError, PrivacyError, QuotaError)
"""Errors whose text may leave the site, unless it holds a path."""


def site_of(context: Context, space: FeatureSpace) -> Site:
    """The site of the node on which the app runs.

    Raises:
        SettingsError: If the node's configuration names no file, or the file cannot be used.
    """
    return _site(_file_of(context), space)


@cache
def _site(path: str, space: FeatureSpace) -> Site:
    # A site has its store for itself. Flower starts a process for each message; if one answers several, they share it.
    return SiteSettings.read(path).make_site(space)


def _file_of(context: Context) -> str:
    path = context.node_config.get(CONFIG)
    if not isinstance(path, str):
        msg = f"""The SuperNode names no settings; start it with --node-config '{CONFIG}="/path/to/site.yaml"'."""
        raise SettingsError(msg)
    return path


def score(site: Site, bank: MemoryBank, scorer: PatchScorer) -> Mapping[str, SiteScores]:
    """Score a global bank on the test pictures of the site that :func:`site_of` made.

    Raises:
        TypeError: If it is another one.
    """
    if not isinstance(site, ConfiguredSite):
        msg = f"Site '{site.name}' was made without a site.yaml, so it is not known where its test pictures lie."
        raise TypeError(msg)
    space, settings = site.extractor.space, site.settings
    model = FederatedPatchcore(
        space.backbone,
        space.layers,
        weights=settings.weights,
        image_size=space.image_size,
        keep_aspect_ratio=space.keep_aspect_ratio,
        frame=space.frame,
        layer_scales=space.layer_scales,
    )
    pictures = SitePictures(
        model,
        {site.name: settings.data.test_data},
        least_pictures=settings.least_pictures,
        batch_size=settings.data.eval_batch_size,
    )
    return pictures(site, bank, scorer)


def keep_quotas(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Hold the centre to the site's quotas: before anything is computed, and before anything is sent."""
    quotas = SiteSettings.read(_file_of(context)).quotas
    if message.metadata.message_type.partition(".")[0] == MessageType.TRAIN:
        config = messages.record(message, messages.CONFIG, ConfigRecord)
        quotas.check_agreement(Agreement.from_record(config, source="the server"))
    reply = call_next(message, context)
    quotas.check_bytes(sum(messages.bytes_by_category(reply.content).values()))
    return reply


def tell_no_paths(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Answer with an error that says what the centre may know; the site's log says everything."""
    show_logs()
    try:
        return call_next(message, context)
    except Exception as error:
        logger.exception("The question of the centre could not be answered.")
        return Message(Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=reason_of(error)), reply_to=message)


def reason_of(error: Exception) -> str:
    r"""What the centre may know of an error: never where something lies at the site, or how a picture is called.

    Example:
        >>> reason_of(BankError("The bank has no row."))
        'The bank has no row.'
        >>> reason_of(BankError("/plant/screws is no bank."))
        "The site's log says more (BankError)."
        >>> reason_of(OSError("nut.png is damaged."))
        "The site's log says more (OSError)."
    """
    text = str(error)
    if isinstance(error, TOLD) and not set(text) & set("/\\"):
        return text
    return f"The site's log says more ({type(error).__name__})."


app = client_app(site_of, score=score, mods=[tell_no_paths, keep_quotas])
