"""What is shown outside the fenced blocks of the documentation: commands in tables, links, and pages elsewhere."""

import re
import shlex
from pathlib import Path

import pytest

from anomalib_federated.cli.main import COMMANDS
from tests.docs.blocks import blocks_of
from tests.docs.parsing import commands_in, parse_only
from tests.docs.running import check_command

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
ELSEWHERE = [
    "README.md",
    "examples/deployment/README.md",
    "examples/deployment/SITE.md",
    "examples/third_party_plugin/README.md",
]
"""Pages outside docs: the pages of docs run what these show."""
IN_TABLE = re.compile(rf"`((?:{'|'.join(COMMANDS)}) [^`]*--\w[^`]* [^`]*)`")
NEEDED = {"federate": ["--config", "configs/federated/iid.yaml"], "export": ["--normal", "DIR", "--output", "OUT"]}
"""What a command in a table leaves out, since every call of it has it."""
PATH = re.compile(r"docs/[\w/]+\.(?:md|png)")
SEARCHED = ("*.md", "*.py", "*.yaml", "*.ipynb", "*.toml", "*.html")
FOLDERS = ("anomalib_federated", "plugins", "configs", "examples", "benchmarks", "tests", "docs")


@pytest.mark.parametrize("page", ["how_to/from_scripts.md", "how_to/from_anomalib.md"])
def test_commands_in_tables_are_understood(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    commands = IN_TABLE.findall((DOCS / page).read_text(encoding="utf-8"))
    if page == "how_to/from_scripts.md":
        assert len(commands) > 35
    # Calls of one command are understood as one, which takes a tenth of the time.
    calls: dict[str, list[str]] = {}
    for command in commands:
        name, dashes, options = command.partition(" --")
        calls.setdefault(name, []).extend(shlex.split(dashes + options))
    for name, options in calls.items():
        parse_only([*name.split(), *NEEDED.get(name, []), *options])


@pytest.mark.parametrize("page", ELSEWHERE)
def test_commands_of_other_pages_are_understood(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    for block in blocks_of(REPOSITORY / page):
        if block.language == "bash":
            for line in commands_in(block.text):
                check_command(line, repository=REPOSITORY)


def test_paths_of_pages_lead_somewhere() -> None:
    files = [
        *REPOSITORY.glob("*.md"),
        *(f for folder in FOLDERS for end in SEARCHED for f in (REPOSITORY / folder).rglob(end)),
    ]
    lost = {
        f"{file.relative_to(REPOSITORY)}: {path}"
        for file in files
        for path in PATH.findall(file.read_text(encoding="utf-8"))
        if not (REPOSITORY / path).is_file()
    }
    assert not lost


def test_the_tests_notice_an_option_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="--stratgy"):
        parse_only(["federate", "--stratgy", "concatenate"])
    with pytest.raises(AssertionError, match="--rooot"):
        check_command("python benchmarks/drift.py --rooot DIR", repository=REPOSITORY)
