"""A store against tensors in memory, and everything that can happen to its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalib_federated.patch_store import Identity, PatchStore, StoreError
from anomalib_federated.selection import rows as rows_module
from anomalib_federated.testing import example_bank

SPACE = example_bank().space
DIM = SPACE.dim
FILE = Identity(10, 20)
COUNTS = {"b.png": 5, "a.png": 1, "d.png": 7, "c.png": 3}


def features(name: str, count: int | None = None) -> torch.Tensor:
    """Multiples of 1/8, which float16 keeps exactly; other ones for every name."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    return torch.randint(-800, 800, (count or COUNTS[name], DIM), generator=generator) / 8


def filled(folder: Path, names=tuple(COUNTS), **settings) -> PatchStore:
    store = PatchStore(folder, SPACE, **settings)
    for name in names:
        store.add(name, FILE, features(name))
    return store


def expected(names=tuple(COUNTS)) -> torch.Tensor:
    return torch.cat([features(name) for name in sorted(names)])


def everything(rows) -> torch.Tensor:
    return torch.cat([block.clone() for _, block in rows.blocks()])  # a block may be overwritten by the next


# --- what is read is what was written -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("resident", [0, 4 * DIM * 6, 10**9])
@pytest.mark.parametrize("per_block", [1, 4, 1000])
def test_rows_come_in_the_order_of_names_from_disk_or_memory(tmp_path, monkeypatch, dtype, resident, per_block):
    monkeypatch.setattr(rows_module, "BLOCK_BYTES", per_block * 4 * DIM)
    rows = filled(tmp_path, dtype=dtype).rows(COUNTS, resident_bytes=resident)
    whole = expected()
    assert rows.shape == tuple(whole.shape)
    for turn in range(3):
        seen = 0
        for which, block in rows.blocks():
            assert (which.start, block.dtype) == (seen, torch.float32)
            assert torch.equal(block, whole[which])
            assert torch.equal(rows.read(which), whole[which])
            seen = which.stop
        assert seen == len(whole)
        assert rows.passes == turn + 1
        indices = torch.tensor([15, 0, 3, 3, 4, 15, 9])
        assert torch.equal(rows.take(indices), whole[indices])
    assert rows.take(torch.tensor([], dtype=torch.int64)).shape == (0, DIM)


@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
    data=st.data(),
)
def test_any_order_of_arrival_gives_the_same_rows(tmp_path_factory, counts, order, data):
    arrival = [f"{number}.png" for number in range(len(counts))]
    whole = torch.cat([features(name, count) for name, count in zip(arrival, counts, strict=True)])
    pairs = list(zip(arrival, counts, strict=True))
    order.shuffle(pairs)
    store = PatchStore(tmp_path_factory.mktemp("store"), SPACE)
    for name, count in pairs:
        store.add(name, FILE, features(name, count))
    rows = store.rows(arrival)
    assert torch.equal(everything(rows), whole)
    begin = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(begin + 1, len(whole)))
    assert torch.equal(rows.read(slice(begin, end)), whole[begin:end])
    indices = torch.tensor(data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=20)), dtype=torch.int64)
    assert torch.equal(rows.take(indices), whole[indices])


def test_rows_of_some_pictures_only(tmp_path):
    store = filled(tmp_path)
    rows = store.rows(["d.png", "a.png"])
    assert torch.equal(everything(rows), expected(["a.png", "d.png"]))
    assert (rows.where(0), rows.where(1)) == ("row 0 (picture a.png)", "row 1 (picture d.png)")
    assert rows.where(7) == "row 7 (picture d.png)"
    assert store.count(["d.png", "a.png"]) == 8
    assert rows.state.parent == tmp_path
    assert len({store.rows(names).state for names in (["a.png"], ["d.png"], ["a.png", "d.png"])}) == 3


def test_float16_rounds_to_the_nearest(tmp_path):
    values = torch.rand(4, DIM, generator=torch.Generator().manual_seed(0))
    store = PatchStore(tmp_path, SPACE)
    store.add("a.png", FILE, values)
    assert torch.equal(everything(store.rows(["a.png"])), values.half().float())
    assert store.size == (tmp_path / "features.bin").stat().st_size == 4 * DIM * 2


def test_an_abandoned_pass_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "BLOCK_BYTES", 4 * DIM)
    rows = filled(tmp_path).rows(COUNTS, resident_bytes=4 * DIM * 3)
    for _ in rows.blocks():
        break
    assert rows.passes == 0
    assert torch.equal(everything(rows), expected())


# --- opened again ---------------------------------------------------------------------------------------------------


def test_a_store_is_continued(tmp_path):
    filled(tmp_path, ["b.png", "a.png"]).close()
    store = PatchStore(tmp_path, SPACE)
    assert store.holds("a.png", FILE)
    assert not store.holds("d.png", FILE)
    for name in ("d.png", "c.png"):
        store.add(name, FILE, features(name))
    assert torch.equal(everything(store.rows(COUNTS)), expected())


def test_a_changed_picture_replaces_its_old_features(tmp_path):
    store = filled(tmp_path)
    changed = Identity(11, 20)
    assert not store.holds("b.png", changed)
    state = store.rows(COUNTS).state
    store.add("b.png", changed, features("new", 2))
    names = sorted(COUNTS)
    now = torch.cat([features("new", 2) if name == "b.png" else features(name) for name in names])
    assert torch.equal(everything(store.rows(names)), now)
    assert store.rows(names).state != state
    store.close()
    again = PatchStore(tmp_path, SPACE)
    assert again.holds("b.png", changed)
    assert torch.equal(everything(again.rows(names)), now)


@pytest.mark.parametrize("cut", range(1, 5 * DIM * 2, 97))
def test_cut_off_features_lose_the_last_picture_alone(tmp_path, cut):
    filled(tmp_path, ["a.png", "d.png", "b.png"]).close()
    path = tmp_path / "features.bin"
    os.truncate(path, path.stat().st_size - cut)
    store = PatchStore(tmp_path, SPACE)
    assert [store.holds(name, FILE) for name in ("a.png", "d.png", "b.png")] == [True, True, False]
    store.add("b.png", FILE, features("b.png"))
    names = ["a.png", "b.png", "d.png"]
    assert torch.equal(everything(store.rows(names)), expected(names))


@pytest.mark.parametrize("cut", [1, 2, 20, 50])
def test_a_cut_off_line_loses_the_last_picture_alone(tmp_path, cut):
    filled(tmp_path, ["a.png", "d.png", "b.png"]).close()
    path = tmp_path / "pictures.jsonl"
    os.truncate(path, path.stat().st_size - cut)
    store = PatchStore(tmp_path, SPACE)
    assert [store.holds(name, FILE) for name in ("a.png", "d.png", "b.png")] == [True, True, False]
    assert (tmp_path / "features.bin").stat().st_size == 8 * DIM * 2
    assert path.read_bytes().count(b"\n") == 2
    store.add("c.png", FILE, features("c.png"))
    names = ["a.png", "c.png", "d.png"]
    assert torch.equal(everything(store.rows(names)), expected(names))


def test_features_that_no_line_names_are_cut_off(tmp_path):
    filled(tmp_path, ["a.png"]).close()
    with (tmp_path / "features.bin").open("ab") as file:
        file.write(b"x" * 1001)
    store = PatchStore(tmp_path, SPACE)
    store.add("b.png", FILE, features("b.png"))
    assert torch.equal(everything(store.rows(["a.png", "b.png"])), expected(["a.png", "b.png"]))


def test_a_state_of_other_pictures_is_dropped(tmp_path):
    store = filled(tmp_path, ["a.png"])
    state = store.rows(["a.png"]).state
    state.write_bytes(b"x")
    store.add("b.png", FILE, features("b.png"))
    assert not state.exists()


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "settings", "message"),
    [
        ({"weights": "1" * 64}, {}, f"weights is '{SPACE.weights}' and '{'1' * 64}'"),
        ({"pooling": 5}, {}, f"pooling is {SPACE.pooling} and 5"),
        ({}, {"dtype": "float32"}, "dtype is 'float16' and 'float32'"),
        ({}, {"reading": "Resize()"}, r"reading is '' and 'Resize\(\)'"),
    ],
)
def test_a_store_of_other_settings_is_refused(tmp_path, space, settings, message):
    filled(tmp_path).close()
    with pytest.raises(StoreError, match=f"{tmp_path} is of other settings: {message}"):
        PatchStore(tmp_path, replace(SPACE, **space), **settings)
    assert torch.equal(everything(PatchStore(tmp_path, SPACE).rows(COUNTS)), expected())


def test_a_store_of_another_format_is_refused(tmp_path):
    filled(tmp_path).close()
    header = tmp_path / "store.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | {"format": 9}))
    with pytest.raises(StoreError, match="format is 9 and 2"):
        PatchStore(tmp_path, SPACE)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"space": 3}', '{"space": {"dim": 4}}', "\xff"])
def test_a_header_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(StoreError, match=r"store\.json is not the header of a feature store"):
        PatchStore(tmp_path, SPACE)


def test_features_without_a_header_are_refused(tmp_path):
    filled(tmp_path).close()
    (tmp_path / "store.json").unlink()
    with pytest.raises(StoreError, match=r"holds features without store\.json"):
        PatchStore(tmp_path, SPACE)


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[1]\n",
        b'{"name": "a", "size": 1, "mtime_ns": 1}\n',
        b'{"name": "a", "size": 1, "mtime_ns": 1, "rows": 0, "columns": 1}\n',
        b'{"name": "a", "size": 1, "mtime_ns": 1, "rows": true, "columns": 1}\n',
        b'{"name": "a", "size": 1, "mtime_ns": 1, "rows": 3, "columns": 2}\n',
        b'{"name": "a", "size": 1, "mtime_ns": 1, "rows": 3, "columns": 0}\n',
        b'{"name": 7, "size": 1, "mtime_ns": 1, "rows": 1, "columns": 1}\n',
        b"\xff\n",
    ],
)
def test_a_damaged_list_is_refused(tmp_path, line):
    filled(tmp_path).close()
    path = tmp_path / "pictures.jsonl"
    first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, line, *rest]))
    with pytest.raises(StoreError, match=r"Line 2 of .*pictures\.jsonl is not a picture"):
        PatchStore(tmp_path, SPACE)


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (7e4, "float16", "A feature of x.png is 7e[+]04, too large for float16; set store_dtype to float32"),
        (-7e4, "float16", "too large for float16"),
        (float("nan"), "float16", "picture x.png gives NaN or infinite features"),
        (float("inf"), "float32", "picture x.png gives NaN or infinite features"),
    ],
)
def test_features_that_cannot_be_stored_are_refused(tmp_path, value, dtype, message):
    store = filled(tmp_path, dtype=dtype)
    rows = torch.zeros(3, DIM)
    rows[1, 2] = value
    with pytest.raises(ValueError, match=message):
        store.add("x.png", FILE, rows)
    assert not store.holds("x.png", FILE)
    assert torch.equal(everything(store.rows(COUNTS)), expected())


def test_large_features_fit_float32(tmp_path):
    store = PatchStore(tmp_path, SPACE, dtype="float32")
    store.add("x.png", FILE, torch.full((2, DIM), 7e4))
    assert float(everything(store.rows(["x.png"])).max()) == 7e4


@pytest.mark.parametrize("shape", [(3, DIM + 1), (3,), (0, DIM), (1, 3, DIM)])
def test_features_of_another_shape_are_refused(tmp_path, shape):
    with pytest.raises(ValueError, match=r"Features of x\.png must be"):
        PatchStore(tmp_path, SPACE).add("x.png", FILE, torch.zeros(shape))


def test_an_unknown_dtype_is_refused(tmp_path):
    with pytest.raises(ValueError, match="store_dtype is 'int8'; give one of float16, float32"):
        PatchStore(tmp_path, SPACE, dtype="int8")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=f"feature store {tmp_path}/file/store cannot be opened .*name a folder that can"):
        PatchStore(tmp_path / "file" / "store", SPACE)


def test_two_runs_cannot_use_one_store(tmp_path):
    store = filled(tmp_path)
    with pytest.raises(StoreError, match=f"{tmp_path} is in use by another run"):
        PatchStore(tmp_path, SPACE)
    store.close()
    PatchStore(tmp_path, SPACE).close()


def test_a_worker_that_outlives_the_store_does_not_keep_it(tmp_path):
    store = filled(tmp_path)
    stop, go = os.pipe()
    ready, started = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(started, b"x")
        os.read(stop, 1)
        os._exit(0)
    os.read(ready, 1)
    try:
        store.close()
        PatchStore(tmp_path, SPACE).close()
    finally:
        os.write(go, b"x")
        os.waitpid(child, 0)


FULL_DISK = """
import resource, sys, torch
from pathlib import Path
from anomalib_federated.patch_store import Identity, PatchStore
from anomalib_federated.testing import example_bank
space = example_bank().space
store = PatchStore(Path(sys.argv[1]), space)
row_bytes = 2 * space.dim
resource.setrlimit(resource.RLIMIT_FSIZE, (100 * row_bytes + 7, 100 * row_bytes + 7))
store.add("a.png", Identity(1, 1), torch.ones(60, space.dim))
try:
    store.add("b.png", Identity(1, 1), torch.ones(60, space.dim))
except OSError as error:
    print(error)
store.add("c.png", Identity(1, 1), torch.full((40, space.dim), 2.0))
"""


def test_a_full_disk_loses_nothing(tmp_path):
    """A limit on the size of files stands for the full disk: it ends a write in its middle."""
    child = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=True)
    assert f"The features of b.png cannot be written to {tmp_path} (File too large)" in child.stdout
    assert f"they need {60 * DIM * 2} bytes" in child.stdout
    store = PatchStore(tmp_path, SPACE)
    assert [store.holds(name, Identity(1, 1)) for name in ("a.png", "b.png", "c.png")] == [True, False, True]
    assert everything(store.rows(["a.png", "c.png"])).unique(return_counts=True)[1].tolist() == [60 * DIM, 40 * DIM]


def test_pictures_come_back_on_their_grids(tmp_path):
    with_grid = torch.arange(6 * DIM, dtype=torch.float32).reshape(2, 3, DIM)
    store = PatchStore(tmp_path, SPACE, dtype="float32")
    store.add("b.png", FILE, with_grid.flatten(0, 1), columns=3)
    store.add("a.png", FILE, torch.ones(4, DIM))
    store.close()
    rows = PatchStore(tmp_path, SPACE, dtype="float32").rows(["b.png", "a.png"])
    assert [picture.name for picture in rows.pictures] == ["a.png", "b.png"]
    assert rows.grid(0).shape == (4, 1, DIM)
    assert torch.equal(rows.grid(1), with_grid)
    assert [picture.name for picture in rows.pictures_of(torch.tensor([3, 9, 4, 0]))] == [
        "a.png",
        "b.png",
        "b.png",
        "a.png",
    ]


@pytest.mark.parametrize("columns", [0, 4])
def test_rows_that_are_no_grid_are_refused(tmp_path, columns):
    with pytest.raises(ValueError, match=f"no grid of {columns} columns"):
        PatchStore(tmp_path, SPACE).add("a.png", FILE, torch.ones(6, DIM), columns=columns)
