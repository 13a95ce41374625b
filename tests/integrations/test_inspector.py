"""The inspector's page in a real Chromium, of a service that hangs in every way there is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("TWPROMISE_TEST_CHROMIUM")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="TWPROMISE_TEST_CHROMIUM does not name a Chromium, or there is no chromedriver",
)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def service():
    """The address of the service."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integrations.programs.inspected"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


class Page:
    """What a person sees of the page, and does with it."""

    def __init__(self, chromium, address):
        self.chromium = chromium
        chromium.get(address)
        self.wait_for(self.rows)

    def wait_for(self, condition):
        """Until something holds."""
        # What is read may be replaced meanwhile: each is read by one script.
        return WebDriverWait(self.chromium, 20, 0.05).until(lambda _: condition())

    def run(self, script):
        """What a script returns."""
        return self.chromium.execute_script(f"return {script}")

    def find(self, selector):
        """An element that is never replaced."""
        return self.chromium.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """The text of an element that is shown, or not yet in sight."""
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def rows(self):
        """The cells of the table."""
        return self.run(
            "[...document.querySelectorAll('tbody tr')].map("
            "row => [...row.cells].map(cell => cell.innerText))"
        )

    def column(self, number):
        """One column of the table."""
        return [row[number] for row in self.rows()]

    def row(self, name, place=""):
        """The first row with that name."""
        return next(row for row in self.rows() if row[1].startswith(name) and place in row[6])

    def sort(self, key):
        """Click on the head of a column."""
        self.find(f"th button[data-key={key}]").click()

    def filter(self, text):
        """Type into the filter."""
        field = self.find("#filter")
        field.clear()
        field.send_keys(text)


@pytest.fixture
def page(service, chromium):
    """The page, when it has loaded."""
    return Page(chromium, f"{service}/promises")


def order(service, what):
    """Have something happen in the service."""
    with urlopen(Request(f"{service}/orders/{what}", b"")):
        pass


def test_everything_that_hangs_is_named(page):
    """With its place, its age and what it waits for."""
    waits = {row[1].partition("\n")[0]: row[4] for row in page.rows()}
    assert "never.<locals>.<lambda>" in waits["promise for a Deferred"]
    assert "2 results, at most 2 at once; 3 items are ready" in waits["map"]
    assert "resolve() or reject(), which have not been called" in page.column(4)
    assert "Event.wait: a thread, which is at" in waits["promise for Event.wait"]
    assert waits["delay"].startswith("a timer, due in")
    assert "1 of 1 running, 1 waiting" in waits["call of a Limiter"]
    assert "PromiseGroup" in waits["coroutine group"]
    suspended = page.row("coroutine outer", "in begin")[1]
    assert ["outer", "middle", "innermost"] == [
        line.rpartition(" in ")[2] for line in suspended.split("\n")[1:]
    ]
    assert all("inspected.py:" in place for place in page.column(6))
    assert all(age.endswith((" s", " ms")) for age in page.column(3))


def test_a_deadlock_stands_at_the_top(page):
    """As a circle, with its members marked in the table."""
    assert page.find("#cycles").is_displayed()
    numbers = [row[0] for row in page.rows() if row[1].startswith("coroutine transfer")]
    one, other = numbers
    expected = f"{one} coroutine transfer → {other} coroutine transfer → {one}"
    assert expected == page.text("#cycles li")
    assert numbers == page.run(
        "[...document.querySelectorAll('tr.locked')].map(row => row.cells[0].innerText)"
    )
    assert page.chromium.title.startswith("Deadlock! ")


def test_the_tree_shows_what_waits_for_what(page):
    """Indented, each promise once."""
    lines = page.run(
        "[...document.querySelectorAll('#tree li')].map("
        "line => [parseInt(line.style.paddingLeft), line.innerText.split('\\n')[0]])"
    )
    start = next(at for at, (_, text) in enumerate(lines) if "coroutine group" in text)
    depths = [depth for depth, _ in lines[start : start + 5]]
    assert [0, 18, 36, 36, 54] == depths
    assert "PromiseGroup" in lines[start + 1][1]
    assert "coroutine outer" in lines[start + 3][1]
    assert any(text.endswith("(see above)") for _, text in lines)


def test_it_sorts(page):
    """By any column, either way."""
    page.find("#pause").click()
    page.sort("name")
    names = [name.casefold() for name in page.column(1)]
    assert names.index("map") < names.index("promise")
    page.sort("name")
    names = [name.casefold() for name in page.column(1)]
    assert names.index("map") > names.index("promise")
    assert "descending" == page.find("th:nth-child(2)").get_attribute("aria-sort")
    page.sort("waiters")
    assert "," in page.column(5)[0]
    page.sort("id")
    numbers = [int(number[1:]) for number in page.column(0)]
    assert sorted(numbers) == numbers
    page.sort("id")
    assert numbers[::-1] == [int(number[1:]) for number in page.column(0)]


def test_it_filters(page):
    """By words, each of which is found somewhere in the row; or by a number."""
    whole = len(page.rows())
    page.filter("TRANSFER lock")
    assert 2 == len(page.rows())
    assert f"2 of {whole} pending" == page.text("#count")
    number = page.column(0)[0]
    page.filter(number)
    assert [number] == page.column(0)
    page.filter("no such thing")
    assert [] == page.rows()


def test_it_refreshes(page, service):
    """By itself, unless it is paused; then when it is asked to."""
    before = len(page.rows())
    order(service, "more")
    page.wait_for(lambda: len(page.rows()) > before)
    page.find("#pause").click()
    page.filter("then(one_more)")
    count = len(page.rows())
    order(service, "more")
    at = page.text("#when")
    assert at.endswith(", paused")
    assert count == len(page.rows())

    def refreshed():
        # It does nothing while an answer is under way.
        page.find("#refresh").click()
        return len(page.rows()) == count + 1

    page.wait_for(refreshed)


def test_what_failed_is_shown(page, service):
    """With its long stack trace; what was opened stays open when it refreshes."""
    order(service, "fail")
    failed = "document.querySelector('#failures details')"
    page.wait_for(lambda: page.run(f"{failed} !== null"))
    assert "ValueError" in page.text("#failures summary")
    page.find("#failures summary").click()
    trace = page.text("#failures pre")
    assert "in markup" in trace
    assert "From previous event:" in trace
    first = page.text("#when")
    page.wait_for(lambda: page.text("#when") != first)
    assert page.run(f"{failed}.open")


@pytest.mark.parametrize("path", ["promises", "values"])
def test_markup_is_text(chromium, service, path):
    """In names and reasons: it is shown as it stands, and no script runs."""
    order(service, "fail")
    page = Page(chromium, f"{service}/{path}")
    names = [name.partition("\n")[0] for name in page.column(1)]
    assert "then(<script>document.title = 'name'</script>)" in names
    if path == "values":
        reason = "ValueError(\"<script>document.title = 'reason'</script>\")"
        assert reason in page.text("#failures summary")
    assert 1 == page.run("document.querySelectorAll('script').length")
    assert chromium.title.endswith(" promises")


def test_values_are_shown_if_asked_for(chromium, service):
    """Here: what exceptions say."""
    order(service, "fail")
    assert "reason" not in Page(chromium, f"{service}/promises").text("#failures summary")
    assert "reason" in Page(chromium, f"{service}/values").text("#failures summary")


def test_failures_of_a_service_that_was_started_again(page):
    """They have the numbers of those before, which are not shown in their place."""
    page.run("(paused = true, clearTimeout(timer), 0)")
    for time, reason in [(1, "Before"), (2, "After")]:
        failed = {"id": 1, "time": time, "what": "", "reason": reason, "trace": ""}
        page.run(f"(shown.failures = [{json.dumps(failed)}], showFailures(), 0)")
        assert reason in page.text("#failures summary")


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits(chromium, service, width):
    """Nothing has to be moved sideways; and the browser has nothing to complain of."""
    chromium.get_log("browser")
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    try:
        page = Page(chromium, f"{service}/promises")
        whole, seen = page.run(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert whole == seen <= width
        folder = os.environ.get("TWPROMISE_TEST_SCREENSHOTS")
        if folder:
            chromium.save_screenshot(f"{folder}/inspector-{width}.png")
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert [] == chromium.get_log("browser")


def test_it_says_when_the_service_is_gone(chromium, service):
    """What was seen last stays."""
    page = Page(chromium, f"{service}/promises")
    count = len(page.rows())
    page.run("(window.fetch = () => Promise.reject(new Error('no answer')), 0)")
    page.wait_for(lambda: page.find("#error").is_displayed())
    assert "The service does not answer: no answer" == page.text("#error")
    assert count == len(page.rows())
