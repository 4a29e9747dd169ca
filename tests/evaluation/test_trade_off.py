"""The trade-off: every number is one that was measured, and what was not is called so."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from anomalib_federated.cli.main import main
from anomalib_federated.evaluation.comparison.beside import AttackSuccess, Beside, read_beside, worst_group
from anomalib_federated.evaluation.comparison.score_rules import different_rules
from anomalib_federated.evaluation.comparison.trade_off import ASPECTS, TradeOff, trade_off
from anomalib_federated.evaluation.comparison.trade_off_tables import (
    NO_PROMISE,
    NOT_MEASURED,
    POOLED,
    STANDING,
    heading,
    trade_off_frame,
    trade_off_table,
)
from anomalib_federated.evaluation.corrupted import Corrupted, read_corrupted, write_corrupted
from anomalib_federated.evaluation.fairness.fairness_file import write_fairness
from anomalib_federated.evaluation.plots import price_panels
from anomalib_federated.evaluation.report import write_report
from anomalib_federated.evaluation.results import ResultError, read_results, write_result
from tests.evaluation.made_results import made_result
from tests.evaluation.plot_examples import drawn, words_of
from tests.evaluation.trade_off_examples import (
    AUROC,
    CORRUPTED,
    SENT,
    SPRO,
    SUCCESS,
    WORST,
    attack_cell,
    corrupted_of,
    fairness_of,
    priced_result,
    write_example,
)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_example(tmp_path_factory.mktemp("trade_off"))


@pytest.fixture(scope="module")
def trade(example: Path) -> TradeOff:
    return trade_off(read_results(example), read_beside([example]))


def test_every_number_is_one_that_was_measured(trade: TradeOff) -> None:
    assert trade.aspects == tuple(ASPECTS)
    assert [row.method for row in trade.rows] == ["centralised", *sorted(SENT)]
    for row in trade.rows:
        assert row.measured["image_auroc"] == AUROC[row.method]
        assert row.measured["auc_spro@0.05"] == SPRO[row.method]
        assert row.measured["worst_group"] == WORST[row.method]
        assert row.measured["whitelisting"] == SUCCESS.get(row.method)
        assert row.measured["corrupted_image_auroc"] == CORRUPTED[row.method]
        assert row.measured["corrupted_auc_spro@0.05"] == CORRUPTED[row.method] / 2
        assert row.measured["bytes_sent"] == SENT.get(row.method)
        assert row.measured["epsilon"] == (4.0 if row.method == "private" else math.inf)
        assert not row.incomplete


def test_what_is_beaten_is_named_and_the_pooled_one_is_for_reference(trade: TradeOff) -> None:
    standing = {row.method: row.standing for row in trade.rows}
    assert standing["centralised"] is None
    assert standing["wasteful"].beaten_by == ("fair", "federated", "screened")
    assert all(standing[name].optimal for name in ("fair", "federated", "private", "screened"))
    assert any("not compared: centralised" in note for note in trade.notes)


def test_what_was_not_measured_is_never_a_number() -> None:
    results = [priced_result("a"), made_result("b", "tile", 0.5), priced_result("c", spro=None, sent=0, sites=1)]
    found = trade_off(results, Beside())
    table, frame = trade_off_table(found), trade_off_frame(found).set_index("method")
    assert found.aspects == ("image_auroc", "auc_spro@0.05", "epsilon", "bytes_sent")
    assert table.loc["b", heading("bytes_sent")] == table.loc["b", heading("epsilon")] == NOT_MEASURED
    assert table.loc["c", heading("bytes_sent")] == POOLED
    assert table.loc["c", heading("auc_spro@0.05")] == NOT_MEASURED
    assert table.loc["a", heading("epsilon")] == NO_PROMISE
    for aspect in ("worst_group", "whitelisting", "corrupted_image_auroc"):
        assert frame[aspect].isna().all()
    assert math.isnan(frame.loc["b", "bytes_sent"])
    assert math.isnan(frame.loc["c", "bytes_sent"])
    # b has less AUC-sPRO, but its price is not known: nobody can say that it is beaten.
    assert table.loc["b", STANDING] == "not known"
    assert not any(cell == "0.000" for cell in table.to_numpy().flatten())


def test_a_promise_about_some_sites_or_about_rows_is_none_about_pictures() -> None:
    bank = priced_result("a", epsilon=2.0).bank
    assert bank is not None
    assert bank.epsilon == 2.0
    assert replace(bank, privacy=(*bank.privacy, {**bank.privacy[0], "epsilon": 3.5})).epsilon == 3.5
    assert replace(bank, unpromised=1).epsilon == math.inf
    assert replace(bank, privacy=(*bank.privacy, {"unit": "none", "epsilon": None})).epsilon == math.inf
    assert replace(bank, privacy=({**bank.privacy[0], "unit": "row"},)).epsilon == math.inf


def test_a_mean_is_of_all_categories_or_it_is_none() -> None:
    results = [priced_result(m, c, sent=s, seed=seed) for m, c, s in
               (("a", "nut", 100), ("a", "clip", 300), ("b", "nut", 100)) for seed in (0, 1)]  # fmt: skip
    attacks = [("a", "nut", "x", 0.2), ("a", "nut", "y", 0.4), ("a", "clip", "x", 0.1),
               ("b", "nut", "x", 1.0), ("b", "nut", "y", 0.3)]  # fmt: skip
    beside = Beside(
        attacks=tuple(AttackSuccess(method=m, category=c, attack=a, success=s) for m, c, a, s in attacks),
        corrupted=(corrupted_of("a", "nut", {"low": 0.9, "high": 0.7}), corrupted_of("a", "clip", {"high": 0.5})),
    )
    found = {row.method: row for row in trade_off(results, beside).rows}
    assert found["a"].measured["bytes_sent"] == 200
    assert found["a"].measured["whitelisting"] == pytest.approx((0.4 + 0.1) / 2)
    assert found["a"].measured["corrupted_image_auroc"] == pytest.approx(0.6)  # under "high", which both have
    assert found["b"].measured["bytes_sent"] is None
    assert found["b"].incomplete == {"image_auroc", "auc_spro@0.05", "whitelisting", "bytes_sent"}
    table = trade_off_table(trade_off(results, beside))
    assert table.loc["b", heading("whitelisting")] == "incomplete"
    assert table.loc["b", heading("corrupted_image_auroc")] == NOT_MEASURED


def test_groups_are_those_of_a_grouping_else_sites_and_at_least_two(tmp_path: Path) -> None:
    write_fairness(tmp_path, fairness_of("a", "nut", {"x": 0.5, "y": 0.3}))
    write_fairness(tmp_path, fairness_of("b", "nut", {"x": 0.5, "y": None}))
    write_fairness(tmp_path, fairness_of("c", "nut", {"x": 0.5, "y": 0.1}, by="defect type"))
    write_fairness(tmp_path, fairness_of("d", "nut", {"x": 0.5, "y": 0.2}, by="site"))
    found = {each.method: worst_group(each) for each in read_beside([tmp_path]).groups}
    assert found == {"a": 0.3, "b": None, "c": None, "d": 0.2}


def test_corruptions_that_not_all_were_measured_under_are_not_compared() -> None:
    beside = Beside(corrupted=(corrupted_of("a", "tile", {"low": 0.9}), corrupted_of("b", "tile", {"high": 0.9})))
    found = trade_off([priced_result("a"), priced_result("b")], beside)
    assert not any("corrupted" in name for name in found.aspects)
    assert any("No corruption is one that all methods were measured under" in note for note in found.notes)


def test_attacks_that_not_all_were_exposed_to_are_not_compared() -> None:
    """A method whose strongest attack was not tried, or failed, is no better for it."""

    def found(*attacks: AttackSuccess) -> dict[str, float | None]:
        nonlocal trade
        trade = trade_off([priced_result("a"), priced_result("b")], Beside(attacks=attacks))
        return {row.method: row.measured["whitelisting"] for row in trade.rows}

    trade = trade_off([priced_result("a")], Beside())
    weak = [AttackSuccess(method=method, category="tile", attack="noise", success=0.1) for method in "ab"]
    strong = AttackSuccess(method="a", category="tile", attack="adaptive", success=0.9)
    assert found(*weak, strong) == {"a": 0.1, "b": 0.1}
    assert any("Not tried on all methods attacked" in note and "adaptive" in note for note in trade.notes)
    assert found(*weak, strong, replace(strong, method="b", bad=2)) == {"a": 0.1, "b": 0.1}
    assert found(*weak, strong, replace(strong, method="b", success=0.2)) == {"a": 0.9, "b": 0.2}
    assert not any("Not tried" in note for note in trade.notes)
    assert found(strong) == {"a": 0.9, "b": None}  # b was not attacked at all


def test_where_nothing_is_attacked_or_nothing_could_be_hidden_nothing_is_told(tmp_path: Path) -> None:
    cells = [
        attack_cell("a", "clean", missed=0),
        attack_cell("a", "noise", missed=0, found=0),
        attack_cell("a", "noise", missed=20, found=40),
    ]
    (tmp_path / "attacks.json").write_text(json.dumps({"note": "of evaluation", "cells": cells}))
    assert read_beside([tmp_path]).attacks == (AttackSuccess(method="a", category="tile", attack="noise", success=0.5),)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("attacks.json", "{", "attacks.json cannot be used: Invalid JSON"),
        ("attacks.json", "{}", "Field required (cells); measure again"),
        ("attacks.json", '{"cells": [{"cell": {"defence": "m"}}]}', "Field required (cells.0.cell.attack)"),
        ("metrics/a/nut/fairness.json", "[]", "is no fairness.json of this package"),
        ("metrics/a/nut/corruption.json", '{"method": 3}', "is no corruption.json of this package"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, name: str, content: str, problem: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(ResultError) as caught:
        read_beside([tmp_path])
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


def test_corrupted_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    given: Corrupted = corrupted_of("a", "nut", {"low": 0.1 + 0.2, "high": None}, seed=3)
    assert read_corrupted(write_corrupted(tmp_path, given)) == given


def test_compare_prints_and_writes_it(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["compare", str(example), "--output", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert "no: fair, federated, screened" in words
    assert "most successful attack tried: stealth, whitelisting" in words
    frame = pd.read_csv(tmp_path / "trade_off.csv").set_index("method")
    assert frame.loc["private", "epsilon"] == 4.0
    assert frame.loc["fair", "epsilon"] == math.inf
    assert math.isnan(frame.loc["centralised", "whitelisting"])
    assert frame.loc["wasteful", "beaten_by"] == "fair; federated; screened"
    assert (
        "| private | yes | 0.800 | 0.450 | 4 | 0.200 | 0.020 | 0.600 | 0.300 | 0.9 MB |"
        in (tmp_path / "trade_off.md").read_text()
    )
    assert r"whitelisting success $\downarrow$" in (tmp_path / "trade_off.tex").read_text()


def test_compare_says_nothing_of_prices_that_nobody_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for method in ("centralised", "other"):
        write_result(tmp_path, made_result(method, "nut", 0.5))
    assert main(["compare", str(tmp_path), "--output", str(tmp_path / "t")]) == 0
    assert "Accuracy and its price" not in capsys.readouterr().out
    assert not list((tmp_path / "t").glob("trade_off*"))


def test_the_plot_shows_accuracy_against_each_price(trade: TradeOff) -> None:
    figure = price_panels(trade)
    for number, price in enumerate(trade.prices):
        for row in trade.rows:
            points = drawn(figure, row.method, axes=number)
            if row.measured[price] is None:
                assert points == []
                continue
            ((across, up),) = points[0]
            assert up == row.measured["auc_spro@0.05"]
            assert across == (row.measured[price] if math.isfinite(row.measured[price]) else pytest.approx(24.0))
    words = words_of(figure)
    assert "whitelisting success of centralised; bytes sent of centralised" in words
    assert "no promise" in words
    assert "Hollow" in words


def test_the_report_shows_table_plot_and_corrupted_pictures(example: Path, tmp_path: Path) -> None:
    html = write_report(read_results(example), example, tmp_path / "report.html").read_text()
    assert '<section id="prices">' in html
    assert "no: fair, federated, screened" in html
    assert "AUC-sPRO@0.05 against each price" in html  # what the plot says to those who cannot see it
    part = html[html.index('<section id="corrupted">') :]
    assert "<td>0.780</td>" in part[: part.index("</section>")]
    assert "NOT THE SAME SCORE" not in html


def test_methods_of_different_score_rules_are_called_so_loudly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [
        priced_result("centralised"),
        priced_result("a", image_score="max, distances clipped at 2"),
        priced_result("b"),
        replace(priced_result("maps"), image_score=""),
    ]
    sentence = different_rules(results)
    assert "scored a by max, distances clipped at 2; b, centralised by smoothed_max." in sentence
    assert different_rules([results[0], results[2], results[3]]) == ""
    for result in results:
        write_result(tmp_path, result)
    assert main(["compare", str(tmp_path), "--output", str(tmp_path / "t")]) == 0
    assert sentence in " ".join(capsys.readouterr().out.split())
    assert "NOT THE SAME SCORE" in (tmp_path / "t" / "comparison.md").read_text()
    assert "NOT THE SAME SCORE" in write_report(results, tmp_path, tmp_path / "report.html").read_text()
