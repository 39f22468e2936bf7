"""Small writers of their own for the reasoning families: a student that has read questions, and teachers of gold chains.

Knows tokens, sizes, and how long each is trained. Knows no budgets or methods. What is trained is kept,
and not trained twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._reasoning import Question
from distrust.answers import Answers
from distrust.data import Items
from distrust.files import read_json, write_json
from distrust.labelled import Labelled, from_texts
from distrust.recipe import Answer, CausalStudent, Train
from distrust.run import Run
from distrust.students import causal
from distrust.students.vocabulary import WRITER

MOST = 160  # tokens of a question


def size(width: int, layers: int) -> dict[str, Any]:
    """A small Llama's config."""
    return {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": max(4, width // 32),
        "num_key_value_heads": max(4, width // 32),
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    }


def save_tokenizer(texts: list[str], folder: Path) -> Path:
    """Bytes, and as tokens of their own the words that stand in a tenth of the texts, with the blank before them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    seen = Counter(word for one in texts for word in set(re.findall(r" ?[A-Za-z]{2,}| \d", one)))
    words = sorted(word for word, times in seen.items() if times >= len(texts) / 10)
    tokens = [*WRITER.values(), *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer: Any = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(WRITER.values()))
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in words])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **{f"{role}_token": token for role, token in WRITER.items()},
    )
    made.save_pretrained(folder)
    return folder


def items_of(questions: list[Question], start: str = "q") -> Items:
    """Questions as items."""
    return Items(tuple(f"{start}{row}" for row in range(len(questions))), tuple(one.text for one in questions))


def told(items: Items, texts: list[str]) -> Labelled:
    """Each item told one text."""
    return from_texts(items, [{text: 1.0} for text in texts])


def trained(
    folder: Path, options: CausalStudent, answer: Answer, lesson: Labelled, train: Train, seed: int = 0, progress: Any = None
) -> causal.CausalStudent:
    """A writer that has learned a lesson, kept in `folder`; what was trained before is loaded."""
    if not (folder / "student.json").is_file():
        answers = Answers(answer)
        run = Run(
            folder.with_name(f"{folder.name}.work"),
            space=None,
            answers=answers,
            pool=lesson.items,
            teachers=[],
            new_student=lambda start: causal.build(options, answers, start, lesson.items),
            options=train,
            seed=seed,
            progress=progress,
        )
        try:
            student = run.fit("student", lesson)
            assert isinstance(student, causal.CausalStudent)
            student.save(folder)
        finally:
            run.close()
    return causal.load(folder)


def trained_until(
    enough: Callable[[causal.CausalStudent], bool],
    parts: int,
    folder: Path,
    options: CausalStudent,
    answer: Answer,
    lesson: Labelled,
    train: Train,
) -> Path:
    """As `trained`, again and again from where it was, until it is `enough` or there have been so many parts.

    Returns where the last part is kept.
    """
    kept = folder.with_name(f"{folder.name}.last.json")
    if not kept.is_file():
        for part in range(parts):
            where = folder.with_name(f"{folder.name}.{part}")
            if enough(trained(where, options, answer, lesson, train, seed=part)):
                break
            options = options.model_copy(update={"config": None, "tokenizer": None, "model": str(where)})
        write_json(kept, where.name)
    return folder.with_name(str(read_json(kept)))
