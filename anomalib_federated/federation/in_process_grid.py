"""A Flower grid within one process: the same apps and messages as in a deployment, without the network."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from copy import deepcopy

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

logger = logging.getLogger(__name__)

RUN_ID = 1
CLIENT_APP_ERROR = 2
"""Flower's code for a client app that raised."""


class InProcessGrid(Grid):
    """Calls a client app for each node, one after the other, in the order of the messages.

    Args:
        app: The client app.
        node_configs: Per node id, the configuration that the app finds in its context.
    """

    def __init__(self, app: ClientApp, node_configs: Mapping[int, Mapping[str, bool | float | int | str]]) -> None:
        self.app = app
        self.contexts = {
            node_id: Context(
                run_id=RUN_ID, node_id=node_id, node_config=dict(config), state=RecordDict(), run_config={}
            )
            for node_id, config in node_configs.items()
        }
        self._run: Run | None = None
        # Messages take their sender from here; Flower's own processes set it when they start.
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, RUN_ID, SUPERLINK_NODE_ID
        self._pending: dict[str, Message] = {}
        self._sent = 0

    @property
    def server_context(self) -> Context:
        """The context of a server app that uses this grid."""
        return Context(RUN_ID, SUPERLINK_NODE_ID, node_config={}, state=RecordDict(), run_config={})

    def set_run(self, run: Run) -> None:
        """Note the run."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run that was set.

        Raises:
            RuntimeError: If none was.
        """
        if self._run is None:
            msg = "This grid has no run; call set_run first."
            raise RuntimeError(msg)
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Make a message, as the interface demands; messages may be made directly as well."""
        return Message(content=content, message_type=message_type, dst_node_id=dst_node_id, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> list[int]:
        """Ids of all nodes."""
        return list(self.contexts)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Take messages in; they are answered when they are pulled."""
        ids = []
        for message in messages:
            self._sent += 1
            ids.append(str(self._sent))
            self._pending[ids[-1]] = message
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Have the client app answer the messages."""
        return [self._answer(self._pending.pop(message_id)) for message_id in message_ids]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Have the client app answer the messages; in one process there is nothing to wait for."""
        del timeout
        return self.pull_messages(self.push_messages(messages))

    def _answer(self, message: Message) -> Message:
        # As over a network, the app gets records of its own: nothing that it changes reaches anybody else.
        received = Message(deepcopy(message.content), message.metadata.dst_node_id, message.metadata.message_type)
        try:
            return self.app(received, self.contexts[message.metadata.dst_node_id])
        except Exception as error:
            logger.debug("Node %d failed.", message.metadata.dst_node_id, exc_info=True)
            return Message(Error(code=CLIENT_APP_ERROR, reason=str(error)), reply_to=received)
