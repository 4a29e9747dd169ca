"""The notebooks run from their first to their last cell, and their sentences say what the files say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NAMES = ["01_data_exploration", "02_baseline_training", "03_federated_experiments", "04_results_analysis"]
READS = {"04_results_analysis": "03_federated_experiments"}
"""Which notebook reads what another wrote."""
SMALLER = {
    "make_demo_dataset(DATA, train_images=16, good_images=6, images_per_defect=3)": "make_demo_dataset("
    'DATA, categories=["pipe_clip", "tank_screw"], scale=0.2, train_images=8, good_images=3, images_per_defect=2)',
    '"budget": 300, "image_size": (192, 192)': '"budget": 100, "image_size": (96, 96)',
    "RESAMPLES = 200": "RESAMPLES = 20",
}
"""What takes time in the cells that draw pictures and set sizes, and what is run here instead."""

Execute = Callable[[str], NotebookNode]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebooks are run."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def execute(work: Path) -> Execute:
    done: dict[str, NotebookNode] = {}

    def run(name: str) -> NotebookNode:
        if name not in done:
            if name in READS:
                run(READS[name])
            done[name] = run_cells(smaller(read(name)), work)
        return done[name]

    return run


def read(name: str) -> NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def smaller(notebook: NotebookNode) -> NotebookNode:
    """The same notebook with fewer and smaller pictures."""
    for cell in notebook.cells:
        for written, run in SMALLER.items():
            cell.source = cell.source.replace(written, run)
    return notebook


def run_cells(notebook: NotebookNode, folder: Path) -> NotebookNode:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("IPYTHONDIR", str(folder / ".ipython"))
        environment.setenv("JUPYTER_RUNTIME_DIR", str(folder / ".jupyter"))
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def shown(notebook: NotebookNode, kind: str) -> list[str]:
    """All outputs of a MIME type."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.data[kind] for output in outputs if kind in output.get("data", {})]


@pytest.mark.parametrize("name", NAMES[:3])
def test_what_takes_time_is_written_as_the_tests_think(name: str) -> None:
    source = "\n".join(cell.source for cell in read(name).cells)
    drawn, *sizes = SMALLER
    assert drawn in source
    assert all((size in source) == (name != NAMES[0]) for size in sizes)


def test_there_are_four() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_stored_without_outputs_and_names_its_paths_once(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    first, *others = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in (first, *others))
    assert 'Path("' in first.source
    assert not any('Path("' in cell.source for cell in others)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == "markdown"
    assert all(cell.source.strip() for cell in notebook.cells)


@pytest.mark.parametrize("name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])])
def test_it_runs_from_top_to_bottom(name: str, execute: Execute) -> None:
    notebook = execute(name)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    noise = [output.text for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output]
    assert noise == []
    assert len(shown(notebook, "image/png")) >= 3
    for text in shown(notebook, "text/markdown"):
        assert not re.search(r"\b(nan|None|inf)\b", text)


@pytest.mark.slow
def test_changing_one_path_is_enough(demo_root: Path, tmp_path: Path) -> None:
    notebook = read("01_data_exploration")
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.source = first.source.replace("../../datasets/AutoVI", str(demo_root))
    run_cells(notebook, tmp_path)
    table = shown(notebook, "text/html")[0]
    assert set(re.findall(r"<th>(\w+)</th>", table)) >= {"pipe_staple", "tank_screw", "all"}
    assert "engine_wiring" not in table
    listed = json.loads((tmp_path / "results" / "partition.json").read_text())["sites"].values()
    pictures = [path.relative_to(demo_root).as_posix() for path in demo_root.glob("*/train/good/*.png")]
    assert sorted(name for names in listed for name in names) == sorted(pictures)


@pytest.mark.slow
def test_the_answer_is_that_of_the_files(execute: Execute, work: Path) -> None:
    text = "\n".join(shown(execute("04_results_analysis"), "text/markdown"))
    files = list((work / "results" / "experiment").glob("seed_0/metrics/*/*/metrics.json"))
    assert len(files) == 6
    by_method: dict[str, list[float]] = {}
    for path in files:
        result = json.loads(path.read_text())
        value = result["localization"]["auc_spro"]["0.05"]
        by_method.setdefault(result["method"], []).append(value)
    baseline = fmean(by_method.pop("centralised"))
    for method, values in by_method.items():
        assert f"**{method}, AUC-sPRO@0.05**: {fmean(values):.3f} against {baseline:.3f} of centralised;" in text
