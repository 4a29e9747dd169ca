"""Noisy sums by real apps and messages: federated equals pooled, and nothing else leaves a site."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from flwr.app import ConfigRecord, Message, RecordDict

from anomalib_federated import messages
from anomalib_federated.federation import simulate
from anomalib_federated.federation.privacy_guard import PrivacyError, PrivacyGuard
from anomalib_federated.federation.privacy_terms import PrivacyTerms
from anomalib_federated.federation.simulation import in_process_grid
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.messages.sums import EVERY, ROUND, SUMS, state_records
from anomalib_federated.testing.privacy import ConstantNoise, seeded_noise
from anomalib_federated_plugins.strategy.exact_k_center import ExactKCenter
from anomalib_federated_plugins.strategy.noisy_sums import ALL_SITES, NoisySums
from anomalib_federated_plugins.strategy.refinement import Refinement
from tests.privacy.example_sums import MeanPrivacy


@pytest.fixture
def make_guarded(make_site, tmp_path):
    def make(name, *, noise=None, terms=None, **images):
        site = make_site(name, **images)
        site.guard = PrivacyGuard(PrivacyTerms(folder=tmp_path / "ledgers" / name, noise_by="centre", **(terms or {})))
        site.noise = noise or site.noise
        return site

    return make


@pytest.fixture
def agreement(extractor, mean_privacy):
    return Agreement(space=extractor.space, privacy=mean_privacy, privacy_args={"epsilon": 8.0})


def pictures(site, category):
    rows = site.patches().rows(category)
    return [rows.grid(number) for number in range(len(rows.pictures))]


def pooled(sites, category, space):
    """All rounds with the pictures of all sites in one sum, without noise."""
    privacy = MeanPrivacy(epsilon=8.0)
    state = privacy.start(space)
    for number in range(len(privacy.shares)):
        units = ([grid] for site in sites for grid in pictures(site, category))
        total = privacy.total(
            [privacy.release(units, state, number, noise=ConstantNoise(0))], state, number, noise=ConstantNoise(0)
        )
        state = privacy.learn(state, total)
    return privacy.finish(state)


def test_sites_learn_what_pooled_pictures_teach(make_guarded, agreement):
    none = ConstantNoise(0)
    sites = [
        make_guarded("north", noise=none, seed=1, screw=6),
        make_guarded("south", noise=none, seed=2, offset=0.3, screw=4, nut=3),
        make_guarded("west", noise=none, seed=3, nut=2),
    ]
    federation = simulate(sites, NoisySums(), agreement)
    assert federation.bank.sites == (ALL_SITES,)
    assert federation.bank.categories == ("nut", "screw")
    assert not federation.site_banks
    for category, holders in {"screw": sites[:2], "nut": sites[1:]}.items():
        expected = pooled(holders, category, agreement.space)
        assert torch.equal(federation.bank.for_category(category).features, expected.rows)
    assert set(federation.traffic) == {"north", "south", "west"}
    assert federation.traffic["west"]["nut"].up == 2 * 8 * (agreement.space.dim + 1)
    assert federation.traffic["west"]["nut"].down > 0


def test_the_promise_travels_with_the_bank_and_no_distance_is_told(make_guarded, agreement):
    bank = simulate([make_guarded("north", seed=1, screw=6)], NoisySums(), agreement).bank
    promise = bank.privacy[ALL_SITES]
    assert promise == MeanPrivacy(epsilon=8.0).report("picture")
    assert not bank.covering_radius
    assert bank.contributions[0].covering_radius is None


def test_equal_questions_get_equal_answers_and_the_second_federation_is_free(make_guarded, agreement):
    sites = [make_guarded("north", seed=1, screw=6), make_guarded("south", seed=2, screw=4)]
    first = simulate(sites, NoisySums(), agreement).bank
    assert simulate(sites, NoisySums(), agreement).bank.digest == first.digest


def test_another_agreement_is_refused_once_the_budget_is_spent(make_guarded, agreement, extractor):
    site = make_guarded("north", seed=1, screw=6)
    simulate([site], NoisySums(), agreement)
    other = Agreement(space=extractor.space, privacy="mean", privacy_args={"epsilon": 8.0}, seed=1)
    with pytest.raises(FederationError, match="nothing was sent"):
        simulate([site], NoisySums(), other)


def test_parts_count_once_whatever_their_pictures(make_site, make_guarded, agreement, tmp_path, monkeypatch):
    """Six pictures of one part change the sum by no more than one picture may."""
    terms = {"unit": "part", "part": r"(?P<part>screw)"}
    site = make_guarded("north", noise=ConstantNoise(0), terms=terms, seed=1, screw=6)
    bank = simulate([site], NoisySums(), agreement).bank
    assert bank.privacy[ALL_SITES].unit == "part"
    vectors = [MeanPrivacy(epsilon=8.0).contribution(grid, MeanPrivacy().start(agreement.space)) for grid in
               pictures(site, "screw")]  # fmt: skip
    made = site.noisy_sums({EVERY: MeanPrivacy().start(agreement.space)}, agreement, number=0)
    grid = MeanPrivacy(epsilon=8.0).grid(0, MeanPrivacy().start(agreement.space))
    assert np.allclose(grid.decode(made.sums["screw"]), torch.stack(vectors).mean(0), atol=1e-5)


def test_noise_is_shared_by_no_fewer_than_agreed(make_guarded, extractor, mean_privacy):
    args = {"epsilon": 8.0, "noise_by": "honest_sites", "honest_sites": 2}
    agreement = Agreement(space=extractor.space, privacy=mean_privacy, privacy_args=args)
    sites = [make_guarded("north", seed=1, screw=6), make_guarded("south", seed=2, screw=4, nut=3)]
    with pytest.raises(FederationError, match="only 1 have pictures of 'nut'"):
        simulate(sites, NoisySums(), agreement)
    both = [make_guarded("east", seed=1, screw=6), make_guarded("west", seed=2, screw=4)]
    assert simulate(both, NoisySums(), agreement).bank.categories == ("screw",)


def test_the_centre_adds_noise_if_it_is_to(make_guarded, extractor, mean_privacy):
    agreement = Agreement(
        space=extractor.space, privacy=mean_privacy, privacy_args={"epsilon": 1.0, "noise_by": "centre"}
    )
    banks = []
    for number in (1, 2):  # the same pictures, each time with a ledger of its own
        strategy = NoisySums()
        strategy.noise = seeded_noise(number)
        banks.append(simulate([make_guarded(f"north-{number}", seed=1, screw=6)], strategy, agreement).bank)
    assert banks[0].digest != banks[1].digest


def test_a_federation_whose_centre_draws_new_noise_has_to_be_paid_for_again(make_guarded, extractor, mean_privacy):
    agreement = Agreement(
        space=extractor.space, privacy=mean_privacy, privacy_args={"epsilon": 1.0, "noise_by": "centre"}
    )
    site = make_guarded("north", seed=1, screw=6)
    simulate([site], NoisySums(), agreement)
    with pytest.raises(FederationError, match="nothing was sent"):
        simulate([site], NoisySums(), agreement)


def test_a_site_without_terms_promises_nothing(make_site, agreement):
    with pytest.raises(FederationError, match="keeps no ledger"):
        simulate([make_site("north", seed=1, screw=3)], NoisySums(), agreement)


def test_a_plugin_of_banks_is_refused_before_anybody_is_asked(make_site, extractor):
    with pytest.raises(FederationError, match="'row_noise' they send banks"):
        simulate([make_site("north", screw=3)], NoisySums(), Agreement(space=extractor.space, privacy="row_noise"))


def test_no_bank_of_a_site_that_agreed_on_sums(make_guarded, agreement):
    from anomalib_federated_plugins.strategy.concatenate import Concatenate

    with pytest.raises(FederationError, match="take the strategy noisy_sums"):
        simulate([make_guarded("north", screw=3)], Concatenate(), agreement)
    with pytest.raises(PrivacyError, match="use the strategy noisy_sums"):
        make_guarded("north", screw=3).build_bank(agreement)


def test_under_a_promise_other_questions_are_refused(make_guarded, agreement):
    site = make_guarded("north", seed=1, screw=6)
    bank = simulate([site], NoisySums(), agreement).bank
    grid, bare = in_process_grid([site]), replace(agreement, privacy="none", privacy_args={})
    for kind in ("evaluate", "train.refine", "train.candidates"):
        content = RecordDict({messages.CONFIG: ConfigRecord({**bare.to_record(), messages.COUNT: 3,
                              messages.FIRST: 0.5, messages.BEYOND: 0.5}), **messages.bank_records(bank)})  # fmt: skip
        (number,) = grid.push_messages([Message(content, dst_node_id=1, message_type=kind)])
        (reply,) = grid.pull_messages([number])
        assert reply.has_error()
        assert "without noise" in reply.error.reason


@pytest.mark.parametrize(
    ("records", "number", "said"),
    [
        ({}, 1, "0 records named"),
        (state_records({EVERY: {"mean": torch.zeros(3)}}), 99, "no sums in round 99"),
        (state_records({EVERY: {"mean": torch.full((3,), torch.nan)}}), 1, "not floating and finite"),
        ({"state.0000": ConfigRecord({"category": "screw", "data": b"nonsense"})}, 1, "cannot be used"),
        ({"state.0000": ConfigRecord({"category": "../screw", "data": b""})}, 1, "impossible category"),
        ({"state.0000": ConfigRecord({"category": "screw"})}, 1, "must name a category"),
        (state_records({"nut": {"mean": torch.zeros(152), "around": torch.tensor(1.0)}}), 1, "no picture of nut"),
        (state_records({"screw": {"mean": torch.zeros(3)}}), 1, "does not fit 'mean'"),
        (state_records({"screw": {"other": torch.zeros(3)}}), 1, "does not fit 'mean'"),
    ],
)
def test_hostile_questions_are_refused_and_spend_nothing(make_guarded, agreement, records, number, said):
    site = make_guarded("north", seed=1, screw=2)
    grid = in_process_grid([site])
    config = ConfigRecord({**agreement.to_record(), ROUND: number})
    (sent,) = grid.push_messages(
        [Message(RecordDict({messages.CONFIG: config, **records}), dst_node_id=1, message_type=SUMS)]
    )
    (reply,) = grid.pull_messages([sent])
    assert reply.has_error()
    assert said in reply.error.reason
    assert not (site.guard.terms.folder / "ledger.jsonl").exists()


@pytest.mark.parametrize("strategy", [Refinement(budget=5), ExactKCenter(budget=5)])
def test_no_bare_rows_in_later_rounds_where_noise_was_agreed_on(make_site, extractor, strategy):
    agreement = Agreement(space=extractor.space, budget=10, privacy="row_noise")
    with pytest.raises(FederationError, match="a strategy of one round"):
        simulate([make_site("north", seed=1, screw=3)], strategy, agreement)
