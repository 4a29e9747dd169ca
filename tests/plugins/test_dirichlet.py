"""Label skew by the Dirichlet partitioner."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.interfaces.partitioner import TrainingImage
from anomalib_federated_plugins.partitioner.dirichlet import DirichletPartitioner


def make_images(**counts):
    return [TrainingImage(c, f"{c}/train/good/{i:03}.png") for c, count in counts.items() for i in range(count)]


def largest_share(alpha, seed):
    """Mean over categories of what the site with the most of it holds."""
    images = make_images(a=60, b=60, c=60)
    parts = DirichletPartitioner(sites=4, alpha=alpha).partition(images, seed=seed)
    held = [Counter(images[i].category for i in part) for part in parts.values()]
    return np.mean([max(site[category] for site in held) / 60 for category in "abc"])


@settings(max_examples=60)
@given(
    counts=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 20), min_size=1),
    sites=st.integers(1, 6),
    minimum=st.integers(1, 4),
    alpha=st.sampled_from([1e-3, 0.1, 1.0, 100.0]),
    seed=st.integers(0, 2**32),
)
def test_every_image_is_at_one_site_and_every_site_has_enough(counts, sites, minimum, alpha, seed):
    images = make_images(**counts)
    partitioner = DirichletPartitioner(sites=sites, alpha=alpha, min_images=minimum)
    if len(images) < sites * minimum:
        with pytest.raises(ValueError, match=f"{len(images)} training images cannot be shared among {sites} sites"):
            partitioner.partition(images, seed=seed)
        return
    parts = partitioner.partition(images, seed=seed)
    assert list(parts) == [f"site_{number}" for number in range(1, sites + 1)]
    assert sorted(i for part in parts.values() for i in part) == list(range(len(images)))
    assert min(map(len, parts.values())) >= minimum


def test_a_small_alpha_skews_more_than_a_large_one():
    means = [np.mean([largest_share(alpha, seed) for seed in range(40)]) for alpha in (0.05, 0.5, 5.0, 500.0)]
    assert means == sorted(means, reverse=True)
    # Without skew a site of four holds a quarter; with the strongest, one site holds nearly all.
    assert means[0] > 0.85
    assert means[-1] == pytest.approx(0.25, abs=0.03)


def test_shares_have_the_moments_of_the_distribution():
    """Of a symmetric Dirichlet over k sites: mean 1/k, variance (k - 1) / (k^2 (k alpha + 1))."""
    images = make_images(a=300)
    partitioner = DirichletPartitioner(sites=3, alpha=2.0)
    shares = np.array([[len(p) / 300 for p in partitioner.partition(images, seed=s).values()] for s in range(600)])
    assert shares.mean(0) == pytest.approx([1 / 3] * 3, abs=0.03)
    assert shares.var(0) == pytest.approx([2 / (9 * 7)] * 3, rel=0.2)


def test_categories_are_skewed_each_by_itself():
    images = make_images(a=200, b=200)
    parts = DirichletPartitioner(sites=2, alpha=0.5).partition(images, seed=1)
    held = [Counter(images[i].category for i in part) for part in parts.values()]
    assert held[0]["a"] != held[0]["b"]


@pytest.mark.parametrize(
    "arguments", [{"sites": 0}, {"alpha": 0}, {"alpha": float("nan")}, {"alpha": 1e9}, {"min_images": 0}]
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match=r"at least 1 site, an alpha in \[0.001, 1e\+06\]"):
        DirichletPartitioner(**arguments)
