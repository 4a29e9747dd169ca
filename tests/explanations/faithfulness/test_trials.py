"""Which pictures explanations are measured on, and what they are measured with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.faithfulness.measure import measure_faithfulness
from anomalib_federated.explanations.faithfulness.reference_picture import NormalReferences
from anomalib_federated.explanations.faithfulness.trials import drawn_defects
from anomalib_federated.explanations.network_input import network_input
from anomalib_federated.pictures import read_image
from anomalib_federated.testing.example_case import example_model


@pytest.fixture(scope="module")
def data(demo_root: Path) -> AutoVI:
    data = AutoVI(demo_root)
    data.setup()
    return data


def test_defective_pictures_of_the_category_are_drawn_by_the_seed(data: AutoVI) -> None:
    samples = data.test_data.samples
    every = set(samples.index[(samples["category"] == "tank_screw") & (samples["label"] != "good")])
    found = drawn_defects(data.test_data, "tank_screw", pictures=3, seed=0)
    assert len(set(found)) == 3
    assert set(found) < every
    assert found == drawn_defects(data.test_data, "tank_screw", pictures=3, seed=0)
    assert set(drawn_defects(data.test_data, "tank_screw", pictures=999, seed=1)) == every
    assert drawn_defects(data.test_data, "tank_screw", pictures=999, seed=0)[:3] == found


def test_without_defective_pictures_there_is_nothing_to_measure(data: AutoVI) -> None:
    with pytest.raises(ValueError, match="'engine' has no defective test picture"):
        drawn_defects(data.test_data, "engine", pictures=3, seed=0)
    good = data.test_data.samples.index[data.test_data.samples["label"] == "good"].tolist()
    with pytest.raises(ValueError, match="no defective test picture"):
        drawn_defects(data.test_data.sample(good), "tank_screw", pictures=3, seed=0)
    with pytest.raises(ValueError, match="number of pictures is 0"):
        drawn_defects(data.test_data, "tank_screw", pictures=0, seed=0)


def test_settings_that_make_no_sense_are_refused(data: AutoVI) -> None:
    with pytest.raises(ValueError, match="There are 0 explainers"):
        measure_faithfulness(example_model(), data, "tank_screw", explainers={})
    with pytest.raises(ValueError, match="resamples is -1"):
        measure_faithfulness(example_model(), data, "tank_screw", explainers={}, resamples=-1)


def test_the_reference_is_the_normal_picture_that_is_most_alike(tmp_path: Path) -> None:
    model = example_model()
    paths = []
    for level in (40, 120, 200):
        paths.append(tmp_path / f"{level}.png")
        Image.fromarray(np.full((24, 30, 3), level, dtype=np.uint8)).save(paths[-1])
    references = NormalReferences(model, paths, seed=0)
    dark, bright = (network_input(model, read_image(paths[number]))[0] for number in (0, 2))
    assert torch.equal(references.nearest(dark + 0.01), dark)
    assert torch.equal(references.nearest(bright - 0.01), bright)
    assert references.nearest(torch.zeros(3, 48, 40)).shape == (3, 48, 40)
    with pytest.raises(ValueError, match="no normal training picture"):
        NormalReferences(model, [], seed=0)
