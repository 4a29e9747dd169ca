"""A grid of made plants for tests of collection: real messages and apps, made banks, a clock that the tests turn."""

import threading
from collections import Counter

from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo

from anomalib_federated import messages
from anomalib_federated.federation import InProcessGrid
from anomalib_federated.testing import example_bank


def bank_of(site, *, seed=0, **settings):
    return example_bank(site=site, seed=seed, rows=4, **settings)


def reply_of(message, bank, *, site=None):
    name = messages.site_record(site or bank.sites[0])
    return Message(RecordDict({messages.SITE: name, **messages.bank_records(bank)}), reply_to=message)


class Time:
    """Goes on only when somebody sleeps, and then not before all sweeps have ended or are held up on purpose."""

    def __init__(self):
        self.now = 1000.0
        self.held = set()
        self.at = {}

    def clock(self):
        return self.now

    def sleep(self, seconds):
        for thread in [each for each in threading.enumerate() if each.name.startswith("sweep-")]:
            while thread.is_alive() and thread.name not in self.held:
                thread.join(0.001)
        self.now += seconds
        for when in sorted(when for when in self.at if when <= self.now):
            self.at.pop(when)()

    def hold(self, event):
        """Hold this thread up until the event."""
        self.held.add(threading.current_thread().name)
        event.wait(60)


class Plants(InProcessGrid):
    """Node ``n`` gives ``answers[n]``, one after the other, the last for ever.

    An answer is a bank, an exception to raise, a function that makes the reply to a message, or ``None`` for silence.
    """

    def __init__(self, answers, *, time, names=()):
        super().__init__(ClientApp(), {node: {} for node in answers})
        self.app.train()(self._train)
        self.answers = {node: list(given) if isinstance(given, list) else [given] for node, given in answers.items()}
        self.names = dict(names)
        self.time = time
        self.online = set(answers)
        self.asked = []
        self.ttls = []
        self.pulled = Counter()
        self.node_of = {}

    def get_nodes(self):
        return [NodeInfo(node_id=node, name=self.names.get(node, "")) for node in self.online]

    def get_node_ids(self):
        return sorted(self.online)

    def push_messages(self, messages):
        messages = list(messages)
        ids = super().push_messages(messages)
        for message_id, message in zip(ids, messages, strict=True):
            self.node_of[message_id] = message.metadata.dst_node_id
            self.asked.append((message.metadata.dst_node_id, self.time.now))
            self.ttls.append(message.metadata.ttl)
        return ids

    def pull_messages(self, message_ids):
        (message_id,) = message_ids
        node = self.node_of[message_id]
        self.pulled[node] += 1
        if self.answers[node][0] is None or node not in self.online:
            return []
        return super().pull_messages([message_id])

    def nodes_asked(self):
        return [node for node, _ in self.asked]

    def _train(self, message, context):
        given = self.answers[context.node_id]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(message) if callable(answer) else reply_of(message, answer)
