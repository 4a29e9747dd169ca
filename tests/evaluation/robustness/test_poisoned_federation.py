"""A whole study on drawn pictures: whitelisting works without a defence, and a perfect one stops it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attacked_demo
import pytest
import torch
from attacked_demo import Oracle

from anomalib_federated.evaluation.robustness.curves import curves_of
from anomalib_federated.evaluation.robustness.defence import Defence
from anomalib_federated.evaluation.robustness.loot import RobustnessError
from anomalib_federated.evaluation.robustness.result import as_plain, read_cell
from anomalib_federated.evaluation.robustness.run import Outcome, clean_of, run_study
from anomalib_federated.evaluation.robustness.scene import Scene
from anomalib_federated.evaluation.robustness.study import Cell, Study
from anomalib_federated.evaluation.robustness.table import SUCCESSES, attack_table, price_table
from anomalib_federated.interfaces.attack import forged
from anomalib_federated.registry import PluginError
from anomalib_federated_plugins.attack.whitelisting import Whitelisting

FEDERATED = {"class_path": "federated_coreset", "init_args": {"budget": 300}}
ORACLE = {"class_path": f"{attacked_demo.__name__}.Oracle"}
HIDDEN = SUCCESSES["defective pictures hidden"]


class Breaks(Whitelisting):
    def poison(self, loot, *, seed):
        msg = "out of ideas"
        raise RuntimeError(msg)


def study_in(output: Path, **changed: object) -> Study:
    settings: dict[str, object] = {
        "attacks": {"whitelisting": "whitelisting", "adaptive": "adaptive"},
        "defences": {"oracle": Defence(strategy=FEDERATED, screening=(ORACLE,))},
        "undefended": Defence(strategy=FEDERATED),
        "shares": [0.5],
        "bad_sites": [1],
        "output": output,
        **changed,
    }
    return Study(**settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def outcome(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    Oracle.honest = {row.numpy().tobytes() for bank in scene.honest.values() for row in bank.features}
    return run_study(study_in(tmp_path_factory.mktemp("study")), lambda: scene)


def result_of(outcome: Outcome, **cell: object):
    return next(result for result in outcome.results if result.cell == Cell(**cell))  # type: ignore[arg-type]


def test_every_cell_is_computed_clean_ones_first(outcome: Outcome) -> None:
    assert not outcome.failures
    assert [(result.cell.defence, result.cell.attack) for result in outcome.results] == [
        (defence, attack) for defence in ("none", "oracle") for attack in ("clean", "whitelisting", "adaptive")
    ]
    assert outcome.computed == 6


def test_undefended_whitelisting_hides_defects(outcome: Outcome) -> None:
    clean = clean_of(outcome.results, "none")
    assert clean is not None
    assert clean.whitelisting.found_clean == 3, "the clean bank must find the defects, else there is nothing to hide"
    attacked = result_of(outcome, defence="none", attack="whitelisting", bad=1, share=0.5)
    assert attacked.whitelisting.rate >= 2 / 3
    assert attacked.change_auc_spro_target < -0.1
    assert attacked.admission.poison == attacked.admission.poison_admitted == 100
    assert attacked.admission.poison_in_bank > 0
    assert attacked.admission.detector_auroc == 0.5


def test_a_perfect_screening_leaves_nothing_hidden(outcome: Outcome) -> None:
    for attack in ("whitelisting", "adaptive"):
        attacked = result_of(outcome, defence="oracle", attack=attack, bad=1, share=0.5)
        assert attacked.whitelisting.rate == 0.0
        assert attacked.admission.honest_refused == 0
        assert attacked.admission.poison_admitted == 0


def test_a_quorum_of_two_sites_leaves_nothing_hidden(scene: Scene, tmp_path: Path) -> None:
    by_site = {"class_path": "fair_coreset", "init_args": {"budget": 300, "fairness": "equal"}}
    quorum = Defence(strategy=by_site, site_quorum=2)
    found = run_study(study_in(tmp_path, attacks={"adaptive": "adaptive"}, defences={"quorum": quorum}), lambda: scene)
    attacked = result_of(found, defence="quorum", attack="adaptive", bad=1, share=0.5)
    assert attacked.whitelisting.found_clean == 3
    assert attacked.whitelisting.rate == 0.0
    assert attacked.admission.poison_in_bank > 0  # in the bank, and of no avail
    assert result_of(found, defence="none", attack="adaptive", bad=1, share=0.5).whitelisting.rate >= 2 / 3


def test_the_adaptive_attacker_knows_the_oracle_and_gives_up(outcome: Outcome, scene: Scene) -> None:
    attacked = result_of(outcome, defence="oracle", attack="adaptive", bad=1, share=0.5)
    assert attacked.admission.poison == 0
    assert attacked.admission.detector_auroc is None
    undefended = result_of(outcome, defence="none", attack="adaptive", bad=1, share=0.5)
    assert undefended.admission.poison > 0


def test_without_an_attack_nothing_changes(outcome: Outcome) -> None:
    for defence in ("none", "oracle"):
        clean = result_of(outcome, defence=defence)
        assert clean.bad_sites == ()
        assert (clean.change_image_auroc, clean.change_auc_spro_target, clean.whitelisting.missed) == (0, 0, 0)
        assert clean.admission.rare_kept == 1.0
    # The oracle refuses no honest row, so its bank is the undefended one.
    assert result_of(outcome, defence="oracle").figures == result_of(outcome, defence="none").figures


def test_bad_sites_share_their_rows_and_honest_ones_stay(scene: Scene) -> None:
    bad = scene.bad(2)
    sent = scene.sent(Whitelisting(), bad=bad, defence=Defence(), seed=0)
    assert set(sent) == set(scene.honest)
    for site, bank in sent.items():
        assert bool(forged(scene.honest[site], bank).any()) == (site in bad)
    first, second = (sent[site].features[forged(scene.honest[site], sent[site])] for site in bad)
    assert torch.equal(first, second)
    assert scene.bad(1) == bad[:1]


def test_as_many_sites_cannot_be_bad(scene: Scene) -> None:
    with pytest.raises(RobustnessError, match="3 of 3 sites cannot be bad"):
        scene.bad(3)


def test_finished_cells_are_not_computed_again(scene: Scene, tmp_path: Path) -> None:
    study = study_in(tmp_path, attacks={"scaling": "scaling"}, defences={})
    first = run_study(study, lambda: scene)
    again = run_study(study, lambda: pytest.fail("the scene is not needed"))
    assert (again.computed, again.results) == (0, first.results)
    study.path(Cell(defence="none", attack="scaling", bad=1, share=0.5)).unlink()
    assert run_study(study, lambda: scene).computed == 1


def test_a_cell_of_other_settings_is_refused(scene: Scene, tmp_path: Path) -> None:
    run_study(study_in(tmp_path, attacks={"scaling": "scaling"}, defences={}), lambda: scene)
    with pytest.raises(RobustnessError, match="computed with other settings"):
        run_study(study_in(tmp_path, attacks={"scaling": "scaling"}, defences={}, seed=1), lambda: scene)


def test_a_failing_cell_is_named_and_stops_no_other(scene: Scene, tmp_path: Path) -> None:
    attacks = {"breaks": f"{__name__}.Breaks", "scaling": "scaling"}
    found = run_study(study_in(tmp_path, attacks=attacks, defences={}), lambda: scene)
    (failure,) = found.failures
    assert (failure.cell.attack, failure.error) == ("breaks", "RuntimeError: out of ideas")
    assert "Traceback" in failure.log.read_text()
    assert [result.cell.attack for result in found.results] == ["clean", "scaling"]
    assert attack_table(found.results, HIDDEN, bad=1).index.tolist() == ["scaling"]


def test_results_are_read_as_they_were_written(outcome: Outcome, tmp_path: Path) -> None:
    for number, result in enumerate(outcome.results):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(as_plain(result)))
        assert read_cell(path) == result
    path.write_text('{"cell": 3}')
    with pytest.raises(RobustnessError, match="no result of an attack"):
        read_cell(path)


def test_tables_and_curves_tell_the_same(outcome: Outcome) -> None:
    table = attack_table(outcome.results, HIDDEN, bad=1)
    attacked = result_of(outcome, defence="none", attack="whitelisting", bad=1, share=0.5)
    assert table.loc["whitelisting", "none"] == f"{100 * attacked.whitelisting.rate:.1f} %"
    assert table.loc["whitelisting", "oracle"] == "0.0 %"
    curves = curves_of(outcome.results, HIDDEN, bad=1)
    assert curves["whitelisting"]["none"] == [(0.5, attacked.whitelisting.rate)]
    prices = price_table(outcome.results)
    assert prices.index.tolist() == ["none", "oracle"]
    assert prices.loc["oracle", "detector AUROC"] == "1.000"
    assert prices.loc["none", "honest rows refused"] == "0.0 %"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"attacks": {}}, "no attack to try"),
        ({"bad_sites": [0]}, "no attack to try"),
        ({"attacks": {"a/b": "scaling"}}, "'a/b' names a folder"),
        ({"attacks": {"clean": "scaling"}}, "neither 'clean' nor 'none'"),
        ({"defences": {"none": Defence()}}, "neither 'clean' nor 'none'"),
        ({"shares": [1.5]}, "share is 1.5"),
    ],
    ids=["nothing", "no bad site", "folder", "clean", "none", "share"],
)
def test_impossible_studies_are_refused_at_once(tmp_path: Path, changed: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        study_in(tmp_path, **changed)


def test_unknown_plugins_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no attack plugin named 'whitelistin'"):
        study_in(tmp_path, attacks={"whitelistin": "whitelistin"})
    with pytest.raises(PluginError, match="no screening plugin named 'quorom'"):
        study_in(tmp_path, defences={"quorom": Defence(screening=("quorom",))})
