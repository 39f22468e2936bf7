"""The page as text: self-contained, escaped, and sensible when parts of a run are missing."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import yaml

from distrust.errors import RunError
from distrust.files import read_json
from distrust.report.metrics import metrics
from distrust.report.page import render, write_report
from tests.report.worlds import HOSTILE, messages

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Elements(HTMLParser):
    """Checks that elements are closed in order, and keeps names, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page_of(facts) -> Elements:
    return Elements(render(facts, metrics(facts)))


def test_page_and_metrics_are_written_and_agree(tmp_path, digits_facts):
    path = write_report(digits_facts, tmp_path / "run")
    assert path == tmp_path / "run" / "report.html"
    assert sorted(one.name for one in path.parent.iterdir()) == ["metrics.json", "report.html"]
    found = read_json(path.parent / "metrics.json")
    page = Elements(path.read_text())
    assert found["verdict"].replace(" %", "\u00a0%") in page.text
    assert any("muddled” is wrong on purpose" in text for text in page.text)
    assert path.stat().st_size < 200_000


def test_page_needs_nothing_else(digits_facts, messages_facts):
    for facts in (digits_facts, messages_facts):
        page = page_of(facts)
        assert not page.names & {"script", "link", "iframe", "object", "form", "base"}
        for name, value in page.attributes:
            assert not name.startswith("on")
            if name in ("href", "src"):
                assert value.startswith(("#", "data:image/png;base64,")), value
        policy = [value for name, value in page.attributes if name == "content"]
        assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in policy
    assert "url(" not in render(digits_facts, metrics(digits_facts))


def test_anchors_lead_somewhere(digits_facts):
    page = page_of(digits_facts)
    ids = {value for name, value in page.attributes if name == "id"}
    assert {value[1:] for name, value in page.attributes if name == "href"} <= ids


def test_hostile_text_is_only_text(tmp_path, hostile_facts):
    path = write_report(hostile_facts, tmp_path)
    page = Elements(path.read_text(encoding="utf-8"))
    assert not page.names & {"script", "img"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    text = "".join(page.text)
    assert "<script>document.title" in text and "{{ 7 * 7 }}" in text  # shown, not run
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "x" * 5000 not in text.replace(text[text.rindex("data:\n") :], "")  # shortened everywhere but in the recipe
    assert len(path.read_text()) < 400_000
    assert HOSTILE[:60] in read_json(tmp_path / "metrics.json")["title"]


def test_the_recipe_can_be_read_back(messages_facts):
    text = "".join(page_of(messages_facts).text)
    shown = text[text.index("data:\n") : text.index("Made by distrust")]
    assert yaml.safe_load(shown) == messages_facts.recipe


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (
            {"test": None, "test_labels": None, "predictions": {}, "test_evidence": []},
            "There is no test set. Give the recipe",
        ),
        ({"gold": None}, "Unknown without gold."),
        ({"evidence": [], "test_evidence": [], "kinds": {}, "spending": []}, "No teacher was asked."),
        ({"targets": None}, "No student was taught."),
        ({"history": []}, "Nothing was logged."),
        ({"spending": []}, "What the teachers cost was not recorded."),
        ({"predictions": {}}, "No student was tested; the best teacher"),
    ],
)
def test_a_missing_part_is_said_in_a_sentence(digits_facts, missing, said):
    assert said in " ".join("".join(page_of(replace(digits_facts, **missing)).text).split())


def test_everything_missing_at_once_is_still_a_page(digits_facts):
    nothing = replace(
        digits_facts,
        pool=digits_facts.pool.select([]),
        evidence=[],
        test_evidence=[],
        kinds={},
        gold=None,
        targets=None,
        test=None,
        test_labels=None,
        predictions={},
        history=[],
        spending=[],
        simulated=[],
        options={},
        environment={},
        recipe={},
    )
    assert "Nothing could be judged" in "".join(page_of(nothing).text)


def test_two_classes_and_one_teacher_fit(digits_facts):
    text = "".join(page_of(replace(digits_facts, evidence=digits_facts.evidence[:1], test_evidence=[])).text)
    assert "There is one teacher; agreement takes two." in text and "within noise of its teacher" in text
    assert "2" in "".join(page_of(messages(150, classes=2)).text)


def test_many_classes_show_those_with_most_mistakes():
    text = "".join(page_of(messages(700, classes=30)).text)
    assert "the 12 of 30 classes with the most mistakes" in text


def test_unknown_money_and_unknown_outcomes_are_said(messages_facts):
    text = " ".join("".join(page_of(messages_facts).text).split())
    assert "A price is unknown, and so is the total; 0.017 of it is known." in text
    assert "3 calls were under way when the run was stopped." in text
    assert "budget.calls" in text and "could not parse: " in text


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, digits_facts):
    (tmp_path / "file").write_text("")
    with pytest.raises((RunError, NotADirectoryError, FileExistsError)):
        write_report(digits_facts, tmp_path / "file")


def test_facts_load_without_template_engine_or_plots():
    code = "import distrust.report.facts, sys; print({'jinja2', 'matplotlib', 'yaml'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "jinja2" not in out.stdout and "matplotlib" not in out.stdout
