"""Audits of plugins that keep their promise, and of such that do not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from anomalib_federated import registry
from anomalib_federated.audit import Selecting, all_runs, audit, generated_pictures, generated_space, target_of
from anomalib_federated.interfaces.privacy import Privacy
from anomalib_federated.privacy.noise import Noise
from anomalib_federated_plugins.privacy.none import NoPrivacy
from anomalib_federated_plugins.privacy.row_noise import RowNoise
from tests.privacy.example_sums import MeanPrivacy

DIM = 8


def audited(privacy, coreset="random", *, pictures=12, **changed):
    ordinary = generated_pictures(pictures, dim=DIM, seed=0)
    selecting = Selecting(coreset=registry.build("coreset", coreset, budget=64), name=coreset)
    target = target_of(privacy, ordinary, space=generated_space(DIM), selecting=selecting)
    return audit(target, ordinary, **{"setting": "a test", "runs": 1000, "membership_runs": 0, **changed})


class Same(Noise):
    """The same numbers to whoever asks, as long as they are enough."""

    def __init__(self, noise):
        super().__init__()
        self.drawn = noise.draw(100)

    def draw(self, count):
        return self.drawn[:count].copy()


class SitesShareNoise(MeanPrivacy):
    """Every site adds the same."""

    calls = 0

    def release(self, units, state, number, *, noise):
        if self.calls % 2 == 0:
            self.shared = Same(noise)
        self.calls += 1
        return super().release(units, state, number, noise=self.shared)


class OwnNoise(MeanPrivacy):
    """Two thirds less than it should be, and not from where it should come from."""

    own = np.random.default_rng(0)

    def release(self, units, state, number, *, noise):
        class Little(Noise):
            def draw(self, count):
                return np.rint(OwnNoise.own.normal(0, 2.0**24 / 3, count)).astype(np.int64)

        return super().release(units, state, number, noise=Little())


class ForgetsNoiseAtTheCentre(MeanPrivacy):
    def total(self, sums, state, number, *, noise):
        whole = np.sum(list(sums), axis=0)
        return torch.from_numpy(self.grid(number, state).decode(whole))


class ClaimsPictures(RowNoise):
    """Of rows alone; nothing else is sent that depends on pictures."""

    def report(self, rows):
        return replace(super().report(rows), unit="picture", exposes=())

    def protect(self, rows, *, noise):
        sent = super().protect(rows, noise=noise)
        items = tuple(replace(item, covering_radius=None, mean_distance=None) for item in sent.contributions)
        return replace(sent, weights=torch.ones_like(sent.weights), contributions=items, covering_radius={})


@pytest.mark.parametrize("who", [{}, {"noise_by": "centre"}, {"noise_by": "honest_sites", "honest_sites": 3}], ids=str)
def test_a_sound_sum_passes_an_audit_that_comes_near_the_promise(who):
    found = audited(MeanPrivacy(epsilon=8.0, **who), confidence=0.99)
    assert not found.refuted
    assert 0.6 * 8 < found.epsilon_if_gaussian <= 8
    assert 1 < found.epsilon_found <= 8


@pytest.mark.parametrize("broken", [SitesShareNoise(), OwnNoise(), ForgetsNoiseAtTheCentre(noise_by="centre")],
                         ids=lambda each: type(each).__name__)  # fmt: skip
def test_broken_sums_are_caught(broken):
    found = audited(broken, confidence=0.99, runs=400)
    assert found.refuted
    assert found.in_words[0].startswith("REFUTED")


def test_noise_on_rows_of_k_center_keeps_no_promise_about_pictures():
    found = audited(ClaimsPictures(epsilon=1.0), "k_center", runs=200)
    assert found.refuted
    assert found.epsilon_found > 1.5


def test_noise_on_rows_that_were_drawn_blindly_keeps_one():
    found = audited(RowNoise(epsilon=4.0, rows_per_picture=2), runs=500, confidence=0.99)
    assert (found.unit, found.adjacency, found.refuted) == ("picture", "replace", False)
    assert 0.6 * found.epsilon < found.epsilon_if_gaussian


@pytest.mark.parametrize(("privacy", "why"), [(NoPrivacy(), "nothing is promised"), (RowNoise(), "only rows")])
def test_where_nothing_is_claimed_nothing_is_refuted(privacy, why):
    found = audited(privacy, "k_center", runs=100)
    assert not found.refuted
    assert found.in_words[0].startswith("Nothing is claimed")
    assert why in found.in_words[0]
    assert found.epsilon_found > 2


def test_members_are_known_without_noise_and_guessed_with_it():
    """The second figure is a mean over 30 runs of 12 pictures; its standard deviation is about 0.03."""
    without, with_noise = (
        audited(privacy, runs=8, membership_runs=30).membership_auc for privacy in (NoPrivacy(), RowNoise())
    )
    assert without > 0.99
    assert abs(with_noise - 0.5) < 0.15


def test_members_of_sums_are_known_the_better_the_less_noise():
    little, much = (
        audited(MeanPrivacy(epsilon=epsilon), runs=8, membership_runs=30).membership_auc for epsilon in (500.0, 1.0)
    )
    assert little > 0.85
    assert abs(much - 0.5) < 0.15


@pytest.mark.parametrize(("privacy", "least", "most"), [(NoPrivacy(), 1, 10), (MeanPrivacy(epsilon=2.0), 0, 2)])
def test_one_run_with_many_canaries(privacy, least, most):
    found = audited(privacy, method="one_run", runs=100, pictures=4)
    assert least <= found.epsilon_found <= most
    assert (found.mu_found, found.epsilon_if_gaussian) == (None, None)


def test_one_run_is_fair_to_promises_about_pictures_in_place_of_others():
    found = audited(RowNoise(epsilon=4.0, rows_per_picture=1), method="one_run", runs=60, pictures=4)
    assert not found.refuted


def test_seeds_decide_and_runs_are_told_of():
    done = []
    first = audited(MeanPrivacy(), runs=20, membership_runs=2, tell=done.append)
    assert sum(done) == all_runs(method="canary", runs=20, membership_runs=2) == 42
    assert first == audited(MeanPrivacy(), runs=20, membership_runs=2)


@pytest.mark.parametrize("changed", [{"runs": 0}, {"runs": 7}, {"method": "one_run", "runs": 9}, {"confidence": 1.0}])
def test_impossible_audits_are_refused(changed):
    with pytest.raises(ValueError, match="give"):
        audited(MeanPrivacy(), **{"runs": 8, **changed})


def test_one_picture_has_no_others():
    with pytest.raises(ValueError, match="at least 2 pictures"):
        audited(MeanPrivacy(), runs=8, membership_runs=1, pictures=1)


class OfNoKind(Privacy):
    name = "of no kind"


@pytest.mark.parametrize("privacy", [NoPrivacy(), OfNoKind()])
def test_what_cannot_be_audited_is_refused(privacy):
    with pytest.raises(ValueError, match="cannot be audited so"):
        target_of(privacy, generated_pictures(2, dim=DIM, seed=0), space=generated_space(DIM))
