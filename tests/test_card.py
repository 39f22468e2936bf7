from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from markdown_it import MarkdownIt

from distrust import recipe, secrets
from distrust.card import model_card
from distrust.data import Items
from distrust.evidence import Evidence
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.report.facts import Facts, Spending
from distrust.report.metrics import metrics
from tests.models import texts

HOSTILE = (
    "</td><script>alert(1)</script>\n---\nlicense: mit\n\n# Owned\n| a | [x](http://evil.example) ![y](z) www.evil.example `"
)


def facts(name: str = "expert", labels: tuple[str, ...] = ("spam", "ham"), **more: Any) -> Facts:
    """A run of one recorded teacher that is right on 15 of 20 items, made by hand so that every figure is known."""
    pool = texts(20)
    space = LabelSpace(labels)
    truth = torch.arange(20) % 2
    claims = torch.where(torch.arange(20) < 15, truth, 1 - truth)
    given = Facts(
        title="a run",
        method="distill",
        options={"targets": "claims"},
        recipe={"data": {"pool": {"path": "/home/me/secret project/pool.csv"}}, "student": {"kind": "ngram"}},
        space=space,
        pool=pool,
        evidence=[Evidence(name, pool.ids, space, claims.unsqueeze(0))],
        kinds={name: "recorded"},
        gold=Gold(pool.ids, truth, space),
        targets=torch.nn.functional.one_hot(truth, 2).float(),
        target_weight=None,
        test=pool,
        test_labels=truth,
        predictions={"student": torch.nn.functional.one_hot(torch.zeros(20, dtype=torch.long), 2).float()},
        test_evidence=[],
        history=[],
        spending=[Spending(name, 20, 400, 20, 1.25)],
        environment={"seed": 7},
    )
    return replace(given, **more)


def front_matter(card: str) -> dict[str, Any]:
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert found
    fields = yaml.safe_load(found.group(1))
    assert isinstance(fields, dict)
    return fields


def rendered(card: str) -> str:
    body = card.split("\n---\n", 1)[1]
    html: str = MarkdownIt("commonmark", {"html": True, "linkify": True}).enable("table").render(body)
    return html


def test_it_names_teachers_money_trust_data_and_method() -> None:
    run = facts()
    card = model_card(run, metrics(run))
    row = next(line for line in card.splitlines() if line.startswith("| expert |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["recorded", "unknown"] and cells[3].startswith("75.0")
    assert cells[4:] == ["100 %", "75 %", "20", "1.25"]
    student = next(line for line in card.splitlines() if line.startswith("| student |"))
    assert "50.0" in student
    assert "2 classes, in this order: spam, ham." in card
    assert "`distill`" in card and "pool.csv" in card and "gold: 20 labels" in card and "seed: 7" in card
    assert "/home/me" not in card, "a path of this machine is nobody's business"
    assert "licences and terms of use may" in card
    assert front_matter(card) == {
        "library_name": "distrust",
        "license": "unknown",
        "tags": ["distrust", "knowledge-distillation"],
        "pipeline_tag": "text-classification",
    }


def test_hub_names_reach_the_front_matter() -> None:
    made = {"data": {"pool": {"path": "ag_news"}, "test": {"path": "me/test"}}}
    run = facts(recipe={**made, "student": {"kind": "transformer", "model": "org/base"}})
    fields = front_matter(model_card(run, {}))
    assert fields["library_name"] == "transformers"
    assert fields["datasets"] == ["ag_news", "me/test"] and fields["base_model"] == "org/base"


def test_the_model_behind_a_teacher_is_named_and_no_folder_of_this_machine() -> None:
    for model, adapter, shown in [
        ("gpt-4o-mini", None, "gpt-4o-mini"),
        ("org/base", "/home/me/private/lora/", "org/base + lora"),
    ]:
        teacher = {"name": "expert", "model": model, "adapter": adapter}
        card = model_card(facts(recipe={"teachers": [teacher], "student": {"kind": "ngram"}}), {})
        assert f"| expert | recorded | {shown} |" in card and "/home/me" not in card


def test_what_is_unknown_is_said_to_be() -> None:
    run = facts(spending=[Spending("expert", 20, 0, 0, None)], gold=None, test=None, test_labels=None, targets=None)
    for figures in ({}, {"test": None, "teachers": {}}, {"teachers": {"expert": {"accuracy": None, "believed": None}}}):
        card = model_card(run, figures)
        assert "| expert | recorded | unknown | unknown | unknown | unknown | 20 | unknown |" in card
        assert "Not measured" in card
        assert "Nobody vouched for a single example of: spam, ham." in card
    lonely = model_card(replace(run, evidence=[], spending=[]), {})
    assert "learned from no teacher" in lonely and "None: it learned from gold alone." in lonely


def test_classes_without_gold_simulations_and_warnings_are_limits() -> None:
    space = LabelSpace(("spam", "ham", "news"))
    run = facts(labels=space.names, gold=Gold(("item 0",), torch.tensor([1]), space), warnings=["3 texts are empty."])
    card = model_card(replace(run, simulated=["The teacher is a toy."]), {})
    limits = card.split("## Limits")[1]
    assert "example of: spam, news." in limits and "- 3 texts are empty." in limits and "- The teacher is a toy." in limits


def test_hostile_text_stays_text() -> None:
    run = facts(
        name=HOSTILE,
        labels=("spam", HOSTILE),
        title=HOSTILE,
        method=HOSTILE,
        options={HOSTILE: HOSTILE},
        warnings=[HOSTILE, "# heading", "1. list", "\x1b[31mred\u202e"],
        simulated=[HOSTILE],
        recipe={"data": {"pool": {"path": HOSTILE}}, "student": {"kind": HOSTILE, "model": HOSTILE}},
        environment={"seed": HOSTILE},
    )
    card = model_card(run, metrics(run))
    plain = model_card(facts(warnings=["x"] * 4, simulated=["x"]), metrics(facts()))
    assert front_matter(card) == front_matter(plain), "no key is smuggled in"
    html, usual = rendered(card), rendered(plain)
    for tag in ("<script", "<a ", "<img", "<hr"):
        assert tag not in html
    for tag in ("<h1>", "<h2>", "<td", "<tr>", "<li>", "<ul>", "<ol>", "<code"):
        assert html.count(tag) == usual.count(tag), tag
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", card)
    spoken = re.sub(r"`[^`\n]*`", "", card.split("\n---\n", 1)[1])
    assert "://" not in spoken and "www." not in spoken, "nothing that a viewer turns into a link by itself"
    assert "&lt;script&gt;" in html, "and it is still there to be read"


def test_secrets_are_struck_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARD_KEY", "sk-very-secret-123")
    secrets.expand("${CARD_KEY}", secret=True)
    run = facts(warnings=["the server said sk-very-secret-123"], options={"key": "sk-very-secret-123"})
    assert "sk-very-secret" not in model_card(run, {})


@pytest.mark.parametrize("kind", ["ngram", "transformer"])
def test_the_lines_to_load_it_run(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from distrust.students import ngram, transformer

    space = LabelSpace(("spam", "ham"))
    pool: Items = texts(20)
    if kind == "ngram":
        ngram.build(recipe.NgramStudent(buckets=64, dimension=4), space, 0, pool).save(tmp_path / "student")
    else:
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        options = recipe.TransformerStudent(kind="transformer", config={"model_type": "bert", **sizes}, vocabulary=300)
        transformer.build(options, space, 0, pool).save(tmp_path / "student")
    card = model_card(facts(recipe={"student": {"kind": kind}}), {})
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]
    exec(code.replace("path/to/this/folder", str(tmp_path / "student")), {})
    assert re.search("spam|ham", capsys.readouterr().out)
