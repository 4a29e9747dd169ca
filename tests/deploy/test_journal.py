"""The journal against a plain count of what was added, with kills at every place of every file."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.deploy import journal as journal_module
from anomalib_federated.deploy.calibration import calibrate
from anomalib_federated.deploy.drift import ScoreDrift
from anomalib_federated.deploy.journal import Journal
from anomalib_federated.deploy.record import LAST_PARTS, LAST_SCORES, Record

CALIBRATION = calibrate(
    [0.2 + 0.002 * number for number in range(100)],
    [0.2 + 0.002 * number for number in range(100)],
    category="c",
    model_version="m",
    false_alarm_rate=0.05,
)


def line(number: int, verdict: str = "good", score: float = 0.25) -> dict[str, object]:
    head = {"number": number, "time": "2026-01-01T00:00:00.000Z", "path": f"{number % 7}.png", "verdict": verdict}
    return head | ({"error": "cut short"} if verdict == "error" else {"score": score, "threshold": 0.5})


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["good", "anomalous", "error"]), st.floats(0, 1)),
        st.sampled_from(["kill", "kill in a line", "end"]),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(steps, st.integers(1, 5))
def test_nothing_is_lost_or_doubled(steps: list[object], snapshot_every: int) -> None:
    expected, all_told = Record(ScoreDrift(CALIBRATION)), True
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "SNAPSHOT_EVERY", snapshot_every)
        state = Path(place, "state")
        journal = Journal(state, source="s", drift=ScoreDrift(CALIBRATION))
        for step in steps:
            if isinstance(step, tuple):
                added = line(expected.number + 1, *step)
                assert journal.add(added, signature="1") == expected.add(added, signature="1")
                all_told = False
                continue
            if step == "kill in a line":
                with (state / "journal.jsonl").open("ab") as file:
                    file.write(b'{"line": {"numb')
            if step == "end":
                journal.close()
                all_told = True
            journal = Journal(state, source="s", drift=ScoreDrift(CALIBRATION))
            assert journal.untold == (None if all_told else expected.parts[-1])
        assert json.dumps(journal.record.to_dict()) == json.dumps(expected.to_dict())


def test_a_kill_between_snapshot_and_empty_journal_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SNAPSHOT_EVERY", 3)
    journal = Journal(tmp_path, source="s")
    for number in (1, 2):
        journal.add(line(number))
    lines = (tmp_path / "journal.jsonl").read_bytes()
    journal.add(line(3))
    assert (tmp_path / "journal.jsonl").read_bytes() == b""
    (tmp_path / "journal.jsonl").write_bytes(lines + json.dumps({"line": line(3), "signature": ""}).encode() + b"\n")
    again = Journal(tmp_path, source="s")
    assert again.record.counts == {"good": 3, "anomalous": 0, "error": 0}
    assert again.untold == line(3)


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    journal = Journal(tmp_path, source="s")
    for number in range(1, LAST_SCORES + 501):
        journal.record.add(line(number))
    journal.close()
    again = Journal(tmp_path, source="s").record
    assert (len(again.parts), len(again.history), again.number) == (LAST_PARTS, LAST_SCORES, LAST_SCORES + 500)
    assert again.parts[-1]["number"] == again.history[-1][0] == LAST_SCORES + 500


def test_without_a_folder_it_keeps_all_in_memory() -> None:
    journal = Journal(None, source="s")
    journal.add(line(1), signature="9")
    journal.close()
    assert (journal.record.number, journal.record.judged) == (1, {"1.png": "9"})


def test_a_new_calibration_starts_a_new_watch(tmp_path: Path) -> None:
    journal = Journal(tmp_path, source="s", drift=ScoreDrift(CALIBRATION))
    told = [journal.add(line(number, score=0.39)) for number in range(1, 60)]
    alarms = [one for one in told if "drift" in one]
    assert alarms
    assert journal.record.alarm is not None
    assert journal.record.alarm["number"] == alarms[-1]["number"]
    same = Journal(tmp_path, source="s", drift=ScoreDrift(CALIBRATION)).record
    assert same.alarm == journal.record.alarm
    assert same.to_dict()["drift"] == journal.record.to_dict()["drift"]
    other = calibrate(CALIBRATION.scores, CALIBRATION.peaks, category="c", model_version="m", false_alarm_rate=0.1)
    anew = Journal(tmp_path, source="s", drift=ScoreDrift(other)).record
    assert anew.number == 59
    assert anew.alarm is None
    assert anew.to_dict()["drift"] == ScoreDrift(other).state()


def test_a_state_of_another_source_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path, source="line 1").close()
    with pytest.raises(ValueError, match=r"belongs to pictures from 'line 1', not 'line 2': give another folder"):
        Journal(tmp_path, source="line 2")


@pytest.mark.parametrize("field", ["number", "counts", "parts", "history", "judged", "alarm", "drift", "format"])
@pytest.mark.parametrize("value", [-1, "x", [3]])
def test_a_damaged_snapshot_is_refused(tmp_path: Path, field: str, value: object) -> None:
    journal = Journal(tmp_path, source="s")
    journal.add(line(1))
    journal.close()
    content = json.loads((tmp_path / "snapshot.json").read_text())
    (tmp_path / "snapshot.json").write_text(json.dumps(content | {field: value}))
    with pytest.raises(ValueError, match=r"snapshot\.json is damaged .*: move its folder away"):
        Journal(tmp_path, source="s")


@pytest.mark.parametrize("damage", [b"{\n", b"[]\n", b'{"line": {"number": 9, "verdict": "good"}}\n', b"\xff\n"])
def test_a_damaged_journal_is_refused(tmp_path: Path, damage: bytes) -> None:
    Journal(tmp_path, source="s").close()
    (tmp_path / "journal.jsonl").write_bytes(damage)
    with pytest.raises(ValueError, match=r"journal\.jsonl is damaged .*: move its folder away"):
        Journal(tmp_path, source="s")
