"""Tables as files: CSV for programs, Markdown and LaTeX for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from anomalib_federated.evaluation.comparison.findings import headline
from anomalib_federated.evaluation.comparison.score_rules import different_rules
from anomalib_federated.evaluation.comparison.tables import (
    HOW_TO_READ,
    best_cells,
    figure_means,
    figure_table,
    statistics_frame,
    statistics_table,
    values_frame,
)
from anomalib_federated.evaluation.comparison.values import Comparison
from anomalib_federated.evaluation.results import Result
from anomalib_federated.files import write_file

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
} | {character: f"\\{character}" for character in "&%$#_{}"}

IN_A_CELL = (
    "mean over seeds ± standard deviation or, of one seed, with its bootstrap interval over test images. The highest "
    "value of a column is bold, which says nothing about chance."
)
IN_STATISTICS = (
    "mean difference and Cohen's d (paired) with 95 % intervals; two-sided p values, corrected by Holm for the number "
    "of methods; detectable with power 0.8."
)

_COMPARISONS = TypeAdapter(tuple[Comparison, ...])


def write_tables(folder: Path, results: Sequence[Result], comparisons: Sequence[Comparison]) -> list[Path]:
    """Write all tables of a comparison; each file appears only when it is complete.

    Args:
        folder: To write ``comparison.csv`` (figures and methods x categories), ``statistics.csv``, ``values.csv`` (a
            line per method, category, seed and figure), ``comparison.md``, ``comparison.tex`` and ``comparison.json``.
        results: That were compared.
        comparisons: One per figure.

    Returns:
        The files.
    """
    content = {
        "comparison.csv": csv(_means(results, comparisons)),
        "statistics.csv": csv(statistics_frame(comparisons)),
        "values.csv": csv(values_frame(results)),
        "comparison.md": _document(results, comparisons),
        "comparison.tex": _latex_tables(results, comparisons),
    }
    paths = [write_file(folder / name, text.encode()) for name, text in content.items()]
    json = _COMPARISONS.dump_json(tuple(comparisons), indent=2)
    return [*paths, write_file(folder / "comparison.json", json)]


def csv(frame: pd.DataFrame) -> str:
    """Numbers in full precision, nothing where there is none; the index is left out."""
    return frame.to_csv(index=False, lineterminator="\n")


def markdown(table: pd.DataFrame, *, best: pd.DataFrame | None = None) -> str:
    """A table of text in Markdown, numbers to the right.

    Args:
        table: Its index becomes the first column.
        best: Cells whose first word becomes bold.

    Example:
        >>> print(markdown(pd.DataFrame({"nut": ["0.9", "0.8"]}, index=pd.Index(["a", "b"], name="method"))))
        | method | nut |
        | :-- | --: |
        | a | 0.9 |
        | b | 0.8 |
    """
    heading = [_escape_markdown(str(cell)) for cell in (table.index.name, *table.columns)]
    rows = _rows(table, best, bold="**{}**", escape=_escape_markdown)
    lines = [heading, [":--", *["--:"] * len(table.columns)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def latex(table: pd.DataFrame, *, caption: str, label: str, best: pd.DataFrame | None = None) -> str:
    """A table of text in LaTeX, for the package booktabs.

    Args:
        table: Its index becomes the first column.
        caption: Any text; it is escaped.
        label: Name for references, without ``tab:``.
        best: Cells whose first word becomes bold.
    """
    heading = [escape_latex(str(cell)) for cell in (table.index.name, *table.columns)]
    rows = _rows(table, best, bold=r"\textbf{{{}}}", escape=escape_latex)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escape_latex(caption)}}}",
            rf"  \label{{tab:{label}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"    \toprule",
            rf"    {' & '.join(heading)} \\",
            r"    \midrule",
            *(rf"    {' & '.join(row)} \\" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def escape_latex(text: str) -> str:
    r"""Make text of characters that mean something else to LaTeX, and of signs minus signs.

    Example:
        >>> print(escape_latex("federated_iid: -0.4 %"))
        federated\_iid: $-$0.4 \%
    """
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escaped)


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\|*`<])", r"\\\1", text)


def _rows(
    table: pd.DataFrame, best: pd.DataFrame | None, *, bold: str, escape: Callable[[str], str]
) -> Iterator[list[str]]:
    for method in table.index:
        cells = []
        for column in table.columns:
            first, *rest = escape(str(table.loc[method, column])).split(" ")
            marked = best is not None and best.loc[method, column]
            cells.append(" ".join([bold.format(first) if marked else first, *rest]))
        yield [escape(str(method)), *cells]


def _means(results: Sequence[Result], comparisons: Sequence[Comparison]) -> pd.DataFrame:
    frames = []
    for comparison in comparisons:
        means = figure_means(results, comparison.figure, baseline=comparison.baseline).reset_index()
        means.insert(0, "figure", comparison.figure)
        frames.append(means)
    return pd.concat(frames, ignore_index=True)


def _document(results: Sequence[Result], comparisons: Sequence[Comparison]) -> str:
    parts = ["# Comparison", _escape_markdown(different_rules(results)), _escape_markdown(headline(comparisons))]
    for comparison in comparisons:
        figure, baseline = comparison.figure, comparison.baseline
        best = best_cells(figure_means(results, figure, baseline=baseline))
        parts += [f"## {comparison.label}", markdown(figure_table(results, figure, baseline=baseline), best=best)]
        if comparison.methods:
            parts += [f"Compared with {baseline}:", markdown(statistics_table(comparison))]
        parts += ["\n".join(f"- {_escape_markdown(' '.join(method.sentences))}" for method in comparison.methods)]
    parts += ["## How to read this", HOW_TO_READ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _latex_tables(results: Sequence[Result], comparisons: Sequence[Comparison]) -> str:
    parts = [r"% Needs \usepackage{booktabs}."]
    for comparison in comparisons:
        figure, baseline = comparison.figure, comparison.baseline
        slug = re.sub("[^a-z0-9]+", "-", figure.lower())
        best = best_cells(figure_means(results, figure, baseline=baseline))
        table = figure_table(results, figure, baseline=baseline)
        parts.append(latex(table, caption=f"{comparison.label}: {IN_A_CELL}", label=slug, best=best))
        if comparison.methods:
            caption = f"{comparison.label} compared with {baseline}: {IN_STATISTICS}"
            parts.append(latex(statistics_table(comparison), caption=caption, label=f"{slug}-statistics"))
    return "\n\n".join(parts) + "\n"
