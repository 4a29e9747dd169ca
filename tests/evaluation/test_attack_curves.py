"""The plot of success over the share of rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalib_federated.evaluation.plots.attack_curves import attack_curves
from anomalib_federated.evaluation.plots.saving import save, to_svg

CURVES = {
    "whitelisting": {"none": [(0.1, 0.2), (0.5, 0.9)], "cell_quorum": [(0.1, 0.0), (0.5, 0.1)]},
    "flooding": {"none": [(0.5, 0.0)]},
    "noise": {"none": []},
}


def test_a_panel_per_attack_and_a_curve_per_defence() -> None:
    figure = attack_curves(CURVES, success="defects hidden")
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in drawn] == ["whitelisting", "flooding"]
    assert [line.get_xydata().tolist() for line in drawn[0].lines] == [[[0.1, 0.2], [0.5, 0.9]], [[0.1, 0], [0.5, 0.1]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cell quorum", "none"]
    assert drawn[0].lines[0].get_color() == drawn[1].lines[0].get_color(), "a defence looks the same in every panel"


def test_it_says_what_it_shows(tmp_path: Path) -> None:
    svg = to_svg(attack_curves(CURVES, success="defects hidden", sentences=["2 bad sites."]))
    assert "defects hidden against the share of rows" in svg
    assert "2 bad sites." in svg
    assert save(attack_curves(CURVES, success="defects hidden"), tmp_path / "a.png").stat().st_size > 1000


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="no attack with a success"):
        attack_curves({"noise": {"none": []}}, success="defects hidden")
