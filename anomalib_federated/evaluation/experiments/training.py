"""Memory banks of pooled and of federated training, on one machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.budget import BudgetLike
from anomalib_federated.data import AutoVI
from anomalib_federated.federation import Agreement, Site, simulate
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.models import FederatedPatchcore


def train_centralised(
    model: FederatedPatchcore, datamodule: AutoVI, *, category: str | None = None, store: Path | None = None
) -> MemoryBank:
    """The bank of all training images together, with the model's own coreset, budget and memory limit.

    Args:
        model: Settings of the detector.
        datamodule: The data set, set up.
        category: The only category to train on; ``None`` takes all.
        store: Folder in which patch features are kept; ``None`` keeps them in a temporary one.
    """
    site = make_pooled_site(model, datamodule, category=category, store=store)
    bank = site.patches().build_bank(model.coreset, method=model.coreset_name, site=site.name, seed=model.seed)
    site.close()
    return bank


def make_pooled_site(
    model: FederatedPatchcore, datamodule: AutoVI, *, category: str | None = None, store: Path | None = None
) -> Site:
    """One site that holds all training images, or all of a category."""
    return Site(
        "pooled",
        datamodule.train_data if category is None else datamodule.train_data.of_category(category),
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
