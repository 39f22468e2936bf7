"""The label tables of the benchmark: worlds as described, scores as the library's, and docs that say what was measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from benchmarks._tables_worlds import WORLDS
from benchmarks.tables import _scores
from distrust.combine import majority_vote
from distrust.evaluate import error_correlation, score
from distrust.files import read_json

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", sorted(set(WORLDS) - {"youtube_spam"}))
def test_a_world_is_a_function_of_its_seed(name: str) -> None:
    one, again, other = WORLDS[name](3), WORLDS[name](3), WORLDS[name](4)
    assert torch.equal(one.claims, again.claims) and torch.equal(one.labels, again.labels)
    assert one.claims.shape == (len(one.claims), 10_000) and not torch.equal(one.claims, other.claims)


def accuracies(name: str) -> list[float]:
    world = WORLDS[name](3)
    return (world.claims == world.labels).double().mean(-1).tolist()


def test_teachers_are_as_good_as_their_worlds_say() -> None:
    assert accuracies("adversary") == pytest.approx([0.77, 0.68, 0.6, 0.5, 0.2], abs=0.015)
    assert accuracies("clones") == pytest.approx([0.777, 0.75, 0.6, 0.6, 0.6], abs=0.015)
    assert accuracies("swaps_two_of_three") == pytest.approx([0.8, 0.2, 0.25], abs=0.015)
    assert accuracies("random_noise")[3] == pytest.approx(0.1, abs=0.015)


def test_clones_err_together_and_nobody_else_does() -> None:
    world = WORLDS["clones"](3)
    found = error_correlation(world.claims, world.labels)
    assert bool((found[2:, 2:] > 0.75).all()) and bool((found[:2, 2:].abs() < 0.05).all())
    vote = majority_vote(world.claims, 10)
    expected = float(vote[torch.arange(10_000), world.labels].mean())  # ties broken by luck
    assert expected == pytest.approx(0.658, abs=0.012), "the published figure of this world"


def test_specialists_claim_only_what_they_know() -> None:
    world = WORLDS["specialists"](3)
    assert world.known is not None
    for claims, known in zip(world.claims, world.known, strict=True):
        assert set(claims.tolist()) - {-1} <= set(known.nonzero().squeeze(-1).tolist())


def test_scores_are_those_of_the_library() -> None:
    chances = torch.rand(500, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(-1)
    labels = torch.arange(500) % 4
    found, library = _scores(chances, labels), score(chances, labels, bootstrap=1)
    for mine, theirs in (("", "accuracy"), (".ece", "ece"), (".log_loss", "nll")):
        assert found[mine] == pytest.approx(library[theirs].value)


def test_the_docs_table_is_what_was_measured() -> None:
    figures = read_json(ROOT / "benchmarks" / "results" / "tables.json")["figures"]
    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8").split("## Figures")[1]
    rows = [[cell.strip(" `*") for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    tables = [place for place, row in enumerate(rows) if row[0] == "world"]
    seen = 0
    for start, end in zip(tables, [*tables[1:], len(rows)], strict=True):
        for row in rows[start + 2 : end]:
            for column, cell in zip(rows[start][1:], row[1:], strict=True):
                for part, value in zip(("", ".ece"), re.findall(r"\.\d{3}", cell), strict=False):
                    assert f"{figures[f'{row[0]}.{column}{part}']:.3f}".removeprefix("0") == value, (row[0], column, part)
                    seen += 1
    assert seen > 60
