"""``anomalib-federated privacy``, called as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anomalib_federated.cli.main import main
from anomalib_federated.cli.privacy import ACTIONS
from anomalib_federated.interfaces.privacy import SumPrivacy
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.privacy.plan import Plan
from anomalib_federated.privacy.sums import NoiseAdders
from tests.privacy.example_sums import MeanPrivacy

MEAN = "tests.privacy.example_sums.MeanPrivacy"
BROKEN = "tests.cli.test_privacy_command.ThirdOfTheNoise"


class ThirdOfTheNoise(MeanPrivacy):
    def release(self, units, state, number, *, noise):
        class Third(Noise):
            def draw(self, count):
                return noise.draw(count) // 3

        return SumPrivacy.release(self, units, state, number, noise=Third())


def audit(*arguments: str) -> int:
    return main(["privacy", "audit", "--membership_runs=2", "--dim=8", "--pictures=6", *arguments])


def test_help_names_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["privacy"])
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    assert all(action in text for action in ACTIONS)


def test_the_plan_is_that_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--pictures=617", "--sites=6", "--epsilon", "1", "2", "--noise_by=honest_sites", "--honest_sites=4"]
    assert main(["privacy", "plan", *arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    for row, epsilon in zip(rows, (1.0, 2.0), strict=True):
        adders = NoiseAdders(noise_by="honest_sites", honest_sites=4)
        plan = Plan(pictures=617, epsilon=epsilon, sites=6, adders=adders)
        assert (row["epsilon"], row["noise"], row["verdict"]) == (epsilon, plan.noise, plan.verdict)
        assert row["smallest_share"] == plan.smallest_share(cells=4096, cells_per_picture=64)
        assert row["pictures_needed"] == plan.pictures_needed


def test_the_plan_as_a_table_says_who_adds_noise_and_what_cannot_be_learnt(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "plan", "--pictures=100", "--sites=6"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "100 pictures of 6 sites, delta 1e-05, noise by each site" in text
    assert "useless" in text
    assert " none " in text  # more than all pictures would have to contain a thing


@pytest.mark.parametrize(("arguments", "problem"), [(["--pictures=3", "--sites=4"], "each site has one at least"),
                                                    (["--pictures=9", "--delta=1"], "delta"),
                                                    (["--pictures=9", "--epsilon=0"], "epsilon")])  # fmt: skip
def test_impossible_plans_are_refused(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "plan", *arguments]) == 1
    assert problem in capsys.readouterr().err


def test_an_audit_of_a_sound_plugin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "audit.json"
    assert audit(f"--privacy={MEAN}", "--privacy.epsilon=8", "--runs=500", f"--output={output}") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Not refuted: 'mean' claims epsilon 8" in text
    found = json.loads(output.read_text())
    assert (found["plugin"], found["runs"], found["refuted"]) == ("mean", 500, False)
    assert found["epsilon"] == pytest.approx(8)
    assert f"{found['epsilon_if_gaussian']:.3g}" in text


def test_an_audit_that_refutes_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "audit.json"
    assert audit(f"--privacy={BROKEN}", "--runs=1000", f"--output={output}") == 1
    assert "REFUTED" in capsys.readouterr().out
    assert json.loads(output.read_text())["refuted"] is True


def test_an_audit_of_rows_names_the_coreset(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit("--privacy=row_noise", "--coreset=k_center", "--rows=32", "--runs=50") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "32 rows chosen by k_center; 50 runs with a canary" in text
    assert "Nothing is claimed about pictures by 'row_noise'" in text


def test_an_audit_in_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit("--privacy=none", "--method=one_run", "--runs=100") == 0
    assert "one run with 100 canaries" in " ".join(capsys.readouterr().out.split())


def test_an_audit_on_real_pictures(demo_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = [f"--data.root={demo_root}", "--runs=8", "--privacy=row_noise", "--rows=16"]
    assert audit(*real, "--data.category=tank_screw") == 0
    assert "6 training pictures of tank_screw" in " ".join(capsys.readouterr().out.split())
    assert audit(*real) == 1
    assert "--data.category" in capsys.readouterr().err


def test_a_plugin_that_makes_no_promise_with_such_rows_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit("--privacy=row_noise", "--privacy.rows_per_picture=1", "--coreset=k_center") == 1
    assert "looks at the features" in " ".join(capsys.readouterr().err.split())
