"""Signals on a page: the figures are those measured, names are inert, and Chromium shows it on a phone and a desk."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from distrust.evaluate import Quality, quality
from distrust.report.page import environment
from distrust.report.signals import figures, section

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGE = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    "<style>{% include 'report.css' %}</style><body><main><section><div class='lead'><h2>Signals</h2><p>How well each tells "
    "right claims from wrong ones.</p></div><div class='body'>{{ body }}</div></section></main></body></html>"
)
HOSTILE = "<script>document.title='owned'</script>\u202e"


def judged() -> dict[str, Quality]:
    """Five signals of falling worth on 300 claims; one says nothing of a tenth, and one has a name that means harm."""
    draw = torch.Generator().manual_seed(0)
    right = torch.rand(300, generator=draw) < 0.7
    found = {}
    for place, name in enumerate(["self-consistency", "assistant in student", "assistant in teacher", HOSTILE, "noise"]):
        sharp = 3.0 - 0.75 * place
        signal = (torch.randn(300, generator=draw) + sharp * (right.float() - 0.5)).sigmoid()
        if place == 1:
            signal[:30] = torch.nan
        one = quality(signal, right.long(), bootstrap=200)
        assert one is not None
        found[name] = one
    return found


@pytest.fixture(scope="module")
def qualities() -> dict[str, Quality]:
    return judged()


def test_figures_are_plain_and_those_that_were_measured(qualities) -> None:  # type: ignore[no-untyped-def]
    found = json.loads(json.dumps(figures(qualities)))
    for name, one in qualities.items():
        assert found[name]["auroc"]["value"] == one.auroc.value and found[name]["items"] == one.items
        assert [point["coverage"] for point in found[name]["precision"]] == list(one.precision)
        assert [point["value"] for point in found[name]["precision"]] == [value.value for value in one.precision.values()]
    assert [one["knows"] for one in found.values()] == ["above", "above", "above", "above", "within noise"]
    assert found["assistant in student"]["silent"] == 30


def test_the_section_says_them_and_is_inert(qualities) -> None:  # type: ignore[no-untyped-def]
    html = str(section(figures(qualities)))
    one = qualities["self-consistency"]
    assert f"{one.auroc.value:.3f} <small>[{one.auroc.low:.3f}, {one.auroc.high:.3f}]" in html
    assert "silent on 30" in html and ">top 63\u00a0%<" in html
    assert "<script" not in html and "&lt;script&gt;" in html and "\u202e" not in html
    assert html.count('class="chart"') == 2 + 5, "four curves to a chart, and a diagram a signal"
    assert len(re.findall(r'<polyline class="line-\d" points', html)) == 5 + 5


def test_no_signal_and_a_signal_of_one_outcome() -> None:
    assert "No signal could be judged" in str(section({}))
    only = quality(torch.tensor([0.5, 0.7]), torch.tensor([1, 1]), bootstrap=20)
    assert only is not None
    found = figures({"one": only})
    assert found["one"]["knows"] == "unknown" and "unknown" in str(section(found))


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_chromium_shows_it(qualities, tmp_path: Path, width: int, scheme: str) -> None:  # type: ignore[no-untyped-def]
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    path = tmp_path / "signals.html"
    path.write_text(environment().from_string(PAGE).render(body=section(figures(qualities))), encoding="utf-8")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme).new_page()
        noise: list[str] = []
        page.on("console", lambda message: noise.append(message.text))
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert page.title() != "owned" and page.get_by_text("self-consistency").first.is_visible()
        boxes = [box.bounding_box() for box in page.locator("svg.chart").all()]
        assert len(boxes) == 7 and all(box and box["width"] > 100 and box["height"] > 80 for box in boxes)
        page.screenshot(path=str(tmp_path / "signals.png"), full_page=True)
        assert noise == []
        browser.close()
