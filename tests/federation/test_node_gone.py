"""The SuperLink answers for a node that went offline: a federation of several rounds still names that node."""

import pytest
from flwr.server.superlink.linkstate.utils import create_message_error_unavailable_res_message

from anomalib_federated.federation import InProcessGrid, in_process_grid, run_federation
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset


class Gone(InProcessGrid):
    """Of node 2 nothing is heard any more; messages have numbers, as over a network."""

    def send_and_receive(self, messages, *, timeout=None):
        messages = list(messages)
        for message in messages:
            message.metadata.__dict__["_message_id"] = message.object_id  # as Flower's grid does
        gone = [
            create_message_error_unavailable_res_message(message.metadata, "node_unavail")
            for message in messages
            if message.metadata.dst_node_id == 2
        ]
        return gone + super().send_and_receive([each for each in messages if each.metadata.dst_node_id != 2])


def test_the_node_that_was_asked_is_named(make_site, agreement):
    grid = in_process_grid([make_site("north", seed=1, screw=3), make_site("south", seed=2, screw=2)])
    gone = Gone(grid.app, {node: context.node_config for node, context in grid.contexts.items()})
    with pytest.raises(FederationError, match="Node 2 failed: Error: Node Unavailable"):
        run_federation(gone, FederatedCoreset(budget=4), agreement)
