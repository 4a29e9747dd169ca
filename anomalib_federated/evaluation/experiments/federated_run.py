"""One federation, simulated on one machine, next to training on the pooled images."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.data.grouping import Grouping
from anomalib_federated.deploy.export import NormalPictures, export_bundle
from anomalib_federated.evaluation.experiments.training import train_centralised, train_federated
from anomalib_federated.evaluation.measuring.calibrate import calibrated_as_exported
from anomalib_federated.evaluation.measuring.scoring import score_source
from anomalib_federated.evaluation.measuring.source import source_of_model
from anomalib_federated.evaluation.results import Result
from anomalib_federated.federation import make_agreement, make_sites
from anomalib_federated.interfaces.partitioner import Partitioner
from anomalib_federated.interfaces.refused import Refused
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.messages.traffic import TrafficBySite
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.selection.budget import BudgetLike

WORK = "work"
"""Folder in the output in which patch features lie while a run is under way."""

PARITY_IMAGES = 4
"""Validation images on which each export is compared with torch."""


def run_federated(
    datamodule: AutoVI,
    model: FederatedPatchcore,
    *,
    partitioner: Partitioner,
    strategy: BankStrategy,
    output: Path,
    site_coreset: str | Mapping[str, Any] | None = None,
    site_budget: BudgetLike | None = None,
    privacy: str | Mapping[str, Any] = "none",
    groups: Mapping[str, Any] | None = None,
    fairness: str | Mapping[str, Any] = "none",
    centralised: bool = True,
    seed: int = 0,
) -> list[Result]:
    """Train, score and export the federated detector and, for comparison, the centralised one.

    Writes ``metrics/<method>/<category>/`` and, per method, ``bank.safetensors`` and the bundle ``openvino/``; of the
    federation also the bank of each site, in ``sites/``, and what each site gave away of its pictures, in
    ``privacy/<site>/``. Patch features lie in ``work/`` until all is done; if the run
    is interrupted, another with the same arguments goes on with them.

    Args:
        datamodule: The data set.
        model: Settings of the detector; its bank and thresholds are replaced.
        partitioner: Which site gets which training image.
        strategy: How the site banks become one, and the screenings that they pass before.
        output: Folder to write.
        site_coreset: The coreset plugin of the sites; ``None`` takes the detector's.
        site_budget: Rows per category that a site sends; ``None`` takes the detector's budget.
        privacy: The privacy plugin of the sites.
        groups: How every site groups its pictures, as :meth:`anomalib_federated.data.grouping.Grouping.of` reads it;
            ``None`` tells of no groups.
        fairness: The fairness plugin that selects among the groups, at each site and of the pooled images; ``none``
            leaves it to the coresets.
        centralised: Whether to train on the pooled images too.
        seed: Decides every random choice.

    Returns:
        One result per method and category.
    """
    if registry.name_of(fairness, kind="fairness") != "none" and groups is None:
        msg = (
            "A fairness rule is named, but no groups; say how pictures are grouped, such as --groups '{by: category}'."
        )
        raise ValueError(msg)
    grouping = None if groups is None else Grouping.of(groups)
    settings = {} if groups is None else {"groups": dict(groups), "fairness": fairness}
    datamodule.setup()
    # Mistakes in the settings of the federation come to light before anything is trained.
    sites = make_sites(
        datamodule,
        partitioner,
        extractor=model.model,
        seed=seed,
        store=output / WORK / "sites",
        memory=model.memory,
        store_dtype=model.store_dtype,
        ledgers=output / "federated" / "privacy",
        groups=grouping,
    )
    agreement = make_agreement(
        model, coreset=site_coreset, budget=site_budget, seed=seed, privacy=privacy, fairness=fairness
    )
    strategy.agree(agreement.to_record())
    results: list[Result] = []
    if centralised:
        bank = train_centralised(
            model, datamodule, store=output / WORK / "centralised", groups=grouping, fairness=fairness
        )
        results += score_method(
            model,
            datamodule,
            bank,
            method="centralised",
            output=output,
            groups=grouping,
            sites=partitioner,
            seed=seed,
            settings=settings,
        )
    federation = train_federated(sites, strategy, agreement, output=output / "federated")
    results += score_method(
        model,
        datamodule,
        federation.bank,
        method="federated",
        output=output,
        traffic=federation.traffic,
        refused=federation.refused,
        groups=grouping,
        sites=partitioner,
        seed=seed,
        settings=settings,
    )
    for site in sites:
        site.close()
    shutil.rmtree(output / WORK)
    return results


def score_method(
    model: FederatedPatchcore,
    datamodule: AutoVI,
    bank: MemoryBank,
    *,
    method: str,
    output: Path,
    traffic: TrafficBySite | None = None,
    refused: Iterable[Refused] = (),
    groups: Grouping | None = None,
    sites: Partitioner | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> list[Result]:
    """Calibrate, test and export a detector with a given bank, and save the bank.

    Args:
        model: Gets the bank.
        datamodule: The data set, set up.
        bank: The bank.
        method: Name of the method.
        output: Folder; the method gets one of its name in it.
        traffic: What the federation that made the bank cost; ``None`` if nothing had to be sent.
        refused: What its screenings refused.
        groups: Groups of pictures that are measured apart.
        sites: The federation's partitioner: sites are measured apart if names of pictures tell them.
        seed: Of the run.
        settings: What decided the bank and is to be stated in the results.
    """
    model.bank = bank
    bank.save(output / method / "bank.safetensors")
    source = source_of_model(model, datamodule)
    results = [
        score_source(
            source,
            category,
            method=method,
            output=output,
            traffic=traffic,
            refused=refused,
            groups=groups,
            sites=sites,
            seed=seed,
            settings={**source.settings, **(settings or {})},
        )
        for category in datamodule.categories
    ]
    export_bundle(
        calibrated_as_exported(model, datamodule.val_data),
        output / method / "openvino",
        pictures=_normal_pictures(datamodule),
        reference=model,
    )
    return results


def _normal_pictures(datamodule: AutoVI) -> dict[str, NormalPictures]:
    per_category = {name: datamodule.val_data.of_category(name) for name in datamodule.categories}
    return {
        name: NormalPictures(compared=[data[i].image for i in range(min(PARITY_IMAGES, len(data)))])
        for name, data in per_category.items()
    }
