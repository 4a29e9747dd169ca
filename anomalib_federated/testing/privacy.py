"""What every privacy plugin promises, see :mod:`anomalib_federated.interfaces.privacy`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.interfaces.privacy import BankPrivacy, Privacy, SiteRows, SumPrivacy
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.gaussian import mu_of
from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.privacy.noise import STEPS, Noise
from anomalib_federated.privacy.state import State
from anomalib_federated.testing.banks import example_bank
from anomalib_federated.testing.construction import can_be_made_without_arguments
from anomalib_federated.testing.privacy_audit import an_audit_finds_no_more_than_is_claimed
from anomalib_federated.testing.randomness import under_two_random_states

Plugin: TypeAlias = type[Privacy]
PICTURES, ROWS_PER_PICTURE = 6, 4
_ROUNDING = 1e-4
"""Of features in float32, beside the figures that are compared."""


def seeded_noise(seed: int) -> Noise:
    """Noise that can be drawn again, and subtracted: for tests alone."""
    return Noise(np.random.default_rng(seed).bytes)


class ConstantNoise(Noise):
    """The same in every number: shows how much noise is added, and what would be sent without.

    Args:
        sigmas: How much, in standard deviations.
    """

    def __init__(self, sigmas: int) -> None:
        super().__init__()
        self._sigmas = sigmas

    def draw(self, count: int) -> Integers:
        """``sigmas`` standard deviations in each of ``count`` numbers."""
        return np.full(count, self._sigmas * STEPS, dtype=np.int64)


def example_report(*, epsilon: float, delta: float = 1e-5) -> PrivacyReport:
    """A valid promise about single pictures."""
    return PrivacyReport(
        plugin="example", unit="picture", adjacency="add_or_remove", mechanism="A noisy sum.", clip=1.0,
        noise_multipliers=(1 / mu_of(epsilon, delta),), epsilon=epsilon, delta=delta, covers=("the sum",),
        noise_by="each_site",
    )  # fmt: skip


def it_is_of_one_of_the_two_kinds(plugin: Plugin) -> None:
    """Of banks or of sums, and it has a name."""
    assert issubclass(plugin, BankPrivacy | SumPrivacy), "a privacy plugin must subclass BankPrivacy or SumPrivacy"
    name = getattr(plugin, "name", "")
    assert isinstance(name, str), f"its name must be text, got {name!r}"
    assert name.isprintable(), f"its name must be printable, got {name!r}"
    assert name.strip(), "its name must not be empty"


def its_report_can_be_sent(plugin: Plugin) -> None:
    """As JSON and back."""
    report = _report(plugin())
    assert PrivacyReport.from_json(report.to_json(), source="the plugin") == report, "the report must survive JSON"
    assert report.plugin == plugin.name, f"the report must name the plugin {plugin.name!r}, got {report.plugin!r}"


def its_report_does_not_depend_on_features(plugin: Plugin) -> None:
    """It is known before the pictures are."""
    privacy = plugin()
    if isinstance(privacy, BankPrivacy):
        first, second = (privacy.report(_rows(seed)) for seed in (0, 1))
        assert first == second, "other features must not change the report"


def the_bank_keeps_its_site_and_space(plugin: Plugin) -> None:
    """In both precisions."""
    privacy = plugin()
    if not isinstance(privacy, BankPrivacy):
        return
    for dtype in (torch.float32, torch.float16):
        rows = replace(_rows(0), bank=_rows(0).bank.to(dtype))
        sent = privacy.protect(rows, noise=Noise())
        assert sent.sites == rows.bank.sites, f"the bank must stay of {rows.bank.sites}, got {sent.sites}"
        assert not rows.bank.space.differences(sent.space), "the bank must stay in its feature space"
        assert sent.features.dtype == dtype, f"features must stay {dtype}, got {sent.features.dtype}"


def what_it_is_given_stays_unchanged(plugin: Plugin) -> None:
    """Neither banks, nor patches, nor states are written to."""
    privacy = plugin()
    if isinstance(privacy, BankPrivacy):
        rows = _rows(0)
        privacy.protect(rows, noise=Noise())
        assert rows.bank.digest == _rows(0).bank.digest, "protect must not change the bank that it is given"
    if isinstance(privacy, SumPrivacy):
        patches, state = _patches(0), _start(privacy)
        before = {name: values.clone() for name, values in state.items()}
        privacy.contribution(patches[0], state)
        privacy.learn(state, torch.zeros(privacy.dimensions(state), dtype=torch.float64))
        assert torch.equal(patches[0], _patches(0)[0]), "contribution must not change the patches"
        assert _equal(before, state), "contribution and learn must not change the state that they are given"


def chance_comes_from_the_noise_alone(plugin: Plugin) -> None:
    """Equal noise gives an equal release, whatever the process's random state."""
    privacy = plugin()
    first, second = under_two_random_states(lambda: _released(privacy, seeded_noise(5)))
    assert np.array_equal(first, second), "equal noise must give equal releases; draw from nothing but the noise given"


def a_promise_needs_noise(plugin: Plugin) -> None:
    """No two releases are equal, unless nothing is promised."""
    privacy = plugin()
    if _report(privacy).unit != "none":
        first, second = _released(privacy, Noise()), _released(privacy, Noise())
        assert not np.array_equal(first, second), "what is promised rests on noise, but two releases were equal"


def noise_is_as_large_as_reported(plugin: Plugin) -> None:
    """One unit changes what is sent, beside the noise, by no more than the report says."""
    privacy = plugin()
    report = _report(privacy)
    if isinstance(privacy, SumPrivacy):
        _check_rounds(privacy)
    elif isinstance(privacy, BankPrivacy) and report.unit != "none":
        rows, other = _rows(0), _with_another_picture(_rows(0))
        sent, changed = (privacy.protect(each, noise=ConstantNoise(0)) for each in (rows, other))
        sigma = float((privacy.protect(rows, noise=ConstantNoise(1)).features - sent.features).min())
        most = sigma / report.noise_multipliers[0]
        if report.per_picture:
            found = float((sent.features - changed.features).double().norm())
            assert replace(sent, features=changed.features).digest == changed.digest, (
                "another picture may change nothing but noisy features; leave out what else was measured on pictures"
            )
        else:
            found = float(torch.cat([sent.features, changed.features]).norm(dim=1).max())
        assert found <= most * (1 + _ROUNDING), (
            f"by the report one {report.unit} may change what is sent by {most:.4g} in length, but does by {found:.4g}"
        )


def rounds_lead_to_rows(plugin: Plugin) -> None:
    """From the start to the end, with as many rounds as it says; the shares are those of one whole."""
    privacy = plugin()
    if not isinstance(privacy, SumPrivacy):
        return
    assert math.isclose(math.fsum(privacy.shares), 1), f"the shares must add up to 1, got {privacy.shares}"
    state = _start(privacy)
    for number in range(len(privacy.shares)):
        sums = [privacy.release(_units(0), state, number, noise=Noise())]
        state = privacy.learn(state, privacy.total(sums, state, number, noise=Noise()))
    learnt = privacy.finish(state)
    assert isinstance(learnt, Learnt), f"finish must give what was learnt, got {type(learnt).__name__}"
    dim = example_bank().space.dim
    assert learnt.rows.shape[1] == dim, f"rows must have the {dim} dimensions of the feature space"


CHECKS = (
    can_be_made_without_arguments,
    it_is_of_one_of_the_two_kinds,
    its_report_can_be_sent,
    its_report_does_not_depend_on_features,
    the_bank_keeps_its_site_and_space,
    what_it_is_given_stays_unchanged,
    chance_comes_from_the_noise_alone,
    a_promise_needs_noise,
    noise_is_as_large_as_reported,
    rounds_lead_to_rows,
    an_audit_finds_no_more_than_is_claimed,
)


def _report(privacy: Privacy) -> PrivacyReport:
    if isinstance(privacy, BankPrivacy):
        return privacy.report(_rows(0))
    assert isinstance(privacy, SumPrivacy), "a privacy plugin must subclass BankPrivacy or SumPrivacy"
    return privacy.report()


def _released(privacy: Privacy, noise: Noise) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    if isinstance(privacy, BankPrivacy):
        return privacy.protect(_rows(0), noise=noise).features.numpy()
    assert isinstance(privacy, SumPrivacy), "a privacy plugin must subclass BankPrivacy or SumPrivacy"
    state = _start(privacy)
    sums = [privacy.release(_units(0), state, 0, noise=noise)]
    return privacy.total(sums, state, 0, noise=noise).numpy()


def _check_rounds(privacy: SumPrivacy) -> None:
    """Remove a picture from each round's sum, and see by how much it changes."""
    state = _start(privacy)
    for number in range(len(privacy.shares)):
        grid = privacy.grid(number, state)
        multiplier = privacy.report_of_round(number).noise_multipliers[0]
        whole, fewer = (
            privacy.total([privacy.release(units, state, number, noise=ConstantNoise(0))], state, number,
                          noise=ConstantNoise(0))
            for units in (_units(0), _units(0)[1:])
        )  # fmt: skip
        sigma = grid.step * STEPS * math.sqrt(grid.adders)
        found, most = float((whole - fewer).norm()), sigma / multiplier
        assert found <= most * (1 + _ROUNDING), (
            f"one picture may change the sum of round {number} by {most:.4g} in length, but it does by {found:.4g}"
        )
        state = privacy.learn(state, privacy.total([privacy.release(_units(0), state, number, noise=Noise())], state,
                                                   number, noise=Noise()))  # fmt: skip


def _rows(seed: int) -> SiteRows:
    bank = example_bank(rows=PICTURES * ROWS_PER_PICTURE)
    features = torch.randn(bank.features.shape, generator=torch.Generator().manual_seed(seed)) * 3
    units = torch.arange(PICTURES).repeat_interleave(ROWS_PER_PICTURE)
    return SiteRows(bank=replace(bank, features=features), units=units, chosen_blindly=True)


def _with_another_picture(rows: SiteRows) -> SiteRows:
    """The first picture was another one: far away, all of it."""
    features, weights = rows.bank.features.clone(), rows.bank.weights.clone()
    features[rows.units == 0] = -100 * features[rows.units == 0]
    weights[rows.units == 0] += 1
    return replace(rows, bank=replace(rows.bank, features=features, weights=weights))


def _patches(seed: int) -> Tensor:
    """Of each picture, shape ``(pictures, rows, columns, d)``."""
    shape = (PICTURES, 8, 8, example_bank().space.dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _units(seed: int) -> list[list[Tensor]]:
    return [[picture] for picture in _patches(seed)]


def _start(privacy: SumPrivacy) -> State:
    return privacy.start(example_bank().space)


def _equal(first: State, second: State) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
