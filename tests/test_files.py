"""Files and folders that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalib_federated.files import whole_folder


def test_an_interrupt_between_the_renames_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "bundle"
    with whole_folder(root) as fresh:
        (fresh / "a.txt").write_text("old")
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name.endswith(".new"):
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt), whole_folder(root) as fresh:
            (fresh / "a.txt").write_text("new")
    assert (root / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
