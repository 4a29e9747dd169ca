"""Runs a study cell by cell: a finished cell is a JSON file and stays, one that fails does not stop the others."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import to_jsonable_python

from anomalib_federated.bank import MemoryBank
from anomalib_federated.evaluation.robustness.loot import RobustnessError
from anomalib_federated.evaluation.robustness.measures import (
    BankFigures,
    measure_admission,
    measure_bank,
    success_of,
)
from anomalib_federated.evaluation.robustness.result import CellResult, read_cell, write_cell
from anomalib_federated.evaluation.robustness.scene import Scene
from anomalib_federated.evaluation.robustness.study import CLEAN, Cell, Study
from anomalib_federated.files import write_file
from anomalib_federated.progress import progress_bar

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A cell that could not be computed, why, and where all is told."""

    cell: Cell
    error: str
    log: Path


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a study.

    Attributes:
        results: Of all cells that are finished, those of earlier runs among them, in the order of the study.
        computed: How many of them this run computed.
        failures: The others.
    """

    results: tuple[CellResult, ...]
    computed: int
    failures: tuple[Failure, ...]


def run_study(
    study: Study, make_scene: Callable[[], Scene], *, tell: Callable[[CellResult], object] = lambda _: None
) -> Outcome:
    """Compute all cells that are not finished.

    Args:
        study: What is tried.
        make_scene: Makes the federation; called only if a cell is to be computed.
        tell: Called with each result as it is there.

    Raises:
        RobustnessError: If a finished cell was computed with other settings, or the scene cannot be made.
    """
    cells = list(study.cells())
    finished = {cell: result for cell in cells if (result := _finished(study, cell)) is not None}
    logger.info("%d cells, %d of them finished before", len(cells), len(finished))
    missing = [cell for cell in cells if cell not in finished]
    if not missing:
        return Outcome(results=tuple(finished[cell] for cell in cells), computed=0, failures=())
    runner = _Runner(study, make_scene())
    failures: list[Failure] = []
    with progress_bar("cells of the study", total=len(cells)) as advance:
        advance(len(finished))
        for cell in missing:
            log = study.path(cell).with_suffix(".error.txt")
            try:
                finished[cell] = runner.compute(cell, clean=finished.get(Cell(defence=cell.defence)))
            except Exception as error:
                # Whatever a plugin raises ends its own cell only; it is told at the end, and the exit status says so.
                write_file(log, traceback.format_exc().encode())
                logger.exception("%s failed", cell)
                failures.append(Failure(cell=cell, error=f"{type(error).__name__}: {error}", log=log))
            else:
                log.unlink(missing_ok=True)
                write_cell(study.path(cell), finished[cell])
                logger.info("%s took %.0f s", cell, finished[cell].seconds)
                tell(finished[cell])
            advance(1)
    runner.scene.close()
    ordered = tuple(finished[cell] for cell in cells if cell in finished)
    return Outcome(results=ordered, computed=len(missing) - len(failures), failures=tuple(failures))


def _finished(study: Study, cell: Cell) -> CellResult | None:
    path = study.path(cell)
    if not path.is_file():
        return None
    result, wanted = read_cell(path), to_jsonable_python(study.settings_of(cell))
    if result.settings != wanted:
        msg = (
            f"{path} was computed with other settings ({result.settings}) than are asked for now ({wanted}); give "
            "another output folder, or remove this one."
        )
        raise RobustnessError(msg)
    return result


class _Runner:
    """Computes cells one after the other; what a bank does to the pictures is measured once, however it came about."""

    def __init__(self, study: Study, scene: Scene) -> None:
        self.study, self.scene = study, scene
        self._figures: dict[tuple[str, int], BankFigures] = {}
        honest = list(scene.honest.values())
        self._undefended = study.undefended.merge(honest, study.undefended.let_in(honest))

    def compute(self, cell: Cell, *, clean: CellResult | None) -> CellResult:
        began = time.perf_counter()
        if cell.attack != CLEAN and clean is None:
            msg = f"The cell '{Cell(defence=cell.defence)}' failed, with which this one is compared; mend it first."
            raise RobustnessError(msg)
        scene, defence, bad = self.scene, self.study.all_defences[cell.defence], self.scene.bad(cell.bad)
        sent = dict(scene.honest)
        if cell.attack != CLEAN:
            attack = self.study.attack(cell.attack, cell.share)
            sent = scene.sent(attack, bad=bad, defence=defence, seed=self.study.seed)
        banks = list(sent.values())
        passed = defence.let_in(banks)
        bank = defence.merge(banks, passed)
        figures = self._measured(bank, defence.site_quorum)
        before = figures if clean is None else clean.figures
        thresholds = before.threshold, figures.threshold
        return CellResult(
            cell=cell,
            bad_sites=bad,
            figures=figures,
            admission=measure_admission(scene, sent, passed, bank, bad=bad, undefended=self._undefended),
            whitelisting=success_of(before.target_scores, figures.target_scores, thresholds=thresholds),
            backdoor=success_of(before.triggered_scores, figures.triggered_scores, thresholds=thresholds),
            change_image_auroc=figures.image_auroc - before.image_auroc,
            change_auc_spro_target=_change(figures.auc_spro_target, before.auc_spro_target),
            change_auc_spro_others=_change(figures.auc_spro_others, before.auc_spro_others),
            false_alarms=figures.false_alarms(figures.threshold),
            false_alarms_frozen=figures.false_alarms(before.threshold),
            seconds=time.perf_counter() - began,
            settings=to_jsonable_python(self.study.settings_of(cell)),
        )

    def _measured(self, bank: MemoryBank, site_quorum: int) -> BankFigures:
        which = bank.digest, site_quorum
        if which not in self._figures:
            self._figures[which] = measure_bank(bank, self.scene, site_quorum=site_quorum)
        return self._figures[which]


def _change(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def clean_of(results: Sequence[CellResult], defence: str) -> CellResult | None:
    """The result of a defence with all sites honest, if it is there."""
    return next((result for result in results if result.cell == Cell(defence=defence)), None)
