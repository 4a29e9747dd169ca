"""Bundles: written whole, read only if nothing in them is missing, cut short, changed or outside of them."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from anomalib_federated.deploy.bundle import BundleError, new_bundle, read_bundle, write_manifest

ENTRY = {
    "bank_rows": 7,
    "image_threshold": 0.6,
    "pixel_threshold": 0.5,
    "threshold_source": {"from": "validation", "pictures": 12, "false_alarm_rate": 0.05},
    "parity": {"pictures": 4},
    "score_change": {"pictures": 4, "largest": 0.0},
    "latency_ms": 3.5,
}
FIELDS = {
    "runtime": "openvino",
    "precision": "fp32",
    "versions": {"openvino": "2026.4"},
    "backbone": {"name": "tf_efficientnet_lite0", "digest": "ab"},
    "input_size": [320, 320],
    "sites": ["plant-a"],
    "privacy": [],
    "categories": {"pipe_clip": ENTRY, "both, narrower": ENTRY},
}


def write(root: Path, *, content: str = "a model", fields: dict[str, Any] = FIELDS) -> Path:
    with new_bundle(root) as fresh:
        for category in fields["categories"]:
            (fresh / category).mkdir()
            (fresh / category / "model.xml").write_text(content)
            (fresh / category / "model.bin").write_bytes(b"weights" * 100)
        write_manifest(fresh, fields)
    return root


def test_a_bundle_is_read_as_it_was_written(tmp_path: Path) -> None:
    bundle = read_bundle(write(tmp_path / "b"))
    assert bundle.categories == ("both, narrower", "pipe_clip")
    assert bundle.model_path("pipe_clip") == tmp_path / "b" / "pipe_clip" / "model.xml"
    entry = bundle.manifest["categories"]["pipe_clip"]
    assert entry["files"]["model.xml"] == sha256(b"a model").hexdigest()
    assert entry["bytes"] == len(b"a model") + 700
    assert {name: entry[name] for name in ENTRY} == ENTRY
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_categories_are_named(tmp_path: Path) -> None:
    bundle = read_bundle(write(tmp_path / "b"))
    with pytest.raises(BundleError, match=r"holds no category 'screw', only both, narrower, pipe_clip"):
        bundle.model_path("screw")
    with pytest.raises(BundleError, match="several categories"):
        bundle.model_path()
    one = read_bundle(write(tmp_path / "one", fields=FIELDS | {"categories": {"pipe_clip": ENTRY}}))
    assert one.model_path() == one.model_path("pipe_clip")


def test_equal_bundles_have_one_version_and_others_another(tmp_path: Path) -> None:
    versions = [
        read_bundle(write(tmp_path / name, content=text)).version for name, text in (("a", "x"), ("b", "x"), ("c", "y"))
    ]
    assert versions[0] == versions[1] != versions[2]
    slower = FIELDS | {"categories": {name: ENTRY | {"latency_ms": 9.0} for name in FIELDS["categories"]}}
    assert read_bundle(write(tmp_path / "d", content="x", fields=slower)).version == versions[0]
    looser = FIELDS | {"categories": {name: ENTRY | {"image_threshold": 0.7} for name in FIELDS["categories"]}}
    assert read_bundle(write(tmp_path / "e", content="x", fields=looser)).version != versions[0]


@pytest.mark.parametrize("name", ["model.xml", "model.bin"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "link"])
def test_damaged_files_are_refused(tmp_path: Path, name: str, damage: str) -> None:
    path = write(tmp_path / "b") / "pipe_clip" / name
    data = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[:-1])
    elif damage == "changed":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif damage == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=rf"pipe_clip/{name}"):
        read_bundle(tmp_path / "b")


MISSING = "(left out)"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("format",), 1),
        (("format",), "2"),
        (("runtime",), "tensorrt"),
        (("runtime",), []),
        (("runtime",), "onnx"),  # its files are others
        (("precision",), "fp8"),
        (("versions",), {"torch": 2}),
        (("backbone",), {"name": "x"}),
        (("input_size",), [320, 0]),
        (("input_size",), [320]),
        (("sites",), "plant-a"),
        (("privacy",), {}),
        (("categories",), {}),
        (("categories",), {"..": ENTRY}),
        (("categories",), {"a/b": ENTRY}),
        (("categories",), {"a\\b": ENTRY}),
        (("categories",), {"/etc": ENTRY}),
        (("categories",), {"": ENTRY}),
        (("categories",), {"a\nb": ENTRY}),
        (("categories", "pipe_clip"), 3),
        (("categories", "pipe_clip", "files"), {"../model.xml": "0" * 64}),
        (("categories", "pipe_clip", "files"), {"model.xml": "0" * 64}),
        (("categories", "pipe_clip", "files", "model.xml"), "0" * 63),
        (("categories", "pipe_clip", "files", "model.xml"), None),
        (("categories", "pipe_clip", "bytes"), 0),
        (("categories", "pipe_clip", "bank_rows"), True),
        (("categories", "pipe_clip", "bank_rows"), 2.5),
        (("categories", "pipe_clip", "image_threshold"), "0.5"),
        (("categories", "pipe_clip", "image_threshold"), -1),
        (("categories", "pipe_clip", "pixel_threshold"), None),
        (("categories", "pipe_clip", "threshold_source"), {}),
        (("categories", "pipe_clip", "parity"), None),
        (("categories", "pipe_clip", "score_change"), 0.1),
        (("categories", "pipe_clip", "latency_ms"), MISSING),
    ],
    ids=str,
)
def test_each_field_of_the_manifest_is_checked(tmp_path: Path, where: tuple[str, ...], value: object) -> None:
    path = write(tmp_path / "b") / "manifest.json"
    manifest = json.loads(path.read_text())
    place = manifest
    for key in where[:-1]:
        place = place[key]
    if value == MISSING:
        del place[where[-1]]
    else:
        place[where[-1]] = copy.deepcopy(value)
    path.write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=str(tmp_path / "b")):
        read_bundle(tmp_path / "b")


TEXTS = ("", "[]", "{", "null", '{"format": 2, "format": 2}', '{"format": NaN}', "[" * 100_000)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:12])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (write(tmp_path / "b") / "manifest.json").write_text(text)
    with pytest.raises(BundleError):
        read_bundle(tmp_path / "b")


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no bundle"):
        read_bundle(tmp_path)


def test_a_bundle_takes_the_place_of_another_or_leaves_it(tmp_path: Path) -> None:
    root = write(tmp_path / "b")
    before = read_bundle(root).version
    with pytest.raises(KeyError, match="categories"), new_bundle(root) as fresh:
        write_manifest(fresh, {})
    with pytest.raises(BundleError):
        write(root, fields=FIELDS | {"precision": "fp8"})
    assert read_bundle(root).version == before
    write(root, content="newer")
    assert read_bundle(root).version != before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_no_bundle_takes_the_place_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"precious")
    with pytest.raises(BundleError, match="would delete what it holds"):
        write(tmp_path / "pictures")
    assert (tmp_path / "pictures" / "a.png").read_bytes() == b"precious"
    (tmp_path / "empty").mkdir()
    read_bundle(write(tmp_path / "empty"))


def test_reading_needs_the_standard_library_alone(tmp_path: Path) -> None:
    write(tmp_path / "b")
    code = (
        "import sys; from anomalib_federated.deploy.bundle import read_bundle; read_bundle(sys.argv[1]);"
        "assert not {'torch', 'numpy', 'openvino', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "b"], check=True)
