"""What the first-party partitioners promise beyond what every partitioner does."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.interfaces.partitioner import TrainingImage
from anomalib_federated_plugins.partitioner.by_pattern import PatternPartitioner
from anomalib_federated_plugins.partitioner.category import CategoryPartitioner
from anomalib_federated_plugins.partitioner.iid import IIDPartitioner


def make_images(**counts):
    return [TrainingImage(c, f"{c}/train/good/{i:03}.png") for c, count in counts.items() for i in range(count)]


COUNTS = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 15), min_size=1)
SEEDS = st.integers(0, 2**32)


# --- iid ------------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(counts=COUNTS, sites=st.integers(1, 7), seed=SEEDS)
def test_iid_shares_are_equal_in_all_and_in_each_category(counts, sites, seed):
    images = make_images(**counts)
    if len(images) < sites:
        with pytest.raises(ValueError, match=f"{len(images)} training images cannot be shared among {sites} sites"):
            IIDPartitioner(sites=sites).partition(images, seed=seed)
        return
    parts = IIDPartitioner(sites=sites).partition(images, seed=seed)
    assert list(parts) == [f"site_{number}" for number in range(1, sites + 1)]
    assert sorted(i for part in parts.values() for i in part) == list(range(len(images)))
    for category in [None, *counts]:
        held = [sum(category in (None, images[i].category) for i in part) for part in parts.values()]
        assert max(held) - min(held) <= 1


def test_iid_depends_on_the_seed():
    images = make_images(screw=40)
    parts = [IIDPartitioner(sites=2).partition(images, seed=seed)["site_1"] for seed in range(5)]
    assert len(set(map(tuple, parts))) == 5


@pytest.mark.parametrize("sites", [0, -1])
def test_iid_refuses_no_sites(sites):
    with pytest.raises(ValueError, match=f"asked for {sites} sites"):
        IIDPartitioner(sites=sites)


# --- category -------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(counts=COUNTS, stations=st.integers(1, 9), share=st.floats(0, 0.99), seed=SEEDS)
def test_each_category_is_at_one_station_and_in_quality_control(counts, stations, share, seed):
    images = make_images(**counts)
    parts = CategoryPartitioner(stations=stations, quality_control_share=share).partition(images, seed=seed)
    control = Counter(images[i].category for i in parts.pop("quality_control", []))
    for category, count in counts.items():
        assert control[category] == min(round(share * count), count - 1)
    homes = {c: [s for s, part in parts.items() if any(images[i].category == c for i in part)] for c in counts}
    assert all(len(found) == 1 for found in homes.values())
    assert list(parts) == [f"station_{number}" for number in range(1, min(stations, len(counts)) + 1)]
    # Neighbours in the alphabet stay together.
    order = [homes[category][0] for category in sorted(counts)]
    assert order == sorted(order)
    held = Counter(images[i].category for part in parts.values() for i in part) + control
    assert held == Counter(counts)


def test_stations_get_like_numbers_of_categories():
    parts = CategoryPartitioner(stations=3, quality_control_share=0).partition(make_images(a=2, b=2, c=2, d=2, e=2))
    assert {site: len(held) for site, held in parts.items()} == {"station_1": 4, "station_2": 4, "station_3": 2}


@pytest.mark.parametrize(
    "arguments", [{"stations": 0}, {"quality_control_share": 1.0}, {"quality_control_share": -0.1}]
)
def test_category_refuses_impossible_settings(arguments):
    with pytest.raises(ValueError, match=r"at least 1 station and a share in \[0, 1\)"):
        CategoryPartitioner(**arguments)


# --- by_pattern -----------------------------------------------------------------------------------------------------


def images_named(*names):
    return [TrainingImage("tile", f"tile_x/train/good/{name}") for name in names]


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        (None, ("exp2_1.png", "exp1_1.png", "exp2-9.png"), {"exp1": [1], "exp2": [0, 2]}),
        (r"cam(\d)", ("a_cam2.png", "b_cam1.png"), {"1": [1], "2": [0]}),
        (r"(\w)-(?P<site>\w+)", ("a-north.png", "b-north.png"), {"north": [0, 1]}),
    ],
)
def test_the_site_is_read_from_the_file_name(pattern, names, expected):
    partitioner = PatternPartitioner() if pattern is None else PatternPartitioner(pattern=pattern)
    parts = partitioner.partition(images_named(*names))
    assert parts == expected
    assert list(parts) == sorted(expected)


def test_folders_do_not_name_the_site():
    with pytest.raises(ValueError, match=r"names no site for tile_x/train/good/plain\.png \(tile\)"):
        PatternPartitioner().partition(images_named("exp1_1.png", "plain.png"))


def test_the_site_of_a_test_image_is_told_by_its_name_or_not_at_all():
    told, untold = images_named("exp1_1.png", "plain.png")
    assert PatternPartitioner().site_of(told) == "exp1"
    assert PatternPartitioner().site_of(untold) is None
    assert PatternPartitioner(pattern=r"^(?P<site>x*)").site_of(untold) is None
    assert CategoryPartitioner().site_of(told) is None


@pytest.mark.parametrize("pattern", [r"^(?P<site>x)?", r"^(?P<site>x*)"])
def test_an_empty_site_is_refused(pattern):
    with pytest.raises(ValueError, match="names no site"):
        PatternPartitioner(pattern=pattern).partition(images_named("abc.png"))


@pytest.mark.parametrize(("pattern", "reason"), [("(", "is no regular expression"), ("abc", "has no group")])
def test_a_pattern_that_cannot_work_is_refused(pattern, reason):
    with pytest.raises(ValueError, match=reason):
        PatternPartitioner(pattern=pattern)
