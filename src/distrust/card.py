"""The model card: what a stranger should know before using a student, as the README.md beside its weights.

Knows facts and figures of one run. Does not compute any, and trusts no text in them: names, labels and warnings come
from outside and can break neither the YAML nor the markdown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from torch import Tensor

from distrust.report.facts import Facts
from distrust.report.text import count, inert, money, percent

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
LOADING = {
    "transformer": """\
from transformers import pipeline
student = pipeline("text-classification", model="path/to/this/folder")
print(student("a text"))""",
    "causal": """\
from transformers import pipeline
student = pipeline("text-generation", model="path/to/this/folder")
print(student("a prompt"))  # as `student.json` says: its template, or the tokenizer's chat template""",
    "ngram": """\
from pathlib import Path
from distrust import Items
from distrust.students import answer, ngram
student = ngram.load(Path("path/to/this/folder"))
claims = answer(student, Items(("1",), ("a text",))).claims  # (1, items)
print(student.space.names[claims[0, 0]])""",
    "module": """\
from pathlib import Path
from distrust.students import module
student = module.load(Path("path/to/this/folder"), model)  # `model`: made by the code that made the trained one""",
}
SCORES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "nll": "NLL (nats)",
    "brier": "Brier score",
    "ece": "calibration error",
}
TEXT_SCORES = {"accuracy": "accuracy", "token_f1": "token F1", "rouge_l": "Rouge-L"}


def model_card(facts: Facts, metrics: Mapping[str, Any]) -> str:
    """A student's README.md: YAML front matter, then what it learned from whom, how good it is, and what it is not for.

    Args:
        facts: the run.
        metrics: its figures, as `report.metrics.metrics` gives them; a figure that is absent is said to be unknown.
    """
    kind = str(_at(facts.recipe, "student", "kind") or "ngram")
    sections = [
        _front_matter(facts, kind),
        f"# {_say(facts.title)}",
        _introduction(facts, metrics),
        f"## How to load it\n\n```python\n{LOADING.get(kind, LOADING['module'])}\n```",
        "## What it knows\n\n" + _labels(facts),
        "## How good it is\n\n" + _scores(facts, metrics),
        "## Its teachers\n\n" + _teachers(facts, metrics),
        "## Data and method\n\n" + _data(facts, metrics),
        "## Licence\n\n" + LICENCE,
        "## Limits\n\n" + _limits(facts, metrics),
    ]
    return "\n\n".join(sections) + "\n"


LICENCE = """\
Unknown unless stated: whoever publishes this model states its licence. The teachers' licences and terms of use may
restrict what may be done with a model trained on their answers; so may the licence of the data it learned from."""


def _front_matter(facts: Facts, kind: str) -> str:
    base = _at(facts.recipe, "student", "model")
    sets = [name for name in _data_sets(facts) if _is_hub_id(name)]
    fields: dict[str, Any] = {
        "library_name": "transformers" if kind in ("transformer", "causal") else "distrust",
        "license": "unknown",
        "tags": ["distrust", "knowledge-distillation"],
    }
    if not isinstance(facts.pool.inputs, Tensor):
        fields["pipeline_tag"] = "text-generation" if facts.open_answers else "text-classification"
    if sets:
        fields["datasets"] = sets
    if isinstance(base, str) and _is_hub_id(base):
        fields["base_model"] = base
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---"


def _introduction(facts: Facts, metrics: Mapping[str, Any]) -> str:
    names = _list(_say(one.source) for one in facts.evidence) or "no teacher"
    gold = len(facts.gold) if facts.gold else 0
    told = f"It learned from {names} and from {count(gold)} gold labels, by the method `{_code(facts.method)}`."
    verdict = _at(metrics, "verdict")
    return "A student distilled with distrust. " + told + (f"\n\n{_say(verdict, 400)}" if verdict else "")


def _labels(facts: Facts) -> str:
    if facts.open_answers:
        how = _at(facts.recipe, "answer", "kind") or "text"
        return f"To complete prompts like its pool's. What its texts answer is read as the recipe says: `{_code(how)}`."
    return f"{len(facts.space)} classes, in this order: " + ", ".join(_say(name, 80) for name in facts.space.names) + "."


def _scores(facts: Facts, metrics: Mapping[str, Any]) -> str:
    found = _at(metrics, "test")
    if not facts.test or not isinstance(found, Mapping):
        return "Not measured: the run had no gold-labelled test items."
    predictors = [name for name in found if _interval(_at(found, name, "accuracy"))]
    if "student" not in predictors:
        return "Not measured: the run has no figures of the student."
    scores = TEXT_SCORES if facts.open_answers else SCORES
    rows = [
        [
            _say("majority vote" if name == "vote" else name.replace("_", "-")),
            *(_interval(_at(found, name, score), score == "accuracy") for score in scores),
        ]
        for name in sorted(predictors, key=lambda name: name != "student")
    ]
    caption = f"On {count(len(facts.test))} gold-labelled test items, with 95 % intervals:"
    worth = _at(metrics, "worth", "sentence")
    return f"{caption}\n\n{_table(['', *scores.values()], rows)}" + (f"\n\n{_say(worth, 400)}" if worth else "")


def _teachers(facts: Facts, metrics: Mapping[str, Any]) -> str:
    if not facts.evidence:
        return "None: it learned from gold alone."
    costs = {one.teacher: one for one in facts.spending}
    rows = []
    for one in facts.evidence:
        figures = _at(metrics, "teachers", one.source) or {}
        cost = costs.get(one.source)
        rows.append(
            [
                _say(one.source),
                _say(facts.kinds.get(one.source, "unknown")),
                _say(_model(facts, one.source)),
                _interval(_at(figures, "accuracy"), share=True) or "unknown",
                percent(_number(_at(figures, "coverage"))),
                percent(_number(_at(figures, "believed"))),
                count(cost.calls if cost else None),
                money(cost.money if cost else None),
            ]
        )
    head = ["teacher", "kind", "model", "accuracy on gold", "answered", "believed", "calls", "money"]
    note = (
        "*Believed* is the share of what the student was told, on the items a teacher answered, that went with its answer. "
        "*Money* is in the currency of the recipe's prices; unknown is not zero."
    )
    return f"{_table(head, rows)}\n\n{note}"


def _data(facts: Facts, metrics: Mapping[str, Any]) -> str:
    used = _number(_at(metrics, "targets", "items"))
    sets = [_base_name(name) for name in _data_sets(facts)]
    options = json.dumps(dict(facts.options), default=str, ensure_ascii=False)
    lines = [
        f"- pool: {count(len(facts.pool))} items" + (f", of which the student learned from {count(used)}" if used else ""),
        f"- gold: {count(len(facts.gold) if facts.gold else 0)} labels",
        f"- test: {count(len(facts.test))} items" if facts.test else "- test: none",
        f"- read from: {_list(_say(name) for name in sets) or 'items made in memory'}",
        f"- method: `{_code(facts.method)}`, options `{_code(options)}`",
    ]
    seed = _at(facts.environment, "seed")
    return "\n".join(lines + ([f"- seed: {_say(seed)}"] if seed is not None else []))


def _limits(facts: Facts, metrics: Mapping[str, Any]) -> str:
    lines = ["Its teachers can be wrong, and it may have learned their mistakes, above all where no gold label shows them."]
    if facts.open_answers:
        lines.append("It writes something about any prompt, of any other kind too.")
    else:
        lines.append("It always answers with one of the classes above, on an input of any other kind too.")
    missing = facts.gold.missing_classes() if facts.gold else list(facts.space.names)
    missing = [] if facts.open_answers else missing
    if missing:
        shown = ", ".join(_say(name, 80) for name in missing[:20]) + (
            f" and {len(missing) - 20} more" if len(missing) > 20 else ""
        )
        lines.append(f"Nobody vouched for a single example of: {shown}.")
    if facts.test:
        lines.append("The figures above hold for items like its test items; elsewhere, measure again.")
    lines += [_say(one, 400) for one in (*facts.simulated, *facts.warnings)]
    return "\n".join(f"- {line}" for line in lines)


def _model(facts: Facts, teacher: str) -> str:
    """The model behind a teacher, whose licence counts; "unknown" for recorded answers."""
    recipes = _at(facts.recipe, "teachers") or ()
    named = next((one for one in recipes if _at(one, "name") == teacher), None)
    parts = [_base_name(str(part)) for part in (_at(named, "model"), _at(named, "adapter")) if part]
    return " + ".join(parts) or "unknown"


def _base_name(path: str) -> str:
    """A hub id or file name as it is; of any longer path, which would tell of somebody's machine, the end."""
    return path if HUB_ID.fullmatch(path) else path.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]


def _data_sets(facts: Facts) -> list[str]:
    paths = [_at(facts.recipe, "data", part, "path") for part in ("pool", "test", "validation")]
    return list(dict.fromkeys(path for path in paths if isinstance(path, str)))


def _is_hub_id(name: str) -> bool:
    return bool(HUB_ID.fullmatch(name)) and not re.search(r"\.(csv|tsv|jsonl?|ndjson|parquet)$", name.lower())


def _at(tree: Any, *path: str) -> Any:
    """What lies at a path of a tree of mappings; None where there is nothing."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _interval(found: Any, share: bool = False) -> str:
    """A figure with its interval; an empty text where there is none."""
    value, low, high = (_number(_at(found, key)) for key in ("value", "low", "high"))
    if value is None:
        return ""
    shown = [f"{100 * one:.1f} %" if share else f"{one:.3f}" for one in (value, low, high) if one is not None]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if len(shown) == 3 else shown[0]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _list(names: Iterable[str]) -> str:
    *most, last = [*names] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _say(text: object, limit: int = 120) -> str:
    """Text from outside as one inert piece of a markdown line: no markup, no HTML, no link that a viewer makes by itself."""
    line = " ".join(inert(text, limit).split()).replace("`", "'")
    line = re.sub(r"[\\*_\[\]|~!$]", r"\\\g<0>", line)
    line = re.sub(r"^(\d*)([#+\-=.)])", r"\1\\\2", line)  # what would start a heading or a list
    return re.sub(r"[&<>@]|:(?=//)|(?<=www)\.", lambda found: f"&#{ord(found.group())};", line, flags=re.IGNORECASE)


def _code(text: object) -> str:
    """Text from outside between backticks: where it holds one, it would end the span."""
    return " ".join(inert(text, 400).split()).replace("`", "'") or "none"
