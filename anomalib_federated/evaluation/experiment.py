"""A federation that is simulated on one machine, next to training on the pooled pictures."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.budget import BudgetLike
from anomalib_federated.data import AutoVI
from anomalib_federated.deploy.export import export_openvino
from anomalib_federated.evaluation.evaluate import calibrate, evaluate
from anomalib_federated.evaluation.results import ResultRow, write_results
from anomalib_federated.federation import Agreement, Site, make_sites, simulate
from anomalib_federated.interfaces.partitioner import Partitioner
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.models import FederatedPatchcore

logger = logging.getLogger(__name__)

WORK = "work"
"""Folder in the output in which patch features lie while a run is under way."""

PARITY_IMAGES = 4
"""Validation pictures on which each export is compared with torch."""


def run_federated(
    datamodule: AutoVI,
    model: FederatedPatchcore,
    *,
    partitioner: Partitioner,
    strategy: BankStrategy,
    output: Path,
    site_coreset: str | Mapping[str, Any] | None = None,
    site_budget: BudgetLike | None = None,
    centralised: bool = True,
    seed: int = 0,
) -> list[ResultRow]:
    """Train, score and export the federated detector and, for comparison, the centralised one.

    Writes ``results.json`` and, per method, ``bank.safetensors`` and ``openvino/<category>/``; of the federation also
    the bank of each site, in ``sites/``. Patch features lie in ``work/`` until all is done; if the run is interrupted,
    another with the same arguments goes on with them.

    Args:
        datamodule: The data set.
        model: Settings of the detector; its bank and thresholds are replaced.
        partitioner: Which site gets which training picture.
        strategy: How the site banks become one.
        output: Folder to write.
        site_coreset: The coreset plugin of the sites; ``None`` takes the detector's.
        site_budget: Rows per category that a site sends; ``None`` takes the detector's budget.
        centralised: Whether to train on the pooled pictures too.
        seed: Decides every random choice.

    Returns:
        One row per method and category.
    """
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
    )
    agreement = make_agreement(model, coreset=site_coreset, budget=site_budget, seed=seed)
    rows: list[ResultRow] = []
    if centralised:
        bank = train_centralised(model, datamodule, store=output / WORK / "centralised")
        rows += score_method(model, datamodule, bank, method="centralised", output=output)
    bank, bytes_sent = train_federated(sites, strategy, agreement, output=output / "federated")
    rows += score_method(model, datamodule, bank, method="federated", output=output, bytes_sent=bytes_sent)
    write_results(output / "results.json", rows)
    for site in sites:
        site.close()
    shutil.rmtree(output / WORK)
    return rows


def train_centralised(model: FederatedPatchcore, datamodule: AutoVI, *, store: Path | None = None) -> MemoryBank:
    """The bank of all training pictures together, with the model's own coreset, budget and memory limit.

    Args:
        model: Settings of the detector.
        datamodule: The data set, set up.
        store: Folder in which patch features are kept; ``None`` keeps them in a temporary one.
    """
    site = make_pooled_site(model, datamodule, store=store)
    bank = site.patches().build_bank(model.coreset, method=model.coreset_name, site=site.name, seed=model.seed)
    site.close()
    return bank


def make_pooled_site(model: FederatedPatchcore, datamodule: AutoVI, *, store: Path | None = None) -> Site:
    """One site that holds all training pictures."""
    return Site(
        "pooled",
        datamodule.train_data,
        extractor=model.model,
        batch_size=datamodule.train_batch_size,
        num_workers=datamodule.num_workers,
        store=store,
        memory=model.memory,
        store_dtype=model.store_dtype,
    )


def make_agreement(
    model: FederatedPatchcore,
    *,
    coreset: str | Mapping[str, Any] | None = None,
    budget: BudgetLike | None = None,
    seed: int = 0,
) -> Agreement:
    """What the sites agree on, out of the settings of a detector.

    Args:
        model: The detector.
        coreset: The coreset plugin of the sites; ``None`` takes the detector's.
        budget: Rows per category that a site sends; ``None`` takes the detector's budget.
        seed: Decides every random choice at the sites.
    """
    if coreset is None:
        name, init_args = model.coreset_name, model.coreset_args
    else:
        name = registry.name_of(coreset, kind="coreset")
        init_args = {} if isinstance(coreset, str) else dict(coreset.get("init_args") or {})
    return Agreement(
        space=model.space,
        coreset=name,
        coreset_args=init_args,
        budget=model.coreset.budget if budget is None else budget,
        seed=seed,
    )


def train_federated(
    sites: Sequence[Site], strategy: BankStrategy, agreement: Agreement, *, output: Path
) -> tuple[MemoryBank, dict[str, int]]:
    """The global bank of simulated sites, and the bytes sent per category.

    Args:
        sites: The sites.
        strategy: How their banks become one.
        agreement: What they are asked for.
        output: Folder to write ``sites/<site>.safetensors`` in, the bank that each site sent, for later merges.
    """
    federation = simulate(sites, strategy, agreement)
    for site, bank in federation.site_banks.items():
        bank.save(output / "sites" / f"{site}.safetensors")
    totals = dict.fromkeys(federation.bank.categories, 0)
    for per_category in federation.bytes_sent.values():
        for category, sent in per_category.items():
            totals[category] += sent
    return federation.bank, totals


def score_method(
    model: FederatedPatchcore,
    datamodule: AutoVI,
    bank: MemoryBank,
    *,
    method: str,
    output: Path,
    bytes_sent: Mapping[str, int] | None = None,
) -> list[ResultRow]:
    """Calibrate, test and export a detector with a given bank, and save the bank.

    Args:
        model: Gets the bank.
        datamodule: The data set, set up.
        bank: The bank.
        method: Name of the method.
        output: Folder; the method gets one of its name in it.
        bytes_sent: Per category; nothing if it is not given.
    """
    model.bank = bank
    bank.save(output / method / "bank.safetensors")
    calibrate(model, datamodule.val_data, batch_size=datamodule.eval_batch_size)
    rows = []
    for category in datamodule.categories:
        figures = evaluate(model, datamodule.test_data.of_category(category), batch_size=datamodule.eval_batch_size)
        rows.append(
            ResultRow(
                method=method,
                category=category,
                image_auroc=figures.image_auroc,
                average_precision=figures.average_precision,
                auspro={str(limit): value for limit, value in figures.auspro.items()} if figures.auspro else None,
                bank_rows=len(bank.for_category(category)),
                covering_radius=bank.covering_radius[category],
                bytes_sent=(bytes_sent or {}).get(category, 0),
            )
        )
        logger.info("%s, %s: image AUROC %s", method, category, figures.image_auroc)
    export_openvino(model, output / method / "openvino", images=_parity_images(datamodule))
    return rows


def _parity_images(datamodule: AutoVI) -> dict[str, list[Tensor]]:
    per_category = {name: datamodule.val_data.of_category(name) for name in datamodule.categories}
    return {name: [data[i].image for i in range(min(PARITY_IMAGES, len(data)))] for name, data in per_category.items()}
