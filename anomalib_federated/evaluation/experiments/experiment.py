"""A whole experiment: methods x categories x seeds, each combination a cell that is computed once.

A cell is finished when its ``metrics.json`` is there. Killed and started again, an experiment goes on with the cell
that was under way, whose patch features were kept; a cell that fails is named at the end and does not stop the others.
"""

from __future__ import annotations

import logging
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from pydantic_core import to_jsonable_python

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.data.corruption import Corruption, CorruptionLike
from anomalib_federated.data.grouping import Grouping
from anomalib_federated.evaluation.experiments.methods import ExperimentError, Method
from anomalib_federated.evaluation.experiments.training import train_centralised, train_federated
from anomalib_federated.evaluation.measuring.corrupting import score_corrupted
from anomalib_federated.evaluation.measuring.scoring import score_source
from anomalib_federated.evaluation.measuring.source import source_of_model
from anomalib_federated.evaluation.results import Result, read_result, result_folder
from anomalib_federated.federation import Federation, make_agreement, make_sites
from anomalib_federated.files import write_file
from anomalib_federated.interfaces.configured_strategy import build_strategy
from anomalib_federated.interfaces.partitioner import Partitioner
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.progress import progress_bar

logger = logging.getLogger(__name__)

MakeData: TypeAlias = Callable[[int], AutoVI]
MakeModel: TypeAlias = Callable[[int, Mapping[str, Any]], FederatedPatchcore]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One method on one category with one seed."""

    method: str
    category: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method}, {self.category}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A cell that could not be computed, why, and where all is told."""

    cell: Cell
    error: str
    log: Path


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an experiment.

    Attributes:
        results: Of all cells that are finished, those of earlier runs among them.
        computed: How many of them this run computed.
        failures: The others.
    """

    results: tuple[Result, ...]
    computed: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is compared, and on what.

    Attributes:
        methods: By name.
        seeds: Each decides every random choice of a run, the images held out for validation among them.
        make_data: The data set, given a seed.
        make_model: The detector, given a seed and the settings in which a method differs.
        output: Folder to write: ``seed_<n>/metrics/<method>/<category>/metrics.json``, and the banks.
        settings: What decides the figures besides the methods, as plain data; written into every result.
        resamples: Of the bootstrap behind the intervals.
        corruptions: Under which each method is measured too: presets, or fields of a
            :class:`~anomalib_federated.data.corruption.Corruption`.

    Example:
        >>> experiment = Experiment(
        ...     methods={"centralised": Method(), "iid": Method(partitioner="iid")},
        ...     seeds=(0, 1),
        ...     make_data=lambda seed: AutoVI("datasets/AutoVI", ["pipe_clip"], seed=seed),
        ...     make_model=lambda seed, changed: FederatedPatchcore(seed=seed, **changed),
        ...     output=Path("results/experiment"),
        ... )
        >>> [str(cell) for cell in experiment.cells()][:2]
        ['centralised, pipe_clip, seed 0', 'iid, pipe_clip, seed 0']
    """

    methods: Mapping[str, Method]
    seeds: Sequence[int]
    make_data: MakeData
    make_model: MakeModel
    output: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    resamples: int = 1000
    corruptions: Sequence[CorruptionLike] = ()

    def cells(self) -> Iterator[Cell]:
        """All cells: a category's methods one after the other, so that the first comparison is there early."""
        for seed in self.seeds:
            for category in self.make_data(seed).categories:
                for method in self.methods:
                    yield Cell(method=method, category=category, seed=seed)

    def folder(self, cell: Cell) -> Path:
        """The folder of the cell's run."""
        return self.output / f"seed_{cell.seed}"

    def settings_of(self, cell: Cell) -> dict[str, Any]:
        """All that decides the cell's figures, besides its category and seed."""
        corruptions = {"corruption": list(self.corruptions)} if self.corruptions else {}
        method = self.methods[cell.method].plain()
        return {"method": method, "resamples": self.resamples, **corruptions, **self.settings}

    def groups_of(self, cell: Cell) -> Grouping | None:
        """The groups that the cell is measured by: its own, or else the first of another method, to compare by."""
        groupings = (self.methods[cell.method].grouping, *(method.grouping for method in self.methods.values()))
        return next((grouping for grouping in groupings if grouping is not None), None)

    def sites_of(self, cell: Cell) -> Partitioner | None:
        """The partitioner by whose sites the cell is measured: its own, or else the first of another method.

        So a method that pools all images is measured site by site next to the federated ones.
        """
        named = (self.methods[cell.method].partitioner, *(method.partitioner for method in self.methods.values()))
        spec = next((spec for spec in named if spec is not None), None)
        return None if spec is None else registry.build("partitioner", spec)


def run_experiment(experiment: Experiment) -> Outcome:
    """Compute all cells that are not finished.

    Raises:
        ExperimentError: If there is nothing to run, or a finished cell was computed with other settings.
    """
    cells = list(experiment.cells())
    if not cells:
        msg = "The experiment has no cell; name at least one method, one category and one seed."
        raise ExperimentError(msg)
    finished = {cell: result for cell in cells if (result := _finished(experiment, cell)) is not None}
    logger.info("%d cells, %d of them finished before", len(cells), len(finished))
    failures: list[Failure] = []
    computed = 0
    with progress_bar("cells of the experiment", total=len(cells)) as advance:
        advance(len(finished))
        for cell in (cell for cell in cells if cell not in finished):
            outcome = _attempt(experiment, cell)
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                finished[cell] = outcome
                computed += 1
            advance(1)
    ordered = tuple(finished[cell] for cell in cells if cell in finished)
    return Outcome(results=ordered, computed=computed, failures=tuple(failures))


def _finished(experiment: Experiment, cell: Cell) -> Result | None:
    path = result_folder(experiment.folder(cell), cell.method, cell.category) / "metrics.json"
    if not path.is_file():
        return None
    result = read_result(path)
    wanted = experiment.settings_of(cell)
    # A file holds JSON, in which tuples are lists.
    if result.settings != to_jsonable_python(wanted):
        msg = (
            f"{path} was computed with other settings ({result.settings}) than are asked for now ({wanted}); give "
            "another output folder, or remove this one."
        )
        raise ExperimentError(msg)
    return result


def _attempt(experiment: Experiment, cell: Cell) -> Result | Failure:
    log = result_folder(experiment.folder(cell), cell.method, cell.category) / "error.txt"
    began = time.perf_counter()
    try:
        result = _compute(experiment, cell)
    except Exception as error:
        # Whatever a plugin raises ends its own cell only; it is told at the end, and the exit status says so.
        write_file(log, traceback.format_exc().encode())
        logger.exception("%s failed", cell)
        return Failure(cell=cell, error=f"{type(error).__name__}: {error}", log=log)
    log.unlink(missing_ok=True)
    logger.info("%s took %.0f s", cell, time.perf_counter() - began)
    return result


def _compute(experiment: Experiment, cell: Cell) -> Result:
    method, folder = experiment.methods[cell.method], experiment.folder(cell)
    datamodule = experiment.make_data(cell.seed)
    if method.train_corruption is not None:
        datamodule.train_corruption = datamodule.corruption_of(method.train_corruption)
    datamodule.setup()
    model = experiment.make_model(cell.seed, method.model)
    work, banks = folder / "work" / cell.method / cell.category, folder / cell.method / cell.category
    if method.partitioner is None:
        bank = train_centralised(
            model, datamodule, category=cell.category, store=work, groups=method.grouping, fairness=method.fairness
        )
        traffic, refused = None, None
    else:
        partitioner = registry.build("partitioner", method.partitioner)
        federation = _federate(method, partitioner, model, datamodule, cell, work=work, output=banks)
        bank, traffic, refused = federation.bank, federation.traffic, federation.refused
    bank.save(banks / "bank.safetensors")
    model.bank = bank
    source = source_of_model(model, datamodule, categories=[cell.category])
    if experiment.corruptions:
        score_corrupted(
            model,
            datamodule,
            cell.category,
            corruptions=[Corruption.of(spec, seed=cell.seed) for spec in experiment.corruptions],
            clean_scores=source.validation_scores.get(cell.category, ()),
            method=cell.method,
            output=folder,
            resamples=experiment.resamples,
            seed=cell.seed,
        )
    result = score_source(
        source,
        cell.category,
        method=cell.method,
        output=folder,
        traffic=traffic,
        refused=refused or (),
        settings=experiment.settings_of(cell),
        groups=experiment.groups_of(cell),
        sites=experiment.sites_of(cell),
        resamples=experiment.resamples,
        seed=cell.seed,
    )
    shutil.rmtree(work)
    return result


def _federate(
    method: Method,
    partitioner: Partitioner,
    model: FederatedPatchcore,
    datamodule: AutoVI,
    cell: Cell,
    *,
    work: Path,
    output: Path,
) -> Federation:
    sites = make_sites(
        datamodule,
        partitioner,
        extractor=model.model,
        category=cell.category,
        seed=cell.seed,
        store=work,
        memory=model.memory,
        store_dtype=model.store_dtype,
        ledgers=output / "privacy",
        groups=method.grouping,
    )
    strategy = build_strategy(method.strategy, screening=method.screening, seed=cell.seed)
    agreement = make_agreement(
        model,
        coreset=method.site_coreset,
        budget=method.site_budget,
        seed=cell.seed,
        privacy=method.privacy,
        fairness=method.fairness,
    )
    federation = train_federated(sites, strategy, agreement, output=output)
    for site in sites:
        site.close()
    return federation
