"""The page of a real station in a real browser: what is seen when parts pass, fail, break, and when it is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, browser
from tiny_model import part, save, save_model

from anomalib_federated.deploy.calibration import calibrate
from anomalib_federated.deploy.station import Station

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

FORGED = "<img src=x onerror=alert(1)>.png"


@dataclass
class Running:
    process: subprocess.Popen[str]
    folder: Path
    url: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("station")
    model = save_model(place / "exported")
    (place / "in").mkdir()
    scores = [0.1 + 0.001 * number for number in range(100)]
    calibration = calibrate(
        scores, scores, category="pipe_clip", model_version=Station(model).version, false_alarm_rate=0.05
    ).save(place / "calibration.json")
    command = [
        sys.executable,
        "-m",
        "anomalib_federated.cli.main",
        "inspect",
        "--model",
        model,
        "--watch",
        place / "in",
    ]
    command += [
        "--settle",
        "0",
        "--threads",
        "1",
        "--page",
        "0",
        "--state",
        place / "state",
        "--calibration",
        calibration,
    ]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=place
    )
    assert process.stderr is not None
    found = re.search(r"http://\S+", process.stderr.readline())
    assert found
    yield Running(process, place / "in", found[0])
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chromium: Page, running: Running) -> Iterator[Page]:
    chromium.open("about:blank")
    chromium.events.clear()
    chromium.look(1280, 800)
    chromium.open(running.url)
    yield chromium
    wrong = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening"}
    assert [event for event in chromium.events if event["method"] in wrong] == []


def text(page: Page, selector: str) -> str:
    found: str = page.ask(f"document.querySelector({selector!r}).textContent")
    return found


def wait_for(page: Page, expression: str) -> None:
    page.ask(
        f"""new Promise((done, failed) => {{
          const end = performance.now() + 30000;
          const look = () => {{
            if ({expression}) done();
            else if (performance.now() > end) failed({expression!r});
            else setTimeout(look, 20);
          }};
          look();
        }})"""
    )


def drop(running: Running, name: str, value: int, *, spot: int | None = None) -> None:
    save(running.folder / f".{name}.png", part(value, spot=spot)).rename(running.folder / name)


def test_parts_that_pass_fail_and_break(page: Page, running: Running) -> None:
    wait_for(page, "document.getElementById('detail').textContent.startsWith('No part')")
    assert text(page, "#word") == "WAIT"
    drop(running, "1.png", 60)
    wait_for(page, "document.getElementById('word').textContent === 'PASS'")
    assert page.ask("getComputedStyle(document.getElementById('banner')).backgroundColor") == "rgb(20, 107, 58)"
    drop(running, FORGED, 60, spot=255)
    wait_for(page, "document.getElementById('word').textContent === 'FAIL'")
    assert "1 region" in text(page, "#detail")
    assert text(page, "#name").endswith(FORGED)
    wait_for(page, "document.querySelector('#large img').complete")
    assert page.ask("document.querySelector('#large img').naturalWidth") > 100
    (running.folder / "3.png").write_bytes(b"broken")
    wait_for(page, "document.getElementById('word').textContent === 'ERROR'")
    assert "treat the part as bad" in text(page, "#detail")
    assert "cannot be read" in text(page, "#large")
    assert [text(page, f"#{verdict}") for verdict in ("good", "anomalous", "error")] == ["1", "1", "1"]
    assert text(page, "#rate") == "50.0 %"
    assert page.ask("[...document.querySelectorAll('#parts li')].map((part) => part.className)") == [
        "error",
        "anomalous",
        "good",
    ]
    marks = "[...document.querySelectorAll('#chart .good, #chart .anomalous, #chart .error')].map((one) => one.tagName)"
    assert page.ask(marks) == ["circle", "polygon", "path"]
    assert page.ask("document.querySelectorAll('#chart .threshold').length") == 1
    assert "calibration" in text(page, "#about")
    assert page.ask("document.querySelectorAll('img[src=x]').length") == 0


def test_the_verdict_can_be_read_from_three_metres(page: Page) -> None:
    # Letters 25 mm high on a screen 300 mm high: 67 of 800 pixels; a capital is 0.7 of the type's size.
    assert page.ask("parseFloat(getComputedStyle(document.getElementById('word')).fontSize)") * 0.7 >= 67
    assert page.ask("document.getElementById('banner').getBoundingClientRect().width") >= 1265
    # Not by colour alone.
    assert page.ask("document.querySelector('#symbol path').getAttribute('d').length") > 5


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800), (1920, 1080)])
def test_nothing_is_wider_than_the_page(page: Page, width: int, height: int) -> None:
    page.look(width, height)
    wait_for(page, "document.querySelectorAll('#parts li').length > 0")
    assert page.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    boxes = "[...document.querySelectorAll('#word, #detail')].every((one) => one.scrollWidth <= one.clientWidth + 1)"
    assert page.ask(boxes)


def test_only_the_station_is_asked(page: Page, running: Running) -> None:
    wait_for(page, "document.querySelectorAll('#parts li').length > 0")
    asked = [event for event in page.events if event["method"] == "Network.requestWillBeSent"]
    urls = {event["params"]["request"]["url"] for event in asked}
    assert all(url.startswith((running.url, "data:")) for url in urls), urls


def test_drift_is_told(page: Page, running: Running) -> None:
    for number in range(40):
        drop(running, f"drift_{number}.png", 62 + number % 2)
    wait_for(page, "!document.getElementById('drift').hidden")
    assert "Drift, told at part" in text(page, "#drift")
    assert page.ask("document.querySelectorAll('#chart .alarmed').length") == 1


def test_trouble_and_silence_are_told(page: Page, running: Running) -> None:
    away = running.folder.with_name("away")
    running.folder.rename(away)
    wait_for(page, "!document.getElementById('trouble').hidden")
    assert "cannot be read" in text(page, "#trouble")
    away.rename(running.folder)
    wait_for(page, "document.getElementById('trouble').hidden")
    verdict = text(page, "#word")
    os.kill(running.process.pid, signal.SIGSTOP)
    try:
        wait_for(page, "document.getElementById('word').textContent === 'NO ANSWER'")
        assert "The last verdict does not count" in text(page, "#detail")
    finally:
        os.kill(running.process.pid, signal.SIGCONT)
    wait_for(page, f"document.getElementById('word').textContent === {verdict!r}")
    running.process.kill()
    end = time.monotonic() + 30
    while running.process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    wait_for(page, "document.getElementById('word').textContent === 'NO ANSWER'")
