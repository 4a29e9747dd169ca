"""A bundle: the folder that an export writes and a station gets, with a manifest that every file is checked against.

``<bundle>/manifest.json`` and ``<bundle>/<category>/model.xml``, ``model.bin`` (or ``model.onnx``, or ``model.pt``).
Reading one needs the standard library alone.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, NoReturn

from anomalib_federated.files import whole_folder
from anomalib_federated.untrusted import read_json, said, shown

FORMAT = 2
"""The format of ``manifest.json`` that is written and read."""

MANIFEST = "manifest.json"
PRECISIONS = ("fp32", "fp16", "int8")
MODEL_FILES = {
    "openvino": ("model.xml", "model.bin"),
    "onnx": ("model.onnx",),
    "torch": ("model.pt",),
}
"""Per runtime, the files that a category has; the first is the one to load."""

_MAX_MANIFEST_BYTES = 8 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BundleError(ValueError):
    """A folder is no bundle, or not as it was exported."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle whose files were found as its manifest says.

    Attributes:
        root: Its folder.
        manifest: What ``manifest.json`` says, checked field by field.
        version: The first 12 digits of the sha256 of all that the manifest says but latencies. It says the sha256 of
            every other file, so two bundles of one version are the same.
    """

    root: Path
    manifest: Mapping[str, Any]
    version: str

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the categories, in alphabetical order."""
        return tuple(sorted(self.manifest["categories"]))

    def model_path(self, category: str | None = None) -> Path:
        """The file to load for a category.

        Args:
            category: Its name; may be left out if the bundle holds one.

        Raises:
            BundleError: The bundle holds no such category, or several and none was named.
        """
        held = ", ".join(self.categories)
        if category is None:
            if len(self.categories) > 1:
                _refuse(self.root, f"holds several categories ({held}): name one")
            category = self.categories[0]
        if category not in self.categories:
            _refuse(self.root, f"holds no category {shown(category)}, only {held}")
        return self.root / category / MODEL_FILES[self.manifest["runtime"]][0]


def is_bundle(path: Path) -> bool:
    """Whether a folder has a bundle's manifest."""
    return (path / MANIFEST).is_file()


def read_bundle(path: str | Path) -> Bundle:
    """Read a bundle, and check every file of it.

    Args:
        path: Its folder.

    Raises:
        FileNotFoundError: There is no bundle.
        BundleError: The manifest is damaged or of another format, or a file is missing, cut short or changed; the error
            names the file.
    """
    root = Path(path)
    file = root / MANIFEST
    if not file.is_file():
        msg = f"There is no bundle at {root} (it has no {MANIFEST}): give the folder that the export wrote."
        raise FileNotFoundError(msg)
    if file.stat().st_size > _MAX_MANIFEST_BYTES:
        _refuse(root, f"has a {MANIFEST} of {file.stat().st_size} bytes, which is none: export it again")
    data = file.read_bytes()
    try:
        manifest = read_json(data)
    except ValueError as error:
        _refuse(root, f"has a damaged {MANIFEST} ({said(str(error))}): copy or export it again")
    checked = _check_manifest(manifest, root)
    for category, entry in checked["categories"].items():
        _check_files(root, category, entry["files"])
    return Bundle(root, checked, _version_of(checked))


@contextmanager
def new_bundle(root: Path) -> Iterator[Path]:
    """A folder to fill with the categories' models, which becomes the bundle whole or not at all.

    Call :func:`write_manifest` on it last.

    Args:
        root: The bundle's folder; a bundle that is there is replaced.

    Yields:
        The folder beside it.

    Raises:
        BundleError: ``root`` holds something else than a bundle, which replacing it would destroy.
    """
    if root.exists() and not is_bundle(root) and (not root.is_dir() or any(root.iterdir())):
        _refuse(root, "is no bundle, and writing one there would delete what it holds: give another folder")
    with whole_folder(root) as fresh:
        yield fresh


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of the models that are in a folder.

    Args:
        folder: With ``<category>/model.xml`` and so on.
        manifest: All fields but ``format`` and, per category, ``files`` and ``bytes``, which are read off the files.

    Raises:
        BundleError: A field is missing or impossible, or a model is not there.
    """
    entries = {}
    for category, entry in manifest["categories"].items():
        files = sorted(path for path in (folder / category).iterdir() if path.is_file())
        sums = {path.name: _sha256_of(path) for path in files}
        entries[category] = {"files": sums, "bytes": sum(path.stat().st_size for path in files), **entry}
    whole = {"format": FORMAT, **manifest, "categories": entries}
    _check_manifest(whole, folder)
    text = json.dumps(whole, indent=2, allow_nan=False)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def _version_of(manifest: Mapping[str, Any]) -> str:
    entries = manifest["categories"].items()
    timeless = {name: {key: value for key, value in entry.items() if key != "latency_ms"} for name, entry in entries}
    text = json.dumps({**manifest, "categories": timeless}, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:12]


def _refuse(root: Path, problem: str) -> NoReturn:
    msg = f"The bundle {root} {problem}."
    raise BundleError(msg)


def _check_manifest(manifest: object, root: Path) -> Mapping[str, Any]:
    if not isinstance(manifest, dict):
        _refuse(root, f"has a {MANIFEST} that is no mapping: export it again")
    if manifest.get("format") != FORMAT:
        found = shown(manifest.get("format"))
        _refuse(root, f"has format {found}, this version reads {FORMAT}: update it or export the bundle again")
    _check_fields(manifest, _FIELDS, root, "")
    for category, entry in manifest["categories"].items():
        if not _is_plain_name(category):
            _refuse(root, f"names a category {shown(category)}, which is no name of a folder: export it again")
        if not isinstance(entry, dict):
            _refuse(root, f"says nothing usable of category {shown(category)}: export it again")
        _check_fields(entry, _CATEGORY_FIELDS, root, f" of category {shown(category)}")
        expected = MODEL_FILES[manifest["runtime"]]
        if sorted(entry["files"]) != sorted(expected):
            found = shown(sorted(entry["files"]))
            _refuse(root, f"lists files {found} of category {shown(category)}, but they must be {', '.join(expected)}")
    return manifest


def _check_fields(values: Mapping[str, Any], fields: Mapping[str, Callable[[Any], bool]], root: Path, of: str) -> None:
    for name, sound in fields.items():
        if name not in values or not sound(values[name]):
            _refuse(root, f"has {name} = {shown(values.get(name))}{of}, not a usable value: export it again")


def _check_files(root: Path, category: str, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        path = root / category / name
        if not path.is_file():
            _refuse(root, f"lacks {category}/{name}: copy the whole folder again")
        if not path.resolve().is_relative_to(root.resolve()):
            _refuse(root, f"has {category}/{name} as a link to a file elsewhere: copy the file itself")
        if _sha256_of(path) != expected:
            _refuse(root, f"has another {category}/{name} than was exported (cut short or changed): copy it again")


def _sha256_of(path: Path) -> str:
    with path.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def _is_plain_name(value: object) -> bool:
    """Whether it names something in a folder, on Linux and on Windows, and nothing outside."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= 200
        and value.isprintable()
        and not value.startswith(".")
        and not set(value) & set('/\\:*?"<>|')
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_size(value: object) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 2 and all(map(_is_count, value)))


def _are_texts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "runtime": lambda value: isinstance(value, str) and value in MODEL_FILES,
    "precision": lambda value: isinstance(value, str) and value in PRECISIONS,
    "versions": _are_texts,
    "backbone": lambda value: isinstance(value, dict) and all(_is_text(value.get(key)) for key in ("name", "digest")),
    "input_size": _is_size,
    "sites": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "privacy": lambda value: isinstance(value, list),
    "categories": lambda value: isinstance(value, dict) and bool(value),
}

_CATEGORY_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "files": lambda value: (
        isinstance(value, dict) and all(isinstance(sum_, str) and _SHA256.fullmatch(sum_) for sum_ in value.values())
    ),
    "bytes": _is_count,
    "bank_rows": _is_count,
    "image_threshold": _is_number,
    "pixel_threshold": _is_number,
    "threshold_source": lambda value: isinstance(value, dict) and _is_text(value.get("from")),
    "parity": lambda value: isinstance(value, dict),
    "score_change": lambda value: isinstance(value, dict),
    "latency_ms": _is_number,
}
