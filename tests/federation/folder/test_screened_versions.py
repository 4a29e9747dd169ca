"""Screenings in a federation folder: recorded with each version, and asked again for the next."""

import json
from dataclasses import asdict

import pytest
import torch

from anomalib_federated.federation.folder import FederationFolder, FolderError
from anomalib_federated.federation.folder.unchanged import unchanged_version
from anomalib_federated.interfaces.configured_strategy import build_strategy
from anomalib_federated.interfaces.refused import Refused
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.registry import PluginError

SPEC = {"class_path": "federated_coreset", "init_args": {"budget": 9}}
NORM = {"class_path": "finite_and_norm", "init_args": {"norm_max": 12.0}}
SCREENING = [NORM, "row_quota"]
TOLD = asdict(Refused(screening="s", site="z", category="nut", rows=1, of=2, reason="r"))
RECORDED = (NORM, {"class_path": "row_quota", "init_args": {}})


@pytest.fixture
def full(folder, bank_of):
    """Sites a and b, and z whose rows are too large for the screening."""
    for site, seed in {"a": 0, "b": 1, "z": 60}.items():
        folder.accept(bank_of(site, seed=seed), site=site, via="file")
    return folder


def aggregate(folder, screening=SCREENING, seed=3):
    return folder.aggregate(build_strategy(SPEC, screening=screening, seed=seed), spec=SPEC, screening=screening)


def test_a_version_tells_what_was_refused_by_whom_and_why(full):
    version = aggregate(full)
    assert version.screening == RECORDED
    assert [(each.screening, each.site, each.category, each.rows, each.of) for each in version.refused] == [
        ("finite_and_norm", "z", "nut", 6, 6),
        ("finite_and_norm", "z", "screw", 7, 7),
    ]
    assert all("are outside 0 to 12" in each.reason for each in version.refused)
    assert set(version.sites) == {"a", "b", "z"}  # what went in; of z nothing came through
    assert full.version_bank(1).sites == ("a", "b")
    assert FederationFolder.open(full.path).versions() == [version]
    told = json.loads(full.version_path(1).with_name("version.json").read_text())
    assert told["screening"] == list(RECORDED)
    assert told["refused"][0]["site"] == "z"


def test_the_next_version_is_screened_alike(full, bank_of):
    first = aggregate(full)
    again = full.aggregate_again()
    assert (again.digest, again.screening, again.refused) == (first.digest, first.screening, first.refused)
    full.accept(bank_of("y", seed=70), site="y", via="file")
    assert {each.site for each in full.aggregate_again().refused} == {"y", "z"}
    without = full.remove_site("y")
    assert (without.digest, without.refused) == (first.digest, first.refused)
    assert full.remove_site("z").refused == ()
    assert full.versions()[-1].digest == first.digest


def test_another_screening_makes_another_version(full):
    first, open_to_all = aggregate(full), aggregate(full, screening=[])
    assert (open_to_all.screening, open_to_all.refused) == ((), ())
    assert open_to_all.digest != first.digest
    assert full.version_bank(2).sites == ("a", "b", "z")


def test_nothing_has_changed_only_if_the_screenings_are_the_same(full):
    made = aggregate(full)

    def found(screening):
        return unchanged_version(full, spec=SPEC, seed=3, screening=screening)

    assert found(SCREENING) == found(list(RECORDED)) == made
    for other in ([], [NORM], ["row_quota", NORM], [NORM | {"init_args": {"norm_max": 13.0}}, "row_quota"]):
        assert found(other) is None


def test_a_version_of_before_there_were_screenings_is_read(full):
    aggregate(full, screening=[])
    path = full.version_path(1).with_name("version.json")
    told = json.loads(path.read_text())
    del told["screening"], told["refused"]
    path.write_text(json.dumps(told))
    (version,) = full.versions()
    assert (version.screening, version.refused) == ((), ())
    assert full.aggregate_again().digest == version.digest
    assert unchanged_version(full, spec=SPEC, seed=3) is not None


def test_what_is_recorded_is_what_was_asked(full):
    with pytest.raises(PluginError, match=r"asks the screenings \['row_quota'\], but \[\] are to be recorded"):
        full.aggregate(build_strategy(SPEC, screening=["row_quota"]), spec=SPEC)
    with pytest.raises(PluginError, match="A screening in a config is a name"):
        full.aggregate(build_strategy(SPEC), spec=SPEC, screening=[3])
    assert full.versions() == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"screening": ["row_quota"]}, r"screening\.0: "),
        ({"screening": [{"class_path": "row_quota"}]}, "its screening is not a class_path with init_args"),
        ({"refused": [{"site": "z"}]}, r"refused\.0\.screening: "),
        ({"refused": [TOLD | {"rows": 3}]}, "cannot have refused 3 of 2 rows"),
        ({"refused": [TOLD | {"rows": "1"}]}, r"refused\.0\.rows: "),
    ],
    ids=["name", "no arguments", "incomplete", "too many", "text"],
)
def test_an_impossible_record_is_refused(change, fault, full):
    aggregate(full)
    path = full.version_path(1).with_name("version.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FolderError, match=fault):
        full.versions()


def test_if_nothing_is_left_no_version_is_made_and_the_banks_stay(full):
    with pytest.raises(FederationError, match="The screenings leave no row of category 'nut': finite_and_norm refused"):
        aggregate(full, screening=[{"class_path": "finite_and_norm", "init_args": {"norm_max": 0.01}}])
    assert full.versions() == []
    assert full.sites() == ("a", "b", "z")


def test_a_site_is_forgotten_even_if_the_others_make_no_bank_together(folder, bank_of):
    folder.accept(bank_of("a"), site="a", via="file")
    folder.accept(bank_of("z", seed=60), site="z", via="file")
    aggregate(folder)
    with pytest.raises(FederationError, match="The screenings leave no row"):
        folder.remove_site("a", purge=True)
    assert folder.sites() == ("z",)
    assert folder.versions() == []


def test_the_version_is_what_the_stored_banks_give(full):
    aggregate(full)
    strategy = build_strategy(SPEC, screening=SCREENING, seed=3)
    assert torch.equal(strategy.merge(map(full.bank, full.sites())).features, full.version_bank(1).features)
