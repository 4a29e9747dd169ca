"""Memory banks of pooled and of federated training, on one machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.data.grouping import Grouping
from anomalib_federated.federation import Agreement, Federation, Site, simulate
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.models import FederatedPatchcore


def train_centralised(
    model: FederatedPatchcore,
    datamodule: AutoVI,
    *,
    category: str | None = None,
    store: Path | None = None,
    groups: Grouping | None = None,
    fairness: str | Mapping[str, Any] = "none",
) -> MemoryBank:
    """The bank of all training images together, with the model's own coreset, budget and memory limit.

    Args:
        model: Settings of the detector.
        datamodule: The data set, set up.
        category: The only category to train on; ``None`` takes all.
        store: Folder in which patch features are kept; ``None`` keeps them in a temporary one.
        groups: Says which group each image is of; ``None`` tells of no groups.
        fairness: The fairness plugin that selects among the groups, as many rows as the model's budget says; ``none``
            leaves it to the model's coreset.

    Raises:
        GroupingError: If the group of an image cannot be told.
        PluginError: If the fairness plugin cannot be had.
    """
    rule = registry.build("fairness", fairness)
    name = registry.name_of(fairness, kind="fairness")
    site = make_pooled_site(model, datamodule, category=category, store=store, groups=groups)
    try:
        return site.patches().build_bank(
            model.coreset,
            method=model.coreset_name if name == "none" else name,
            site=site.name,
            seed=model.seed,
            fairness=None if name == "none" else rule,
        )
    finally:
        site.close()


def make_pooled_site(
    model: FederatedPatchcore,
    datamodule: AutoVI,
    *,
    category: str | None = None,
    store: Path | None = None,
    groups: Grouping | None = None,
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
        groups=groups,
    )


def train_federated(sites: Sequence[Site], strategy: BankStrategy, agreement: Agreement, *, output: Path) -> Federation:
    """A federation of simulated sites.

    Args:
        sites: The sites.
        strategy: How their banks become one.
        agreement: What they are asked for.
        output: Folder to write ``sites/<site>.safetensors`` in, the bank that each site sent, for later merges.
    """
    federation = simulate(sites, strategy, agreement)
    for site, bank in federation.site_banks.items():
        bank.save(output / "sites" / f"{site}.safetensors")
    return federation
