"""Groups of pictures: by name, by table, by category, or found; what cannot be grouped is named."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from anomalib_federated.data.grouping import FoundGroups, Grouping, GroupingError, Picture
from anomalib_federated.data.image_clusters import ImageClusters

TILES = [Picture(f"tile/train/good/exp{exposure}_{number}.jpg", "tile") for exposure in (1, 3) for number in range(3)]


def seen(vectors, category="tile"):
    """Pictures with these features."""
    return [
        Picture(f"{category}/train/good/{number:03d}.png", category, torch.as_tensor(vector, dtype=torch.float32))
        for number, vector in enumerate(vectors)
    ]


def blobs(*sizes, dim=5, seed=0):
    """Vectors around centres that lie far from each other, of scales that differ by much between dimensions."""
    generator = np.random.default_rng(seed)
    scale = 10.0 ** np.arange(dim)
    parts = [number * 50 + generator.normal(size=(size, dim)) for number, size in enumerate(sizes)]
    return np.concatenate(parts) * scale, np.repeat(np.arange(len(sizes)), sizes)


# --- by name --------------------------------------------------------------------------------------------------------


def test_a_pattern_is_searched_in_the_file_name_alone():
    grouping = Grouping.of({"pattern": r"(?P<group>exp\d)_"})
    assert grouping.names(TILES) == ["exp1"] * 3 + ["exp3"] * 3
    assert grouping.fit(TILES) is grouping
    with pytest.raises(GroupingError, match=r"names no group for the picture exp1_x/0\.png \(tile\)"):
        grouping.names([Picture("exp1_x/0.png", "tile")])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "no regular expression"),
        (7, "no regular expression"),
        (r"^exp(\d)", r"put \(\?P<group>\.\.\.\) around"),
        (r"^(?P<site>exp\d)", r"put \(\?P<group>\.\.\.\) around"),
    ],
)
def test_a_pattern_that_names_no_group_is_refused(pattern, message):
    with pytest.raises(GroupingError, match=message):
        Grouping.of({"pattern": pattern})


def test_a_group_whose_name_is_not_valid_is_refused_with_its_picture():
    with pytest.raises(GroupingError, match=r"picture a/exp:1_0\.png \(tile\) has no usable group: a group must be"):
        Grouping.of({"pattern": "^(?P<group>.+)_"}).names([Picture("a/exp:1_0.png", "tile")])
    with pytest.raises(GroupingError, match="names no group"):
        Grouping.of({"pattern": "(?P<group>x?)"}).names([Picture("0.png", "tile")])


def test_a_pattern_that_makes_each_picture_a_group_is_refused():
    pictures = [Picture(f"{number}.png", "tile") for number in range(101)]
    with pytest.raises(GroupingError, match="101 pictures are of 101 groups, but a site may have at most 100"):
        Grouping.of({"pattern": "(?P<group>.*)"}).names(pictures)


@pytest.mark.parametrize(
    "spec",
    [{}, {"pattern": "x", "found": 2}, {"metadata": "x.csv"}, {"by": "site"}, {"names": "x"}, "category", None],
    ids=str,
)
def test_what_describes_no_grouping_is_refused(spec):
    with pytest.raises(GroupingError, match=r"are not understood; give one of \{pattern: REGEX\}"):
        Grouping.of(spec)


def test_each_category_is_a_group():
    assert Grouping.of({"by": "category"}).names([TILES[0], Picture("x", "nut")]) == ["tile", "nut"]


# --- by table -------------------------------------------------------------------------------------------------------


def table(tmp_path, text, encoding="utf-8"):
    file = tmp_path / "metadata.csv"
    file.write_text(text, encoding=encoding)
    return {"metadata": str(file), "column": "lighting"}


@pytest.mark.parametrize("folder", ["", "tile/", "tile/tile/"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_names_pictures_from_the_category_or_from_the_root(tmp_path, folder, encoding):
    names = ["tile/tile/train/good/0.png", "tile/tile/train/good/1.png"]
    lines = "".join(f"{folder}train/good/{number}.png,7,{light}\n" for number, light in enumerate(("dim", "bright")))
    grouping = Grouping.of(table(tmp_path, f"image,line,lighting\n{lines}", encoding))
    assert grouping.names([Picture(name, "tile") for name in names]) == ["dim", "bright"]


def test_a_folder_called_like_its_category_is_no_trouble(tmp_path):
    grouping = Grouping.of(table(tmp_path, "image,lighting\ntrain/good/0.png,dim\n"))
    assert grouping.names([Picture("train/train/good/0.png", "train")]) == ["dim"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,light\n", "has no column 'lighting'; its columns are: image, light"),
        ("name,lighting\n", "has no column 'image'; its columns are: name, lighting"),
        ("image;lighting\n", "has no column 'image'; its columns are: image;lighting"),
        ("", "has no column 'image'; its columns are: none"),
        ("image,lighting\ntrain/good/1.png,dim\n", r"no line for the picture tile/train/good/0\.png \(tile\)"),
        ("image,lighting\ntrain/good/0.png\n", r"picture tile/train/good/0\.png \(tile\) has no usable group"),
        ("image,lighting\ntrain/good/0.png,a/b\n", "has no usable group"),
        ("image,lighting\ntrain/good/0.png,dim\ntrain/good/0.png,bright\n", "two groups of train/good/0.png"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_a_table_lacks_is_named(tmp_path, text, message):
    with pytest.raises(GroupingError, match=message):
        Grouping.of(table(tmp_path, text)).names([Picture("tile/train/good/0.png", "tile")])


def test_a_table_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(GroupingError, match=r"no metadata file .*absent\.csv"):
        Grouping.of({"metadata": str(tmp_path / "absent.csv"), "column": "x"})
    (tmp_path / "metadata.csv").write_bytes(b"image,lighting\n\xff\xfe,x\n")
    with pytest.raises(GroupingError, match=r"metadata\.csv is no CSV file in UTF-8"):
        Grouping.of({"metadata": str(tmp_path / "metadata.csv"), "column": "lighting"})


def test_a_line_may_not_be_that_of_two_categories(tmp_path):
    grouping = Grouping.of(table(tmp_path, "image,lighting\ntrain/good/0.png,dim\nnut/train/good/1.png,bright\n"))
    nut, tile = Picture("nut/train/good/0.png", "nut"), Picture("tile/train/good/0.png", "tile")
    assert grouping.names([nut, nut, Picture("nut/train/good/1.png", "nut")]) == ["dim", "dim", "bright"]
    with pytest.raises(GroupingError, match=r"several pictures are called train/good/0\.png"):
        grouping.names([nut, tile])


# --- found ----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_found_groups_are_the_blobs_the_largest_first_in_any_order_of_the_pictures(sizes, chance):
    vectors, blob = blobs(*sizes)
    pictures = seen(vectors)
    names = FoundGroups(len(sizes)).fit(pictures).names(pictures)
    rank = {number: place for place, number in enumerate(np.argsort(-np.array(sizes)).tolist(), start=1)}
    assert names == [f"found-{rank[number]}" for number in blob.tolist()]
    shuffled = chance.sample(pictures, len(pictures))
    other = FoundGroups(len(sizes)).fit(shuffled)
    assert other.names(pictures) == names
    assert other.names(shuffled) == [names[pictures.index(picture)] for picture in shuffled]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 5), st.randoms(use_true_random=False))
def test_clusters_of_a_cloud_are_those_of_scikit_learn_and_do_not_depend_on_order(seed, clusters, chance):
    vectors = np.random.default_rng(seed).normal(size=(30, 3))
    found = ImageClusters.fit(vectors, clusters, seed=seed)
    order = chance.sample(range(30), 30)
    again = ImageClusters.fit(vectors[order], clusters, seed=seed)
    assert np.array_equal(found.centres, again.centres)
    labels = found.nearest(vectors)
    sizes = np.bincount(labels, minlength=clusters)
    assert sizes.min() > 0
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    standard = StandardScaler().fit_transform(vectors)
    inertia = sum(((standard[labels == number] - found.centres[number]) ** 2).sum() for number in range(clusters))
    best = min(KMeans(clusters, n_init=1, random_state=start).fit(standard).inertia_ for start in range(20))
    assert inertia <= best * 1.1


def test_new_pictures_are_of_the_nearest_centre():
    vectors, _ = blobs(6, 3)
    grouping = FoundGroups(2).fit(seen(vectors))
    assert grouping.names(seen([vectors[7] * 1.01, vectors[0] * 0.99])) == ["found-2", "found-1"]


def test_categories_are_grouped_apart():
    vectors, _ = blobs(4, 2)
    screws = seen(vectors + 1e9, category="screw")
    grouping = FoundGroups(2).fit([*seen(vectors), *screws])
    assert grouping.names(screws) == ["found-1"] * 4 + ["found-2"] * 2


def test_too_few_pictures_for_the_groups_are_refused():
    with pytest.raises(GroupingError, match=r"The 3 training pictures of 'tile' cannot be grouped: 4 clusters .* in 3"):
        FoundGroups(4).fit(seen([[0.0], [1.0], [2.0]]))
    with pytest.raises(GroupingError, match="2 clusters cannot be found in 1 pictures that differ"):
        FoundGroups(2).fit(seen([[1.0], [1.0], [1.0]]))


def test_found_groups_need_features_and_training():
    grouping = Grouping.of({"found": 2, "seed": 3})
    assert grouping.needs_features
    with pytest.raises(GroupingError, match="No groups of 'tile' were found yet"):
        grouping.names(seen([[1.0]]))
    with pytest.raises(GroupingError, match=r"exp1_0\.jpg \(tile\) comes without the feature"):
        grouping.fit(TILES)


@pytest.mark.parametrize(
    "spec",
    [{"found": 0}, {"found": 2.0}, {"found": True}, {"found": 2, "seed": -1}, {"found": 2, "seed": "x"}],
    ids=str,
)
def test_impossible_numbers_are_refused(spec):
    with pytest.raises(GroupingError, match="of found groups is"):
        Grouping.of(spec)
