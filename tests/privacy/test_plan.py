"""Plans against the figures of the notes, and against noise that is really drawn."""

import numpy as np
import pytest

from anomalib_federated.privacy.noise import STEPS
from anomalib_federated.privacy.plan import Plan
from anomalib_federated.privacy.sums import NoiseAdders
from anomalib_federated.testing.privacy import seeded_noise

EPSILONS = [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("pictures", "cells", "cells_per_picture", "shares"),
    [
        (285, 8192, 64, [0.51, 0.27, 0.15, 0.08]),
        (285, 8192, 128, [0.72, 0.39, 0.21, 0.12]),
        (1000, 4096, 64, [0.14, 0.075, 0.04, 0.022]),
    ],
)
def test_shares_of_the_notes(pictures, cells, cells_per_picture, shares):
    for epsilon, share in zip(EPSILONS, shares, strict=True):
        plan = Plan(pictures=pictures, epsilon=epsilon)
        assert plan.smallest_share(cells=cells, cells_per_picture=cells_per_picture) == pytest.approx(share, rel=0.06)


def test_second_moments_of_the_notes():
    """They are of matrices whose entries off the diagonal have all of the variance: a root of 2 more."""
    found = [2**0.5 * Plan(pictures=285, epsilon=epsilon).second_moment_noise(64) for epsilon in EPSILONS]
    assert found == pytest.approx([0.21, 0.11, 0.061, 0.034], rel=0.03)


def test_cells_are_admitted_as_planned():
    """Noise as it is released: of cells at the smallest share, 95 % come through, and 5 false ones."""
    plan = Plan(pictures=400, epsilon=2.0)
    share = plan.smallest_share(cells=4096, cells_per_picture=64)
    noise = seeded_noise(0).draw(2 * 4096 * 10).reshape(2, 10, 4096) / STEPS * plan.noise
    votes = share * 400 / 8
    threshold = np.quantile(np.random.default_rng(0).standard_normal(4_000_000), 1 - 5 / 4096) * plan.noise
    assert (noise[0] > threshold).sum(axis=1).mean() == pytest.approx(5, abs=2.5)
    assert (votes + noise[1] > threshold).mean() == pytest.approx(0.95, abs=0.01)


def test_second_moment_noise_is_the_largest_eigenvalue():
    """Of a half-vector with off-diagonals times the root of 2, as Design B and E send it."""
    plan, d = Plan(pictures=300, epsilon=1.0), 64
    noise = seeded_noise(1).draw(d * (d + 1) // 2) / STEPS * plan.noise / 300
    matrix = np.zeros((d, d))
    matrix[np.triu_indices(d)] = noise
    off = ~np.eye(d, dtype=bool)
    matrix[off] /= np.sqrt(2)
    largest = np.abs(np.linalg.eigvalsh(matrix, UPLO="U")).max()
    assert largest == pytest.approx(plan.second_moment_noise(d), rel=0.15)


@pytest.mark.parametrize(
    ("adders", "factor"),
    [
        (NoiseAdders(noise_by="centre"), 1),
        (NoiseAdders(noise_by="each_site"), 6**0.5),
        (NoiseAdders(noise_by="honest_sites", honest_sites=6), 1),
        (NoiseAdders(noise_by="honest_sites", honest_sites=3), 2**0.5),
    ],
)
def test_who_adds_noise_decides_how_much(adders, factor):
    alone = Plan(pictures=600, epsilon=2.0)
    plan = Plan(pictures=600, epsilon=2.0, sites=6, adders=adders)
    assert plan.noise == pytest.approx(alone.noise * factor)
    grid = adders.grid(clip=1.0, multiplier=alone.noise, dimensions=20_000)
    sums = [adders.at_site(np.zeros(20_000, dtype=np.int64), noise=seeded_noise(site)) for site in range(6)]
    drawn = grid.decode(adders.at_centre(np.sum(sums, axis=0), noise=seeded_noise(7)))
    assert drawn.std() == pytest.approx(plan.noise, rel=0.02)


def test_pictures_needed_are_enough():
    for epsilon in EPSILONS:
        needed = Plan(pictures=50, epsilon=epsilon).pictures_needed
        assert Plan(pictures=needed, epsilon=epsilon).verdict == "good"
        assert Plan(pictures=needed - 1, epsilon=epsilon).verdict == "poor"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"epsilon": 0}, "epsilon"),
        ({"sites": 0}, "cannot be those"),
        ({"sites": 101}, "cannot be those"),
        ({"delta": 0.01}, "well below"),
        ({"adders": NoiseAdders(noise_by="honest_sites", honest_sites=3), "sites": 2}, "only 2 take part"),
    ],
)
def test_impossible_plans_are_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        Plan(**{"pictures": 100, "epsilon": 1.0, **fields})


@pytest.mark.parametrize("changed", [{"cells": 3}, {"cells_per_picture": 0}, {"false_cells": 0}, {"admitted": 1.0}])
def test_impossible_codebooks_are_refused(changed):
    with pytest.raises(ValueError, match="give counts"):
        Plan(pictures=100, epsilon=1.0).smallest_share(**{"cells": 100, "cells_per_picture": 4, **changed})
