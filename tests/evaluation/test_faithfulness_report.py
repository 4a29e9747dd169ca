"""What the report shows of explanations."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalib_federated.evaluation.faithfulness.faithfulness_file import write_faithfulness
from anomalib_federated.evaluation.report import write_report
from anomalib_federated.evaluation.results import ResultError
from tests.evaluation.made_faithfulness import made_faithfulness, made_picture
from tests.evaluation.made_results import made_result


def test_the_report_has_a_row_per_explainer_and_marks_what_fails(tmp_path: Path) -> None:
    results = [made_result("centralised", "screw", 0.5)]
    page = write_report(results, tmp_path, tmp_path / "report.html").read_text()
    assert 'id="explanations"' not in page
    methods = {"overlay": [made_picture()] * 5, "<b>edges": [made_picture(bank=1.0)] * 5}
    path = write_faithfulness(tmp_path, made_faithfulness(methods, resamples=20))
    page = write_report(results, tmp_path, tmp_path / "report.html").read_text()
    assert '<a href="#explanations">' in page
    assert '<th scope="row">overlay</th>' in page
    assert "<b>edges" not in page
    assert '<span class="worst">1.00</span><small>fails</small>' in page
    assert "<span>0.10</span><small>passes</small>" in page
    assert "[0.25, 0.25]" in page
    assert "2 defective test pictures" in page
    path.write_text("{}")
    with pytest.raises(ResultError, match=r"faithfulness\.json"):
        write_report(results, tmp_path, tmp_path / "report.html")
