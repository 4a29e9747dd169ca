"""``bank add``, ``bank aggregate --folder``, ``bank remove-site`` and ``status``, called as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.testing import example_bank


@pytest.fixture
def folder(tmp_path: Path) -> FederationFolder:
    agreement = Agreement(space=example_bank().space, dtype="float32", budget=40)
    return FederationFolder.create(tmp_path / "federation", agreement)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Banks of three sites."""
    return [
        str(example_bank(site=site, seed=seed, offset=seed).save(tmp_path / f"{site}.safetensors"))
        for seed, site in enumerate("abc")
    ]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_from_files_to_versions_and_back(
    folder: FederationFolder, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(folder.path)
    assert main(["bank", "add", path, *files[:2]]) == 0
    assert f"make it: anomalib-federated bank aggregate --folder {path}" in capsys.readouterr().out
    assert main(["bank", "aggregate", "--folder", path, "--budget", "9", "--seed=3"]) == 0
    assert "Version 1, of sites a, b." in capsys.readouterr().out
    assert main(["bank", "add", path, *files]) == 0
    text = capsys.readouterr().out
    assert f"{files[0]}: this very bank was there already" in text
    assert f"{files[2]}: added" in text
    assert f"Version 2: {folder.version_path(2)}, 9 rows." in text
    assert main(["bank", "aggregate", *reversed(files), "--budget=9", "--seed=3", f"--output={tmp_path / 'all'}"]) == 0
    assert (tmp_path / "all").read_bytes() == folder.version_path(2).read_bytes()
    # Nothing new, so no further version.
    assert main(["bank", "add", path, files[0]]) == 0
    capsys.readouterr()
    assert main(["bank", "remove-site", path, "b"]) == 0
    text = capsys.readouterr().out
    assert "Site b is removed." in text
    assert f"Version 3: {folder.version_path(3)}, 9 rows." in text
    assert "Versions that hold its rows are kept: 1, 2." in text
    without = str(tmp_path / "without")
    assert main(["bank", "aggregate", *files, "--without", "b", "--budget=9", "--seed=3", f"--output={without}"]) == 0
    assert Path(without).read_bytes() == folder.version_path(3).read_bytes()
    assert main(["bank", "remove-site", path, "b", "--purge"]) == 0
    assert [version.number for version in folder.versions()] == [3]
    assert main(["bank", "aggregate", "--folder", path, "--strategy", "concatenate"]) == 0
    assert folder.versions()[-1].strategy == {"class_path": "concatenate", "init_args": {}}
    assert main(["bank", "aggregate", "--folder", path]) == 0
    assert folder.versions()[-1].digest == folder.versions()[-2].digest


def test_each_refused_file_is_named_and_the_others_are_added(
    folder: FederationFolder, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(files[0]).write_bytes(b"cut")
    many = str(example_bank(site="d", rows=50).save(tmp_path / "d.safetensors"))
    two = str(MemoryBank.merge([example_bank(site="e"), example_bank(site="f")]).save(tmp_path / "two"))
    absent = str(tmp_path / "absent")
    assert main(["bank", "add", str(folder.path), files[0], many, two, absent, files[1]]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{files[0]}: refused. {files[0]} is not a valid memory bank")
    assert "holds 50 rows of category 'screw', but at most 40 were agreed" in lines[1]
    assert "Site 'e' sent rows that it says are of e, f" in lines[2]
    assert "There is no memory bank at" in lines[3]
    assert lines[4] == f"{files[1]}: added"
    assert folder.sites() == ("b",)
    status = folder.statuses()["d"]
    assert (status.state, status.reason) == ("refused", lines[1].partition("refused. ")[2])


def test_status_tells_who_is_in_and_why_others_are_not(
    folder: FederationFolder, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(folder.path)]) == 0
    assert "No site was heard of yet." in capsys.readouterr().out
    main(["bank", "add", str(folder.path), *files])
    main(["bank", "aggregate", "--folder", str(folder.path), "--strategy=concatenate"])
    main(["bank", "remove-site", str(folder.path), "c"])
    folder.note("asked", site="a")
    folder.note("failed", site="plant-x", reason="[red]\x1b[2J no light\n\u202e")
    folder.note("asked", node=77)
    capsys.readouterr()
    assert main(["status", str(folder.path)]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.split()}
    size = str(Path(files[0]).stat().st_size)
    # Day and time stand between.
    assert [rows["a"][1], *rows["a"][4:]] == ["in", "16", size, "16", "1", "file"]
    assert [rows["c"][1], *rows["c"][4:]] == ["removed", "0"]
    assert rows["plant-x"][1] == "failed"
    assert "[red]\\x1b[2J no light\\n\\u202e" in text
    assert rows["node"][:3] == ["node", "77", "asked"]
    digests = [version.digest[:12] for version in folder.versions()]
    assert rows["1"][3:] == ["concatenate", "48", "not", "measured", digests[0], "a,", "b,", "c"]
    assert rows["2"][3:] == ["concatenate", "32", "not", "measured", digests[1], "a,", "b"]


def test_status_as_json_is_one_object(
    folder: FederationFolder, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["bank", "add", str(folder.path), files[0]])
    main(["bank", "aggregate", "--folder", str(folder.path)])
    folder.note("left", node=5, reason="\x1b[2J\u202e")
    capsys.readouterr()
    assert main(["status", "--json", str(folder.path)]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    assert "\x1b" not in text
    told = json.loads(text)
    assert told["sites"]["a"]["state"] == "in"
    assert told["sites"]["a"]["bank"]["digest"] == MemoryBank.load(files[0]).digest
    assert told["unnamed_nodes"]["5"]["reason"] == "\x1b[2J\u202e"
    assert told["versions"][0]["sites"]["a"] == told["sites"]["a"]["bank"]
    assert told["versions"][0]["strategy"]["class_path"] == "federated_coreset"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "{tmp}"], "is not the folder of a federation"),
        (["bank", "add", "{tmp}/absent", "x"], "is not the folder of a federation"),
        (["bank", "remove-site", "{folder}", "x"], "There is no bank of site 'x' in"),
        (["bank", "aggregate", "--folder", "{folder}"], "No site's bank is in"),
        (["bank", "aggregate", "--folder", "{folder}", "--strategy=sum"], "no strategy plugin named 'sum'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    folder: FederationFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    arguments: list[str],
    message: str,
) -> None:
    assert main([argument.format(tmp=tmp_path, folder=folder.path) for argument in arguments]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("anomalib-federated ")
    assert message in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["bank", "aggregate"],
        ["bank", "aggregate", "a"],
        ["bank", "aggregate", "--output=a"],
        ["bank", "aggregate", "a", "--folder=b"],
        ["bank", "aggregate", "--folder=b", "--without", "c"],
        ["bank", "aggregate", "--folder=b", "--output=c"],
        ["bank", "remove_site", "a", "b"],
        ["bank", "remove-site", "a"],
    ],
)
def test_a_call_that_makes_no_sense_is_explained(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
