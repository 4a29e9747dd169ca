"""The Flower client app: answers the server's questions out of a :class:`Site`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod

from anomalib_federated import messages
from anomalib_federated.bank import FeatureSpace
from anomalib_federated.federation.scores import to_records
from anomalib_federated.federation.scoring import ScorePictures, scorer_of
from anomalib_federated.federation.site import Site
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.messages.sums import ROUND, states_in, sum_records

SiteOf: TypeAlias = Callable[[Context, FeatureSpace], Site]


def client_app(site_of: SiteOf, *, score: ScorePictures | None = None, mods: Sequence[Mod] = ()) -> ClientApp:
    """Make the app.

    Args:
        site_of: Gives the site of the node on which the app runs, for the feature space that the federation works in.
        score: Scores a bank on the site's test pictures; without it, the site does not answer ``evaluate.metrics``.
        mods: Flower mods around every answer, the outermost first.

    Returns:
        An app that answers ``train`` with the site's memory bank, ``train.sums`` with the noisy sums of a round,
        ``train.candidates`` with the patches that some picks leave farthest, ``train.refine`` with more rows where the
        global bank leaves patches far away, ``evaluate`` with how well the global bank covers the site's patches, and
        ``evaluate.metrics`` with figures of the global bank on the site's test pictures.
    """
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        agreement = Agreement.from_record(messages.record(message, messages.CONFIG, ConfigRecord), source="the server")
        site = site_of(context, agreement.space)
        return _reply(message, site, messages.bank_records(site.build_bank(agreement)))

    @app.train("sums")
    def sums(message: Message, context: Context) -> Message:
        config = messages.record(message, messages.CONFIG, ConfigRecord)
        agreement = Agreement.from_record(config, source="the server")
        states = states_in(message.content, source="the server")
        number = messages.whole(config, ROUND, source="the server") - 1
        site = site_of(context, agreement.space)
        made = site.noisy_sums(states, agreement, number=number)
        return _reply(message, site, sum_records(made.sums, made.promise))

    @app.train("candidates")
    def candidates(message: Message, context: Context) -> Message:
        config = messages.record(message, messages.CONFIG, ConfigRecord)
        agreement = Agreement.from_record(config, source="the server")
        content = message.content
        picks = messages.bank_in(content, source="the server") if messages.has_bank(content) else None
        site = site_of(context, agreement.space)
        bank, bounds = site.candidates(
            picks,
            agreement,
            count=messages.whole(config, messages.COUNT, source="the server"),
        )
        return _reply(message, site, {**messages.bank_records(bank), messages.BOUND: MetricRecord(dict(bounds))})

    @app.train("refine")
    def refine(message: Message, context: Context) -> Message:
        config = messages.record(message, messages.CONFIG, ConfigRecord)
        agreement = Agreement.from_record(config, source="the server")
        bank = messages.bank_in(message.content, source="the server")
        site = site_of(context, agreement.space)
        more, weights = site.refine(
            bank,
            agreement,
            first=messages.share(config, messages.FIRST, source="the server"),
            beyond=messages.share(config, messages.BEYOND, source="the server"),
        )
        pieces = messages.bank_records(more) if more else {}
        return _reply(message, site, {**pieces, messages.WEIGHTS: MetricRecord(dict(weights))})

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        bank = messages.bank_in(message.content, source="the server")
        site = site_of(context, bank.space)
        covering = site.covering(bank)
        radius = MetricRecord({category: found.radius for category, found in covering.items()})
        weights = MetricRecord({category: found.weights.int().tolist() for category, found in covering.items()})
        return _reply(message, site, {messages.RADIUS: radius, messages.WEIGHTS: weights})

    if score is not None:
        _answer_metrics(app, site_of, score)
    return app


def _answer_metrics(app: ClientApp, site_of: SiteOf, score: ScorePictures) -> None:
    """Have the app answer ``evaluate.metrics``."""

    @app.evaluate("metrics")
    def metrics(message: Message, context: Context) -> Message:
        bank = messages.bank_in(message.content, source="the server")
        scorer = scorer_of(messages.record(message, messages.CONFIG, ConfigRecord), source="the server")
        site = site_of(context, bank.space)
        site.refuse_unprotected("how well a bank judges its test pictures")
        return _reply(message, site, to_records(score(site, bank, scorer)))


def _reply(message: Message, site: Site, records: Mapping[str, ConfigRecord | MetricRecord]) -> Message:
    content = RecordDict({messages.SITE: messages.site_record(site.name), **records})
    return Message(content=content, reply_to=message)
