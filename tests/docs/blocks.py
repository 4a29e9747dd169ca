"""The fenced blocks of a page: what a reader may copy, and what the page's source says of how it is checked.

A comment on the line before a fence speaks to the tests and is invisible to readers:

- ``<!-- not run: REASON -->``: the block is parsed only;
- ``<!-- part of CONFIG -->``: the YAML replaces the settings of that configuration, and the whole is read.

A fence with ``title="NAME"`` is a file of that name.
"""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r'^(?P<indent> *)```(?P<language>\w*)(?: +title="(?P<title>[^"]+)")?(?P<rest>.*)$')
REMARK = re.compile(r"^ *<!-- (?P<kind>not run:|part of) (?P<value>.+?) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: File that it is in.
        line: Number of its first line, as an editor counts.
        language: As the fence says; empty if it says none.
        text: What is between the fences, without their indentation.
        title: Name of the file that it is; ``None`` if it is none.
        not_run: Why it is not run; ``None`` if it is.
        part_of: Configuration of which it shows a part; ``None`` if of none.
    """

    page: Path
    line: int
    language: str
    text: str
    title: str | None = None
    not_run: str | None = None
    part_of: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page in their order.

    Raises:
        ValueError: If a fence is not closed, or says what the tests do not understand.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    found, number = [], 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        if fence["rest"].strip():
            msg = f"{page}:{number + 1}: only a title may follow the language of a fence, not '{fence['rest']}'."
            raise ValueError(msg)
        closing = f"{fence['indent']}```"
        try:
            end = next(at for at in range(number + 1, len(lines)) if lines[at].rstrip() == closing)
        except StopIteration:
            msg = f"{page}:{number + 1}: this fence is not closed."
            raise ValueError(msg) from None
        remark = REMARK.match(lines[number - 1]) if number else None
        said = {} if remark is None else {remark["kind"]: remark["value"]}
        found.append(
            Block(
                page=page,
                line=number + 2,
                language=fence["language"],
                text=textwrap.dedent("\n".join(lines[number + 1 : end])) + "\n",
                title=fence["title"],
                not_run=said.get("not run:"),
                part_of=said.get("part of"),
            )
        )
        number = end + 1
    return found
