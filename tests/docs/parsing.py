"""Commands that are not run are parsed by the parsers that would parse them, which then stop."""

import argparse
import re
import shlex
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

import jsonargparse
import pytest

from anomalib_federated.cli.main import main

IMPORTED = re.compile(r"^(?:from|import) (?:benchmarks\.)?(\w+)", flags=re.MULTILINE)
OPTION = re.compile(r"^--[a-z]")

LARGE = ("attack", "evaluate", "experiment", "federate")
"""Commands whose parsers read the signatures of model and data, which takes time; one each serves all."""


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
        for name in LARGE:
            patch.setattr(import_module(f"anomalib_federated.cli.{name}"), "build_parser", _large_parser(name))
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


@cache
def _large_parser(name: str) -> Callable[[str], argparse.ArgumentParser]:
    return cache(import_module(f"anomalib_federated.cli.{name}").build_parser)


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
        AssertionError: If it is not, or an option is neither in it nor in a file beside it that it imports.
    """
    script = root / words[0]
    assert script.is_file(), f"There is no script {words[0]}"
    source = own = script.read_text(encoding="utf-8")
    for name in IMPORTED.findall(own):
        if (beside := script.with_name(f"{name}.py")).is_file():
            source += beside.read_text(encoding="utf-8")
    for word in words[1:]:
        if OPTION.match(word):
            option = word.partition("=")[0]
            assert f'"{option}"' in source, f"{words[0]} has no option {option}"
