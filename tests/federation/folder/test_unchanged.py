"""When the last version of the global bank is still the one that would be made."""

import json

import pytest

from anomalib_federated import registry
from anomalib_federated.federation.folder import FederationFolder, FolderError
from anomalib_federated.federation.folder.unchanged import unchanged_version
from anomalib_federated.registry import PluginError

SPEC = {"class_path": "federated_coreset", "init_args": {"budget": {"radius": 0.5, "rows": 9}}}


def found(folder, spec=SPEC, seed=3):
    return unchanged_version(folder, spec=spec, seed=seed)


@pytest.fixture
def made(folder, bank_of):
    """The version of two sites."""
    for site in "ab":
        folder.accept(bank_of(site), site=site, via="file")
    return folder.aggregate(registry.build("strategy", SPEC, seed=3), spec=SPEC)


def test_without_a_version_there_is_none(folder, bank_of):
    folder.accept(bank_of("a"), site="a", via="file")
    assert found(folder) is None


def test_of_equal_banks_strategy_and_seed_it_is_the_same(folder, made, bank_of):
    assert found(folder) == made
    folder.accept(bank_of("a"), site="a", via="flower", node=7)  # the very same bank, by another way
    folder.note("failed", site="c", reason="no light")
    assert found(FederationFolder.open(folder.path)) == made
    # A further version of it would have the same bank.
    assert folder.aggregate_again().digest == made.digest


def add(site, **settings):
    return lambda folder, bank_of: folder.accept(bank_of(site, **settings), site=site, via="file")


@pytest.mark.parametrize(
    "change",
    [add("c"), add("a", seed=1), lambda folder, bank_of: folder.remove_site("b") and folder.accept(
        bank_of("b"), site="b", via="file")],
    ids=["another site", "another bank", "a site back again"],
)  # fmt: skip
def test_of_other_banks_it_is_not(change, folder, made, bank_of):
    change(folder, bank_of)
    assert found(folder) is None


@pytest.mark.parametrize(
    ("spec", "seed"),
    [
        (SPEC, 4),
        ("federated_coreset", 3),
        ("concatenate", 3),
        ({"class_path": "federated_coreset", "init_args": {"budget": {"radius": 0.5, "rows": 8}}}, 3),
    ],
)
def test_made_in_another_way_it_is_not(spec, seed, folder, made):
    assert found(folder, spec, seed) is None


def test_a_spec_is_compared_as_the_record_has_it(folder, bank_of):
    folder.accept(bank_of("a"), site="a", via="file")
    strategy = registry.build("strategy", "concatenate")
    made = folder.aggregate(strategy, spec={"class_path": "concatenate", "init_args": {"names": ("x", "y")}})
    assert found(folder, {"class_path": "concatenate", "init_args": {"names": ("x", "y")}}, 0) is not None
    assert made.number == 1
    with pytest.raises(PluginError, match="is a name, or a mapping of class_path and init_args"):
        found(folder, {"name": "concatenate"}, 0)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"cut"), lambda path: path.unlink()])
def test_a_damaged_bank_is_made_again(damage, folder, made):
    damage(folder.version_path(1))
    assert found(folder) is None
    assert folder.aggregate_again().digest == made.digest


def test_another_release_makes_its_own(folder, made):
    record = folder.version_path(1).with_name("version.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"package": "0.0.0"}))
    assert found(folder) is None
    record.write_text("{")
    with pytest.raises(FolderError, match="is no record of a version"):
        found(folder)
