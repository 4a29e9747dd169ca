"""Rows of two rounds, by real apps and messages, against greedy k-center in float64 over every patch."""

from dataclasses import replace

import pytest
import torch
from flwr.app import ConfigRecord, MetricRecord

from anomalib_federated import messages
from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.federation import Agreement, client_app, run_federation, simulate
from anomalib_federated.federation.in_process_grid import InProcessGrid
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.messages import REFINE, MessageError
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from anomalib_federated_plugins.strategy.refinement import Refinement
from tests.federation.pieces import with_bank, without_bank


@pytest.fixture
def sites(make_site):
    return [
        make_site("north", seed=1, screw=6),
        make_site("south", seed=2, offset=0.3, screw=4, nut=3),
        make_site("west", seed=3, nut=2, screw=1),
    ]


@pytest.fixture
def agreement(extractor):
    return Agreement(space=extractor.space, budget=24, dtype="float32")


@pytest.fixture
def first_round(sites, agreement):
    """What a federation knows before the second round, of a global bank of 10 rows."""
    return simulate(sites, FederatedCoreset(budget=10), replace(agreement, budget=12))


def patches_of(site, category):
    rows = site.patches().rows(category)
    return rows.read(slice(0, len(rows))).double()


def distances(rows, kept):
    return torch.cdist(rows.double(), kept.double(), compute_mode="donot_use_mm_for_euclid_dist")


def naive(rows, known, *, radius, most):
    """The farthest row, again and again, by looking at all."""
    picks, nearest = [], distances(rows, known).amin(1)
    while len(picks) < most and float(nearest.max()) > radius:
        picks.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, distances(rows, rows[picks[-1:]])[:, 0])
    return rows[picks]


@pytest.mark.parametrize("beyond", [0.3, 0.85, 0.9, 0.92])
def test_a_site_sends_what_is_far_from_all_rows_that_the_federation_has(sites, agreement, first_round, beyond):
    found = simulate(sites, Refinement(budget=10, beyond=beyond), agreement).site_banks
    sent = set()
    for site in sites:
        for category in site.patches().categories:
            before, bank = first_round.site_banks[site.name].for_category(category), first_round.bank
            known = torch.cat([bank.for_category(category).features, before.features])
            radius = beyond * bank.covering_radius[category]
            expected = naive(patches_of(site, category), known, radius=radius, most=24 - len(before))
            rows = found[site.name].for_category(category).features
            assert torch.equal(rows, torch.cat([before.features, expected.float()]))
            sent.add(len(expected))
    assert len(sent) > 1


def test_enough_rows_bring_every_patch_within_the_radius(sites, extractor):
    agreement = Agreement(space=extractor.space, budget=100, dtype="float16")
    strategy = Refinement(budget=10, first=0.12, beyond=0.95)
    found = simulate(sites, strategy, agreement).site_banks
    start = simulate(sites, FederatedCoreset(budget=10), replace(agreement, budget=12)).bank
    for category in ("nut", "screw"):
        held = torch.cat(
            [bank.for_category(category).features for bank in found.values() if category in bank.categories]
        )
        for site in sites:
            if category in site.patches().categories:
                radius = float(distances(patches_of(site, category), held).amin(1).max())
                assert radius <= 0.95 * start.covering_radius[category] * (1 + 1e-3)
    assert all(len(bank.for_category("screw")) < 100 for bank in found.values())


def test_a_sites_rows_of_both_rounds_make_one_bank(sites, agreement):
    found = simulate(sites, Refinement(budget=10), agreement).site_banks
    for site in sites:
        bank = found[site.name]
        agreement.check(bank)
        assert MemoryBank.from_bytes(bank.to_bytes(), source="a file").digest == bank.digest
        for item in bank.contributions:
            own, rows = bank.for_category(item.category), patches_of(site, item.category)
            between = distances(rows, own.features)
            assert item.rows == len(own) <= 24
            assert item.patches == len(rows)
            assert item.coreset == "k_center + refinement"
            assert torch.equal(own.weights, torch.bincount(between.argmin(1), minlength=len(own)).float())
            assert item.covering_radius == pytest.approx(float(between.amin(1).max()), rel=1e-5)
            assert item.mean_distance == pytest.approx(float(between.amin(1).mean()), rel=1e-5)
            assert own.covering_radius == {item.category: item.covering_radius}


@pytest.mark.parametrize("first", [0.25, 0.5, 0.75])
def test_the_first_round_is_a_part_of_what_was_agreed(sites, agreement, first):
    found = simulate(sites, Refinement(budget=10, first=first), agreement).site_banks["north"]
    plain = simulate(sites, FederatedCoreset(budget=10), replace(agreement, budget=int(24 * first)))
    assert torch.equal(found.features[: int(24 * first)], plain.site_banks["north"].features)
    assert len(found) == 24


def test_the_stored_banks_give_the_global_bank_again(sites, agreement):
    strategy = Refinement(budget=10, seed=4)
    federation = simulate(sites, strategy, agreement)
    again = Refinement(budget=10, seed=4).merge(reversed(federation.site_banks.values()))
    assert torch.equal(again.features, federation.bank.features)
    assert torch.equal(again.row_site, federation.bank.row_site)
    measured = strategy.measured.applied_to(again)
    assert measured.digest == federation.bank.digest
    union = MemoryBank.merge(bank.for_category("screw") for bank in federation.site_banks.values())
    plain = FederatedCoreset(budget=10, seed=4).coreset.select(union.features, seed=4)
    assert torch.equal(again.for_category("screw").features, union.features[plain.indices])


def test_a_site_without_a_far_patch_sends_nothing(make_site, sites, extractor):
    """A site that sends each of its patches in the first round has none that is far."""
    small = make_site("small", seed=9, screw=1)
    agreement = Agreement(space=extractor.space, budget=40, dtype="float32")
    found = simulate([*sites, small], Refinement(budget=10), agreement)
    assert len(found.site_banks["small"]) == 16
    assert found.site_banks["small"].contributions[0].coreset == "k_center"
    assert set(found.bank.categories) == {"nut", "screw"}
    assert "small" in found.bank.sites


def test_if_no_site_has_a_far_patch_the_bank_stays(sites, agreement):
    agreement = replace(agreement, budget=400)
    found = simulate(sites, Refinement(budget=10), agreement)
    plain = simulate(sites, FederatedCoreset(budget=10), replace(agreement, budget=200))
    assert found.bank.digest == plain.bank.digest


def test_neither_order_of_sites_nor_an_earlier_federation_changes_the_bank(make_site, sites, agreement):
    strategy = Refinement(budget=10)
    first = simulate(sites, strategy, agreement)
    simulate([make_site("else", seed=8, screw=3)], strategy, agreement)
    again = simulate(sites[::-1], strategy, agreement)
    assert again.bank.digest == first.bank.digest
    assert set(again.site_banks) == {"north", "south", "west"}


def test_a_site_that_remembers_nothing_between_messages_sends_the_same(make_site, sites, agreement):
    """In a deployment each message may be answered by a process of its own."""
    images = {"north": {"seed": 1, "screw": 6}, "south": {"seed": 2, "offset": 0.3, "screw": 4, "nut": 3}}
    nodes = {number: {"site": name} for number, name in enumerate(images, start=1)}

    def anew(context, space):
        name = context.node_config["site"]
        return make_site(name, **images[name])

    found = run_federation(InProcessGrid(client_app(anew), nodes), Refinement(budget=10), agreement)
    assert found.bank.digest == simulate(sites[:2], Refinement(budget=10), agreement).bank.digest


def test_a_share_of_the_patches_is_kept_to_in_both_rounds_together(sites, agreement):
    found = simulate(sites, Refinement(budget=10, beyond=0.01), replace(agreement, budget=0.5)).site_banks
    assert len(found["north"]) == 48
    assert len(found["south"].for_category("nut")) == 24


def test_rows_in_int8_are_a_quarter_of_the_bytes_and_rounded_in_both_rounds(sites, agreement):
    exact = simulate(sites, Refinement(budget=10), agreement)
    small = simulate(sites, Refinement(budget=10), replace(agreement, dtype="int8"))
    north = small.site_banks["north"]
    replace(agreement, dtype="int8").check(north)
    assert len(north) == len(exact.site_banks["north"]) == 24
    rows = patches_of(sites[0], "screw")
    moved = distances(north.features, rows).amin(1)
    assert 0 < float(moved.max()) <= float(rows.abs().max()) / 254 * 152**0.5
    radius = float(distances(rows, north.features).amin(1).max())
    assert radius <= north.covering_radius["screw"] <= radius + 2 * float(moved.max())
    assert small.traffic["north"]["screw"].up < 0.5 * exact.traffic["north"]["screw"].up


def test_bytes_of_both_rounds_are_counted(sites, agreement):
    one = simulate(sites, FederatedCoreset(budget=10), replace(agreement, budget=12)).traffic
    two = simulate(sites, Refinement(budget=10), agreement)
    for site in sites:
        for category in site.patches().categories:
            before, both = one[site.name][category], two.traffic[site.name][category]
            more = len(two.site_banks[site.name].for_category(category)) - 12
            assert both.up - before.up > more * 152 * 4
            assert both.down - before.down > 2 * 10 * 152 * 4  # to refine by, and to measure


# --- what a site may get wrong --------------------------------------------------------------------------------------


class Tampering(InProcessGrid):
    """The second round's reply of the first node is changed on its way."""

    def __init__(self, app, node_configs, change):
        super().__init__(app, node_configs)
        self.change = change

    def send_and_receive(self, messages, *, timeout=None):
        asked = list(messages)
        replies = super().send_and_receive(asked, timeout=timeout)
        if asked and asked[0].metadata.message_type == REFINE:
            self.change(replies[0].content)
        return replies


def run(sites, agreement, change):
    by_name = {site.name: site for site in sites}
    app = client_app(lambda context, space: by_name[context.node_config["site"]])
    nodes = {number: {"site": site.name} for number, site in enumerate(sites, start=1)}
    return run_federation(Tampering(app, nodes, change), Refinement(budget=10), agreement)


def sends(change):
    """The rows of the second round are changed."""

    def tamper(content):
        with_bank(content, change(messages.bank_in(content, source="a test")))

    return tamper


def counts(change):
    """The numbers of patches are changed."""

    def tamper(content):
        values = change(list(content[messages.WEIGHTS]["screw"]))
        content[messages.WEIGHTS] = MetricRecord({} if values is None else {"screw": values})

    return tamper


def saying(**changes):
    return sends(lambda bank: replace(bank, contributions=(replace(bank.contributions[0], **changes),)))


def as_nuts(bank):
    item = replace(bank.contributions[0], category="bolt")
    return replace(bank, categories=("bolt",), contributions=(item,), coresets={"bolt": "refinement"})


def twice(bank):
    (item,) = bank.contributions
    rows = {name: torch.cat([getattr(bank, name)] * 2) for name in ("features", "row_category", "row_site", "weights")}
    rows["weights"] = rows["weights"] / 2
    return replace(bank, **rows, contributions=(replace(item, rows=2 * item.rows),))


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        (sends(twice), BankError, "36 rows of category 'screw', but at most 24"),
        (saying(patches=97), MessageError, "had 96 patches in the first round and 97 in the second"),
        (saying(images=7), MessageError, "start again"),
        (sends(as_nuts), MessageError, "more rows of 'bolt', of which it sent none before"),
        (counts(lambda values: values[1:]), MessageError, "each of the 12 rows stands for"),
        (counts(lambda values: [0, *values[1:]]), MessageError, "each of the 12 rows stands for"),
        (counts(lambda values: [1 << 50, *values[1:]]), MessageError, "each of the 12 rows stands for"),
        (counts(lambda values: [1.5 for _ in values]), MessageError, "each of the 12 rows stands for"),
        (counts(lambda values: None), MessageError, "each of the 12 rows stands for"),
        (lambda content: content.pop(messages.WEIGHTS), MessageError, "no MetricRecord named 'weights'"),
    ],
)
def test_what_does_not_go_with_the_first_round_is_refused(sites, agreement, change, error, reason):
    with pytest.raises(error, match=reason):
        run(sites[:1], agreement, change)


def test_untouched_messages_pass(sites, agreement):
    expected = simulate(sites, Refinement(budget=10), agreement)
    assert run(sites, agreement, lambda content: None).bank.digest == expected.bank.digest


def test_rows_may_be_left_out(sites, agreement):
    found = run(sites, agreement, without_bank)
    assert len(found.site_banks["north"]) == 12


# --- what the server may get wrong ----------------------------------------------------------------------------------


def test_a_bank_that_nobody_measured_is_refused_by_the_site(sites, agreement, first_round):
    bank = replace(first_round.bank, covering_radius={})
    with pytest.raises(BankError, match="covers category 'screw' was not measured"):
        sites[0].refine(bank, agreement, first=0.5, beyond=0.5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (messages.FIRST, 0.0),
        (messages.FIRST, "half"),
        (messages.BEYOND, 1.5),
        (messages.BEYOND, float("nan")),
        (messages.BEYOND, 1),
    ],
)
def test_a_share_that_is_none_is_refused_by_the_site(sites, agreement, monkeypatch, field, value):
    by_site = Refinement._to_holders

    def asking(self, kind, arrays, config):
        changed = ConfigRecord({**config, field: value}) if kind == REFINE else config
        return by_site(self, kind, arrays, changed)

    monkeypatch.setattr(Refinement, "_to_holders", asking)
    with pytest.raises(FederationError, match=f"no number above 0 and at most 1 in its field '{field}'"):
        simulate(sites[:1], Refinement(budget=10), agreement)


@pytest.mark.parametrize(
    "arguments",
    [{"first": 0.0}, {"first": 1.0}, {"first": 1}, {"beyond": 0}, {"beyond": 1.1}, {"beyond": True}, {"budget": 0}],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="is"):
        Refinement(**arguments)
