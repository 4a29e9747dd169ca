"""Image scores against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from anomalib_federated.models.image_score import ImageScore
from anomalib_federated.selection.distances import squared_distances

BATCH, DIM, ROWS = 3, 5, 20


def score(
    rule: str,
    grid: np.ndarray,
    *,
    neighbors: int = 9,
    clip: float | None = None,
    bank: np.ndarray | None = None,
    patches: np.ndarray | None = None,
) -> np.ndarray:
    """The score of a grid of distances; features only where the rule looks at them."""
    batch, height, width = grid.shape
    rows = torch.from_numpy(np.zeros((1, DIM)) if bank is None else bank)
    embedding = torch.from_numpy(np.zeros((batch, height * width, DIM)) if patches is None else patches)
    owners = squared_distances(embedding.flatten(0, 1), rows).argmin(1).reshape(batch, -1)

    def search(queries: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        squared, indices = squared_distances(queries, rows).topk(count, dim=1, largest=False)
        return squared.sqrt(), indices

    distances = torch.from_numpy(grid).reshape(batch, 1, height, width)
    image_score = ImageScore(rule, neighbors=neighbors, clip=clip).to(distances.dtype)
    result = image_score(image_score.clipped(distances), owners, embedding, rows, search)
    assert result.shape == (batch,)
    return result.numpy()


def grid_of(height: int, width: int, batch: int = BATCH) -> np.ndarray:
    return np.random.default_rng(height * 100 + width).random((batch, height, width))


def scene(seed: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    bank, patches = rng.normal(size=(rows, DIM)), rng.normal(size=(BATCH, 12, DIM))
    grid = np.linalg.norm(patches[:, :, None] - bank, axis=3).min(2).reshape(BATCH, 3, 4)
    return bank, patches, grid


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16, 16)])
def test_max(size: tuple[int, int]) -> None:
    grid = grid_of(*size)
    np.testing.assert_array_equal(score("max", grid), grid.max((1, 2)))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 10), (10, 10), (1, 101), (10, 25), (20, 50), (94, 125)])
def test_top_fraction(height: int, width: int) -> None:
    grid = grid_of(height, width)
    count = max(1, height * width // 100)
    expected = -np.sort(-grid.reshape(BATCH, -1), axis=1)[:, :count].mean(1)
    np.testing.assert_allclose(score("top_fraction", grid), expected, rtol=1e-10)


def test_top_fraction_ignores_all_but_the_largest() -> None:
    grid = np.zeros((1, 10, 25))
    grid[0, 3, 4], grid[0, 9, 24], grid[0, 0, 0] = 5, 4, 1
    assert score("top_fraction", grid) == pytest.approx([4.5])


@pytest.mark.parametrize("size", [(16, 16), (9, 30), (3, 3), (1, 1)])
def test_smoothed_max(size: tuple[int, int]) -> None:
    grid = grid_of(*size)
    expected = [gaussian_filter(each, 1.0, mode="nearest", truncate=4).max() for each in grid]
    np.testing.assert_allclose(score("smoothed_max", grid), expected, rtol=1e-4)


def test_smoothing_makes_one_noisy_patch_weigh_less_than_several() -> None:
    noisy, defect = np.zeros((1, 12, 12)), np.zeros((1, 12, 12))
    noisy[0, 6, 6], defect[0, 5:8, 5:8] = 2, 1
    assert score("max", noisy) > score("max", defect)
    assert score("smoothed_max", noisy) < score("smoothed_max", defect)


@pytest.mark.parametrize("neighbors", [2, 9, ROWS, 50])
@pytest.mark.parametrize("seed", range(3))
def test_reweighted(seed: int, neighbors: int) -> None:
    bank, patches, grid = scene(seed)
    expected = []
    for features, distances in zip(patches, grid.reshape(BATCH, -1), strict=True):
        worst = features[distances.argmax()]
        owner = bank[np.linalg.norm(bank - worst, axis=1).argmin()]
        # The owner is its own nearest row, so the first of these is the distance to itself.
        support = bank[np.linalg.norm(bank - owner, axis=1).argsort()[:neighbors]]
        weights = np.exp(np.linalg.norm(support - worst, axis=1))
        expected.append((1 - weights[0] / weights.sum()) * distances.max())
    got = score("reweighted", grid, neighbors=neighbors, bank=bank, patches=patches)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", ["max", "smoothed_max", "top_fraction", "reweighted"])
def test_a_picture_scores_the_same_alone_and_in_a_batch(rule: str) -> None:
    bank, patches, grid = scene(4)
    together = score(rule, grid, bank=bank, patches=patches)
    alone = [score(rule, grid[i : i + 1], bank=bank, patches=patches[i : i + 1])[0] for i in range(BATCH)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="no image score rule 'mean'; choose one of max, smoothed_max, top_fraction"):
        ImageScore("mean")


@pytest.mark.parametrize(("neighbors", "rows"), [(1, ROWS), (9, 1)])
def test_reweighted_without_a_neighbourhood_is_the_largest(neighbors: int, rows: int) -> None:
    bank, patches, grid = scene(0, rows)
    got = score("reweighted", grid, neighbors=neighbors, bank=bank, patches=patches)
    np.testing.assert_array_equal(got, grid.max((1, 2)))


def test_no_neighbour_is_refused() -> None:
    with pytest.raises(ValueError, match="neighbours is 0"):
        ImageScore("reweighted", neighbors=0)


@pytest.mark.parametrize("rule", ["max", "smoothed_max", "top_fraction"])
def test_a_clip_bounds_what_one_extreme_patch_does(rule: str) -> None:
    grid = grid_of(20, 20, batch=1)  # the mean of the largest 1 % is that of four
    extreme = grid.copy()
    extreme[0, 5, 7] = 1e6
    clipped = {name: score(rule, given, clip=2.0)[0] for name, given in (("plain", grid), ("extreme", extreme))}
    np.testing.assert_allclose(clipped["plain"], score(rule, grid)[0], rtol=1e-9)  # nothing lies beyond the clip
    np.testing.assert_allclose(clipped["extreme"], score(rule, np.minimum(extreme, 2.0))[0], rtol=1e-9)
    share = {"max": 1.0, "smoothed_max": 0.16, "top_fraction": 0.25}[rule]  # 1 / (2 pi sigma^2) of a Gaussian
    assert clipped["extreme"] - clipped["plain"] <= share * 2.0
    assert score(rule, extreme)[0] > 1e5


@pytest.mark.parametrize("clip", [0, -1.0, float("nan"), float("inf"), True])
def test_an_impossible_clip_is_refused(clip: float) -> None:
    with pytest.raises(ValueError, match=r"score_clip is .*give a patch distance above 0"):
        ImageScore("max", clip=clip)


def test_a_clip_of_the_one_farthest_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="reweighted looks for the one patch"):
        ImageScore("reweighted", clip=1.0)
