"""Fetching AutoVI from its publisher: resumable, checked, unpacked without trust.

Source: Carvalho et al., "The Automotive Visual Inspection Dataset (AutoVI)", https://doi.org/10.5281/zenodo.10459003
(CC BY-NC-SA 4.0). Addresses and checksums are those of anomalib.
"""

from __future__ import annotations

import hashlib
import stat
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

_CHUNK = 1 << 16  # bytes; what a cut can lose, as an unfinished chunk is dropped
_ATTEMPTS = 5
_TIMEOUT = (10.0, 60.0)  # seconds: to connect, and between two pieces of the answer


def download_autovi(
    root: str | Path,
    categories: Sequence[str] | None = None,
    *,
    base_url: str | None = None,
    hashes: Mapping[str, str] | None = None,
    progress: bool = True,
) -> list[Path]:
    """Bring AutoVI categories to ``<root>/<category>/{train,test,ground_truth}``.

    A category whose folder exists is left alone. A ``<root>/<category>.zip`` that is already there is checked and
    unpacked without network, and stays. Otherwise the zip is fetched; a download that was cut goes on where it stopped,
    in this call or the next, and the fetched zip is removed once it is unpacked.

    Args:
        root: Folder of the data set, made if missing.
        categories: Names of AutoVI categories; None means all six.
        base_url: A mirror that serves ``<base_url>/<category>.zip``; None means the publisher.
        hashes: sha256 of each zip in hexadecimal; None means those of the published files.
        progress: Show a progress bar on stderr.

    Returns:
        The folder of each category, in the order asked for.

    Raises:
        ValueError: A category is unknown, a zip is not the published one, or its members would leave the folder.
        ConnectionError: The server could not be reached or refused; the message says how to go on without it.

    Example:
        >>> download_autovi("datasets/AutoVI", ["pipe_clip"])  # doctest: +SKIP
        [PosixPath('datasets/AutoVI/pipe_clip')]
    """
    # Importing anomalib takes seconds, so it waits until somebody downloads.
    from anomalib.data.datasets.image.autovi import CATEGORIES, DOWNLOAD_HASHES, DOWNLOAD_URLS  # noqa: PLC0415

    names = list(CATEGORIES if categories is None else dict.fromkeys(categories))
    expected = DOWNLOAD_HASHES if hashes is None else hashes
    unknown = [name for name in names if name not in CATEGORIES or name not in expected]
    if unknown:
        known = ", ".join(CATEGORIES)
        msg = f"AutoVI has no category {', '.join(unknown)}, or its sha256 is not known: choose from {known}."
        raise ValueError(msg)
    folder = Path(root)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        url = DOWNLOAD_URLS[name] if base_url is None else f"{base_url.rstrip('/')}/{name}.zip"
        _bring(folder / name, url, sha256=expected[name].lower(), progress=progress)
    return [folder / name for name in names]


def _bring(target: Path, url: str, *, sha256: str, progress: bool) -> None:
    if target.is_dir():
        return
    archive = target.with_name(f"{target.name}.zip")
    if archive.is_file():
        found = _digest(archive)
        if found != sha256:
            msg = f"{archive} has sha256 {found}, not {sha256} as published: remove it or put the right file there."
            raise ValueError(msg)
        _unpack(archive, target)
        return
    _download(archive, url, sha256=sha256, progress=progress)
    _unpack(archive, target)
    archive.unlink()


def _download(archive: Path, url: str, *, sha256: str, progress: bool) -> None:
    part = archive.with_name(f"{archive.name}.part")
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        disable=not progress,
    ) as bar:
        task = bar.add_task(archive.stem, total=None)
        for attempt in range(_ATTEMPTS):
            before = _size(part)
            try:
                _fetch(url, part, bar, task)
                break
            except requests.RequestException as error:
                # A cut that still brought something is worth another try; silence and refusals are not.
                if _size(part) <= before or attempt == _ATTEMPTS - 1:
                    raise ConnectionError(_offline_message(url, archive, error, sha256=sha256)) from error
    found = _digest(part)
    if found != sha256:
        part.unlink()
        msg = f"What {url} sent has sha256 {found}, not {sha256} as published; it was removed: try again or elsewhere."
        raise ValueError(msg)
    part.replace(archive)


def _fetch(url: str, part: Path, bar: Progress, task: TaskID) -> None:
    """Append what is missing of the file at ``url`` to ``part``."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing; the checksum decides
        response.raise_for_status()
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status_code != requests.codes.partial_content or not resumed:
            have = 0
        length = response.headers.get("Content-Length")
        bar.update(task, completed=have, total=have + int(length) if length else None)
        with part.open("ab" if have else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bar.advance(task, len(chunk))


def _offline_message(url: str, archive: Path, error: requests.RequestException, *, sha256: str) -> str:
    answer = error.response
    why = f"answered {answer.status_code}" if answer is not None else f"could not be reached ({type(error).__name__})"
    return (
        f"{url} {why}: try again to go on where it stopped, or, on a machine without internet, get that zip elsewhere "
        f"and put it at {archive} (expected sha256 {sha256}), where it is checked and unpacked without network."
    )


def _unpack(archive: Path, target: Path) -> None:
    """Unpack beside ``target`` and rename, so that a folder with the final name is always whole."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        content = Path(scratch) / "content"
        content.mkdir()
        try:
            with zipfile.ZipFile(archive) as packed:
                for member in packed.infolist():
                    _check_member(member, archive)
                packed.extractall(content)
        except zipfile.BadZipFile as error:
            msg = f"{archive} is not a sound zip file ({error}): remove it and fetch it again."
            raise ValueError(msg) from error
        inner = content / target.name
        found = inner if inner.is_dir() else content
        if not (found / "train").is_dir():
            msg = f"{archive} holds no folder train or {target.name}/train: it is not an AutoVI category."
            raise ValueError(msg)
        found.rename(target)


def _check_member(member: zipfile.ZipInfo, archive: Path) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or ":" in member.filename
    kind = stat.S_IFMT(member.external_attr >> 16)
    # Zips made on Windows carry no Unix file type.
    if outside or kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        msg = (
            f"{archive} has the member {member.filename!r}, which leaves its folder or is a link: do not use this file."
        )
        raise ValueError(msg)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
