"""The trigger of a backdoor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from attacked_demo import CATEGORY
from torchvision.tv_tensors import Image, Mask

from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.robustness.trigger import PasteTrigger, with_trigger


def test_it_covers_its_place_and_nothing_else() -> None:
    image = Image(torch.full((3, 50, 80), 0.3))
    trigger = PasteTrigger(side=0.2, seed=1)
    rows, columns = trigger.place(image)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (10, 10)
    pasted = trigger(image)
    outside = torch.ones(50, 80, dtype=torch.bool)
    outside[rows, columns] = False
    assert torch.equal(pasted[:, outside], image[:, outside])
    assert pasted[:, rows, columns].unique().tolist() == [0.0, 1.0]
    assert float(pasted[:, rows, columns].mean()) == pytest.approx(0.5, abs=0.1)
    assert torch.equal(image, torch.full((3, 50, 80), 0.3)), "the picture itself stays"


def test_masks_stay() -> None:
    image, mask = Image(torch.zeros(3, 40, 40)), Mask(torch.zeros(40, 40, dtype=torch.uint8))
    assert torch.equal(PasteTrigger()(image, mask)[1], mask)


def test_the_place_is_relative_and_decided_by_the_seed() -> None:
    small, large = torch.zeros(3, 100, 100), torch.zeros(3, 200, 200)
    places = {str(PasteTrigger(seed=seed).place(small)) for seed in range(5)}
    assert len(places) == 5
    one, two = PasteTrigger(seed=3).place(small), PasteTrigger(seed=3).place(large)
    assert two[0].start == pytest.approx(2 * one[0].start, abs=2)


def test_a_tiny_picture_is_covered_whole() -> None:
    rows, columns = PasteTrigger().place(torch.zeros(3, 2, 2))
    assert (rows, columns) == (slice(0, 2), slice(0, 2))


def test_stores_of_other_triggers_are_not_mistaken_for_each_other() -> None:
    """A store of features knows by this text how its pictures were read."""
    assert len({repr(PasteTrigger(side=side, seed=seed)) for side in (0.1, 0.2) for seed in (0, 1)}) == 4


def test_corrupted_pictures_stay_corrupted_under_the_trigger(attacked_root: Path) -> None:
    """Else an attack on a detector for other light would be measured in the light of the data set."""
    data = AutoVI(attacked_root, [CATEGORY], test_corruption={"brightness": 0.5})
    data.setup()
    plain, pasted = data.test_data[0].image, with_trigger(data.test_data, seed=1)[0].image
    covered = torch.zeros(plain.shape[-2:], dtype=torch.bool)
    covered[PasteTrigger(seed=1).place(plain)] = True
    assert torch.equal(pasted[:, ~covered], plain[:, ~covered])
    assert not torch.equal(pasted, plain)


@pytest.mark.parametrize("side", [0, 1.5, float("nan")])
def test_an_impossible_side_is_refused(side: float) -> None:
    with pytest.raises(ValueError, match="trigger's side"):
        PasteTrigger(side=side)
