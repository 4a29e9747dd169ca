"""Methods can be told apart by everybody, in every plot."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.colors import to_rgb

from anomalib_federated.evaluation.plots.style import HATCHES, PALETTE, looks
from tests.evaluation.plot_examples import LONG_METHODS, contrast


def test_a_method_looks_the_same_in_every_plot_and_unlike_the_others() -> None:
    assert looks(["centralised"])["centralised"] == looks(LONG_METHODS)["centralised"]
    assert looks(["federated"])["federated"].color != PALETTE[0], "the baseline's colour is kept for it"
    many = looks([f"method_{i}" for i in range(20)])
    assert len({(look.color, look.marker) for look in many.values()}) == 20
    assert len({(look.color, look.hatch) for look in many.values()}) == 20
    eight = looks(LONG_METHODS).values()
    assert len({look.color for look in eight}) == len({look.hatch for look in eight}) == 8
    assert len(set(HATCHES)) == len(HATCHES)


def test_neighbours_in_the_palette_differ_in_gray_and_all_without_green_cones() -> None:
    """Deuteranopia by the matrix of Machado, Oliveira and Fernandes (2009), on linear light."""
    matrix = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]])
    colors = [to_rgb(color) for color in PALETTE]
    for one, other in itertools.pairwise(colors):
        assert contrast(one, other) > 1.3
    linear = np.array([[c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb] for rgb in colors])
    seen = np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.4)
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(one - other) > 0.1
    for color in colors:
        assert contrast(color, (1, 1, 1)) > 2.2
        assert contrast(color, to_rgb("#14181d")) > 3
