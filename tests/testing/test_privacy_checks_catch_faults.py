"""The checks of privacy plugins: a plugin with one fault fails at the check that is about this fault."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from anomalib_federated.interfaces.privacy import Privacy
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.testing.privacy import CHECKS, ConstantNoise
from anomalib_federated_plugins.privacy.none import NoPrivacy
from anomalib_federated_plugins.privacy.row_noise import RowNoise
from tests.privacy.example_sums import MeanPrivacy
from tests.testing.faults import assert_caught_first_by, faults

FAULTS, fault = faults()


class PerPicture(RowNoise):
    def __init__(self):
        super().__init__(epsilon=2.0, clip_norm=3.0, rows_per_picture=2)


@fault("can_be_made_without_arguments")
class NeedsEpsilon(RowNoise):
    def __init__(self, epsilon):
        super().__init__(epsilon=epsilon)


@fault("it_is_of_one_of_the_two_kinds")
class OfNoKind(Privacy):
    name = "no kind"


@fault("it_is_of_one_of_the_two_kinds")
class Nameless(NoPrivacy):
    name = " "


@fault("its_report_can_be_sent")
class UnderAnotherName(RowNoise):
    def report(self, rows):
        return replace(super().report(rows), plugin="none")


@fault("its_report_does_not_depend_on_features")
class TellsTheLength(NoPrivacy):
    def report(self, rows):
        return replace(super().report(rows), mechanism=f"None; the longest row is {float(rows.bank.features.max())}.")


@fault("the_bank_keeps_its_site_and_space")
class MovesTheSite(NoPrivacy):
    def protect(self, rows, *, noise):
        items = tuple(replace(item, site="nobody") for item in rows.bank.contributions)
        return replace(rows.bank, sites=("nobody",), contributions=items)


@fault("the_bank_keeps_its_site_and_space")
class AlwaysSinglePrecision(RowNoise):
    def protect(self, rows, *, noise):
        return super().protect(rows, noise=noise).to(torch.float32)


@fault("what_it_is_given_stays_unchanged")
class WritesIntoRows(RowNoise):
    def protect(self, rows, *, noise):
        sent = super().protect(rows, noise=noise)
        rows.bank.features.zero_()
        return sent


@fault("what_it_is_given_stays_unchanged")
class WritesIntoTheState(MeanPrivacy):
    def learn(self, state, total):
        state["mean"] += 1
        return super().learn(state, total)


@fault("chance_comes_from_the_noise_alone")
class OwnChance(RowNoise):
    def protect(self, rows, *, noise):
        return super().protect(rows, noise=Noise())


@fault("chance_comes_from_the_noise_alone")
class GlobalChance(MeanPrivacy):
    def contribution(self, patches, state):
        return super().contribution(patches, state) * float(np.random.rand())


@fault("a_promise_needs_noise")
class NoNoise(RowNoise):
    def protect(self, rows, *, noise):
        return super().protect(rows, noise=ConstantNoise(0))


@fault("noise_is_as_large_as_reported")
class HalfTheNoise(RowNoise):
    def protect(self, rows, *, noise):
        noisy, clipped = super().protect(rows, noise=noise), super().protect(rows, noise=ConstantNoise(0))
        return replace(noisy, features=(noisy.features + clipped.features) / 2)


@fault("noise_is_as_large_as_reported")
class MoreRowsThanCounted(PerPicture):
    def report(self, rows):
        report = super().report(rows)
        fewer = report.noise_multipliers[0] * 2**0.5
        return replace(report, noise_multipliers=(fewer,))


@fault("noise_is_as_large_as_reported")
class TellsTheRadius(PerPicture):
    def protect(self, rows, *, noise):
        sent = super().protect(rows, noise=noise)
        return replace(sent, covering_radius={"screw": float(rows.bank.features.norm(dim=1).max())})


@fault("noise_is_as_large_as_reported")
class ClipsHalves(MeanPrivacy):
    """Each half of the vector to the clip, and the sum made by hand."""

    def release(self, units, state, number, *, noise):
        units = list(units)
        halves = [super(ClipsHalves, self).release(units, state, number, noise=ConstantNoise(0)) for _ in range(2)]
        return self.adders.at_site(sum(halves), noise=noise)


@fault("rounds_lead_to_rows")
class GivesNoRows(MeanPrivacy):
    def finish(self, state):
        return state["mean"]


class Halved(Noise):
    def __init__(self, noise):
        super().__init__()
        self.noise = noise

    def draw(self, count):
        return self.noise.draw(count) // 2


class Again(Noise):
    """The noise that was drawn before, as long as it is long enough."""

    def __init__(self, noise):
        super().__init__()
        self.noise, self.drawn = noise, np.empty(0, dtype=np.int64)

    def draw(self, count):
        if len(self.drawn) < count:
            self.drawn = self.noise.draw(count)
        return self.drawn[:count].copy()


@fault("an_audit_finds_no_more_than_is_claimed")
class HalfTheNoiseOnSums(MeanPrivacy):
    def release(self, units, state, number, *, noise):
        return super().release(units, state, number, noise=Halved(noise))


@fault("an_audit_finds_no_more_than_is_claimed")
class ReusesNoiseInTheSecondRound(MeanPrivacy):
    def release(self, units, state, number, *, noise):
        if number == 0:
            self.noise = Again(noise)
        return super().release(units, state, number, noise=self.noise)


@fault("an_audit_finds_no_more_than_is_claimed")
class ClipsPairs(MeanPrivacy):
    """Every two numbers to the clip: ordinary pictures are short enough to show nothing of it."""

    def learn(self, state, total):
        return state

    def release(self, units, state, number, *, noise):
        total, grid = np.zeros(self.dimensions(state), dtype=np.int64), self.grid(number, state)
        for [picture] in units:
            vector = self.contribution(picture, state).double().numpy()
            for block in np.arange(len(vector)) // 2 == np.arange((len(vector) + 1) // 2)[:, None]:
                total += grid.encode((vector * block)[None])[0]
        return self.adders.at_site(total, noise=noise)


@fault("an_audit_finds_no_more_than_is_claimed")
class TrustsAnyCoreset(PerPicture):
    def report(self, rows):
        return super().report(replace(rows, chosen_blindly=True))


@pytest.mark.parametrize(("check", "plugin"), FAULTS)
def test_a_fault_is_caught_by_its_check(check, plugin):
    assert_caught_first_by(check, plugin, CHECKS)


def test_every_check_catches_some_fault():
    assert {check for check, _ in (fault.values for fault in FAULTS)} == {check.__name__ for check in CHECKS}


def test_checks_have_distinct_names_and_say_what_they_check():
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all(check.__doc__ for check in CHECKS)
