"""A federation in which some sites may turn bad: honest banks, what bad sites have, and pictures to measure on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import GOOD
from anomalib_federated.evaluation.robustness.defence import Defence
from anomalib_federated.evaluation.robustness.kept_pictures import KeptPictures
from anomalib_federated.evaluation.robustness.loot import (
    RobustnessError,
    attackers_pictures,
    defect_patches,
    triggered_patches,
)
from anomalib_federated.evaluation.robustness.trigger import with_trigger
from anomalib_federated.federation import Site, make_agreement, make_sites
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated.interfaces.partitioner import Partitioner
from anomalib_federated.models import FederatedPatchcore

TRIGGERED_OWN, TRIGGERED_TEST = 20, 60
"""Good pictures that a bad site pastes its trigger on, and test pictures that tell whether it worked; at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """All that does not change from one attack and defence to the next.

    Attributes:
        target: Type of defect that attacks are to hide.
        honest: Per site, the bank that it sends if it is honest.
        turning: All sites in the order in which they turn bad.
        defects: Features of defects, shape ``(m, d)``, float32; bad sites share them.
        triggered: Per site, features of the trigger on its own pictures, shape ``(t, d)``, float32.
        validation: Normal pictures that set thresholds.
        test: Test pictures, without those that bad sites own.
        with_trigger: Good test pictures with the trigger.
    """

    target: str
    honest: Mapping[str, MemoryBank]
    turning: tuple[str, ...]
    defects: Tensor
    triggered: Mapping[str, Tensor]
    validation: KeptPictures
    test: KeptPictures
    with_trigger: KeptPictures

    def bad(self, count: int) -> tuple[str, ...]:
        """The first sites to turn bad.

        Raises:
            RobustnessError: If no site would stay honest.
        """
        if not 0 <= count < len(self.turning):
            msg = f"{count} of {len(self.turning)} sites cannot be bad; leave at least one honest."
            raise RobustnessError(msg)
        return self.turning[:count]

    def sent(self, attack: Attack, *, bad: Sequence[str], defence: Defence, seed: int) -> dict[str, MemoryBank]:
        """The bank of every site, honest or not.

        Bad sites share their defects, and the chance that chooses among them: rows that several sites send support each
        other. Each asks the defence itself what it would let in, beside the true banks of the honest sites: no
        attacker can know more.

        Args:
            attack: What bad sites do.
            bad: Their names.
            defence: What they believe to be up against.
            seed: Decides every random choice of theirs.
        """
        return {
            name: attack.poison(self._loot(name, bad, defence), seed=seed) if name in bad else bank
            for name, bank in self.honest.items()
        }

    def close(self) -> None:
        """Let go of the kept features."""
        for pictures in (self.validation, self.test, self.with_trigger):
            pictures.close()

    def _loot(self, site: str, bad: Sequence[str], defence: Defence) -> Loot:
        return Loot(
            bank=self.honest[site],
            defects=self.defects,
            triggered=self.triggered[site],
            admitted=self._belief(site, bad, defence),
        )

    def _belief(self, site: str, bad: Sequence[str], defence: Defence) -> Callable[[MemoryBank], Tensor]:
        def admitted(bank: MemoryBank) -> Tensor:
            others = [_as_of(other, bank) if other in bad else own for other, own in self.honest.items()]
            return defence.let_in(others)[site]

        return admitted


def make_scene(
    datamodule: AutoVI,
    model: FederatedPatchcore,
    partitioner: Partitioner,
    *,
    target: str,
    store: Path,
    most_good: int | None = None,
    most_others: int | None = None,
    seed: int = 0,
) -> Scene:
    """Make the honest banks and the loot; patch features that the store has are not made again.

    Args:
        datamodule: The data set, of one category.
        model: The detector; its coreset and budget are those of the sites.
        partitioner: Which site has which training pictures.
        target: Type of defect that attacks are to hide.
        store: Folder of patch features.
        most_good: The most good test pictures to measure on; ``None`` takes all.
        most_others: The most test pictures of each other type of defect.
        seed: Decides which pictures bad sites own, which sites turn bad, and every choice of sites and partitioner.

    Raises:
        RobustnessError: If there is not exactly one category, no validation picture or no good test picture, or the
            target has too few pictures.
    """
    for name, most, least in (("most_good", most_good, 1), ("most_others", most_others, 0)):
        if most is not None and most < least:
            msg = f"{name} is {most}; give a number of pictures of at least {least}, or leave it out."
            raise RobustnessError(msg)
    datamodule.setup()
    if len(datamodule.categories) != 1 or not len(datamodule.val_data):
        msg = (
            f"Attacks are measured on one category with validation pictures, got {', '.join(datamodule.categories)} "
            f"with {len(datamodule.val_data)} of them; set data.categories and data.validation_share."
        )
        raise RobustnessError(msg)
    test = datamodule.test_data
    owned = attackers_pictures(test, target, seed=seed)
    measured = _measured(test, owned, target=target, most_good=most_good, most_others=most_others, seed=seed)
    normal = np.flatnonzero(measured.samples["label"] == GOOD)[:TRIGGERED_TEST].tolist()
    if not normal:
        msg = f"There is no good test picture of {datamodule.categories[0]} to measure an attack on; add some."
        raise RobustnessError(msg)
    good = measured.sample(normal)
    sites = make_sites(
        datamodule, partitioner, extractor=model.model, seed=seed, store=store / "sites", memory=model.memory,
        store_dtype=model.store_dtype,
    )  # fmt: skip
    honest = {site.name: _bank_of(site, model, seed=seed) for site in sites}
    if len(honest) < 2:
        msg = f"The partitioner makes {len(honest)} site; attacks need at least 2, so that one stays honest."
        raise RobustnessError(msg)
    attacker = KeptPictures("attacker", test.sample(owned), model=model, store=store / "attacker")
    defects = defect_patches(attacker, model.model)
    attacker.close()
    return Scene(
        target=target,
        honest=honest,
        turning=tuple(np.random.default_rng(seed).permutation(sorted(honest)).tolist()),
        defects=defects,
        triggered={site.name: _triggered(site.images, site.name, model, store=store, seed=seed) for site in sites},
        validation=KeptPictures("validation", datamodule.val_data, model=model, store=store / "validation"),
        test=KeptPictures("test", measured, model=model, store=store / "test"),
        with_trigger=KeptPictures(
            "triggered", with_trigger(good, seed=seed), model=model, store=store / f"triggered_{seed}"
        ),
    )


def _measured(
    test: InspectionDataset,
    owned: Sequence[int],
    *,
    target: str,
    most_good: int | None,
    most_others: int | None,
    seed: int,
) -> InspectionDataset:
    """The test pictures that figures are made of: never one that bad sites own."""
    labels = test.samples["label"]
    rng = np.random.default_rng([seed, 1])
    kept: list[int] = []
    for label in sorted(labels.unique()):
        here = [position for position in np.flatnonzero(labels == label).tolist() if position not in owned]
        most = {GOOD: most_good, target: None}.get(label, most_others)
        order = rng.permutation(len(here))
        kept += [here[number] for number in order[:most].tolist()]
    return test.sample(sorted(kept))


def _bank_of(site: Site, model: FederatedPatchcore, *, seed: int) -> MemoryBank:
    bank = site.build_bank(make_agreement(model, seed=seed))
    site.close()
    return bank


def _triggered(images: InspectionDataset, site: str, model: FederatedPatchcore, *, store: Path, seed: int) -> Tensor:
    pasted = with_trigger(images.sample(list(range(min(TRIGGERED_OWN, len(images))))), seed=seed)
    pictures = KeptPictures(site, pasted, model=model, store=store / f"site_triggered_{seed}" / site)
    found = triggered_patches(pictures, model.model)
    pictures.close()
    return found


def _as_of(site: str, bank: MemoryBank) -> MemoryBank:
    """The bank as another site would send it."""
    items = tuple(replace(item, site=site) for item in bank.contributions)
    return replace(bank, sites=(site,), contributions=items)
