"""Patch features that are gathered on disk, against what went in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from anomalib_federated.bank import BankError
from anomalib_federated.memory import MemoryLimitError
from anomalib_federated.models import PatchCollection
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset

SPACE = example_bank(dim=12).space
NAMES = ["b", "a", "d", "c", "e"]


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Files of different sizes; what is in them does not matter here."""
    paths = [tmp_path / f"{name}.png" for name in NAMES]
    for number, path in enumerate(paths, start=1):
        path.write_bytes(b"x" * number)
    return list(map(str, paths))


def embedding(numbers: list[int]) -> torch.Tensor:
    """Of each picture 6 patches, the same whatever batch it is in."""
    maps = [torch.randn(12, 2, 3, generator=torch.Generator().manual_seed(number)) for number in numbers]
    return torch.stack(maps)


def collect(pictures: list[str], batches: list[list[int]], folder: Path | None = None, **settings) -> PatchCollection:
    patches = PatchCollection(SPACE, folder, **settings)
    for numbers in batches:
        patches.add(embedding(numbers), ["screw"] * len(numbers), [pictures[number] for number in numbers])
    return patches


def everything(patches: PatchCollection) -> torch.Tensor:
    return torch.cat([block for _, block in patches.rows("screw").blocks()])


def reference(numbers: list[int]) -> torch.Tensor:
    """Rows of the pictures in the order of their names, made another way."""
    rows = [embedding([number])[0, :, i, j] for number in sorted(numbers, key=NAMES.__getitem__)
            for i in range(2) for j in range(3)]  # fmt: skip
    return torch.stack(rows).half().float()


@pytest.mark.parametrize("batches", [[[0, 1, 2, 3, 4]], [[4], [3], [2], [1], [0]], [[2, 0], [1, 4], [3]]])
def test_rows_do_not_depend_on_batches_or_order(pictures, batches):
    patches = collect(pictures, batches)
    assert torch.equal(everything(patches), reference([0, 1, 2, 3, 4]))
    assert (patches.categories, patches.images("screw"), patches.patches("screw")) == (["screw"], 5, 30)


def test_a_bank_is_what_the_coreset_gives_in_memory(pictures):
    patches = collect(pictures, [[3, 1], [0, 4, 2]])
    bank = patches.build_bank(KCenterCoreset(budget=7), method="k_center", site="here", seed=3)
    whole = reference([0, 1, 2, 3, 4])
    selection = KCenterCoreset(budget=7).select(whole, seed=3)
    assert torch.equal(bank.features, whole[selection.indices])
    assert torch.equal(bank.weights, selection.weights)
    (item,) = bank.contributions
    assert (item.images, item.patches, item.rows, item.passes) == (5, 30, 7, selection.passes)
    assert (item.covering_radius, item.mean_distance) == (selection.radius, selection.mean_distance)


def test_only_pictures_that_were_added_or_found_belong_to_it(pictures, tmp_path):
    collect(pictures, [[0, 1, 2, 3, 4]], tmp_path / "store").close()
    patches = PatchCollection(SPACE, tmp_path / "store")
    assert patches.categories == []
    for number in (4, 2):
        assert patches.find("screw", pictures[number])
    assert torch.equal(everything(patches), reference([2, 4]))


def test_a_picture_that_is_stored_is_not_stored_again(pictures, tmp_path):
    patches = collect(pictures, [[0, 1], [1, 2]], tmp_path / "store")
    assert (tmp_path / "store" / "screw" / "features.bin").stat().st_size == 3 * 6 * 12 * 2
    assert torch.equal(everything(patches), reference([0, 1, 2]))


def test_a_picture_that_changed_is_not_found(pictures, tmp_path):
    collect(pictures, [[0, 1]], tmp_path / "store").close()
    os.utime(pictures[1], ns=(1, 1))
    patches = PatchCollection(SPACE, tmp_path / "store")
    assert patches.find("screw", pictures[0])
    assert not patches.find("screw", pictures[1])


def test_a_temporary_folder_is_removed(pictures, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = set(tmp_path.iterdir())
    patches = collect(pictures, [[0]])
    assert len(set(tmp_path.iterdir()) - before) == 1
    patches.close()
    assert set(tmp_path.iterdir()) == before


def test_too_little_memory_is_told_with_what_is_kept(pictures, tmp_path):
    with pytest.raises(MemoryLimitError, match=r"memory limit is 20 MB: .*Name a store"):
        collect(pictures, [[0]], memory="20MB")
    patches = collect(pictures, [[0]], tmp_path / "store")
    patches.close()
    patches = PatchCollection(SPACE, tmp_path / "store", memory="20MB")
    assert patches.find("screw", pictures[0])
    with pytest.raises(MemoryLimitError, match=f"extracted so far are kept in {tmp_path / 'store'}"):
        patches.build_bank(KCenterCoreset(budget=2), method="k_center", site="here", seed=0)


def test_pictures_without_a_path_need_a_temporary_folder(tmp_path):
    with pytest.raises(ValueError, match="without a path cannot be found again in the store"):
        PatchCollection(SPACE, tmp_path / "store").add(embedding([0]), ["screw"])
    patches = PatchCollection(SPACE)
    patches.add(embedding([1, 0]), ["screw"] * 2)
    assert patches.images("screw") == 2


def test_a_category_that_is_no_folder_name_is_refused(pictures):
    with pytest.raises(BankError, match="category must be usable as the name of a folder"):
        PatchCollection(SPACE).add(embedding([0]), ["../screw"], pictures[:1])


def test_an_impossible_memory_is_refused():
    with pytest.raises(ValueError, match="memory is 'much'"):
        PatchCollection(SPACE, memory="much")
