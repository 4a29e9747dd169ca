"""Federations of real apps, messages and strategies in one process; only the pictures are missing."""

from dataclasses import replace

import pytest
import torch
from flwr.app import ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import recorddict_to_proto
from flwr.proto.node_pb2 import NodeInfo
from flwr.supercore.run import Run

from anomalib_federated import messages
from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.federation import InProcessGrid, client_app, run_federation, simulate
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.strategy.concatenate import Concatenate
from anomalib_federated_plugins.strategy.exact_k_center import ExactKCenter
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from tests.federation.pieces import files_in, pieces_of, with_bank, without_bank


@pytest.fixture
def sites(make_site):
    return [
        make_site("north", seed=1, screw=3),
        make_site("south", seed=2, offset=1.0, screw=2, nut=2),
        make_site("west", seed=3, nut=1),
    ]


def grid_of(sites):
    by_name = {site.name: site for site in sites}
    app = client_app(lambda context, space: by_name[context.node_config["site"]])
    return InProcessGrid(app, {number: {"site": site.name} for number, site in enumerate(sites, start=1)})


class ReorderingGrid(InProcessGrid):
    """Replies arrive in another order."""

    def __init__(self, grid, order):
        super().__init__(grid.app, {node: context.node_config for node, context in grid.contexts.items()})
        self.order = order

    def send_and_receive(self, messages, *, timeout=None):
        replies = super().send_and_receive(messages, timeout=timeout)
        return [replies[i] for i in self.order]


class TamperingGrid(ReorderingGrid):
    """One node's replies to one kind of message are changed on their way."""

    def __init__(self, grid, kind, change):
        super().__init__(grid, range(len(grid.contexts)))
        self.kind, self.change = kind, change

    def send_and_receive(self, messages, *, timeout=None):
        replies = super().send_and_receive(messages, timeout=timeout)
        if replies[1].metadata.message_type == self.kind:
            self.change(replies[1].content)
        return replies


# --- a whole federation ---------------------------------------------------------------------------------------------


def test_concatenation_is_the_union_of_what_the_sites_would_save(sites, agreement):
    result = simulate(sites, Concatenate(), agreement)
    expected = MemoryBank.merge([site.build_bank(agreement) for site in sorted(sites, key=lambda site: site.name)])
    for category in ("nut", "screw"):
        ours, theirs = result.bank.for_category(category), expected.for_category(category)
        assert torch.equal(ours.features, theirs.features)
        assert torch.equal(ours.weights, theirs.weights)
    assert len(result.bank) == 4 * 5
    assert {(item.site, item.category) for item in result.bank.contributions} == {
        ("north", "screw"), ("south", "screw"), ("south", "nut"), ("west", "nut"),
    }  # fmt: skip


def test_the_covering_radius_is_measured_on_all_sites_patches(sites, agreement):
    bank = simulate(sites, FederatedCoreset(budget=4), agreement).bank
    for category in ("nut", "screw"):
        patches = [
            block
            for site in sites
            if category in site.patches().categories
            for _, block in site.patches().rows(category).blocks()
        ]
        rows = bank.for_category(category).features.double()
        expected = (torch.cat(patches).double()[:, None] - rows[None]).norm(dim=2).amin(1).max()
        assert bank.covering_radius[category] == pytest.approx(float(expected), rel=1e-4)
    assert set(bank.covering_radius) == {"nut", "screw"}


class RecordingGrid(InProcessGrid):
    """Keeps what went to and came from each node."""

    def __init__(self, grid):
        super().__init__(grid.app, {node: context.node_config for node, context in grid.contexts.items()})
        self.went, self.came = [], []

    def send_and_receive(self, messages, *, timeout=None):
        messages = list(messages)
        replies = super().send_and_receive(messages, timeout=timeout)
        self.went += messages
        self.came += replies
        return replies


def test_the_bytes_counted_are_those_that_travelled(sites, agreement):
    grid = RecordingGrid(grid_of(sites))
    result = run_federation(grid, Concatenate(), agreement)
    assert {site: list(categories) for site, categories in result.traffic.items()} == {
        "north": ["screw"], "south": ["nut", "screw"], "west": ["nut"],
    }  # fmt: skip
    for number, site in enumerate(sites, start=1):
        bank = site.build_bank(agreement)
        for category, cost in result.traffic[site.name].items():
            sent = len(bank.for_category(category).to_bytes())
            received = len(result.bank.for_category(category).to_bytes())
            # The radius and the counts come on top; the measured radius is in the bank only afterwards.
            assert sent < cost.up < sent + 200
            assert cost.down == pytest.approx(received, abs=100)
        # Flower's own serialisation of all records: what is not counted are the agreement, names and frames.
        packed = sum(
            len(recorddict_to_proto(message.content).SerializeToString())
            for message in grid.came
            if message.metadata.src_node_id == number
        )
        counted = sum(cost.up for cost in result.traffic[site.name].values())
        assert counted < packed < counted + 2000
    assert result.seconds > 0


def test_a_site_gets_only_categories_that_it_has(sites, agreement):
    grid = RecordingGrid(grid_of(sites))
    run_federation(grid, Concatenate(), agreement)
    measuring = [message for message in grid.went if message.metadata.message_type == MessageType.EVALUATE]
    assert [sorted(files_in(message.content)) for message in measuring] == [["screw"], ["nut", "screw"], ["nut"]]


def test_a_second_run_of_a_strategy_forgets_the_first(sites, agreement):
    strategy = Concatenate()
    run_federation(grid_of(sites), strategy, agreement)
    again = run_federation(grid_of(sites[:1]), strategy, agreement)
    assert list(again.traffic) == ["north"]
    assert again.traffic == run_federation(grid_of(sites[:1]), Concatenate(), agreement).traffic


def test_replies_in_any_order_give_the_same_bank(sites, agreement):
    expected = run_federation(grid_of(sites), FederatedCoreset(budget=4), agreement).bank.digest
    for order in ([2, 1, 0], [1, 2, 0]):
        grid = ReorderingGrid(grid_of(sites), order)
        result = run_federation(grid, FederatedCoreset(budget=4), agreement)
        assert result.bank.digest == expected
        assert list(result.traffic) == ["north", "south", "west"]
    renumbered = grid_of([sites[2], sites[0], sites[1]])
    assert run_federation(renumbered, FederatedCoreset(budget=4), agreement).bank.digest == expected


def test_half_precision_halves_what_is_sent(sites, agreement):
    whole = simulate(sites, Concatenate(), agreement)
    half = simulate(sites, Concatenate(), replace(agreement, dtype="float16"))
    assert half.bank.features.dtype == torch.float16
    assert torch.equal(half.bank.features, whole.bank.features.half())
    dim, rows = agreement.space.dim, 5
    # Headers may differ by a few bytes; the features do by two bytes each.
    saved = whole.traffic["north"]["screw"].up - half.traffic["north"]["screw"].up
    assert saved == pytest.approx(2 * dim * rows, abs=16)


# --- the grid -------------------------------------------------------------------------------------------------------


def ask(kind=MessageType.TRAIN, node=1, **records):
    return Message(RecordDict(records), dst_node_id=node, message_type=kind)


def test_replies_come_in_the_order_of_messages_and_from_their_nodes():
    app = ClientApp()

    @app.train()
    def train(message, context):
        return Message(RecordDict({"echo": ConfigRecord(dict(context.node_config))}), reply_to=message)

    grid = InProcessGrid(app, {4: {"site": "d"}, 2: {"site": "b"}})
    assert set(grid.get_node_ids()) == {2, 4}
    replies = grid.send_and_receive([ask(node=2), ask(node=4), ask(node=2)])
    assert [reply.content["echo"]["site"] for reply in replies] == ["b", "d", "b"]
    assert [reply.metadata.src_node_id for reply in replies] == [2, 4, 2]
    ids = grid.push_messages([ask(node=2), ask(node=4)])
    assert [reply.content["echo"]["site"] for reply in grid.pull_messages(reversed(ids))] == ["d", "b"]


def test_an_app_gets_records_of_its_own():
    app = ClientApp()

    @app.train()
    def train(message, context):
        message.content["config"]["list"].append(99)
        message.content["config"]["new"] = 1
        context.state["seen"] = ConfigRecord({"times": 1 + context.state.get("seen", {"times": 0})["times"]})
        return Message(RecordDict({"state": context.state["seen"]}), reply_to=message)

    grid = InProcessGrid(app, {1: {}, 2: {}})
    config = ConfigRecord({"list": [1]})
    replies = grid.send_and_receive(
        [ask(node=1, config=config), ask(node=2, config=config), ask(node=1, config=config)]
    )
    assert dict(config) == {"list": [1]}
    assert [reply.content["state"]["times"] for reply in replies] == [1, 1, 2]


def test_an_app_that_raises_gives_an_error_reply():
    app = ClientApp()

    @app.train()
    def train(message, context):
        if context.node_id == 2:
            msg = "the camera is unplugged"
            raise OSError(msg)
        return Message(RecordDict(), reply_to=message)

    replies = InProcessGrid(app, {1: {}, 2: {}}).send_and_receive([ask(node=1), ask(node=2), ask(node=9)])
    assert [reply.has_error() for reply in replies] == [False, True, True]
    assert "the camera is unplugged" in replies[1].error.reason
    assert replies[1].metadata.src_node_id == 2


def test_a_run_must_be_set_before_it_is_read():
    grid = InProcessGrid(ClientApp(), {})
    with pytest.raises(RuntimeError, match="call set_run first"):
        _ = grid.run
    run = Run.create_empty(3)
    grid.set_run(run)
    assert grid.run is run


# --- sites at fault -------------------------------------------------------------------------------------------------


def test_a_site_that_fails_ends_the_federation_with_its_reason(sites, make_site, agreement):
    with pytest.raises(FederationError, match=r"Node 4 failed: .*Site 'empty' has no training picture"):
        simulate([*sites, make_site("empty")], Concatenate(), agreement)


def test_a_site_with_other_settings_is_refused_naming_the_field(sites, agreement):
    agreed = replace(agreement, space=replace(agreement.space, pooling=5, image_size=(128, 128)))
    with pytest.raises(FederationError) as caught:
        simulate(sites, Concatenate(), agreed)
    text = "Site 'north' is set up differently from the federation: image_size is (64, 64) and (128, 128), pooling is 3"
    assert text in str(caught.value)


def test_a_coreset_that_a_site_lacks_is_named(sites, agreement):
    with pytest.raises(FederationError, match="no coreset plugin named 'k_centre'"):
        simulate(sites, Concatenate(), replace(agreement, coreset="k_centre"))


def test_a_bank_under_another_sites_name_is_refused(sites, agreement):
    forged = sites[0].build_bank(agreement)
    grid = TamperingGrid(grid_of(sites), MessageType.TRAIN, lambda content: with_bank(content, forged))
    with pytest.raises(messages.MessageError, match="Site 'south' sent rows that it says are of north"):
        run_federation(grid, Concatenate(), agreement)


def test_two_nodes_of_one_name_are_refused(sites, make_site, agreement):
    with pytest.raises(BankError, match=r"one bank of each site, got banks of .*'north', 'north'"):
        run_federation(grid_of([sites[0], sites[0]]), Concatenate(), agreement)


def test_rows_of_two_sites_in_one_bank_are_refused(sites, agreement):
    both = MemoryBank.merge([sites[1].build_bank(agreement).for_category("nut"), sites[0].build_bank(agreement)])
    grid = TamperingGrid(grid_of(sites), MessageType.TRAIN, lambda content: with_bank(content, both))
    with pytest.raises(messages.MessageError, match="Site 'south' sent rows that it says are of south, north"):
        run_federation(grid, Concatenate(), agreement)


def test_a_bank_of_another_feature_space_is_refused(sites, agreement):
    bank = sites[1].build_bank(agreement)
    other = replace(bank, space=replace(bank.space, weights="0" * 64))
    grid = TamperingGrid(grid_of(sites), MessageType.TRAIN, lambda content: with_bank(content, other))
    with pytest.raises(BankError, match="bank of site 'south' was made by other settings than agreed: weights is"):
        run_federation(grid, Concatenate(), agreement)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"budget": 6}, "category 'nut' from site 'south' .*it holds 6 rows, but at most 5 were agreed"),
        ({"dtype": "float16"}, r"'south' holds features in torch\.float16, but float32 was agreed"),
    ],
)
def test_a_bank_that_is_not_as_agreed_is_refused(sites, agreement, changes, complaint):
    other = sites[1].build_bank(replace(agreement, **changes))
    grid = TamperingGrid(grid_of(sites), MessageType.TRAIN, lambda content: with_bank(content, other))
    with pytest.raises(BankError, match=complaint):
        run_federation(grid, Concatenate(), agreement)


def test_more_than_the_agreed_share_is_refused(sites, agreement):
    agreed = replace(agreement, budget=0.1)
    for site in sites:
        agreed.check(site.build_bank(agreed))
    bank = sites[1].build_bank(agreement)
    with pytest.raises(BankError, match="but at most 3 were agreed"):
        replace(agreement, budget=0.1).check(bank)


def test_a_target_radius_lets_sites_send_fewer_rows(sites, agreement):
    whole = simulate(sites, Concatenate(), replace(agreement, budget=48))
    radius = whole.site_banks["north"].covering_radius["screw"] + 40.0
    result = simulate(sites, Concatenate(), replace(agreement, budget={"radius": radius, "rows": 48}))
    assert len(result.bank) < len(whole.bank)
    assert all(item.covering_radius <= radius for item in result.bank.contributions)


def test_the_banks_received_are_kept_for_later_merges(sites, agreement):
    result = simulate(sites, FederatedCoreset(budget=4), agreement)
    assert {name: bank.digest for name, bank in result.site_banks.items()} == {
        site.name: MemoryBank.merge(
            [site.build_bank(agreement).for_category(name) for name in site.patches().categories]
        ).digest
        for site in sites
    }
    again = FederatedCoreset(budget=4).merge(result.site_banks.values())
    # What the sites measured is not in the banks that they sent.
    assert replace(result.bank, covering_radius={}, weights=again.weights).digest == again.digest


def test_a_site_that_miscounts_its_rows_is_refused(sites, agreement):
    bank = sites[1].build_bank(agreement)
    lying = replace(bank, contributions=tuple(replace(item, rows=item.rows + 1) for item in bank.contributions))
    with pytest.raises(BankError, match="'south' holds 5 rows of category 'nut', but says that it kept 6"):
        agreement.check(lying)


def test_a_bank_of_too_many_bytes_is_not_decoded(sites, agreement):
    huge = pieces_of({"screw": bytes(3 << 20)})
    grid = TamperingGrid(grid_of(sites), MessageType.TRAIN, lambda content: without_bank(content).update(huge))
    with pytest.raises(BankError, match=f"from site 'south' .*more than the {agreement.max_bytes} accepted"):
        run_federation(grid, Concatenate(), agreement)


@pytest.mark.parametrize("name", ["", "../north", "so\x1b[2Juth", "x" * 300])
def test_an_impossible_site_name_is_refused(sites, agreement, name):
    forged = {messages.SITE: messages.site_record(name)}
    grid = TamperingGrid(grid_of(sites), MessageType.TRAIN, lambda content: content.update(forged))
    with pytest.raises(messages.MessageError, match="message from node 2 does not name its site") as caught:
        run_federation(grid, Concatenate(), agreement)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_a_covering_radius_that_is_kept_back_is_refused(sites, agreement):
    def report(content):
        content[messages.RADIUS] = MetricRecord({"nut": 1.0})

    grid = TamperingGrid(grid_of(sites), MessageType.EVALUATE, report)
    with pytest.raises(messages.MessageError, match="Site 'south' sent rows of screw, but reports no covering radius"):
        run_federation(grid, Concatenate(), agreement)


class NamedGrid(InProcessGrid):
    """The operator registered some nodes by name."""

    def __init__(self, grid, names):
        super().__init__(grid.app, {node: context.node_config for node, context in grid.contexts.items()})
        self.names = names

    def get_nodes(self):
        return [NodeInfo(node_id=node, name=self.names.get(node, "")) for node in self.contexts]


@pytest.mark.parametrize("strategy", [Concatenate(), ExactKCenter(budget=3, candidates=4)])
def test_a_node_speaks_only_for_the_site_of_its_registered_name(sites, agreement, strategy):
    named = NamedGrid(grid_of(sites), {1: "north", 2: "west"})
    with pytest.raises(messages.MessageError, match="Node 2 answers as site 'south', but is registered as 'west'"):
        run_federation(named, strategy, agreement)
    named.names = {1: "north", 2: "south"}
    assert list(run_federation(named, strategy, agreement).traffic) == ["north", "south", "west"]


def test_a_covering_radius_under_another_sites_name_is_refused(sites, agreement):
    forged = {messages.SITE: messages.site_record("north")}
    grid = TamperingGrid(grid_of(sites), MessageType.EVALUATE, lambda content: content.update(forged))
    with pytest.raises(messages.MessageError, match="Node 2 answers as site 'north', but was 'south' before"):
        run_federation(grid, Concatenate(), agreement)


def test_a_global_bank_of_another_feature_space_is_refused_by_the_site(sites):
    with pytest.raises(BankError, match="Site 'north' is set up differently from the federation: "):
        sites[0].covering(example_bank())


def test_coreset_arguments_that_repeat_the_budget_are_refused(sites, agreement):
    with pytest.raises(FederationError, match="gets budget twice"):
        simulate(sites, Concatenate(), replace(agreement, coreset_args={"budget": 9}))


def test_a_reply_that_names_no_site_is_refused(sites, agreement):
    grid = TamperingGrid(grid_of(sites), MessageType.TRAIN, lambda content: content.pop(messages.SITE))
    with pytest.raises(messages.MessageError, match="node 2 has no ConfigRecord named 'site'"):
        run_federation(grid, Concatenate(), agreement)


def test_a_reply_without_a_bank_is_refused(sites, agreement):
    grid = TamperingGrid(grid_of(sites), MessageType.TRAIN, without_bank)
    with pytest.raises(BankError, match="There is no bank in the message from site 'south'"):
        run_federation(grid, Concatenate(), agreement)


@pytest.mark.parametrize("radius", [float("nan"), float("inf"), -1.0, 3, [1.0]])
def test_an_impossible_covering_radius_is_refused(sites, agreement, radius):
    def report(content):
        content[messages.RADIUS] = MetricRecord({"nut": radius})

    grid = TamperingGrid(grid_of(sites), MessageType.EVALUATE, report)
    with pytest.raises(messages.MessageError, match=r"Site 'south' reports .* as covering radius of 'nut'"):
        run_federation(grid, Concatenate(), agreement)


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        ([1, 2], "counts patches of 2 rows of 'nut'; the bank has 10"),
        ([-1] * 10, "does not say how many patches each row of 'nut' stands for"),
        ([1.0] * 10, "does not say how many patches each row of 'nut' stands for"),
        ([1 << 50] * 10, "does not say how many patches each row of 'nut' stands for"),
    ],
)
def test_impossible_counts_are_refused(sites, agreement, counts, complaint):
    def report(content):
        content[messages.WEIGHTS]["nut"] = counts

    grid = TamperingGrid(grid_of(sites), MessageType.EVALUATE, report)
    with pytest.raises(messages.MessageError, match=f"Site 'south' {complaint}"):
        run_federation(grid, Concatenate(), agreement)


def test_an_evaluation_without_a_bank_is_an_error_reply(sites):
    content = {messages.CONFIG: ConfigRecord()}
    (reply,) = grid_of(sites).send_and_receive([ask(MessageType.EVALUATE, 1, **content)])
    assert "There is no bank in the message from the server" in reply.error.reason
