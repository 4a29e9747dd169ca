"""Sites that keep their features: pictures go through the network once, and never give other rows for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anomalib_federated.data import AutoVI
from anomalib_federated.federation import Agreement, Site
from anomalib_federated.patch_store import StoreError

CATEGORY = "tank_screw"


@pytest.fixture(scope="module")
def pictures(demo_root: Path):
    datamodule = AutoVI(demo_root, [CATEGORY])
    datamodule.setup()
    return datamodule.train_data


@pytest.fixture
def seen(extractor):
    """Counts the pictures that go through the network."""
    counts: list[int] = []
    with torch.no_grad():
        hook = extractor.register_forward_hook(lambda _, inputs, __: counts.append(len(inputs[0])))
    yield counts
    hook.remove()


def rows_of(site: Site) -> torch.Tensor:
    return torch.cat([block for _, block in site.patches().rows(CATEGORY).blocks()])


def test_a_resumed_site_extracts_what_is_missing(pictures, extractor, seen, tmp_path):
    unbroken = rows_of(Site("a", pictures, extractor=extractor, batch_size=3))
    assert sum(seen) == len(pictures) == 7
    first = Site("a", pictures, extractor=extractor, batch_size=3, store=tmp_path)
    rows_of(first)
    first.close()
    # Lines of the last three of seven pictures are lost: a whole batch of one, and two of a batch of three.
    path = tmp_path / CATEGORY / "pictures.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    seen.clear()
    resumed = Site("a", pictures, extractor=extractor, batch_size=3, store=tmp_path)
    assert torch.equal(rows_of(resumed), unbroken)
    assert seen == [3, 1]
    resumed.close()
    again = Site("a", pictures, extractor=extractor, batch_size=3, store=tmp_path)
    assert torch.equal(rows_of(again), unbroken)
    assert seen == [3, 1]


def test_an_extended_site_extracts_only_new_pictures(pictures, extractor, seen, tmp_path):
    few = Site("a", pictures.sample([0, 2, 4, 6]), extractor=extractor, store=tmp_path, batch_size=1)
    few.patches()
    few.close()
    seen.clear()
    extended = Site("a", pictures, extractor=extractor, store=tmp_path, batch_size=1)
    rows = rows_of(extended)
    assert sum(seen) == 3
    assert torch.equal(rows, rows_of(Site("a", pictures, extractor=extractor, batch_size=1)))


def test_a_site_uses_its_own_pictures_alone(pictures, extractor, tmp_path):
    everything = Site("a", pictures, extractor=extractor, store=tmp_path)
    everything.patches()
    everything.close()
    fewer = Site("a", pictures.sample([1, 5]), extractor=extractor, store=tmp_path)
    assert fewer.patches().images(CATEGORY) == 2
    assert len(rows_of(fewer)) == 2 * 64


def test_pictures_that_are_read_otherwise_are_not_taken_from_the_store(demo_root, pictures, extractor, tmp_path):
    site = Site("a", pictures, extractor=extractor, store=tmp_path)
    site.patches()
    site.close()
    datamodule = AutoVI(demo_root, [CATEGORY], image_size=(32, 32))
    datamodule.setup()
    with pytest.raises(StoreError, match=r"is of other settings: reading is 'None' and .*Resize"):
        Site("a", datamodule.train_data, extractor=extractor, store=tmp_path).patches()


def test_a_failed_extraction_lets_go_of_the_store(pictures, extractor, seen, tmp_path):
    hook = extractor.register_forward_hook(lambda *_: torch.full((3, extractor.space.dim, 8, 8), float("nan")))
    site = Site("a", pictures, extractor=extractor, store=tmp_path, batch_size=3)
    with pytest.raises(ValueError, match="gives NaN or infinite features"):
        site.patches()
    hook.remove()
    assert len(rows_of(site)) == 7 * 64


def test_the_bank_and_the_radius_come_from_the_stored_rows(pictures, extractor, tmp_path):
    site = Site("a", pictures, extractor=extractor, store=tmp_path, store_dtype="float32", memory="100GB")
    agreement = Agreement(space=extractor.space, budget=9, dtype="float32")
    bank = site.build_bank(agreement)
    rows = rows_of(site).double()
    expected = float((rows[:, None] - bank.features.double()).norm(dim=2).amin(1).max())
    assert site.covering(bank)[CATEGORY].radius == pytest.approx(expected, rel=1e-5)
    assert bank.covering_radius[CATEGORY] == pytest.approx(expected, rel=1e-5)
