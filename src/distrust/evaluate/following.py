"""How closely a causal student follows a language model, token by token: on given texts, and on the student's own.

Knows hidden states, heads and completions. Knows nothing of training. The divergence is always KL(teacher ‖ student) at
temperature 1, and the teacher is whatever the caller takes for the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DataError
from distrust.losses import linear
from distrust.losses.chunks import Projected
from distrust.losses.surprise import logits
from distrust.modules import device_of, frozen
from distrust.students.causal import CausalStudent
from distrust.students.completions import Reader
from distrust.students.sampling import complete, text_keys


class Reads(Protocol):
    """What is compared: a `CausalStudent`, or a teacher that stands for one."""

    @property
    def reader(self) -> Reader: ...

    @property
    def module(self) -> nn.Module: ...

    def hidden(self, inputs: dict[str, Tensor]) -> Projected:
        """A batch of completions to hidden states (n, T, d) and the head."""
        ...


@dataclass(frozen=True)
class Following:
    """Figures over all tokens of some completions, each token counting once."""

    kl: float  # nats a token, KL(teacher ‖ student)
    agreement: float  # share of tokens at which both find the same one likeliest
    nll: float  # the student's, nats a token
    teacher_nll: float  # the teacher's
    tokens: int


def following(
    student: Reads, teacher: Reads, items: Items, completions: Sequence[Sequence[int]], rows: int = 64
) -> Following:
    """Compare both on completions of items (B), given as token ids of the tokenizer that they share; modes are as before.

    Raises:
        DataError: nothing to compare on.
    """
    if not len(items):
        raise DataError("There are no items to compare student and teacher on; give one or more.")
    sums = torch.zeros(4, dtype=torch.float64)
    count = 0
    read = [side.reader.continued(items, completions) for side in (student, teacher)]
    size = min(len(one.reader.tokenizer) for one in (student, teacher))
    device = device_of(student.module)
    with frozen(student.module), frozen(teacher.module):
        for chosen in torch.split(torch.arange(len(items)), rows):
            inputs = [{name: value.to(device) for name, value in one.batch(chosen).items()} for one in read]
            labels = inputs[0]["labels"]
            counted = labels >= 0
            mine, theirs = student.hidden(inputs[0]), teacher.hidden(inputs[1])
            sums[0] += float(linear.divergence(mine, theirs, counted=counted, count=1, vocabulary=size)[0])
            said = [logits(replace(one, hidden=one.hidden[counted]), size) for one in (mine, theirs)]  # (n, V) each
            sums[1] += float((said[0].argmax(-1) == said[1].argmax(-1)).sum())
            wanted = labels[counted]
            for place, one in enumerate(said):
                sums[2 + place] += float(torch.nn.functional.cross_entropy(one, wanted, reduction="sum"))
            count += len(wanted)
    kl, same, nll, teacher_nll = (sums / count).tolist()
    return Following(kl, same, nll, teacher_nll, count)


def own_words(student: CausalStudent, items: Items, seed: int = 0, temperature: float = 1.0) -> list[list[int]]:
    """What the student writes of items (B), sampled, as token ids with the end token where one came: B lists."""
    prompts = student.encode(items)
    keys = text_keys(items.ids, 1, seed)
    found: list[list[int]] = [[]] * len(items)
    for chosen in prompts.by_length(256):
        for row, ids in zip(
            chosen.tolist(), complete(student, prompts.batch(chosen), keys[chosen], temperature), strict=True
        ):
            found[row] = ids
    return found


def excess_error(own: float, given: float) -> float:
    """Exposure bias in percent: how much further from the teacher a student is on its own prefixes than on the teacher's.

    own, given: KL(teacher ‖ student), nats a token, on texts of the student and on texts of the teacher. 0: no bias.
    Source: Arora et al. 2022, ExAccErr, as OKD prints it in equations 5 to 7, a token rather than a length at a time.
    """
    if not given > 0:
        raise DataError(f"The divergence on the teacher's texts is {given}; the excess error is over one above 0.")
    return 100 * (own - given) / given


def distinct(texts: Sequence[str], n: int = 2) -> float:
    """Share of the word n-grams of all texts that are different ones; NaN where there is none. Source: Li et al. 2016."""
    words = [text.split() for text in texts]
    grams = [tuple(one[at : at + n]) for one in words for at in range(len(one) - n + 1)]
    return len(set(grams)) / len(grams) if grams else float("nan")
