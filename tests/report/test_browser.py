"""The page in a real browser: quiet, self-contained, no wider than the screen, and inert."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from distrust.files import read_json
from distrust.report.page import write_report

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDEST = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory, digits_facts, messages_facts, hostile_facts) -> dict[str, Path]:
    worlds = {"digits": digits_facts, "messages": messages_facts, "hostile": hostile_facts}
    return {name: write_report(facts, tmp_path_factory.mktemp(name)) for name, facts in worlds.items()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("world", ["digits", "messages", "hostile"])
def test_page_is_quiet_fits_and_says_its_figures(browser, pages, world, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    noise: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("dialog", lambda dialog: noise.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(pages[world].as_uri())
    assert [url for url in requests if not url.startswith("data:")] == [pages[world].as_uri()]
    assert page.evaluate(WIDEST) == 0
    assert page.evaluate("document.querySelectorAll('script, iframe, object, link').length") == 0
    found = read_json(pages[world].with_name("metrics.json"))
    assert page.locator("h1").inner_text().replace("\u00a0", " ") == found["verdict"]
    share = f"{100 * found['test']['student']['accuracy']['value']:.0f}\u00a0%"
    assert page.locator(".dots .student").get_by_text(share).is_visible()
    assert page.title() != "owned"
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = int(paper.removeprefix("rgb(").split(",")[0])
    assert brightness > 200 if scheme == "light" else brightness < 60
    assert noise == []
    context.close()


def test_hostile_text_is_shown_and_inert(browser, pages):
    page = browser.new_context().new_page()
    page.goto(pages["hostile"].as_uri())
    assert page.get_by_text('<script>document.title="owned"</script>').first.is_visible()
    assert page.locator("img").count() == 0
    assert "\u202e" not in page.locator("body").inner_text() and "\x1b" not in page.locator("body").inner_text()


def test_text_has_enough_contrast(browser, pages):
    """Body and secondary text against the page: WCAG AA asks for 4.5 to 1."""
    script = """() => {
      const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
        .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
      const paper = light(getComputedStyle(document.body).backgroundColor);
      return ['h1', 'small', '.lead p', '.verdict', 'figcaption'].map(name => {
        const ink = light(getComputedStyle(document.querySelector(name)).color);
        return (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05); });
    }"""
    for scheme in ("light", "dark"):
        page = browser.new_context(color_scheme=scheme).new_page()
        page.goto(pages["digits"].as_uri())
        assert min(page.evaluate(script)) >= 4.5, scheme


def test_it_prints_all_of_it(browser, pages, tmp_path):
    page = browser.new_context(color_scheme="dark").new_page()
    page.goto(pages["digits"].as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every(e => getComputedStyle(e).overflowX == 'visible')")
    page.pdf(path=str(tmp_path / "report.pdf"))
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
