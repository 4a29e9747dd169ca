"""Commands that are not run are parsed by the parsers that would parse them, which then stop."""

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import jsonargparse
import pytest

from anomalib_federated.cli.main import main

OPTION = re.compile(r"^--[a-z]")


class ParsedError(BaseException):
    """The arguments were understood; nothing was done. No command catches it."""


def commands_in(text: str) -> list[str]:
    """Commands of a bash block, one a line, without comments.

    Example:
        >>> commands_in("ls  # here\\ncat a \\\\\\n    b\\n")
        ['ls', 'cat a b']
    """
    joined = re.sub(r"\\\n\s*", "", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def parse_only(arguments: Sequence[str]) -> None:
    """Let the command line understand arguments, and do nothing.

    Raises:
        AssertionError: If it does not.
    """
    with pytest.MonkeyPatch.context() as patch:
        for parser in (argparse.ArgumentParser, jsonargparse.ArgumentParser):
            _stop_after_parsing(patch, parser)
        try:
            status = main(arguments)
        except ParsedError:
            return
        except SystemExit as exit_info:
            # --help and --version are understood too.
            status = exit_info.code
    assert status == 0, f"anomalib-federated {shlex.join(arguments)}: not understood"


def _stop_after_parsing(patch: pytest.MonkeyPatch, parser: type[argparse.ArgumentParser]) -> None:
    original = parser.parse_args
    depth = 0

    def parse_args(self, *arguments, **keywords):
        nonlocal depth
        depth += 1
        try:
            parsed = original(self, *arguments, **keywords)
        finally:
            depth -= 1
        if depth:
            return parsed
        raise ParsedError

    patch.setattr(parser, "parse_args", parse_args)


def check_script(words: Sequence[str], root: Path) -> None:
    """Of a script of this project, check that it is there and has the options that are named.

    Args:
        words: Script and arguments, such as ``["benchmarks/drift.py", "--root", "DIR"]``.
        root: Folder that its path starts at.

    Raises:
        AssertionError: If it is not, or an option is in no file beside it.
    """
    script = root / words[0]
    assert script.is_file(), f"There is no script {words[0]}"
    # Scripts of one folder share their parsers.
    source = "".join(path.read_text(encoding="utf-8") for path in script.parent.glob("*.py"))
    own = script.read_text(encoding="utf-8")
    for word in words[1:]:
        if OPTION.match(word):
            option = word.partition("=")[0]
            searched = own if "ArgumentParser(" in own else source
            assert f'"{option}"' in searched, f"{words[0]} has no option {option}"
