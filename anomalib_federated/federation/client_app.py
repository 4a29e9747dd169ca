"""The Flower client app: answers the server's two questions out of a :class:`Site`."""

from __future__ import annotations

from collections.abc import Callable

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from anomalib_federated import messages
from anomalib_federated.agreement import Agreement
from anomalib_federated.federation.site import Site


def client_app(site_of: Callable[[Context], Site]) -> ClientApp:
    """Make the app.

    Args:
        site_of: Gives the site of the node on which the app runs.

    Returns:
        An app that answers ``train`` with the site's memory bank, ``train.candidates`` with the patches that some picks
        leave farthest, and ``evaluate`` with how well the global bank covers the site's patches.
    """
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        site = site_of(context)
        agreement = Agreement.from_record(messages.record(message, messages.CONFIG, ConfigRecord), source="the server")
        arrays = messages.bank_to_arrays(site.build_bank(agreement))
        return _reply(message, site, {messages.BANK: arrays})

    @app.train("candidates")
    def candidates(message: Message, context: Context) -> Message:
        site = site_of(context)
        config = messages.record(message, messages.CONFIG, ConfigRecord)
        arrays = messages.record(message, messages.BANK, ArrayRecord)
        picks = messages.bank_from_arrays(arrays, source="the server") if arrays else None
        bank, bounds = site.candidates(
            picks,
            Agreement.from_record(config, source="the server"),
            count=messages.whole(config, messages.COUNT, source="the server"),
        )
        return _reply(
            message, site, {messages.BANK: messages.bank_to_arrays(bank), messages.BOUND: MetricRecord(dict(bounds))}
        )

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        site = site_of(context)
        arrays = messages.record(message, messages.BANK, ArrayRecord)
        covering = site.covering(messages.bank_from_arrays(arrays, source="the server"))
        radius = MetricRecord({category: found.radius for category, found in covering.items()})
        weights = MetricRecord({category: found.weights.int().tolist() for category, found in covering.items()})
        return _reply(message, site, {messages.RADIUS: radius, messages.WEIGHTS: weights})

    return app


def _reply(message: Message, site: Site, records: dict[str, ArrayRecord | MetricRecord]) -> Message:
    content = RecordDict({messages.SITE: messages.site_record(site.name), **records})
    return Message(content=content, reply_to=message)
