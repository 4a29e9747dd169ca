"""What is learnt is checked before a bank is made of it."""

import pytest
import torch

from anomalib_federated.privacy.learnt import Learnt

SOUND = {"rows": torch.zeros(3, 8), "pictures": 10.0, "places": torch.rand(3, 2), "projection": torch.eye(8)[:, :4]}


def test_sound():
    assert Learnt(**SOUND).projection.shape == (8, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": torch.zeros(0, 8)}, "m at least 1"),
        ({"rows": torch.full((3, 8), torch.nan)}, "rows are"),
        ({"rows": torch.zeros(3, 8).double()}, "float64"),
        ({"pictures": float("nan")}, "nan"),
        ({"places": torch.zeros(2, 2)}, "places are"),
        ({"places": torch.full((3, 2), 1.5)}, "outside"),
        ({"projection": torch.eye(7)}, "projection are"),
        ({"projection": torch.zeros(8)}, "projection are"),
    ],
)
def test_impossible(change, said):
    with pytest.raises(ValueError, match=said):
        Learnt(**(SOUND | change))
