from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, browser
from report_example import make_example

from anomalib_federated.evaluation.report import write_report
from anomalib_federated.evaluation.results import read_results

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

VISIBLE = "[...document.querySelectorAll('.card')].filter((card) => card.checkVisibility())"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    output = make_example(folder, methods=("centralised", "federated"), seeds=(0,), resamples=5)
    return write_report(read_results(output), output, folder / "report.html")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chromium: Page, report: Path) -> Iterator[Page]:
    """The report, opened afresh at 1280 pixels; whatever goes wrong in the browser fails the test."""
    chromium.open("about:blank")
    chromium.events.clear()
    chromium.look(1280, 900)
    chromium.open(report.as_uri())
    yield chromium
    wrong = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed"}
    assert [event for event in chromium.events if event["method"] in wrong] == []


def visible(page: Page) -> list[tuple[str, str, str]]:
    cards = page.ask(f"{VISIBLE}.map(({{dataset}}) => [dataset.category, dataset.method, dataset.verdict])")
    return [(category, method, verdict) for category, method, verdict in cards]


def choose(page: Page, name: str, value: str) -> None:
    """Choose an option by typing its name, as the keyboard does."""
    page.ask(f"document.querySelector('select[name={name}]').focus()")
    for letter in value:
        page.send("Input.dispatchKeyEvent", type="char", text=letter)


def test_nothing_but_the_file_is_loaded(page: Page, report: Path) -> None:
    page.ask("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    page.send("Page.captureScreenshot", captureBeyondViewport=True)  # paints, hence loads, everything
    loaded = {
        event["params"]["request"]["url"].partition(",")[0]
        for event in page.events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert loaded == {report.as_uri(), "data:image/webp;base64"}


def test_verdicts_can_be_switched_off_and_on(page: Page) -> None:
    everything = visible(page)
    verdicts = {verdict for _, _, verdict in everything}
    assert verdicts == {"missed", "false_alarm", "found", "passed"}
    page.click(".pill.found input")
    page.click(".pill.passed input")
    assert visible(page) == [card for card in everything if card[2] in {"missed", "false_alarm"}]
    shown = len(visible(page))
    assert page.ask("document.getElementById('counts').textContent") == (f"{shown} of {len(everything)} examples shown")
    counts = page.ask("[...document.querySelectorAll('[data-count]')].map((count) => Number(count.textContent))")
    assert sum(counts) == len(everything)
    page.click(".pill.found input")
    page.click(".pill.passed input")
    assert visible(page) == everything


def test_categories_and_methods_are_chosen_by_keyboard(page: Page) -> None:
    everything = visible(page)
    choose(page, "category", "tank")
    choose(page, "method", "fed")
    expected = [card for card in everything if card[:2] == ("tank_screw", "federated")]
    assert visible(page) == expected != []
    page.ask("document.querySelector('.pill.missed input').focus()")
    page.press(" ")
    assert visible(page) == [card for card in expected if card[2] != "missed"]
    assert page.ask("[...document.querySelectorAll('.group h3')].filter((own) => own.checkVisibility()).length") == 1


def test_the_address_keeps_the_filters(page: Page, report: Path) -> None:
    choose(page, "category", "tank")
    page.click(".pill.passed input")
    before, address = visible(page), page.ask("location.href")
    assert "#category=tank_screw&verdict=" in address
    page.open("about:blank")
    page.open(address)
    assert visible(page) == before
    # A link to a section changes no filter.
    page.click("nav a[href='#settings']")
    assert page.ask("location.hash") == "#settings"
    assert visible(page) == before


def test_an_address_that_names_nothing_known_shows_all(page: Page, report: Path) -> None:
    everything = visible(page)
    page.ask("location.hash = '#category=%3Cimg%3E&method=nobody'")
    assert visible(page) == everything


def test_a_message_tells_that_nothing_matches(page: Page) -> None:
    everything = visible(page)
    assert not page.ask("document.getElementById('nothing').checkVisibility()")
    for verdict in ("missed", "false_alarm", "found", "passed"):
        page.click(f".pill.{verdict} input")
    assert visible(page) == []
    assert page.ask("document.getElementById('nothing').checkVisibility()")
    page.click("#reset")
    assert visible(page) == everything
    assert not page.ask("document.getElementById('nothing').checkVisibility()")


def test_examples_are_enlarged_and_leafed_through(page: Page) -> None:
    choose(page, "category", "tank")
    small = page.ask(f"{VISIBLE}[0].querySelector('.picture').getBoundingClientRect().width")
    page.click(".card[data-category=tank_screw] .panels")
    assert page.ask("document.getElementById('viewer').open")
    assert page.ask("document.querySelector('#viewer .picture').getBoundingClientRect().width") > 1.5 * small
    names = f"{VISIBLE}.map((card) => card.querySelector('.name span').textContent)"
    first, second, *_ = page.ask(names)
    title = "document.getElementById('viewer-title').textContent"
    assert page.ask(title) == f"tank_screw: {first}"
    page.press("ArrowRight")
    assert page.ask(title) == f"tank_screw: {second}"
    page.click("[data-step='-1']")
    assert page.ask(title) == f"tank_screw: {first}"
    page.press("Escape")
    assert not page.ask("document.getElementById('viewer').open")
    # The dialog tells that it was closed a moment later; only then the focus goes back.
    page.ask(
        """new Promise((done) => {
          const look = () => document.activeElement.className === "enlarge" ? done() : setTimeout(look, 10);
          look();
        })"""
    )
    page.press(" ")
    assert page.ask("document.getElementById('viewer').open")
    page.click("[data-close]")
    assert not page.ask("document.getElementById('viewer').open")


def test_all_pictures_are_drawn(page: Page) -> None:
    broken = page.ask(
        """Promise.all([...document.querySelectorAll(".store image")].map(async (stored) => {
          const picture = new Image();
          picture.src = stored.getAttribute("href");
          try { await picture.decode(); } catch { return stored.id; }
          const size = [picture.naturalWidth, picture.naturalHeight].join();
          return size === [stored.getAttribute("width"), stored.getAttribute("height")].join() ? "" : stored.id;
        })).then((all) => all.filter(Boolean))"""
    )
    assert broken == []
    assert page.ask("document.querySelectorAll('.store image').length") > 0
    boxes = page.ask("[...document.querySelectorAll('.picture use')].map((own) => own.getBBox().width)")
    assert min(boxes) > 0


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_page(page: Page, width: int) -> None:
    page.look(width, 800)
    page.ask("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    # Tables are wide, but scroll within their own box.
    assert page.ask("[...document.querySelectorAll('.scroll')].every((box) => box.clientWidth <= innerWidth)")


def _luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_easy_to_read(page: Page, scheme: str) -> None:
    page.look(1280, 900, dark=scheme == "dark")
    for selector, ground in {
        "main p": "body",
        ".note": "body",
        "td small": "body",
        "thead th": "body",
        ".best": "body",
        ".chart svg": "body",
        ".badge.missed": ".card",
        ".badge.false_alarm": ".card",
        ".badge.found": ".card",
        ".badge.passed": ".card",
        ".score": ".card",
        "#filters label": "#filters",
    }.items():
        colours = page.ask(
            f"[getComputedStyle(document.querySelector({json.dumps(selector)})).color,"
            f" getComputedStyle(document.querySelector({json.dumps(ground)})).backgroundColor]"
        )
        light, deep = sorted(map(_luminance, colours), reverse=True)
        assert (light + 0.05) / (deep + 0.05) >= 4.5, (selector, colours)  # WCAG 2.2, level AA


def test_without_scripts_everything_is_visible(page: Page, report: Path) -> None:
    everything = visible(page)
    page.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open("about:blank")
        page.open(report.as_uri())
    finally:
        page.send("Emulation.setScriptExecutionDisabled", value=False)
    assert visible(page) == everything
    assert not page.ask("document.getElementById('filters').checkVisibility()")
    assert page.ask("[...document.querySelectorAll('.enlarge')].every((button) => !button.checkVisibility())")
