"""The records inside Flower messages: their names, and checked access to their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from flwr.app import ConfigRecord, Message, MetricRecord

from anomalib_federated.bank import BankError
from anomalib_federated.bank.validation import check_name

CONFIG, SITE, RADIUS, WEIGHTS, BOUND = "config", "site", "radius", "weights", "bound"
"""Names of the records in a message."""
CANDIDATES = "train.candidates"
"""Type of the message that asks for the patches which the bank in it leaves farthest."""
COUNT = "count"
"""Field of its configuration: how many of them."""

REFINE = "train.refine"
"""Type of the message that asks for more rows, where the bank in it leaves a site's patches far away."""
FIRST, BEYOND = "first", "beyond"
"""Fields of its configuration: the share of the agreed budget that was for the rows sent before; and the share of the
bank's covering radius beyond which a patch is far away."""

RecordT = TypeVar("RecordT", ConfigRecord, MetricRecord)


class MessageError(ValueError):
    """A message does not hold what was agreed."""


def record(message: Message, name: str, kind: type[RecordT]) -> RecordT:
    """A record of a message.

    Raises:
        MessageError: If the message has no such record, or one of another kind.
    """
    found = message.content.get(name)
    if not isinstance(found, kind):
        msg = f"A message from node {message.metadata.src_node_id} has no {kind.__name__} named '{name}'."
        raise MessageError(msg)
    return found


def text(config: Mapping[str, object], field: str, *, source: str) -> str:
    """A text field of a ``ConfigRecord``.

    Raises:
        MessageError: If it is absent or no text.
    """
    value = config.get(field)
    if not isinstance(value, str):
        msg = f"The message from {source} has no text in its field '{field}'."
        raise MessageError(msg)
    return value


def whole(config: Mapping[str, object], field: str, *, source: str) -> int:
    """A whole number of at least 1 in a ``ConfigRecord``.

    Raises:
        MessageError: If it is absent or no such number.
    """
    value = config.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"The message from {source} has no whole number of at least 1 in its field '{field}'."
        raise MessageError(msg)
    return value


def share(config: Mapping[str, object], field: str, *, source: str) -> float:
    """A number in (0, 1] in a ``ConfigRecord``.

    Raises:
        MessageError: If it is absent or no such number.
    """
    value = config.get(field)
    if not isinstance(value, float) or not 0 < value <= 1:
        msg = f"The message from {source} has no number above 0 and at most 1 in its field '{field}'."
        raise MessageError(msg)
    return value


def site_record(name: str) -> ConfigRecord:
    """The record by which a site says its name; node ids change when a node restarts."""
    return ConfigRecord({"name": name})


def site_name(message: Message) -> str:
    """The name of the site that sent a message.

    Raises:
        MessageError: If the message does not say it, or it cannot be the name of a site.
    """
    source = f"node {message.metadata.src_node_id}"
    name = text(record(message, SITE, ConfigRecord), "name", source=source)
    try:
        check_name("site", name)
    except BankError as error:
        msg = f"The message from {source} does not name its site: {error}"
        raise MessageError(msg) from error
    return name
