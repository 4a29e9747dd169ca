"""What every attack promises, see :mod:`anomalib_federated.interfaces.attack`."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot, forged
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.testing.banks import example_bank
from anomalib_federated.testing.construction import can_be_made_without_arguments
from anomalib_federated.testing.randomness import under_two_random_states

Plugin = type[Attack]

SHARES = (0.1, 0.5, 1.0)
SEEDS = (0, 1)


def the_loot_stays_unchanged(plugin: Plugin) -> None:
    """The input is not written to."""
    for loot in _loots():
        before = _as_bytes(loot)
        plugin().poison(loot, seed=0)
        assert _as_bytes(loot) == before, "poison must not change the loot that it is given"


def a_share_can_be_given(plugin: Plugin) -> None:
    """By the name that every attack has it by."""
    for share in SHARES:
        found = plugin(share=share).share
        assert found == share, f"plugin(share={share}).share must be {share}, got {found}"


def impossible_shares_are_refused(plugin: Plugin) -> None:
    """``ValueError``."""
    for share in (0, -0.5, 1.5, float("nan"), True):
        try:
            plugin(share=share)
        except ValueError:
            continue
        msg = f"a share of {share} must be refused with a ValueError"
        raise AssertionError(msg)


def the_bank_is_of_the_same_site_category_and_space(plugin: Plugin) -> None:
    """A bad site cannot speak for another."""
    for loot in _loots():
        sent = plugin().poison(loot, seed=0)
        for name in ("sites", "categories", "space"):
            wanted, found = getattr(loot.bank, name), getattr(sent, name)
            assert found == wanted, f"the {name} of the bank must stay {wanted}, got {found}"


def no_more_rows_are_sent(plugin: Plugin) -> None:
    """Than the honest bank has."""
    for loot in _loots():
        sent, most = len(plugin().poison(loot, seed=0)), len(loot.bank)
        assert sent <= most, f"no more than the {most} rows of the honest bank may be sent, got {sent}"


def the_bank_passes_the_checks_on_arrival(plugin: Plugin) -> None:
    """It is valid, and consistent with what it says of itself: a bank that is not is no attack."""
    for loot in _loots():
        for share in SHARES:
            sent = plugin(share=share).poison(loot, seed=0)
            dtype = str(loot.bank.features.dtype).removeprefix("torch.")
            agreement = Agreement(space=loot.bank.space, budget=len(loot.bank), dtype=dtype)
            try:
                agreement.check(MemoryBank.from_bytes(sent.to_bytes(), source="the attacker"))
            except BankError as error:
                msg = f"with share={share} the bank must pass the checks on arrival: {error}"
                raise AssertionError(msg) from error


def the_share_is_kept_to(plugin: Plugin) -> None:
    """All other rows are those of the honest bank."""
    for loot in _loots():
        for share in SHARES:
            attack = plugin(share=share)
            own, most = int(forged(loot.bank, attack.poison(loot, seed=0)).sum()), attack.rows(len(loot.bank))
            assert own <= most, (
                f"with share={share}, {most} of {len(loot.bank)} rows may be the attack's own, but {own} are none of "
                "the honest bank"
            )


def something_is_forged(plugin: Plugin) -> None:
    """If everything is admitted."""
    loot = _loot(rows=24)
    own = int(forged(loot.bank, plugin().poison(loot, seed=0)).sum())
    assert own > 0, "an attacker who believes that everything is admitted must send a row that is not honest"


def equal_seeds_give_equal_banks(plugin: Plugin) -> None:
    """Of one object called twice, and of two objects."""
    attack, loot = plugin(), _loot(rows=24)
    for seed in SEEDS:
        first = attack.poison(loot, seed=seed).to_bytes()
        assert attack.poison(loot, seed=seed).to_bytes() == first, "a second call with the same seed must give the same"
        other = plugin().poison(loot, seed=seed).to_bytes()
        assert other == first, "a second object with the same seed must give the same"


def the_global_random_state_plays_no_part(plugin: Plugin) -> None:
    """Chance comes from ``seed`` alone, and nobody else's chance is disturbed."""
    first, second = under_two_random_states(lambda: plugin().poison(_loot(rows=24), seed=3).to_bytes())
    assert first == second, "another global random state must give the same bank"


CHECKS = (
    can_be_made_without_arguments,
    the_loot_stays_unchanged,  # first, since a plugin that changes its input fails others for no clear reason
    a_share_can_be_given,
    impossible_shares_are_refused,
    the_bank_is_of_the_same_site_category_and_space,
    no_more_rows_are_sent,
    the_bank_passes_the_checks_on_arrival,
    the_share_is_kept_to,
    something_is_forged,
    equal_seeds_give_equal_banks,
    the_global_random_state_plays_no_part,
)


def _loots() -> list[Loot]:
    """Much and little of everything, both types of features, and attackers of all beliefs."""
    return [
        _loot(rows=24),
        _loot(rows=24, dtype=torch.float16, defects=3),
        _loot(rows=1, defects=1),
        _loot(rows=24, admitted="short"),
        _loot(rows=24, admitted="none"),
    ]


def _loot(*, rows: int, dtype: torch.dtype = torch.float32, defects: int = 40, admitted: str = "all") -> Loot:
    bank = example_bank(rows=rows, dtype=dtype)
    # More patches than rows, as real banks have: all rows may have stood for few.
    items = tuple(replace(item, patches=10 * item.patches) for item in bank.contributions)
    return Loot(
        bank=replace(bank, contributions=items),
        defects=example_bank(rows=defects, seed=1, offset=6.0).features,
        triggered=example_bank(rows=5, seed=2, offset=-6.0).features,
        admitted=BELIEFS[admitted],
    )


BELIEFS = {
    "all": lambda bank: torch.ones(len(bank), dtype=torch.bool),
    "short": lambda bank: bank.features.float().norm(dim=1) < 10,
    "none": lambda bank: torch.zeros(len(bank), dtype=torch.bool),
}


def _as_bytes(loot: Loot) -> tuple[bytes, ...]:
    tensors: tuple[Tensor, ...] = (loot.defects, loot.triggered)
    return (loot.bank.to_bytes(), *(tensor.numpy().tobytes() for tensor in tensors))
