"""The folder of a federation: what is in, what came of it, and what is refused."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from anomalib_federated import registry
from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.in_order import in_order
from anomalib_federated.federation import simulate
from anomalib_federated.federation.folder import FederationFolder, FolderError
from anomalib_federated.messages import MessageError
from anomalib_federated.testing import example_bank

CONCATENATE = {"class_path": "concatenate", "init_args": {}}
CORESET = {"class_path": "federated_coreset", "init_args": {"budget": 9}}
STRATEGIES = pytest.mark.parametrize("spec", [CONCATENATE, CORESET], ids=lambda spec: spec["class_path"])


def strategy(spec, seed=0):
    return registry.build("strategy", spec, seed=seed)


def add(folder, *banks):
    return [folder.accept(bank, site=bank.sites[0], via="file") for bank in banks]


def aggregate(folder, spec=CORESET, seed=0):
    return folder.aggregate(strategy(spec, seed), spec=spec)


# --- banks ----------------------------------------------------------------------------------------------------------


def test_a_bank_that_was_accepted_is_there_for_whoever_opens_the_folder(folder, bank_of):
    bank = bank_of("a")
    assert folder.accept(bank, site="a", via="flower", node=7, sent=123)
    again = FederationFolder.open(folder.path)
    assert again.sites() == ("a",)
    assert again.bank("a").digest == bank.digest
    assert MemoryBank.load(folder.path / "sites" / "a.safetensors").digest == bank.digest
    status = again.statuses()["a"]
    assert (status.state, status.via, status.node, status.sent) == ("in", "flower", 7, 123)
    assert (status.bank.digest, status.bank.rows, status.bank.images) == (bank.digest, 13, 13)
    assert status.bank.bytes == (folder.path / "sites" / "a.safetensors").stat().st_size


def test_the_same_bank_again_is_nothing_new_and_another_takes_its_place(folder, bank_of):
    assert add(folder, bank_of("a"), bank_of("a"), bank_of("a", seed=1)) == [True, False, True]
    assert folder.bank("a").digest == bank_of("a", seed=1).digest
    assert [path.name for path in (folder.path / "sites").iterdir()] == ["a.safetensors"]
    # From a node that was restarted, the node is noted.
    assert not folder.accept(bank_of("a", seed=1), site="a", via="flower", node=8)
    assert folder.statuses()["a"].node == 8


def test_categories_in_another_order_are_the_same_bank(folder, bank_of):
    bank = bank_of("a")
    turned = MemoryBank.merge([bank.for_category("screw"), bank.for_category("nut")])
    mixed = turned.select(torch.randperm(len(turned), generator=torch.Generator().manual_seed(1)))
    assert add(folder, turned, bank) == [True, False]
    assert add(folder, mixed) == [True]
    assert folder.bank("a").categories == ("nut", "screw")
    assert folder.bank("a").row_category.diff().min() >= 0


@pytest.mark.parametrize(
    ("change", "site", "complaint"),
    [
        ({}, "b", "Site 'b' sent rows that it says are of a"),
        ({"rows": 50}, "a", "holds 50 rows of category 'screw', but at most 40 were agreed"),
        ({"dim": 4}, "a", "made by other settings than agreed: dim is 4 and 8"),
        ({"dtype": torch.float16}, "a", "float16, but float32 was agreed"),
        ({"site": "A"}, "A", "sites"),
    ],
)
def test_a_bank_that_is_not_as_agreed_is_refused_and_the_one_before_stays(folder, change, site, complaint):
    good = example_bank(site="a", rows=5)
    add(folder, good)
    before = (folder.path / "events.jsonl").read_bytes()
    with pytest.raises(BankError, match=complaint):
        folder.accept(example_bank(**{"site": "a", **change}), site=site, via="flower")
    assert folder.bank("a").digest == good.digest
    assert folder.sites() == ("a",)
    assert (folder.path / "events.jsonl").read_bytes() == before


def test_a_file_that_was_changed_afterwards_is_not_used(folder, bank_of):
    add(folder, bank_of("a"), bank_of("b"))
    bank_of("a", seed=5).save(folder.path / "sites" / "a.safetensors")
    with pytest.raises(FolderError, match=r"a\.safetensors is not the bank that was accepted"):
        aggregate(folder)
    (folder.path / "sites" / "a.safetensors").write_bytes(b"cut")
    with pytest.raises(FolderError, match=r"site 'a' is lost: .*not a valid memory bank"):
        folder.bank("a")
    (folder.path / "sites" / "a.safetensors").unlink()
    with pytest.raises(FolderError, match="site 'a' is lost: There is no memory bank at"):
        aggregate(folder)
    assert folder.versions() == []
    assert add(folder, bank_of("a")) == [False]
    assert aggregate(folder).number == 1
    with pytest.raises(FolderError, match=r"no bank of site 'c' in .*; sites there: a, b"):
        folder.bank("c")


# --- versions -------------------------------------------------------------------------------------------------------


@STRATEGIES
def test_a_version_is_what_the_strategy_makes_of_the_banks_whatever_their_order(folder, bank_of, spec):
    banks = [bank_of("c", seed=3), bank_of("a", seed=1), bank_of("b", seed=2, categories=("bolt", "screw"))]
    add(folder, *banks)
    version = aggregate(folder, spec, seed=4)
    expected = in_order(strategy(spec, 4).merge(banks))
    assert version.digest == expected.digest == folder.version_bank(1).digest
    assert MemoryBank.load(folder.version_path(1)).digest == expected.digest
    assert (version.strategy, version.seed, version.rows) == (spec, 4, len(expected))
    assert {name: item.digest for name, item in version.sites.items()} == {bank.sites[0]: bank.digest for bank in banks}
    told = json.loads((folder.path / "versions" / "0001" / "version.json").read_text())
    assert told["sites"]["a"]["rows"] == 13
    assert FederationFolder.open(folder.path).versions() == [version]


@STRATEGIES
def test_file_drop_and_live_federation_give_the_same_bank(tmp_path, make_site, agreement, spec):
    sites = [make_site("b", seed=1, screw=3), make_site("a", seed=2, screw=2, nut=2), make_site("c", seed=3, nut=1)]
    live = simulate(sites, strategy(spec), agreement)
    folder = FederationFolder.create(tmp_path / "folder", agreement)
    add(folder, *(site.build_bank(agreement) for site in sites))
    version = aggregate(folder, spec)
    assert {name: bank.digest for name, bank in live.site_banks.items()} == {
        name: item.digest for name, item in version.sites.items()
    }
    assert in_order(strategy(spec).merge(live.site_banks.values())).digest == version.digest
    # What the sites measured of the live bank, measured of this one.
    measured = replace(folder.version_bank(1), covering_radius=live.bank.covering_radius, weights=live.bank.weights)
    by = dict.fromkeys(live.bank.categories, ("a", "b", "c"))
    told = folder.record_measurement(1, measured, radius=live.bank.covering_radius, by=by)
    assert told.measured.digest == live.bank.digest == folder.version_bank(1).digest
    assert told.digest == version.digest
    assert folder.versions()[0].measured.radius == live.bank.covering_radius
    assert folder.versions()[0].measured.by == by


def test_only_the_bank_of_a_version_can_be_its_measured_bank(folder, bank_of):
    add(folder, bank_of("a"))
    aggregate(folder)
    with pytest.raises(FolderError, match="What was measured is not the bank of version 1"):
        folder.record_measurement(1, bank_of("a", seed=1), radius={"nut": 1.0}, by={"nut": ("a",)})
    with pytest.raises(FolderError, match=r"There is no version 2 in .*; versions there: 1"):
        folder.record_measurement(2, folder.version_bank(1), radius={}, by={})
    assert folder.versions()[0].measured is None


def test_a_bank_that_arrives_later_gets_into_the_next_version(folder, bank_of):
    with pytest.raises(FolderError, match="No site's bank is in"):
        aggregate(folder)
    with pytest.raises(FolderError, match="no version of the global bank yet"):
        folder.aggregate_again()
    add(folder, bank_of("a"))
    first = aggregate(folder, CORESET, seed=3)
    add(folder, bank_of("b"))
    second = folder.aggregate_again()
    assert (second.number, tuple(second.sites)) == (2, ("a", "b"))
    assert (second.strategy, second.seed) == (first.strategy, first.seed) == (CORESET, 3)
    assert folder.version_bank(1).digest == first.digest


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"format": 2}', "written in format 2, this version of anomalib-federated reads 1"),
        ("{", "no record of a version: "),
        ("[]", "no record of a version: "),
        ('{"format": 1, "number": 0}', "no record of a version: "),
        ('{"format": 1, "\\u001b[2J": 0}', "no record of a version: "),
    ],
)
def test_a_damaged_record_of_a_version_is_named(folder, bank_of, text, complaint):
    add(folder, bank_of("a"))
    aggregate(folder)
    (folder.path / "versions" / "0001" / "version.json").write_text(text)
    with pytest.raises(FolderError, match=complaint) as caught:
        folder.versions()
    assert "version.json" in str(caught.value)
    assert str(caught.value).isprintable()


# --- removal --------------------------------------------------------------------------------------------------------


@STRATEGIES
@pytest.mark.parametrize("purge", [False, True])
def test_without_a_site_all_is_as_if_it_had_never_been(folder, tmp_path, agreed, bank_of, *, spec, purge):
    banks = {name: bank_of(name, seed=number) for number, name in enumerate("abc")}
    add(folder, *banks.values())
    aggregate(folder, spec, seed=2)
    version = folder.remove_site("b", purge=purge)
    never = FederationFolder.create(tmp_path / "never", agreed)
    add(never, banks["c"], banks["a"])
    expected = aggregate(never, spec, seed=2)
    assert version.digest == expected.digest
    assert folder.version_path(2).read_bytes() == never.version_path(1).read_bytes()
    assert version.sites == expected.sites
    assert [each.number for each in folder.versions()] == ([2] if purge else [1, 2])
    assert folder.sites() == ("a", "c")
    assert folder.statuses()["b"].state == "removed"
    rows = banks["b"].features[0].numpy().tobytes()
    holding = [path for path in folder.path.rglob("*") if path.is_file() and rows in path.read_bytes()]
    assert [path.parent.name for path in holding] == ([] if purge or spec is CORESET else ["0001"])


def test_a_removed_site_comes_back_only_as_a_file(folder, bank_of):
    add(folder, bank_of("a"), bank_of("b"))
    folder.remove_site("b")
    folder.note("asked", site="b")
    with pytest.raises(FolderError, match="Site 'b' was removed, so its bank is refused"):
        folder.accept(bank_of("b"), site="b", via="flower", node=3)
    assert folder.statuses()["b"].state == "removed"
    assert add(folder, bank_of("b")) == [True]
    assert folder.accept(bank_of("b", seed=1), site="b", via="flower", node=3)


def test_versions_can_be_purged_after_the_removal_and_no_number_is_used_twice(folder, bank_of):
    add(folder, bank_of("a"), bank_of("b"))
    aggregate(folder)
    add(folder, bank_of("c"))
    aggregate(folder)
    assert folder.remove_site("c").number == 3
    with pytest.raises(FolderError, match=r"no bank of site 'c' in .*\. Versions 2 hold rows of it; --purge deletes"):
        folder.remove_site("c")
    assert folder.remove_site("c", purge=True) is None
    assert [version.number for version in folder.versions()] == [1, 3]
    assert folder.remove_site("a", purge=True).number == 4
    assert folder.remove_site("b", purge=True) is None
    assert folder.versions() == []
    add(folder, bank_of("a"))
    assert aggregate(folder).number == 5
    with pytest.raises(FolderError, match=r"no bank of site 'x' in .*; sites there: a"):
        folder.remove_site("x", purge=True)


def test_a_site_that_went_into_no_version_is_just_deleted(folder, bank_of):
    add(folder, bank_of("a"), bank_of("b"))
    assert folder.remove_site("b") is None
    aggregate(folder)
    add(folder, bank_of("c"))
    assert folder.remove_site("c") is None
    assert [version.number for version in folder.versions()] == [1]


# --- the folder -----------------------------------------------------------------------------------------------------


def test_a_folder_of_an_equal_agreement_is_opened_and_of_another_refused(folder, agreed, bank_of):
    add(folder, bank_of("a"))
    assert FederationFolder.create(folder.path, agreed).sites() == ("a",)
    other = replace(agreed, budget=9, space=replace(agreed.space, pooling=5))
    with pytest.raises(FolderError, match="pooling is 3 and 5, budget is 40 and 9; set the same"):
        FederationFolder.create(folder.path, other)
    assert FederationFolder.open(folder.path).agreement == agreed


def test_no_federation_is_made_among_other_things(tmp_path, agreed):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(FolderError, match=r"holds other things \('holiday.jpg'\)"):
        FederationFolder.create(tmp_path, agreed)
    with pytest.raises(FolderError, match=r"has no agreement\.json and no events\.jsonl"):
        FederationFolder.open(tmp_path)


def test_a_damaged_agreement_is_named(folder):
    (folder.path / "agreement.json").write_text("{}")
    with pytest.raises(MessageError, match=r"The agreement from .*agreement\.json cannot be used"):
        FederationFolder.open(folder.path)


def test_looking_needs_no_right_to_write(folder, bank_of, in_child):
    add(folder, bank_of("a"))
    aggregate(folder)
    held = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    seen = FederationFolder.open(folder.path)
    assert (seen.sites(), len(seen.versions()), seen.version_bank(1).sites) == (("a",), 1, ("a",))
    assert held == {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    shutil.rmtree(folder.path)
    with pytest.raises(FileNotFoundError):
        seen.statuses()
