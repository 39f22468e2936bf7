"""Which names of the package are for users, and where each is described in docs/api.

Reads the code as text: what is re-exported is followed to where it is defined, and nothing is imported. Does not know how a
page looks.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from distrust import docstrings

SOURCE = Path(__file__).parent

# A page: its title, and its modules with the names that are for users; none named: those of `__all__`, else all it defines.
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "data": (
        "Items, classes, gold, errors",
        {
            "data": "",
            "labels": "ABSTAIN LabelSpace Candidates",
            "gold": "PURPOSES Gold Part Fold",
            "answers": "Answers normalise",
            "views": "views Change",
            "errors": "",
        },
    ),
    "evidence": (
        "Evidence: what sources said",
        {
            "evidence": "",
            "logits": "top",
            "claimed": "",
            "evidence_store": "EvidenceStore",
            "store": "save_evidence load_evidence",
        },
    ),
    "teachers": (
        "Teachers, and what they cost",
        {
            "teachers": "",
            "teachers.module": "ModuleTeacher",
            "teachers.classifier": "ClassifierTeacher",
            "teachers.recorded": "",
            "teachers.endpoint": "EndpointTeacher",
            "teachers.local_writer": "LocalWriter",
            "teachers.kept": "",
            "ledger": "Ledger Setting Call Answer",
            "budget": "Charge Accounts CapReachedError",
            "assistant": "confidence_in questions Questions judge text_confidence",
            "defer": "defer Deferred",
        },
    ),
    "trust": ("Trust: how much to believe", {"trust": ""}),
    "panel": (
        "Trust in a panel with open answers",
        {
            "trust.panel": "panel Panel",
            "trust.panel_answers": "read_answers gold_claims normalise",
            "trust.panel_asking": "plan_asking Asking",
            "trust.panel_text": "read_texts TextTrust",
            "trust.panel_logit": "conditional_logit ConditionalLogit",
            "trust.panel_pooled": "pooled Pooled",
        },
    ),
    "combine": (
        "From trust to targets, and to what is bought",
        {
            "combine": "",
            "select": "",
            "selection": "",
            "stopping": "next_gain back_test Tested",
            "canary": "",
            "adoption": "",
        },
    ),
    "losses": (
        "Losses and objectives",
        {
            "losses": "",
            "losses.linear": "",
            "losses.surprise": "surprise",
            "losses.matching": "",
            "objective": "Term Objective Loss Batch",
        },
    ),
    "students": (
        "Students",
        {
            "students": "",
            "students.module": "ModuleStudent load",
            "students.ngram": "Ngram build load",
            "students.transformer": "TransformerStudent build load",
            "students.causal": "CausalStudent build load writer",
            "students.sampling": "Sampling Written generate answer_texts",
            "predictions": "rows text_rows write",
        },
    ),
    "run": (
        "Runs and methods",
        {
            "run": "",
            "labelled": "",
            "distillation": "default_objective",
            "methods": "Method METHODS find",
            "stages": "Stages",
            "recipe_file": "load_recipe parse_recipe",
            "build": "opened load_student",
            "finish": "carry_out gather write",
            "plan": "plan Planned Span",
            "merge": "Merging merge_recipe write_pool",
            "products": "routed",
        },
    ),
    "evaluate": ("Evaluate: how good an answer is", {"evaluate": "", "evaluate.texts": "", "evaluate.following": ""}),
    "noise": ("Noise: audit and workshop", {"noise": "", "workshop": ""}),
}

Defined = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class Name:
    """A public name: where it is imported from, below `distrust`, and where it is defined."""

    module: str
    name: str
    file: Path
    node: Defined

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def heading(self) -> str:
        return f"class `{self.dotted}`" if isinstance(self.node, ast.ClassDef) else f"`{self.dotted}`"

    @property
    def docstring(self) -> str:
        return (ast.get_docstring(self.node) or "") if isinstance(self.node, ast.FunctionDef | ast.ClassDef) else ""

    @property
    def summary(self) -> str:
        """The first sentence of its docstring; of a constant the comment beside it."""
        if isinstance(self.node, ast.Assign | ast.AnnAssign):
            return docstrings.source(lines(self.file), self.node).split("\n")[0].partition("  # ")[2]
        return re.split(r"(?<=\.) (?=[A-Z`])", " ".join(self.docstring.split("\n\n")[0].split()))[0]

    def members(self) -> list[ast.FunctionDef]:
        """The documented methods and properties, of a class."""
        return docstrings.members(self.node) if isinstance(self.node, ast.ClassDef) else []


@cache
def parsed(file: Path) -> ast.Module:
    """A file of the package as a tree."""
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def lines(file: Path) -> list[str]:
    """A file of the package by line."""
    return file.read_text(encoding="utf-8").split("\n")


def path_of(module: str) -> Path:
    """The file of a module below `distrust`."""
    stem = SOURCE.joinpath(*module.split("."))
    return stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")


def defined(module: str, name: str) -> tuple[Path, Defined]:
    """Where a name of a module is defined, followed through imports. Raises KeyError where it is not."""
    file = path_of(module)
    for node in parsed(file).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return file, node
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in docstrings.targets(node):
            return file, node
        if isinstance(node, ast.ImportFrom) and name in [one.asname or one.name for one in node.names]:
            return defined(str(node.module).removeprefix("distrust."), name)
    raise KeyError(f"distrust.{module} has no {name}")


@cache
def public(module: str) -> list[Name]:
    """The public names of a module of `PAGES`, in its order."""
    chosen = next(modules[module] for _, modules in PAGES.values() if module in modules)
    body = parsed(path_of(module)).body
    listed = [
        ast.literal_eval(one.value) for one in body if isinstance(one, ast.Assign) and "__all__" in docstrings.targets(one)
    ]
    own = [one.name for one in body if isinstance(one, ast.FunctionDef | ast.ClassDef) and not one.name.startswith("_")]
    return [Name(module, name, *defined(module, name)) for name in chosen.split() or (listed[0] if listed else own)]


@cache
def places() -> dict[str, str]:
    """Where each public name, and each documented member of a class, is described: its page and anchor."""
    found = {}
    for page, (_, modules) in PAGES.items():
        for one in (name for module in modules for name in public(module)):
            found[one.dotted] = f"{page}.md#{anchor(one.heading)}"
            found |= {f"{one.dotted}.{of.name}": f"{page}.md#{anchor(f'{one.name}.{of.name}')}" for of in one.members()}
    return found


def anchor(heading: str) -> str:
    """What a forge makes of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
