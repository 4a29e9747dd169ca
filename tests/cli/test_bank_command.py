"""``anomalib-federated bank``, called as a user calls it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from anomalib_federated.backbones import Backbone
from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.learnt_bank import bank_of_learnt
from anomalib_federated.cli.main import main
from anomalib_federated.data import AutoVI
from anomalib_federated.federation import Agreement, Site
from anomalib_federated.interfaces.privacy import SiteRows
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.privacy import example_report
from anomalib_federated_plugins.privacy.row_noise import RowNoise

PLAIN = {"places": None, "projected_to": None}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Banks of three sites, the last with two categories."""
    banks = {site: example_bank(site=site, seed=seed, offset=seed) for seed, site in enumerate("abc")}
    banks["c"] = MemoryBank.merge([banks["c"], example_bank(rows=5, site="c", category="nut", seed=9)])
    return [str(bank.save(tmp_path / "sites" / f"{site}.safetensors")) for site, bank in banks.items()]


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


# --- info -----------------------------------------------------------------------------------------------------------


def test_info_prints_all_that_a_bank_tells(
    files: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["bank", "info", *files]) == 0
    text = capsys.readouterr().out
    for name in files:
        bank = MemoryBank.load(name)
        assert bank.digest in text
        assert f"{len(bank)} rows of 8 float32 features, {Path(name).stat().st_size} bytes" in text
    assert "features: example, layers layer, 64 x 64 pixels" in text
    cells = [line.split() for line in text.splitlines()]
    assert ["nut", "example", "5", "0.5", "0.25"] in cells
    patches = str(MemoryBank.load(files[0]).contributions[0].patches)
    assert ["a", "screw", "example", "16", patches, "16", "0.5", "0.25", "1", "0.2"] in cells
    assert "in the full feature space" in " ".join(text.split())


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_info_tells_how_rows_are_stored(dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bank = example_bank()
    path = Agreement(space=bank.space, dtype=dtype).rounded(bank).save(tmp_path / "bank.safetensors")
    declared = json.loads(path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")])["features"]
    assert declared["dtype"] == {"float32": "F32", "float16": "F16", "int8": "I8"}[dtype]
    assert main(["bank", "info", str(path)]) == 0
    assert f"16 rows of 8 {dtype} features, {path.stat().st_size} bytes" in capsys.readouterr().out


def test_info_as_json_is_one_object(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bank", "info", "--json", files[0], files[2]]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == [files[0], files[2]]
    bank = MemoryBank.load(files[2])
    assert told[files[2]]["digest"] == bank.digest
    assert told[files[2]]["contributions"] == [asdict(item) for item in bank.contributions]
    assert told[files[2]]["categories"] == {
        "screw": {"rows": 16, "coreset": "example", "covering_radius": 0.5, "mean_distance": 0.25} | PLAIN,
        "nut": {"rows": 5, "coreset": "example", "covering_radius": 0.5, "mean_distance": 0.25} | PLAIN,
    }
    assert [(group["sites"], group["report"]) for group in told[files[2]]["privacy"]] == [(["c"], None)]
    assert told[files[2]]["space"]["layers"] == ["layer"]


def test_info_tells_the_promise_of_each_site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    promised = example_report(epsilon=2.0)
    per_row = RowNoise(epsilon=1.0)
    rows = SiteRows(bank=example_bank(site="rows"), units=torch.arange(16))
    bank = MemoryBank.merge(
        [
            *(replace(example_bank(site=site), privacy={site: promised}) for site in ("north", "south")),
            replace(example_bank(site="rows"), privacy={"rows": per_row.report(rows)}),
            example_bank(site="open"),
        ]
    )
    path = str(bank.save(tmp_path / "bank"))
    assert main(["bank", "info", path]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for said in (
        "privacy of north, south: per picture, epsilon 2, delta 1e-05",
        *promised.in_words,
        "How (example): A noisy sum. Covered: the sum.",
        "privacy of rows: per row, epsilon 1, delta 1e-05",
        "Not covered: " + per_row.report(rows).exposes[0],
        "privacy of open: none Nothing is promised",
    ):
        assert said in text
    assert main(["bank", "info", "--json", path]) == 0
    told = json.loads(capsys.readouterr().out)[path]["privacy"]
    assert [group["sites"] for group in told] == [["north", "south"], ["rows"], ["open"]]
    assert told[0]["report"] == json.loads(promised.to_json())
    assert told[0]["in_words"] == list(promised.in_words)


def test_info_tells_how_a_bank_of_sums_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learnt = Learnt(
        rows=torch.randn(3, 8),
        pictures=5.0,
        places=torch.tensor([[0.0, 0.0], [1.0, 0.5], [0.0, 0.0]]),
        projection=torch.eye(8)[:, :6],
    )
    bank = bank_of_learnt({"screw": learnt}, space=example_bank().space, method="sums", site="all", privacy={})
    assert main(["bank", "info", str(bank.save(tmp_path / "bank"))]) == 0
    text = capsys.readouterr().out
    assert "screw: a patch is compared with the rows at the nearest of 2 places" in text
    assert "screw: distances are measured after a projection to 6 numbers" in text
    assert [word for word in text.split() if word in ("not", "told")][-4:] == ["not", "told", "not", "told"]


def test_info_refuses_what_is_no_bank(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bank", "info", str(tmp_path / "absent")]) == 1
    assert "There is no memory bank at" in last_line(capsys)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(Path(files[0]).read_bytes()[:-1])
    assert main(["bank", "info", files[0], str(cut)]) == 1
    assert f"anomalib-federated bank: {cut} is not a valid memory bank" in last_line(capsys)


# --- aggregate ------------------------------------------------------------------------------------------------------


def test_aggregate_without_a_site_is_as_if_it_had_never_been(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without, never, whole = (str(tmp_path / name) for name in ("without", "never", "whole"))
    assert main(["bank", "aggregate", *reversed(files), "--without", "b", "--budget=7", f"--output={without}"]) == 0
    assert "not measured" in capsys.readouterr().out
    assert main(["bank", "aggregate", files[0], files[2], "--budget=7", f"--output={never}"]) == 0
    assert main(["bank", "aggregate", *files, "--strategy.init_args.budget=7", f"--output={whole}"]) == 0
    assert MemoryBank.load(without).digest == MemoryBank.load(never).digest != MemoryBank.load(whole).digest
    assert MemoryBank.load(without).sites == ("a", "c")
    assert len(MemoryBank.load(whole)) == 7 + 5


def test_aggregate_takes_other_strategies(files: list[str], tmp_path: Path) -> None:
    output = str(tmp_path / "all")
    assert main(["bank", "aggregate", *files, "--strategy=concatenate", f"--output={output}"]) == 0
    assert len(MemoryBank.load(output)) == 3 * 16 + 5


@pytest.mark.parametrize(
    ("sites", "options", "message"),
    [
        ("ab", ["--without", "x"], "no bank of site 'x' to leave out; the sites are a, b"),
        ("aa", [], "a.safetensors and .*a.safetensors are both of site 'a'"),
        ("az", [], "no memory bank at .*z.safetensors"),
        ("ao", [], "a.safetensors and .*o.safetensors were made by other settings: dim is 8 and 4"),
        ("a", ["--without", "a"], "No bank is left"),
        ("ab", ["--strategy=concat"], "no strategy plugin named 'concat'"),
        ("ab", ["--strategy=concatenate", "--budget=3"], "'concatenate' cannot be made with .*budget"),
        ("ab", ["--budget=0"], "budget is 0"),
    ],
)
def test_aggregate_refuses_in_one_sentence(
    files: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    sites: str,
    options: list[str],
    message: str,
) -> None:
    folder = Path(files[0]).parent
    example_bank(dim=4, site="o").save(folder / "o.safetensors")
    paths = [str(folder / f"{site}.safetensors") for site in sites]
    output = tmp_path / "out.safetensors"
    assert main(["bank", "aggregate", *paths, *options, f"--output={output}"]) == 1
    line = last_line(capsys)
    assert line.startswith("anomalib-federated bank: ")
    assert re.search(message, line), line
    assert not output.exists()


# --- merge ----------------------------------------------------------------------------------------------------------


def test_merge_puts_a_sites_categories_into_one_file_whatever_the_order(files: list[str], tmp_path: Path) -> None:
    nut = example_bank(rows=5, site="a", category="nut", seed=9)
    paths = [files[0], str(nut.save(tmp_path / "nut"))]
    for name, order in {"one": paths, "two": paths[::-1]}.items():
        assert main(["bank", "merge", *order, "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    merged = MemoryBank.load(tmp_path / "one")
    assert (merged.sites, merged.categories) == (("a",), ("nut", "screw"))
    assert merged.for_category("nut").digest == nut.digest
    assert merged.for_category("screw").digest == MemoryBank.load(files[0]).digest


def test_merge_keeps_every_row_of_several_sites(files: list[str], tmp_path: Path) -> None:
    assert main(["bank", "merge", *reversed(files), "--output", str(tmp_path / "all")]) == 0
    assert main(["bank", "aggregate", *files, "--strategy=concatenate", f"--output={tmp_path / 'union'}"]) == 0
    assert (tmp_path / "all").read_bytes() == (tmp_path / "union").read_bytes()


def test_merge_refuses_the_same_rows_twice(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bank", "merge", files[0], files[0], "--output", str(tmp_path / "out")]) == 1
    assert "site 'a' contributes category 'screw' twice" in last_line(capsys)
    assert not (tmp_path / "out").exists()


# --- verify ---------------------------------------------------------------------------------------------------------


def test_verify_tells_of_each_file(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(Path(files[0]).read_bytes()[:-1])
    assert main(["bank", "verify", *files]) == 0
    digest = MemoryBank.load(files[2]).digest
    assert capsys.readouterr().out.splitlines()[2] == f"{files[2]}: valid, 21 rows of c, digest {digest}"
    assert main(["bank", "verify", str(cut), files[0], str(tmp_path / "absent")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{cut}: refused. {cut} is not a valid memory bank")
    assert lines[1].startswith(f"{files[0]}: valid, 16 rows of a")
    assert "There is no memory bank at" in lines[2]


def test_verify_holds_banks_to_an_agreement(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "agreement.json"
    path.write_text(Agreement(space=example_bank().space, dtype="float32", budget=10).to_json())
    small = str(example_bank(rows=10, site="d").save(tmp_path / "d"))
    both = str(MemoryBank.merge([MemoryBank.load(small), example_bank(rows=4, site="e")]).save(tmp_path / "both"))
    assert main(["bank", "verify", files[0], small, both, f"--agreement={path}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "refused. The bank of site 'a' holds 16 rows of category 'screw', but at most 10 were agreed." in lines[0]
    assert lines[1].startswith(f"{small}: valid, ")
    assert "refused. It holds rows of several sites (d, e)" in lines[2]
    path.write_text('{"space": 1}')
    assert main(["bank", "verify", small, f"--agreement={path}"]) == 1
    assert f"The agreement from {path} cannot be used" in last_line(capsys)


@pytest.mark.parametrize(
    "arguments", [["bank"], ["bank", "--help"], ["bank", "inform"], ["bank", "aggregate", "--help"]]
)
def test_help(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == (2 if arguments[-1] == "inform" else 0)


# --- update ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def old_bank(demo_root: Path) -> MemoryBank:
    """What a site kept of a part of the demo's pictures."""
    data = AutoVI(demo_root, validation_share=0.5)
    data.setup()
    extractor = PatchFeatureExtractor(Backbone(), image_size=(64, 64))
    site = Site("plant", data.val_data, extractor=extractor)
    return site.build_bank(Agreement(space=extractor.space, budget=20))


def test_update_adds_new_images(
    old_bank: MemoryBank, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = old_bank.save(tmp_path / "plant.safetensors")
    data = [f"--data.root={demo_root}", "--data.categories=[tank_screw]", "--data.validation_share=0.5"]
    assert main(["bank", "update", str(path), *data, f"--output={tmp_path / 'new'}", "--budget=25"]) == 0
    assert "upper bounds" in " ".join(capsys.readouterr().out.split())
    new, screw = MemoryBank.load(tmp_path / "new"), "tank_screw"
    assert MemoryBank.load(path).digest == old_bank.digest
    assert new.for_category("pipe_staple").digest == old_bank.for_category("pipe_staple").digest
    (before,), (after,) = (bank.for_category(screw).contributions for bank in (old_bank, new))
    assert (after.images, after.patches) == (2 * before.images, 2 * before.patches)
    assert len(new.for_category(screw)) == after.rows == 25
    assert float(new.for_category(screw).weights.sum()) == after.patches
    assert after.coreset == "k_center, updated"
    named = ["--coreset=k_center_mergeable", "--coreset.epsilon=1.0"]
    assert main(["bank", "update", str(path), *data, *named]) == 0
    updated = MemoryBank.load(path).for_category(screw)
    assert len(updated) <= 20
    assert updated.contributions[0].coreset == "k_center_mergeable, updated"


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, ["--data.categories=[brake]"], "holds no category 'brake', only pipe_staple, tank_screw"),
        ({"weights": "0" * 64}, [], "made by other settings than can be had here: weights is"),
        ({"backbone": "resnet0"}, [], "resnet0"),
        ({}, ["--coreset=k_centre"], "Did you mean 'k_center'"),
    ],
)
def test_update_refuses_in_one_sentence(
    old_bank: MemoryBank,
    demo_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    change: dict[str, str],
    arguments: list[str],
    message: str,
) -> None:
    bank = replace(old_bank, space=replace(old_bank.space, **change))
    path = bank.save(tmp_path / "plant.safetensors")
    assert main(["bank", "update", str(path), f"--data.root={demo_root}", *arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert MemoryBank.load(path).digest == bank.digest


def test_update_refuses_a_bank_of_several_sites(
    files: list[str], demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = MemoryBank.merge(map(MemoryBank.load, files)).save(tmp_path / "global")
    assert main(["bank", "update", str(path), f"--data.root={demo_root}", "--data.categories=[screw]"]) == 1
    assert "rows of several sites (a, b, c)" in last_line(capsys)
