"""Which pictures explanations are measured on, and what they are measured with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.faithfulness.measure import measure_faithfulness
from anomalib_federated.explanations.faithfulness.reference_picture import reference_of
from anomalib_federated.explanations.faithfulness.trials import drawn_defects
from anomalib_federated.testing.example_case import example_model
from tests.explanations.faithfulness.toy_case import SumCase


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


def test_the_reference_keeps_a_plain_picture_and_takes_away_detail() -> None:
    case = SumCase(torch.ones(40, 40))
    case.image = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0))
    reference = reference_of(case)
    assert reference.shape == case.image.shape
    assert reference.dtype == torch.float32
    assert float(reference.std()) < float(case.image.std()) / 5
    case.image = torch.full((3, 40, 40), 0.25)
    torch.testing.assert_close(reference_of(case), case.image)
