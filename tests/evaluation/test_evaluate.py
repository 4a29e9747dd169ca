"""Figures against anomalib's engine, which gets to them by another way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from anomalib.engine import Engine

from anomalib_federated.data import AutoVI, make_demo_dataset
from anomalib_federated.evaluation import ResultRow, calibrate, evaluate, read_results, write_results
from anomalib_federated.evaluation.experiment import train_centralised
from anomalib_federated.models import FederatedPatchcore


def test_figures_equal_those_of_anomalibs_engine(demo_root: Path, tmp_path: Path) -> None:
    datamodule = AutoVI(demo_root, ["tank_screw"])
    engine = Engine(accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trained = FederatedPatchcore(budget=100, visualizer=False)
    engine.fit(trained, datamodule=datamodule)
    (figures,) = engine.test(trained, datamodule=datamodule, verbose=False)

    model = FederatedPatchcore(budget=100, visualizer=False)
    model.bank = train_centralised(model, datamodule)
    calibrate(model, datamodule.val_data)
    own = evaluate(model, datamodule.test_data)
    assert torch.equal(model.bank.features, trained.bank.features)
    assert model.post_processor.thresholds["tank_screw"].image == pytest.approx(
        trained.post_processor.thresholds["tank_screw"].image, rel=1e-5
    )
    assert own.image_auroc == pytest.approx(figures["image_AUROC"], abs=1e-6)
    assert own.auspro is not None
    assert own.auspro[0.05] == pytest.approx(figures["pixel_AUSPRO"], abs=1e-4)


def test_figures_that_the_test_set_does_not_define_are_none(demo_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(demo_root / "tank_screw", root / "tank_screw")
    for folder in (root / "tank_screw" / "test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    datamodule = AutoVI(root)
    datamodule.setup()
    model = FederatedPatchcore(budget=10, visualizer=False)
    model.bank = train_centralised(model, datamodule)
    figures = evaluate(model, datamodule.test_data)
    assert (figures.image_auroc, figures.average_precision, figures.auspro) == (None, None, None)


def test_a_random_bank_scores_visibly_worse_on_the_demo_data(tmp_path: Path) -> None:
    make_demo_dataset(tmp_path, categories=["engine_wiring", "tank_screw"])
    datamodule = AutoVI(tmp_path)
    datamodule.setup()
    means = {}
    for coreset in ("k_center", "random"):
        model = FederatedPatchcore(budget=1000, coreset=coreset, visualizer=False)
        model.bank = train_centralised(model, datamodule)
        aurocs = [evaluate(model, datamodule.test_data.of_category(name)).image_auroc for name in datamodule.categories]
        means[coreset] = sum(aurocs) / len(aurocs)
    assert means["k_center"] > means["random"] + 0.05
    assert 0.7 < means["k_center"] < 0.995


def test_results_are_written_whole_and_read_back(tmp_path: Path) -> None:
    row = ResultRow(
        method="federated",
        category="screw",
        image_auroc=0.9,
        average_precision=None,
        auspro={"0.05": 0.5},
        bank_rows=10,
        covering_radius=1.5,
        bytes_sent=7,
    )
    path = write_results(tmp_path / "new" / "results.json", [row])
    assert read_results(path) == [row]
    assert json.loads(path.read_text())[0]["auspro"] == {"0.05": 0.5}
    with pytest.raises(ValueError, match="JSON"):
        write_results(path, [ResultRow(**{**vars(row), "image_auroc": float("nan")})])
    assert read_results(path) == [row]


def test_without_test_pictures_no_figure_is_defined(demo_root: Path, tmp_path: Path) -> None:
    shutil.copytree(demo_root / "tank_screw" / "train", tmp_path / "tank_screw" / "train")
    datamodule = AutoVI(tmp_path)
    datamodule.setup()
    model = FederatedPatchcore(budget=10, visualizer=False)
    model.bank = train_centralised(model, datamodule)
    figures = evaluate(model, datamodule.test_data)
    assert (figures.image_auroc, figures.average_precision, figures.auspro) == (None, None, None)
