"""SVG is fit for a page, names stay names, and the same plot gives the same bytes."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from anomalib_federated.evaluation.plots import (
    fpr_spro_curves,
    grouped_bars,
    save,
    score_histograms,
    site_category_distribution,
    to_svg,
)
from anomalib_federated.evaluation.plots.style import FOREGROUND, PALETTE
from tests.evaluation.plot_examples import METHODS, NAMES, all_plots, make_result, make_results, words_of


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  # our own text, not from elsewhere


@pytest.mark.parametrize("name", NAMES)
def test_the_svg_is_fit_for_a_page_and_always_the_same(name: str) -> None:
    make = all_plots(("centralised", "federated"), ("screw",), 1)[name]
    svg = to_svg(make())
    root = parse(svg)
    assert root.attrib["role"] == "img"
    assert len(root.attrib["aria-label"]) > 20
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "style", "metadata", "image", "foreignObject", "a"}
    assert "text" in tags, "text must stay text"
    for element in root.iter():
        for key, value in element.attrib.items():
            assert not key.startswith("on")
            assert not re.search(r"(?:https?:|data:|file:|//)", value), (key, value)
    defined = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    named = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert named
    assert named <= defined
    assert FOREGROUND not in svg
    assert "currentColor" in svg
    assert all(color in svg.upper() for color in (PALETTE[:1] if name in {"curves", "bars"} else ()))
    assert not re.search(r'"#[0-9a-fA-F]{6}[^";]', svg), "a colour was taken for an identifier"


def test_the_same_plot_is_the_same_svg_and_another_shares_no_identifier_with_it() -> None:
    results = make_results(METHODS[:2], seeds=1)
    svgs = [to_svg(fpr_spro_curves(results, category)) for category in ("tank_screw", "tank_screw", "engine_wiring")]
    assert svgs[0] == svgs[1]
    ids = [set(re.findall(r'\sid="([^"]+)"', svg)) for svg in svgs]
    assert ids[0]
    assert not ids[0] & ids[2]


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_saving_gives_the_same_bytes_twice(ending: str, tmp_path: Path) -> None:
    files = [
        save(site_category_distribution({"a": {"pipe": 3}}), tmp_path / f"{name}.{ending}") for name in ("one", "two")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes()[:4] in {b"\x89PNG", b"%PDF", b"<?xm"}
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_plots_can_be_made_in_threads() -> None:
    expected = to_svg(grouped_bars(make_results(seeds=1), "image_auroc"))
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(to_svg(grouped_bars(make_results(seeds=1), "image_auroc"))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [expected] * 3


def test_names_cannot_become_mathematics_or_markup() -> None:
    result = make_result("a$b$ <script>", "c&d", 0)
    svg = to_svg(fpr_spro_curves([result], "c&d"))
    assert any("a$b$ <script>" in (element.text or "") for element in parse(svg).iter())
    words = words_of(score_histograms(result))
    assert "a$b$ <script> on c&d, seed 0." in words.replace("\\$", "$")
    assert "\\\\" not in words
    assert "<script" not in svg
