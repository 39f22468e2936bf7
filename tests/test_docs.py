"""README and docs do what they say: their Python runs, their recipes are legal and run, their links and commands exist."""

from __future__ import annotations

import csv
import importlib
import random
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from distrust.recipe_file import parse_recipe
from tests import servers
from tests.cli.world import caller
from tests.models import save_classifier

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
WHERE = {"README.md": ROOT / "README.md"} | {path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
PAGES = {page: path.read_text(encoding="utf-8") for page, path in WHERE.items()}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LABELS = ("billing", "bug", "refund", "other")
ANSWERS = {"alpha": "billing", "beta": "bug", "gamma": "refund"}  # what the loopback server says, in the recipes' words


def blocks(page: str, kind: str) -> list[str]:
    """The fenced blocks of one kind, its words after the language included."""
    return [content for said, content in FENCE.findall(PAGES[page]) if said == kind]


def run_python(page: str) -> None:
    session: dict[str, Any] = {}
    for number, content in enumerate(blocks(page, "python")):
        exec(compile(content, f"{page}, block {number}", "exec"), session)


def tables(folder: Path) -> None:
    """The tables that the recipes name: 200 tickets, of which 60 have a topic, and two smaller gold ones."""
    rng = random.Random(0)
    for name, rows, gold in (
        ("tickets.csv", 200, 60),
        ("checked.csv", 60, 60),
        ("validation.csv", 40, 40),
        ("new.csv", 20, 0),
    ):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["body", "topic"])
            for row in range(rows):
                topic = rng.choice(LABELS)
                table.writerow([f"about {topic} {rng.random():.4f} {name}", topic if row < gold else ""])


SESSIONS = ["README.md", "concepts.md", "evidence.md", "python.md", "signals.md", "trust.md", "workshop.md"]


@pytest.mark.parametrize("page", SESSIONS)
def test_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert blocks(page, "python")
    run_python(page)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_recipes_are_legal(page: str) -> None:
    for content in blocks(page, "yaml"):
        recipe = parse_recipe(yaml.safe_load(content))
        assert recipe.teachers or recipe.method.name == "gold-only"
    for content in blocks(page, "yaml part"):
        whole = {"data": {"pool": {"path": "x.csv"}}, "teachers": [yaml.safe_load(content)]}
        assert parse_recipe(whole).teachers[0].name


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    kinds = {
        said.split(" ")[0] + (" part" if said.endswith(" part") else "")
        for page in PAGES
        for said, _ in FENCE.findall(PAGES[page])
    }
    assert kinds <= {"", "sh", "python", "yaml", "yaml part", "json", "csv", "jsonl"}, kinds


def llm_recipe(page: str, name: str, address: str) -> None:
    """The page's first recipe as a file, with a server that is there and a student that needs no download."""
    recipe = yaml.safe_load(blocks(page, "yaml")[0])
    recipe["teachers"][0] |= {"base_url": f"{address}/fine/v1", "labels": ANSWERS}
    Path(name).write_text(yaml.safe_dump(recipe | {"student": {"kind": "ngram"}}), encoding="utf-8")


def test_the_readmes_llm_recipe_runs_by_its_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And then what other pages do with such a run; the key is in no file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_API_KEY", "sk-none-of-your-business")
    tables(tmp_path)
    call = caller(monkeypatch, capsys)
    with servers.loopback() as address:
        llm_recipe("README.md", "recipe.yaml", address)
        for line in commands(blocks("README.md", "sh")[1]):
            code, out, err = call(*line)
            assert code == 0, (line, out, err)
    assert len(Path("predictions.jsonl").read_text(encoding="utf-8").splitlines()) == 20
    run_python("ledger.md")
    assert capsys.readouterr().out.startswith("answered ")
    Path("runs/tickets").rename("runs/default")
    run_python("metrics.md")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"none-of-your-business" in path.read_bytes()]


def test_the_cookbooks_budget_is_raised_while_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_API_KEY", "sk-none-of-your-business")
    tables(tmp_path)
    call = caller(monkeypatch, capsys)
    with servers.loopback() as address:
        llm_recipe("cookbook.md", "tickets.yaml", address)
        ends = []
        for line in commands(blocks("cookbook.md", "sh")[1]):
            code, out, err = call(*(word.replace("0.50", "0.003") for word in line))  # this world is small
            assert code == 0, (line, out, err)
            ends += [out.split()[-1]] if line[0] == "annotate" else []
    assert ends == ["budget.money", "complete"]


def test_local_checkpoints_teach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tables(tmp_path)
    save_classifier(Path("models/general"), LABELS)
    save_classifier(Path("models/specialist"), ("bug", "other"), seed=4)
    save_classifier(Path("models/old"), None, seed=5, num_labels=4)
    Path("local.yaml").write_text(blocks("README.md", "yaml")[1], encoding="utf-8")
    code, out, err = caller(monkeypatch, capsys)("run", "local.yaml")
    assert (code, "Report: runs/local/report.html" in out) == (0, True), (out, err)


@cache
def anchors(page: Path) -> set[str]:
    """The places that a forge makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_resolve(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", PAGES[page])):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        linked = WHERE[page].parent / path if path else WHERE[page]  # without a path a place on the same page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.resolve()), target


def commands(text: str) -> list[list[str]]:
    """The words after `distrust` of each command in a shell block or between backticks."""
    found = re.findall(r"(?:^|`)distrust +([a-z][^`\n#]*)", text, re.MULTILINE)
    return [shlex.split(one.split("&&")[0]) for one in found]


def test_every_command_and_option_exists() -> None:
    import typer

    from distrust.cli import app

    known: Any = typer.main.get_command(app)
    seen = set()
    for page, text in PAGES.items():
        for name, *words in commands(text):
            assert name in known.commands, (page, name)
            seen.add(name)
            legal = {option for one in known.commands[name].params for option in one.opts}
            assert {word.split("=")[0] for word in words if word.startswith("--")} <= legal, (page, name, words)
    assert seen == set(known.commands), "README's table names every command"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {one for text in PAGES.values() for one in re.findall(r"(?:^|`)(?:\S+=\S+ )?make ([a-z-]+)", text, re.MULTILINE)}
    assert {"demo", "test"} <= named <= targets


def test_the_figures_are_those_of_the_result_files() -> None:
    from benchmarks import (
        _audit_page,
        _kernels_page,
        _muka_page,
        _okd_page,
        _panel_page,
        _peer_page,
        _readme,
        _signals_page,
        _ta_page,
        _which_page,
        _worlds_page,
    )
    from benchmarks._pages import BETWEEN

    pages = {
        _readme.README: _readme.figures,
        _kernels_page.PAGE: _kernels_page.table,
        _panel_page.PAGE: _panel_page.tables,
        _peer_page.PAGE: _peer_page.table,
    }
    pages |= {_signals_page.PAGE: _signals_page.tables, _audit_page.PAGE: _audit_page.table}
    pages |= {_which_page.PAGE: _which_page.tables, _okd_page.PAGE: _okd_page.tables}
    pages |= {_ta_page.PAGE: _ta_page.tables}
    pages |= {_worlds_page.PAGE: _worlds_page.tables, _muka_page.PAGE: _muka_page.tables}
    for page, written in pages.items():
        assert BETWEEN.findall(page.read_text(encoding="utf-8")) == [written()], f"{page.name}: run `make docs`"


def test_readme_names_the_methods_there_are_and_no_other() -> None:
    from distrust.methods import METHODS

    section = PAGES["README.md"].split("## The methods")[1].split("\n## ")[0]
    assert set(re.findall(r"`([a-z-]+)`", section)) == set(METHODS)


def test_the_picture_is_small() -> None:
    picture = (ROOT / "docs" / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) < 250_000


def test_architecture_names_every_module_and_only_what_exists() -> None:
    page = PAGES["architecture.md"]
    source = ROOT / "src" / "distrust"
    there = {path.name for path in source.rglob("*.py")} - {"__init__.py", "__main__.py"}
    assert {name for name in there if f"{name}`" not in page} == set()
    now = page.split("## What differs")[0]
    assert set(re.findall(r"`(?:\w+/)?(\w+\.py)`", now)) <= there
    dotted = set(re.findall(r"`((?:[a-z_]+\.)+\w+)`", now)) - set(re.findall(r"`(\S+\.(?:py|json|yaml|md))`", now))
    assert len(dotted) > 30
    for name in dotted:
        assert resolves(name), name


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one, of this package."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            place: Any = importlib.import_module(".".join(["distrust", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(place, part):
                return False
            place = getattr(place, part)
        return True
    return False
