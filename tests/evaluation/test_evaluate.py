"""A detector's figures against anomalib's engine, which gets to them by another way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from anomalib.engine import Engine

from anomalib_federated import registry
from anomalib_federated.data import AutoVI, make_demo_dataset
from anomalib_federated.evaluation.experiments.training import make_pooled_site, train_centralised
from anomalib_federated.evaluation.figures import Figures
from anomalib_federated.evaluation.maps.folder import read_maps
from anomalib_federated.evaluation.maps.writer import MapWriter
from anomalib_federated.evaluation.measuring.calibrate import calibrate
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage, scored_images, shown
from anomalib_federated.evaluation.measuring.source import source_of_model
from anomalib_federated.models import FederatedPatchcore


@pytest.fixture(scope="module")
def datamodule(demo_root: Path) -> AutoVI:
    datamodule = AutoVI(demo_root)
    datamodule.setup()
    return datamodule


@pytest.fixture(scope="module")
def model(datamodule: AutoVI) -> FederatedPatchcore:
    model = FederatedPatchcore(budget=100, visualizer=False)
    model.bank = train_centralised(model, datamodule)
    return model


def evaluate(
    model: FederatedPatchcore,
    datamodule: AutoVI,
    category: str,
    *looks: Callable[[ScoredImage], object],
    resamples: int = 0,
) -> Figures:
    source = source_of_model(model, datamodule, categories=[category])
    scores = source.validation_scores.get(category, ())
    return measure(shown(source.scored(category), *looks), validation_scores=scores, resamples=resamples)


def test_figures_equal_those_of_anomalibs_engine(demo_root: Path, tmp_path: Path) -> None:
    datamodule = AutoVI(demo_root, ["tank_screw"])
    engine = Engine(accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trained = FederatedPatchcore(budget=100, visualizer=False)
    engine.fit(trained, datamodule=datamodule)
    (figures,) = engine.test(trained, datamodule=datamodule, verbose=False)

    model = FederatedPatchcore(budget=100, visualizer=False)
    model.bank = train_centralised(model, datamodule)
    own = evaluate(model, datamodule, "tank_screw")
    assert torch.equal(model.bank.features, trained.bank.features)
    assert model.post_processor.thresholds["tank_screw"].image == pytest.approx(
        trained.post_processor.thresholds["tank_screw"].image, rel=1e-5
    )
    assert own.headline("image_auroc") == pytest.approx(figures["image_AUROC"], abs=1e-6)
    assert own.headline("auc_spro@0.05") == pytest.approx(figures["pixel_AUSPRO"], abs=1e-4)


def test_a_category_is_measured_with_its_own_validation_images(model: FederatedPatchcore, datamodule: AutoVI) -> None:
    every = calibrate(model, datamodule.val_data)
    assert set(every) == {"pipe_staple", "tank_screw"}
    thresholds = model.post_processor.thresholds
    for category, scores in every.items():
        assert len(scores) == len(datamodule.val_data.of_category(category))
        figures = evaluate(model, datamodule, category, resamples=10)
        assert figures.validation_scores == pytest.approx(scores, rel=1e-5)
        assert {Path(image.name).parts[0] for image in figures.images} == {"test"}
        assert len(figures.images) == len(datamodule.test_data.of_category(category))
        assert figures.intervals
        assert model.post_processor.thresholds[category].image == pytest.approx(thresholds[category].image, rel=1e-5)


def test_maps_that_were_kept_measure_the_same(model: FederatedPatchcore, datamodule: AutoVI, tmp_path: Path) -> None:
    seen: list[ScoredImage] = []
    writers = {form: MapWriter(folder=tmp_path / form, form=form, pixel_threshold=2.0) for form in ("npy", "png16")}

    def keep(scored: ScoredImage) -> None:
        seen.append(scored)
        for writer in writers.values():
            writer.write(scored)

    figures = evaluate(model, datamodule, "tank_screw", keep)
    test_data = datamodule.test_data.of_category("tank_screw")
    assert sorted(str(item.image_path) for item in seen) == sorted(test_data.samples["image_path"])
    exact = measure(read_maps(tmp_path / "npy", test_data), resamples=0)
    assert exact.localization == figures.localization
    assert exact.counts == figures.counts
    rounded = measure(read_maps(tmp_path / "png16", test_data), resamples=0)
    assert rounded.headline("auc_spro@0.05") == pytest.approx(figures.headline("auc_spro@0.05"), abs=1e-3)
    assert rounded.headline("pixel_auroc") == pytest.approx(figures.headline("pixel_auroc"), abs=1e-4)


@pytest.mark.parametrize("kept", [(), ("good",)])
def test_figures_that_the_test_set_does_not_define_are_none(
    demo_root: Path, tmp_path: Path, model: FederatedPatchcore, kept: tuple[str, ...]
) -> None:
    root = tmp_path / "data"
    shutil.copytree(demo_root / "tank_screw", root / "tank_screw")
    for folder in (root / "tank_screw" / "test").iterdir():
        if folder.name not in kept:
            shutil.rmtree(folder)
    datamodule = AutoVI(root)
    datamodule.setup()
    figures = evaluate(model, datamodule, "tank_screw", resamples=10)
    assert figures.classification.auroc is None
    assert figures.localization.auc_spro is None
    assert figures.intervals == {}
    assert (figures.operating_points[0].test_tnr is not None) == bool(kept)


def test_without_masks_there_are_figures_of_images(demo_root: Path, tmp_path: Path, model: FederatedPatchcore) -> None:
    shutil.copytree(demo_root / "tank_screw", tmp_path / "tank_screw", ignore=shutil.ignore_patterns("ground_truth"))
    datamodule = AutoVI(tmp_path, validation_share=0)
    datamodule.setup()
    figures = evaluate(model, datamodule, "tank_screw")
    assert figures.classification.auroc is not None
    assert figures.localization.auc_spro is None
    assert figures.operating_points == ()


def test_calibration_needs_the_default_post_processor(model: FederatedPatchcore, datamodule: AutoVI) -> None:
    other = FederatedPatchcore(budget=100, visualizer=False, post_processor=False)
    other.bank = model.bank
    with pytest.raises(TypeError, match="post-processor is a NoneType"):
        calibrate(other, datamodule.val_data)


@pytest.mark.slow
def test_a_random_bank_scores_visibly_worse_on_the_demo_data(tmp_path: Path) -> None:
    make_demo_dataset(tmp_path, categories=["engine_wiring", "tank_screw"])
    datamodule = AutoVI(tmp_path)
    datamodule.setup()
    model = FederatedPatchcore(image_size=(256, 256), visualizer=False)
    site = make_pooled_site(model, datamodule)
    patches = site.patches()
    means = {}
    for coreset in ("k_center", "random"):
        model.bank = patches.build_bank(
            registry.build("coreset", coreset, budget=1000), method=coreset, site="pooled", seed=0
        )
        scored = (scored_images(model, datamodule.test_data.of_category(name)) for name in datamodule.categories)
        aurocs = [measure(images, resamples=0).classification.auroc for images in scored]
        means[coreset] = sum(aurocs) / len(aurocs)
    site.close()
    assert means["k_center"] > means["random"] + 0.05
    assert 0.7 < means["k_center"] < 0.995
