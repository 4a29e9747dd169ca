"""What a site releases under a privacy plugin: a protected bank, or the noisy sums of a round."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from hashlib import sha256

import torch
from safetensors.numpy import load, save
from torch import Tensor

from anomalib_federated.bank import FeatureSpace, MemoryBank
from anomalib_federated.bank.file import digest
from anomalib_federated.federation.privacy_guard import PrivacyError, PrivacyGuard
from anomalib_federated.interfaces.privacy import BankPrivacy, SiteRows, SumPrivacy
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.models.patch_collection import PatchCollection, SelectedRows
from anomalib_federated.patch_store import StoredPicture
from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.privacy.report import PrivacyReport
from anomalib_federated.privacy.state import State
from anomalib_federated.privacy.sums import check_sum
from anomalib_federated.progress import progress_bar
from anomalib_federated.untrusted import shown


@dataclass(frozen=True, kw_only=True, eq=False)
class NoisySums:
    """What a site sends in a round.

    Attributes:
        sums: Per category, shape ``(dimensions,)``, int64.
        promise: About the site's pictures, over all rounds.
    """

    sums: dict[str, Integers]
    promise: PrivacyReport


def protected_bank(
    selected: SelectedRows,
    privacy: BankPrivacy,
    agreement: Agreement,
    *,
    guard: PrivacyGuard | None,
    noise: Noise,
    chosen_blindly: bool,
) -> MemoryBank:
    """The bank that a site sends, with its promise.

    Args:
        selected: The site's rows.
        privacy: The plugin that was agreed.
        agreement: What was agreed.
        guard: Of the site; ``None`` keeps no ledger, so that nothing can be promised about pictures.
        noise: The source of chance.
        chosen_blindly: Whether the rows were chosen without looking at any feature.

    Raises:
        PrivacyError: If the promise is not what the site asks for, or there is no ledger for it.
        BudgetExceededError: If the bank would give away more than the site allows.
        ValueError: If the plugin cannot do with such rows what its settings ask for.
    """
    rows = SiteRows(
        bank=selected.bank,
        units=_numbers(selected.pictures, guard),
        unit=guard.terms.unit if guard else "picture",
        chosen_blindly=chosen_blindly,
    )
    promise, (site,) = privacy.report(rows), selected.bank.sites

    def make() -> MemoryBank:
        bank = agreement.rounded(privacy.protect(rows, noise=noise))
        return bank if promise.unit == "none" else replace(bank, privacy={site: promise})

    if not promise.per_picture:
        if guard and guard.demands:
            guard.check(promise)
        return make()
    data = _guarded(guard, promise).release(
        lambda: make().to_bytes(),
        key=_key(agreement.to_json(), _told(selected.pictures, guard)),
        promise=promise,
        spent=promise,
        categories=selected.bank.categories,
        what=f"{site}: a bank by {promise.plugin}",
    )
    return MemoryBank.from_bytes(data, source=f"The release of site '{site}'")


def check_question(
    privacy: SumPrivacy,
    states: Mapping[str, State],
    number: int,
    *,
    space: FeatureSpace,
    guard: PrivacyGuard | None,
) -> None:
    """Refuse a question before any picture is looked at, and before anything is spent.

    Args:
        privacy: The plugin that was agreed.
        states: What everybody knows.
        number: Of the round, from 0.
        space: Of the features.
        guard: Of the site.

    Raises:
        PrivacyError: If the promise is not what the site asks for, there is no ledger for it, or a state is not what
            the plugin needs.
    """
    promise = privacy.report(guard.terms.unit if guard else "picture")
    _guarded(guard, promise).check(promise)
    for category, state in states.items():
        try:
            privacy.release([[torch.zeros(2, 2, space.dim)]], state, number, noise=Noise())
        except Exception as error:  # what a plugin makes of a state that is none may be anything
            msg = f"What is said to be known of category {shown(category)} does not fit '{promise.plugin}': {error}"
            raise PrivacyError(msg) from error


def noisy_sums(
    patches: PatchCollection,
    privacy: SumPrivacy,
    *,
    site: str,
    states: Mapping[str, State],
    number: int,
    agreement: Agreement,
    guard: PrivacyGuard | None,
    noise: Noise,
) -> NoisySums:
    """The sums of a round.

    Args:
        patches: The site's.
        privacy: The plugin that was agreed.
        site: Name of the site, for the record.
        states: What everybody knows, per category that the site has.
        number: Of the round, from 0.
        agreement: What was agreed.
        guard: Of the site.
        noise: The source of chance.

    Raises:
        PrivacyError: If the promise is not what the site asks for, or there is no ledger for it.
        BudgetExceededError: If the sums would give away more than the site allows.
        ValueError: If a state is not what the plugin needs.
    """
    categories = sorted(states)
    unit = guard.terms.unit if guard else "picture"
    promise, spent = privacy.report(unit), privacy.report_of_round(number, unit)
    known = [digest(dict(states[category]), {}) for category in categories]
    pictures = {category: _told(patches.rows(category).pictures, guard) for category in categories}

    def make() -> bytes:
        return save({
            str(position): privacy.release(_units(patches, category, guard), states[category], number, noise=noise)
            for position, category in enumerate(categories)
        })  # fmt: skip

    data = _guarded(guard, promise).release(
        make,
        key=_key(agreement.to_json(), number, known, pictures),
        promise=promise,
        spent=spent,
        categories=categories,
        what=f"{site}: round {number + 1} of {len(privacy.shares)} of {promise.plugin}",
    )
    found = load(data)
    return NoisySums(
        sums={
            category: check_sum(
                found[str(position)], dimensions=privacy.dimensions(states[category]), source="this site's release"
            )
            for position, category in enumerate(categories)
        },
        promise=promise,
    )


def _guarded(guard: PrivacyGuard | None, promise: PrivacyReport) -> PrivacyGuard:
    if guard is None:
        msg = (
            f"The privacy plugin '{promise.plugin}' promises something about each {promise.unit}, but this site keeps "
            "no ledger of what it gives away; have it set its privacy terms."
        )
        raise PrivacyError(msg)
    return guard


def _numbers(pictures: Sequence[StoredPicture], guard: PrivacyGuard | None) -> Tensor:
    """A number per row, equal for rows of one unit."""
    names = [_unit_of(picture, guard) for picture in pictures]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([numbers[name] for name in names])


def _units(patches: PatchCollection, category: str, guard: PrivacyGuard | None) -> Iterator[list[Tensor]]:
    """Unit by unit, the patches of its pictures."""
    rows = patches.rows(category)
    members: dict[str, list[int]] = {}
    for number, picture in enumerate(rows.pictures):
        members.setdefault(_unit_of(picture, guard), []).append(number)
    with progress_bar(f"{category}: vectors", total=len(members)) as advance:
        for unit in sorted(members):
            yield [rows.grid(number) for number in members[unit]]
            advance(1)


def _unit_of(picture: StoredPicture, guard: PrivacyGuard | None) -> str:
    return guard.terms.unit_of(picture.name) if guard else picture.name


def _told(pictures: Sequence[StoredPicture], guard: PrivacyGuard | None) -> list[object]:
    """What tells whether a release would be about the same pictures again."""
    distinct = {picture.name: picture for picture in pictures}
    return [[name, astuple(distinct[name].identity), _unit_of(distinct[name], guard)] for name in sorted(distinct)]


def _key(*parts: object) -> str:
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
