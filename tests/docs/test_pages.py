"""Every command and snippet of the documentation runs, or is at least understood."""

import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of
from tests.docs.running import play

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
TUTORIAL = DOCS / "tutorial.md"
LONG = {"how_to/from_anomalib.md", "how_to/groups.md", "how_to/own_data.md", "how_to/privacy_choice.md"}
"""Pages that train several detectors."""
PAGES = [
    pytest.param(page, marks=pytest.mark.slow if page in LONG else ())
    for page in sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path != TUTORIAL)
]
STAND_FOR = {
    "BUNDLE": "results/first/federated/openvino",
    "BANK": "results/first/federated/bank.safetensors",
    "DIR": "data",
    "GOOD": "data/pipe_clip/train/good",
    "FOLDER": "data/pipe_clip/test/operator",
    "OUT": "results/first",
}
"""Words that stand for a reader's own paths, and what they are here: of the tutorial."""


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reader who has done the tutorial."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in ("configs", "benchmarks", "examples"):
        (folder / name).symlink_to(REPOSITORY / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "120")
        play(blocks_of(TUTORIAL), folder, repository=REPOSITORY)
    for word, path in STAND_FOR.items():
        (folder / word).symlink_to(path)
    return folder


def test_the_tutorial_leads_to_what_it_says(taught: Path) -> None:
    assert (taught / "results/first/report.html").is_file()
    assert sorted(path.stem for path in (taught / "results/first/federated/sites").iterdir()) == [
        "s1", "s2", "s3", "s4", "s5",
    ]  # fmt: skip
    assert list((taught / "seen").rglob("*.png"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(taught, tmp_path / "reader", symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("COLUMNS", "120")
    play(blocks_of(DOCS / page), folder, repository=REPOSITORY)
