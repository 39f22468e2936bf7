"""A student's samples for its self-consistency: one prefill shared by a prompt's m samples, beside m calls of `generate`.

One process, one thread, process time, the two in turn, batches of the same size and of prompts of like length. The model is
a small Llama that has half learned to work out coin flips, so that its answers differ; whether both answer alike is tested
by a permutation test within each prompt. Then: the choice of a few of a million scores.
"""

from __future__ import annotations

import gc
import random
import resource
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Result
from distrust.answers import Answers
from distrust.data import Items
from distrust.labelled import from_texts
from distrust.modules import frozen
from distrust.recipe import Answer, CausalStudent, Train
from distrust.run import Run
from distrust.selection import at_random, need, ranked
from distrust.students import causal
from distrust.students.sampling import generate

WHO = ("shared", "separate")
EPOCHS = 8
PROMPTS, SAMPLES, TEMPERATURE, LONGEST, ROWS = 1000, 8, 0.7, 96, 256
NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hal")
LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 512,
}
ANSWERS = Answers(Answer(kind="yes_no", after="answer is"))
POOL, CHOSEN = 1_000_000, 10_000


def run(quick: bool) -> Result:
    """Rounds of both over 1,000 prompts, in random order; `quick`: over 200."""
    torch.set_num_threads(1)
    rounds, prompts = (3, 200) if quick else (3, PROMPTS)
    student, items = _student(300), _coins(prompts, seed=1)[0]
    contenders = {"shared": _shared, "separate": _separate}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    answers: dict[str, list[list[str]]] = {name: [[] for _ in range(len(items))] for name in contenders}
    order = random.Random(0)
    for turn in range(rounds):
        names = list(contenders)
        order.shuffle(names)
        for name in names:
            gc.collect()
            start = time.process_time()
            texts = contenders[name](student, items, turn)
            seconds[name].append(time.process_time() - start)
            for mine, said in zip(answers[name], texts, strict=True):
                mine += [str(ANSWERS.read(one)) for one in said]
    figures: dict[str, float | bool] = {}
    ratios = [theirs / ours for theirs, ours in zip(seconds["separate"], seconds["shared"], strict=True)]
    low, _, high = quantiles(ratios, n=4)
    figures |= {"speedup": median(ratios), "speedup.low": low, "speedup.high": high}
    figures |= {f"seconds.{name}": median(found) for name, found in seconds.items()}
    figures |= _alike(answers["shared"], answers["separate"]) | _selection()
    settings = {
        "model": f"Llama, width 64, 3 layers, {sum(one.numel() for one in student.module.parameters())} parameters",
        "prompts": prompts,
        "samples": SAMPLES,
        "temperature": TEMPERATURE,
        "longest": LONGEST,
        "rows_at_once": ROWS,
        "rounds": rounds,
        "interval": "quartiles over rounds",
        "separate": "m calls of transformers' generate for each batch, prompts of like length together",
        "threads": 1,
    }
    return Result(figures, settings, seeds=list(range(rounds)))


def _shared(student: causal.CausalStudent, items: Items, seed: int) -> list[list[str]]:
    how: dict[str, Any] = {"samples": SAMPLES, "temperature": TEMPERATURE, "max_new_tokens": LONGEST, "rows": ROWS}
    return generate(student, items, seed=seed, **how).texts


def _separate(student: causal.CausalStudent, items: Items, seed: int) -> list[list[str]]:
    """What anybody would write: every batch sampled m times by transformers."""
    prompts, tokenizer, module = student.encode(items), student.reader.tokenizer, student.module
    texts: list[list[str]] = [[] for _ in range(len(items))]
    with frozen(module), torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(SAMPLES):
            for rows in prompts.by_length(ROWS):
                inputs = prompts.batch(rows)
                inputs.pop("position_ids")
                written = module.generate(  # type: ignore[operator]
                    **inputs,
                    do_sample=True,
                    temperature=TEMPERATURE,
                    top_k=0,
                    max_new_tokens=LONGEST,
                    pad_token_id=tokenizer.pad_token_id,
                    eos_token_id=tokenizer.eos_token_id,
                )
                said = tokenizer.batch_decode(written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
                for row, one in zip(rows.tolist(), said, strict=True):
                    texts[row].append(one)
    return texts


def _alike(ours: list[list[str]], theirs: list[list[str]], shuffles: int = 2000) -> dict[str, float | bool]:
    """Do both answer alike? A chi-square over each prompt's answers, summed, against answers shuffled within prompts."""
    names = sorted({one for many in (*ours, *theirs) for one in many})
    both = torch.tensor([[names.index(one) for one in (*mine, *other)] for mine, other in zip(ours, theirs, strict=True)])
    half = both.shape[1] // 2
    coded = torch.nn.functional.one_hot(both, len(names)).double()  # (B, 2 S, K)
    expected = coded.mean(1) * half  # (B, K) in each half
    generator = torch.Generator().manual_seed(0)

    def distance(order: Tensor) -> float:
        count = coded.gather(1, order[:, :half, None].expand(-1, -1, len(names))).sum(1)
        return float(((count - expected).square() / expected.clamp(min=1e-12)).sum())

    found = distance(torch.arange(2 * half).expand(len(both), -1))
    drawn = [distance(torch.rand(both.shape, generator=generator).argsort(-1)) for _ in range(shuffles)]
    sure = [float((part.sum(1).amax(-1) / half).mean()) for part in (coded[:, :half], coded[:, half:])]
    shares = [part.mean((0, 1)).tolist() for part in (coded[:, :half], coded[:, half:])]
    return {
        "same_answers.p": (1 + sum(one >= found for one in drawn)) / (1 + shuffles),
        **{f"self_consistency.{who}": one for who, one in zip(WHO, sure, strict=True)},
        **{f"said_{name}.{who}": one[row] for who, one in zip(WHO, shares, strict=True) for row, name in enumerate(names)},
    }


def _selection() -> dict[str, float | bool]:
    """Process time of choosing of a million items: the slowest of three, and what memory it took beyond scores and ids."""
    generator = torch.Generator().manual_seed(0)
    ids = [f"item-{row}" for row in range(POOL)]
    shares = torch.randint(1, 6, (POOL,), generator=generator) / 5  # as five samples give them: a fifth of all is tied
    assistant = torch.rand(POOL, generator=generator)
    work = {
        "need": lambda: ranked(need(shares, assistant), ids, CHOSEN),
        "tied": lambda: ranked(need(shares, None), ids, CHOSEN),
        "random": lambda: at_random(ids, CHOSEN),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures: dict[str, float | bool] = {}
    for name, choose in work.items():
        times = []
        for _ in range(3):
            start = time.process_time()
            assert len(choose()) == CHOSEN
            times.append(time.process_time() - start)
        figures[f"selection_seconds.{name}"] = max(times)
    return figures | {"selection_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def _coins(count: int, seed: int) -> tuple[Items, list[str]]:
    """Questions of two to five people, and how they are worked out."""
    draw = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        turns = [(name, draw.random() < 0.5) for name in draw.sample(NAMES, draw.randint(2, 5))]
        told = " ".join(f"{name} {'flips' if turn else 'does not flip'} the coin." for name, turn in turns)
        up, said = True, ""
        for name, turn in turns:
            up = up != turn
            said += f"{name} {'flips' if turn else 'does not'}: {'heads' if up else 'tails'}. "
        said += f"So the answer is {'yes' if up else 'no'}."
        found.setdefault(f"A coin is heads up. {told} Is the coin still heads up?", said)
    return Items(tuple(f"{seed}/{row}" for row in range(count)), tuple(found)), list(found.values())


def _student(count: int) -> causal.CausalStudent:
    """A student of a few worked questions, the same each time."""
    items, said = _coins(count, seed=0)
    options = CausalStudent(
        kind="causal", config=LLAMA, vocabulary=400, max_prompt_length=160, max_completion_length=LONGEST
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            Path(folder),
            space=None,
            answers=ANSWERS,
            pool=items,
            teachers=[],
            new_student=lambda seed: causal.build(options, ANSWERS, seed, items),
            options=Train(num_train_epochs=EPOCHS, learning_rate=2e-3, per_device_train_batch_size=16),
        )
        student = run.fit("student", from_texts(items, [{one: 1.0} for one in said]))
        run.close()
    assert isinstance(student, causal.CausalStudent)
    return student
