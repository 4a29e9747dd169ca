"""Docstrings as the reference shows them.

Google style knows the section ``Examples``; ours are called ``Example``. References such as ``:class:`Coreset``` are
shown by the name alone.
"""

from __future__ import annotations

import ast
import re

import griffe

EXAMPLE = re.compile(r"^( *)Example:$", flags=re.MULTILINE)
ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?(?:[\w.]*\.)?(\w+)`")


class Docstrings(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_instance(
        self,
        *,
        node: ast.AST | griffe.ObjectNode,  # noqa: ARG002 - the name is griffe's
        obj: griffe.Object,
        agent: griffe.Visitor | griffe.Inspector,  # noqa: ARG002 - the name is griffe's
        **_: object,
    ) -> None:
        """Called once for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(r"`\1`", EXAMPLE.sub(r"\1Examples:", obj.docstring.value))
