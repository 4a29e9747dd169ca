"""A federation of several sites within one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flwr.app import Context

from anomalib_federated.bank import FeatureSpace
from anomalib_federated.data import AutoVI
from anomalib_federated.data.grouping import Grouping
from anomalib_federated.federation.client_app import client_app
from anomalib_federated.federation.in_process_grid import InProcessGrid
from anomalib_federated.federation.privacy_guard import PrivacyGuard
from anomalib_federated.federation.privacy_terms import PrivacyTerms
from anomalib_federated.federation.scoring import ScorePictures
from anomalib_federated.federation.server_app import Federation, server_app
from anomalib_federated.federation.site import Site
from anomalib_federated.interfaces.partitioner import Partitioner, TrainingImage
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.models.patch_features import PatchFeatureExtractor


def make_sites(
    datamodule: AutoVI,
    partitioner: Partitioner,
    *,
    extractor: PatchFeatureExtractor,
    category: str | None = None,
    seed: int = 0,
    store: Path | None = None,
    memory: str | int | None = None,
    store_dtype: str = "float16",
    ledgers: Path | None = None,
    groups: Grouping | None = None,
) -> list[Site]:
    """Share a data set's training pictures out to sites.

    Args:
        datamodule: The data set, set up.
        partitioner: Says which site gets which picture.
        extractor: Every site's feature extractor.
        category: The only category that the sites train on; those without images of it are left out. The others are
            shared out all the same, since what a site gets may depend on them.
        seed: Decides every random choice of the partitioner.
        store: Folder in which each site keeps its features, in a folder of its name; ``None`` keeps them in temporary
            ones.
        memory: What the process and its workers may use, such as ``"4GB"``.
        store_dtype: Type in which features are stored: ``float16`` or ``float32``.
        ledgers: Folder in which each site counts what it gives away, in a folder of its name; ``None`` lets no site
            promise anything about its pictures.
        groups: Each site's grouping of its pictures, which it fits to its own; ``None`` tells of no groups.

    Raises:
        ValueError: If the partitioner cannot share the pictures out.
        GroupingError: If the group of a picture cannot be told.
    """
    samples = datamodule.train_data.samples
    images = [TrainingImage(*pair) for pair in zip(samples["category"], samples["name"], strict=True)]
    parts = partitioner.partition(images, seed=seed)
    held = {name: datamodule.train_data.sample(positions) for name, positions in sorted(parts.items())}
    if category is not None:
        held = {name: data.of_category(category) for name, data in held.items()}
    return [
        Site(
            name,
            data,
            extractor=extractor,
            batch_size=datamodule.train_batch_size,
            num_workers=datamodule.num_workers,
            store=store / name if store else None,
            memory=memory,
            store_dtype=store_dtype,
            guard=PrivacyGuard(PrivacyTerms(folder=ledgers / name, noise_by="centre")) if ledgers else None,
            groups=groups,
        )
        for name, data in held.items()
        if len(data)
    ]


def in_process_grid(sites: Sequence[Site], *, score: ScorePictures | None = None) -> InProcessGrid:
    """A grid that reaches sites that live in this process; their nodes are numbered from 1 on, in the order given.

    Args:
        sites: The sites.
        score: Scores a bank on a site's test pictures, if they are to answer ``evaluate.metrics``.
    """
    by_name = {site.name: site for site in sites}

    def site_of(context: Context, space: FeatureSpace) -> Site:
        del space  # the sites exist; each checks that it is theirs
        return by_name[str(context.node_config["site"])]

    app = client_app(site_of, score=score)
    return InProcessGrid(app, {number: {"site": site.name} for number, site in enumerate(sites, start=1)})


def simulate(sites: Sequence[Site], strategy: BankStrategy, agreement: Agreement) -> Federation:
    """Run a federation of sites that live in this process.

    Args:
        sites: The sites.
        strategy: Aggregates their banks.
        agreement: What they are asked for.
    """
    grid = in_process_grid(sites)
    results: list[Federation] = []
    server_app(strategy, agreement, deliver=results.append)(grid, grid.server_context)
    return results[0]
