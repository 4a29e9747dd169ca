"""Messages that were tampered with, taken apart and put together."""

import json
import struct

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.clientapp import ClientApp

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.federation import InProcessGrid
from anomalib_federated.messages import MessageError
from anomalib_federated.messages.replies import site_bank
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from tests.federation.pieces import pieces_of

META_KEY = "anomalib_federated.bank"


def reply_of(content):
    """A site's answer, as Flower hands it to the server."""
    InProcessGrid(ClientApp(), {})  # sets who the messages are from
    return Message(content, reply_to=Message(RecordDict(), 7, MessageType.TRAIN))


def content_of(data, category="screw", *, site="plant-a"):
    return RecordDict({**pieces_of({category: data}), "site": ConfigRecord({"name": site})})


def one_sentence(text):
    assert text.isprintable()
    assert 20 < len(text) < 1500
    assert text.endswith(".")
    return text


def refusal(content, agreement):
    """What the server says to a message, on one line; empty if it takes it."""
    try:
        sent = site_bank(reply_of(content), agreement)
    except (BankError, MessageError) as error:
        return one_sentence(str(error))
    # What is taken must do no harm to the others.
    agreement.check(sent.bank)
    assert MemoryBank.from_bytes(sent.bank.to_bytes(), source="here").digest == sent.bank.digest
    other = agreement.rounded(example_bank(rows=4, dim=sent.bank.space.dim, site="honest"))
    merged = FederatedCoreset(budget=5).merge([sent.bank, other])
    assert merged.sites == tuple(sorted(("honest", *sent.bank.sites)))
    return ""


def unpack(data):
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header.pop("__metadata__")[META_KEY]), data[8 + length :]


def pack(header, meta, body):
    meta = meta if isinstance(meta, str) else json.dumps(meta)
    text = json.dumps(header | {"__metadata__": {META_KEY: meta}}).encode()
    return struct.pack("<Q", len(text)) + text + body
