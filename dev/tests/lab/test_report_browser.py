"""The report in Chromium: by mouse, by keyboard, in dark and light, on a phone, without a network.

The folder of the screenshots is in the environment variable REPORT_SCREENSHOTS, or temporary.
"""

import json
import os
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dabs_lab.lab.report import write_report
from dabs_lab.lab.results import Mark, MarkKind, Results, Verdict
from dev.tests.lab.made_up_results import ODD, made_up_results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("chromium"),
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs Chromium and its driver: apt-get install chromium chromium-driver",
    ),
]
# Without these Chromium connects to its maker's servers at each start.
_OPTIONS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_WAIT_SECONDS = 20
_TALLEST = 2600


class _Browser:
    """A page in Chromium."""

    def __init__(self, driver: Any, file: Path, pictures: Path) -> None:
        self.driver = driver
        self.file = file
        self.address = file.as_uri()
        self.pictures = pictures

    def open(self, place: str = "#/", width: int = 1280, dark: bool = False) -> None:
        """Open a place of the report from scratch, as a window of a width."""
        self.resize(width, 900)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get("about:blank")
        self.driver.get(self.address + place)
        self.until("return document.querySelector('h1') !== null")

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def run(self, script: str) -> Any:
        """Run JavaScript."""
        return self.driver.execute_script(script)

    def until(self, script: str) -> None:
        """Wait until a script returns true."""
        wait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait(self.driver, _WAIT_SECONDS)
        wait.until(lambda driver: driver.execute_script(script), script)

    def press(self, *keys: str) -> None:
        """Press keys in the element that has the focus, such as ARROW_DOWN."""
        names = pytest.importorskip("selenium.webdriver.common.keys").Keys
        for key in keys:
            self.driver.switch_to.active_element.send_keys(getattr(names, key))

    def focused(self) -> tuple[str, str | None]:
        """Return incident and shape of the cell that has the focus; no shape for the name of an incident."""
        found = self.run("const d = document.activeElement.dataset; return [d.incident, d.shape]")
        return found[0], found[1]

    def picture(self, name: str) -> None:
        """Take a screenshot of the whole page, up to a height."""
        width, height = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        self.resize(width, min(height, _TALLEST))
        assert self.driver.save_screenshot(str(self.pictures / f"{name}.png"))


@pytest.fixture(scope="module")
def results() -> Results:
    return made_up_results()


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs the package selenium")
    options = webdriver.ChromeOptions()
    for option in _OPTIONS:
        options.add_argument(option)
    if os.geteuid() == 0:
        # Chromium's sandbox refuses to run as root, as in a container.
        options.add_argument("--no-sandbox")
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver: Any, results: Results, tmp_path: Path) -> Iterator[_Browser]:
    """Return the open report; each test must leave an empty console, and no request to a network."""
    pictures = Path(os.environ.get("REPORT_SCREENSHOTS", tmp_path))
    write_report(results, tmp_path / "report.html")
    browser = _Browser(driver, tmp_path / "report.html", pictures)
    browser.open()
    yield browser
    assert driver.get_log("browser") == []
    messages = [json.loads(line["message"])["message"] for line in driver.get_log("performance")]
    requested = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert any(url.startswith("file:") for url in requested)
    assert not [url for url in requested if not url.startswith(("file:", "data:", "about:"))]


def _broken(results: Results) -> tuple[str, str, int]:
    cell = next(c for c in results.cells if c.verdict is Verdict.BROKEN and c.figures.notifications)
    return cell.incident, cell.shape, cell.seed


def test_a_click_opens_a_cell_with_its_timeline_and_figures(browser: _Browser, results: Results) -> None:
    incident, shape, _ = _broken(results)
    browser.picture("matrix-light")
    browser.run(f'document.querySelector(\'[data-incident="{incident}"][data-shape="{shape}"]\').click()')
    browser.until("return document.querySelector('svg.timeline') !== null")
    lanes = browser.run(
        "return [...document.querySelectorAll('.timeline .lane.bold')].map(l => l.firstChild.textContent)"
    )
    assert lanes[:2] == ["What the UI reports", "What is true"]
    assert "silent for" in browser.run("return document.querySelector('.timeline .silent').textContent")
    shown = browser.run("return document.querySelector('main').innerText")
    for words in ("Broken promises", "<i>", "Rows lost", "on-call@example.com", "email_notifications.on_failure"):
        assert words in shown
    assert browser.run("return document.querySelectorAll('main i, main b').length") == 0
    browser.picture("detail-light")


def test_arrow_keys_enter_and_escape_are_enough(browser: _Browser, results: Results) -> None:
    browser.run("document.querySelector('input[name=metric]:checked').focus()")
    # The matrix is one stop of the tab key.
    browser.press("TAB")
    shapes = sorted(results.shapes, key=lambda shape: not shape.deployable)
    first, second = results.incidents[0].id, results.incidents[1].id
    assert browser.focused() == (first, shapes[0].id)
    browser.press("ARROW_DOWN", "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_LEFT")
    assert browser.focused() == (second, shapes[1].id)
    browser.press("END")
    assert browser.focused() == (second, shapes[-1].id)
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("ENTER")
    browser.until("return document.querySelector('svg.timeline') !== null")
    assert browser.run("return document.activeElement.tagName") == "H1"
    browser.press("ESCAPE")
    browser.until("return document.querySelector('table.matrix') !== null")
    assert browser.focused() == (second, shapes[-1].id)
    browser.press("HOME", "ENTER")
    browser.until("return document.querySelectorAll('svg.timeline').length > 1")
    assert browser.run("return document.querySelector('h1').textContent") == results.incidents[1].title
    browser.press("ESCAPE")
    browser.until("return document.querySelector('table.matrix') !== null")
    assert browser.focused() == (second, None)


def test_each_cell_can_be_reached_with_arrow_keys_alone(browser: _Browser, results: Results) -> None:
    browser.run("document.querySelector('a.heat[tabindex=\"0\"]').focus()")
    reached = set()
    for row in range(len(results.incidents)):
        browser.press("HOME")
        for _ in results.shapes:
            browser.press("ARROW_RIGHT")
            reached.add(browser.focused())
        if row + 1 < len(results.incidents):
            browser.press("ARROW_DOWN")
    assert reached == {(cell.incident, cell.shape) for cell in results.cells}


def test_a_metric_changes_the_texts_of_the_cells_and_the_address(browser: _Browser) -> None:
    verdicts = browser.run("return document.querySelector('table.matrix').innerText")
    browser.run("document.querySelector('input[name=metric]:checked').focus()")
    browser.press("ARROW_RIGHT")
    assert browser.run("return location.hash") == "#/metric/silent_seconds"
    assert browser.run("return document.querySelector('table.matrix').innerText") != verdicts
    assert browser.run("return document.activeElement.value") == "silent_seconds"
    browser.picture("silent-light")


def test_the_switch_and_the_system_choose_dark_or_light(browser: _Browser) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.open(dark=True)
    dark = browser.run(ground)
    assert light != dark
    browser.picture("matrix-dark")
    browser.run("document.getElementById('theme').click()")
    assert browser.run(ground) == light
    browser.run("document.getElementById('theme').click()")
    assert browser.run(ground) == dark
    browser.run("localStorage.clear()")


@pytest.mark.parametrize("place", ["matrix", "cell", "incident", "claims"])
def test_a_phone_does_not_scroll_the_page_sideways(browser: _Browser, results: Results, place: str) -> None:
    incident, shape, seed = _broken(results)
    places = {
        "matrix": "#/",
        "cell": f"#/cell/{incident}/{shape}/{seed}",
        "incident": f"#/incident/{incident}/{seed}/fault",
        "claims": "#/claims",
    }
    browser.open(places[place], width=360)
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    browser.picture(f"phone-{place}")


def test_all_shapes_of_an_incident_have_one_time_axis(browser: _Browser, results: Results) -> None:
    incident, _, seed = _broken(results)
    for place in (f"#/incident/{incident}/{seed}", f"#/incident/{incident}/{seed}/fault"):
        browser.open(place)
        axes = browser.run(
            "return [...document.querySelectorAll('svg.timeline')].map(s => "
            "[...s.querySelectorAll('.tick')].map(t => t.textContent + ' ' + t.getAttribute('x')).join())"
        )
        assert len(axes) == len(results.shapes)
        assert len(set(axes)) == 1
    faults = browser.run("return [...document.querySelectorAll('.line.mark-0')].map(l => l.getAttribute('x1'))")
    assert len(set(faults)) == 1
    browser.picture("side-by-side-light")
    browser.open(f"#/incident/{incident}/{seed}", dark=True)
    browser.picture("side-by-side-dark")


def test_a_claim_links_to_the_cell_that_decides_it(browser: _Browser, results: Results) -> None:
    browser.open("#/claims")
    browser.picture("claims-light")
    evidence = results.claims[0].evidence[0]
    browser.run("document.querySelector('.claim a').click()")
    browser.until("return document.querySelector('svg.timeline') !== null")
    assert browser.run("return decodeURIComponent(location.hash)") == (
        f"#/cell/{evidence.incident}/{evidence.shape}/{evidence.seed}"
    )
    assert results.claims[0].claim in browser.run("return document.querySelector('.decided').innerText")


@pytest.mark.parametrize("width", [1280, 360])
def test_the_texts_of_a_crowded_timeline_do_not_overlap(browser: _Browser, results: Results, width: int) -> None:
    cell = next(cell for cell in results.cells if cell.lanes)
    sent = [
        Mark(at=cell.seconds * n / 50, kind=MarkKind.NOTIFICATION, label=f"attempt {n} ended: FAILED, is retried")
        for n in range(51)
    ]
    crowded = cell.model_copy(update={"marks": [*cell.marks, *sent]})
    write_report(results.model_copy(update={"cells": [crowded]}), browser.file)
    browser.open(f"#/cell/{cell.incident}/{cell.shape}/{cell.seed}", width=width)
    boxes = "const b = t.getBoundingClientRect(); return [b.left, b.right, b.top + 2, b.bottom - 2]"
    marks, lanes, drawing = (
        browser.run(f"return [...document.querySelectorAll('{which}')].map(t => {{ {boxes} }})")
        for which in (".timeline .mark:not(:empty)", ".timeline .lane", "svg.timeline")
    )
    assert len(marks) > 2
    for one, other in combinations([*marks, *lanes], 2):
        apart = one[1] <= other[0] or other[1] <= one[0]
        assert apart or one[3] <= other[2] or other[3] <= one[2]
    for text in [*marks, *lanes]:
        assert drawing[0][0] - 1 <= text[0]
        assert text[1] <= drawing[0][1] + 1


def test_an_odd_label_is_shown_as_it_is(browser: _Browser, results: Results) -> None:
    odd = next(incident for incident in results.incidents if incident.title == ODD)
    browser.open(f"#/incident/{odd.id}")
    assert browser.run("return document.querySelector('h1').textContent") == ODD
