"""Two small runs, really trained, as facts for a report: scikit-learn's digits, and messages to a bank."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from distrust.combine import fit_confusions
from distrust.data import Items
from distrust.evaluate import final_claims
from distrust.evidence import Dense, Evidence, stack
from distrust.gold import Gold
from distrust.labels import LabelSpace
from distrust.report.facts import Facts, LearningCurve, Spending

TOPICS = {
    "lost card": "card lost stolen missing wallet block",
    "card arrival": "card waiting delivery post arrived weeks",
    "exchange rate": "rate currency dollars euro converted wrong",
    "top up": "top balance add money failed account",
    "refund": "refund merchant returned purchase money back",
    "pin blocked": "pin blocked tries unlock machine card",
}
HOSTILE = (
    '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'"> </style></code></pre>'
    '\x1b[31mred\x1b[0m \u202egnp.exe \ud800 {{ 7 * 7 }} javascript:alert(1) "><svg onload=alert(1)> ' + "x" * 1_000_000
)
FILLER = ["please", "help", "me", "with", "my", "the", "is", "not", "a", "yesterday", "today", "again", "can", "you"]


def chances(model: Any, inputs: Any, classes: int) -> torch.Tensor:
    """A scikit-learn model's probabilities over all classes: (N, C)."""
    full = torch.zeros(inputs.shape[0], classes)
    full[:, torch.tensor(model.classes_)] = torch.tensor(model.predict_proba(inputs), dtype=torch.float32)
    return full / full.sum(-1, keepdim=True)


def fit(inputs: Any, labels: Any, weight: Any = None) -> LogisticRegression:
    return LogisticRegression(max_iter=300, C=1.0).fit(inputs, labels, weight)


def targets_of(evidence: list[Evidence], space: LabelSpace, ids: tuple[str, ...], gold: Gold) -> torch.Tensor:
    claims = final_claims(stack(evidence, space, ids))
    rows = [ids.index(item) for item in gold.ids]
    targets = fit_confusions(claims[:, rows], gold.labels, claims, len(space)).posterior(claims)
    targets[rows] = torch.nn.functional.one_hot(gold.labels, len(space)).float()
    return targets


def history(epochs: int = 12) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, start in (("student", 2.2), ("gold-only", 1.9)):
        for epoch in range(1, epochs + 1):
            rows.append(
                {
                    "fit": name,
                    "step": epoch * 40,
                    "epoch": epoch,
                    "loss": start * 0.8**epoch + 0.1,
                    "eval_accuracy": 0.9 - 0.1 * (name == "gold-only") - 0.5 * 0.7**epoch,
                }
            )
    return rows


def digits() -> Facts:
    """Three local teachers: a fair one, one that exchanges 3 and 8, 4 and 9, and one that knows four digits."""
    data = load_digits()
    pixels = torch.tensor(data.data, dtype=torch.float32) / 16
    truth = torch.tensor(data.target)
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(0))
    seen, pool, test = order[:200], order[200:1000], order[1000:]
    space = LabelSpace(tuple(str(digit) for digit in range(10)))
    swap = torch.arange(10)
    swap[[3, 8, 4, 9]] = torch.tensor([8, 3, 9, 4])
    some = truth[seen] < 4
    models = {
        "careful": (fit(pixels[seen[:90]], truth[seen[:90]]), space),
        "muddled": (fit(pixels[seen], swap[truth[seen]]), space),
        "zero-to-three": (fit(pixels[seen][some], truth[seen][some]), LabelSpace(space.names[:4])),
    }
    images = pixels.view(-1, 8, 8)
    items = {
        part: Items(tuple(f"digit-{row}" for row in rows.tolist()), images[rows])
        for part, rows in (("pool", pool), ("test", test))
    }

    def ask(part: str, rows: torch.Tensor) -> list[Evidence]:
        found = []
        for name, (model, own) in models.items():
            chance = chances(model, pixels[rows].numpy(), len(own))
            found.append(Evidence(name, items[part].ids, own, chance.argmax(-1)[None], logits=Dense(chance.log())))
        return found

    evidence = ask("pool", pool)
    known = torch.arange(0, 800, 16)
    gold = Gold(tuple(items["pool"].ids[row] for row in known), truth[pool][known], space)
    targets = targets_of(evidence, space, items["pool"].ids, gold)
    student = fit(pixels[pool].numpy(), targets.argmax(-1).numpy())
    alone = fit(pixels[pool][known].numpy(), gold.labels.numpy())
    drawn = pool[torch.arange(800) % 16 != 0]
    numbers = (20, 40, 80, 160, 320, 640)
    curve = [fit(pixels[drawn[:count]], truth[drawn[:count]]).predict(pixels[test]) for count in numbers]
    return Facts(
        title="digits",
        method="distill",
        options={"targets": "confusions", "gold_weight": 1.0},
        recipe={"data": {"pool": {"path": "digits"}}, "student": {"kind": "module"}, "seed": 0},
        space=space,
        pool=items["pool"],
        evidence=evidence,
        kinds=dict.fromkeys(models, "classifier"),
        gold=gold,
        targets=targets,
        target_weight=None,
        test=items["test"],
        test_labels=truth[test],
        predictions={
            "student": chances(student, pixels[test].numpy(), 10),
            "gold-only": chances(alone, pixels[test].numpy(), 10),
        },
        test_evidence=ask("test", test),
        curve=LearningCurve(numbers, torch.stack([torch.tensor(said) == truth[test] for said in curve])),
        history=history(),
        spending=[Spending(name, 0, 0, 0, 0.0) for name in models],
        simulated=["The teacher “muddled” is wrong on purpose: 3 and 8, 4 and 9 are exchanged in what it learned."],
        environment={
            "seed": 0,
            "threads": 1,
            "device": "cpu",
            "seconds": 12.3,
            "versions": {"python": "3.11", "torch": torch.__version__},
        },
    )


def messages(items: int = 900, classes: int = 6, hostile: str | None = None) -> Facts:
    """A paid language model, partly asked, and an old tagger without confidence; the test set is nobody's.

    Args:
        classes: more than six adds numbered copies of the topics.
        hostile: put this wherever text from outside can stand.
    """
    rng = random.Random(0)
    names = [f"{topic} {turn}".strip() if turn else topic for turn in range(-(-classes // 6)) for topic in TOPICS][:classes]
    space = LabelSpace(tuple(names) if hostile is None else (*names[:-1], hostile[:200]))
    truth = [rng.randrange(classes) for _ in range(items)]
    texts = [sentence(rng, names[label]) for label in truth]
    labels = torch.tensor(truth)
    cut = items * 2 // 3
    if hostile is not None:
        texts[1] = hostile
    pool = Items(tuple(f"m{row}" for row in range(cut)), tuple(texts[:cut]))
    test = Items(tuple(f"m{row}" for row in range(cut, items)), tuple(texts[cut:]))
    gold = Gold(pool.ids[:60], labels[:60], space, reserve={"prompt": 6})
    wrong = [rng.random() < (0.6 if label % 3 == 0 else 0.1) for label in truth]
    llm = [(label + 1) % classes if off else label for label, off in zip(truth, wrong, strict=True)]
    llm = [-1 if rng.random() < 0.03 else claim for claim in llm[: int(cut * 0.8)]]
    said = [f"Label: {space.names[claim]}" if claim >= 0 else "As a language model, I would rather not." for claim in llm]
    if hostile is not None:
        said = [hostile] * len(said)
    tagger = [label if rng.random() < 0.55 else rng.randrange(classes) for label in truth[:cut]]
    evidence = [
        Evidence(
            "gpt-large" if hostile is None else hostile[:200],
            pool.ids[: len(llm)],
            space,
            torch.tensor([llm]),
            texts=[[one] for one in said],
            notes={"could not parse" if hostile is None else hostile: sum(claim < 0 for claim in llm)},
        ),
        Evidence("tagger-2019", pool.ids, space, torch.tensor([tagger]), notes={"outside the label space": 4}),
    ]
    targets = targets_of(evidence, space, pool.ids, gold)
    words = TfidfVectorizer().fit(texts[:cut])
    student = fit(words.transform(texts[:cut]), targets.argmax(-1).numpy())
    alone = fit(words.transform(texts[:60]), gold.labels.numpy())
    llm_name = evidence[0].source
    return Facts(
        title="bank messages" if hostile is None else hostile,
        method="distill",
        options={"targets": "confusions", "mix": 0.5},
        recipe={
            "data": {"pool": {"path": "messages.csv", "text": "message"}},
            "teachers": [{"kind": "endpoint", "name": llm_name, "api_key": "${KEY}", "prompt": hostile or "{text}"}],
            "seed": 0,
        },
        space=space,
        pool=pool,
        evidence=evidence,
        kinds={llm_name: "endpoint", "tagger-2019": "recorded"},
        gold=gold,
        targets=targets,
        target_weight=None,
        test=test,
        test_labels=labels[cut:],
        predictions={
            "student": chances(student, words.transform(texts[cut:]), classes),
            "gold-only": chances(alone, words.transform(texts[cut:]), classes),
        },
        test_evidence=[],
        history=history(),
        spending=[
            Spending(llm_name, len(llm), 41_230, 2_110, 0.0173, unknown_outcome=3, failed=1, ended="budget.calls"),
            Spending("tagger-2019", cut, 0, 0, None),
        ],
        warnings=["2 classes have no gold." if hostile is None else hostile],
        environment={"seed": 0, "threads": 1, "device": "cpu", "seconds": {"ask": 31.2, "fit": 8.4}},
    )


def sentence(rng: random.Random, topic: str) -> str:
    own = TOPICS.get(topic.rstrip(" 0123456789"), "").split() + ([f"case{topic.split()[-1]}"] if topic[-1].isdigit() else [])
    other = rng.choice(list(TOPICS.values())).split()
    words = rng.sample(own, 2) + rng.sample(other, 2) + rng.sample(FILLER, 7)
    rng.shuffle(words)
    return " ".join(words).capitalize() + "."


def without(facts: Facts, **changes: Any) -> Facts:
    """The same facts with some of them changed, such as ``gold=None``."""
    return replace(facts, **changes)
