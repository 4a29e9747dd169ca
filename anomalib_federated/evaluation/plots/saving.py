"""Plots as files and as SVG for a page: the same bytes for the same plot."""

from __future__ import annotations

import hashlib
import html
import io
import re
import threading
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.style import FOREGROUND
from anomalib_federated.files import write_file

_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
}
_ONE_AT_A_TIME = threading.Lock()  # these settings are global: backends read them from nowhere else


def save(figure: Figure, path: Path, *, dpi: int = 200) -> Path:
    """Write a plot on a white ground; the file appears only when it is complete.

    Args:
        figure: The plot.
        path: File, ending with ``.png``, ``.pdf`` or ``.svg``.
        dpi: Pixels an inch of a PNG.

    Returns:
        The path.

    Raises:
        ValueError: If the file has another ending.

    Example:
        >>> from tempfile import mkdtemp
        >>> from anomalib_federated.evaluation.plots.distribution import site_category_distribution
        >>> figure = site_category_distribution({"north": {"pipe": 5}, "south": {"pipe": 3, "tank": 8}})
        >>> save(figure, Path(mkdtemp()) / "sites.png").name
        'sites.png'
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in _METADATA:
        msg = f"{path} ends with {path.suffix!r}; a plot can be saved as .png, .pdf or .svg."
        raise ValueError(msg)
    return write_file(path, _drawn(figure, kind, dpi=dpi, transparent=False))


def to_svg(figure: Figure) -> str:
    """A plot as one ``<svg>`` element to put into an HTML page.

    Text is text. The ground is transparent, and what is neither data nor a number on data has the colour
    ``currentColor``, so that it follows the page's text in light and dark. Identifiers are of this plot only, and
    nothing is loaded from elsewhere. ``width`` and ``height`` are given in points: let the page's style say
    ``svg { max-width: 100%; height: auto }``.

    Returns:
        The element, without XML declaration; the same text whenever the plot is the same.
    """
    text = _drawn(figure, "svg", dpi=72, transparent=True).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<style.*?</style>\s*", "", text, flags=re.DOTALL)  # its rules would reach the whole page
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # names of groups: nothing refers to them, and plots share them
    text = text.replace(FOREGROUND, "currentColor")
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r'(\sid="|href="#|url\(#)([\w.-]+)', rf"\g<1>\g<2>-{mark}", text)
    words = html.escape(str(figure.get_label()))
    start = f'<svg role="img" aria-label="{words}" style="stroke-linejoin: round; stroke-linecap: butt"'
    return start + text.removeprefix("<svg").rstrip() + "\n"


def _drawn(figure: Figure, kind: str, *, dpi: int, transparent: bool) -> bytes:
    buffer = io.BytesIO()
    with (
        _ONE_AT_A_TIME,
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "anomalib-federated", "pdf.fonttype": 42}),
    ):
        figure.savefig(buffer, format=kind, dpi=dpi, transparent=transparent, metadata=_METADATA[kind])
    return buffer.getvalue()
