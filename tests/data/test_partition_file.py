"""Partition files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_federated.data import partition_file
from anomalib_federated.data.partition_file import Partition, PartitionError, read_partition, to_json, write_partition

SITES = {"site_1": ["nut/train/good/0.png"], "Werk Süd": ["nut/nut/train/good/1.png", "wing/train/ok/ä b.png"]}
WHOLE = {"format": 1, "partitioner": {"class_path": "iid", "init_args": {"sites": 2}}, "seed": 3, "sites": SITES}

NAMES = st.text("abc äß_.-0", min_size=1).map(lambda text: f"n{text}n")


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    path = write_partition(
        tmp_path / "new" / "p.json", Partition(sites=SITES, partitioner=WHOLE["partitioner"], seed=3)
    )
    assert json.loads(path.read_text(encoding="utf-8")) == WHOLE
    assert [entry.name for entry in path.parent.iterdir()] == ["p.json"]


@given(
    sites=st.dictionaries(NAMES, st.lists(NAMES, min_size=1), min_size=1),
    seed=st.integers(-(2**70), 2**70),
    arguments=st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none()),
)
def test_what_is_written_is_read(tmp_path_factory, sites, seed, arguments) -> None:
    numbered = {site: [f"nut/{site}/{i}{name}" for i, name in enumerate(names)] for site, names in sites.items()}
    partition = Partition(sites=numbered, seed=seed, partitioner={"class_path": "x", "init_args": arguments})
    path = write_partition(tmp_path_factory.getbasetemp() / "partition.json", partition)
    assert read_partition(path) == partition
    assert to_json(read_partition(path)) == path.read_bytes()


def test_by_hand_the_sites_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"sites": SITES}))
    assert read_partition(path) == Partition(sites=SITES)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, r"Input should be 1 \(format\)"),
        ({"seed": "0"}, r"valid integer \(seed\)"),
        ({"seed": True}, r"valid integer \(seed\)"),
        ({"sites": {"a": "nut/0.png"}}, r"valid array \(sites\.a\)"),
        ({"sites": {"a": [7]}}, r"valid string \(sites\.a\.0\)"),
        ({"sites": [["nut/0.png"]]}, r"\(sites\)"),
        ({"images": []}, r"[Uu]nexpected keyword argument \(images\)"),
        ({"sites": {}}, "has no site"),
        ({"sites": {"a": []}}, "The site 'a' is empty; give it an image or leave it out.$"),
        ({"sites": {"a": ["nut/0.png", "nut/0.png"]}}, r"nut/0.png is listed 2 times"),
        ({"sites": {"a": ["nut/0.png"], "b": ["nut/0.png"]}}, r"nut/0.png is listed 2 times"),
        *(
            ({"sites": {site: ["nut/0.png"]}}, "must be usable as the name of a folder, got .*; give other names.$")
            for site in ("../a", "a/b", " ", "a.", "a?", "nul", "com1.old")
        ),
        ({"sites": {"a\x1b": ["nut/0.png"]}}, r"a printable name of 1 to 200 bytes, got 'a\\x1b'; give other names.$"),
        ({"sites": {"a": ["nut/0.png"], "A": ["nut/1.png"]}}, "sites must be distinct, also in lower case"),
        ({"sites": {"a": ["nut/../../0.png"]}}, "path below the data folder"),
        ({"sites": {"a": ["/nut/0.png"]}}, "path below the data folder"),
        ({"sites": {"a": ["nut\\0.png"]}}, "path below the data folder"),
        ({"sites": {"a": ["0.png"]}}, "path below the data folder"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_place(tmp_path: Path, change: dict, problem: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(WHOLE | change))
    with pytest.raises(PartitionError, match=problem) as caught:
        read_partition(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no JSON file"),
        (b"\xff\xfe", "is no JSON file"),
        (b"[" * 100_000, "is no JSON file"),
        (b"[1]", r"\(the whole file\)"),
        (b'{"sites": {"a": ["nut/0.png"], "a": ["nut/1.png"]}}', "The name 'a' stands twice"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(PartitionError, match=problem):
        read_partition(path)


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_partition(tmp_path / "p.json", Partition(sites=SITES))
    monkeypatch.setattr(partition_file, "MOST_BYTES", 10)
    with pytest.raises(PartitionError, match="more than the 10 that a partition file may have"):
        read_partition(path)
