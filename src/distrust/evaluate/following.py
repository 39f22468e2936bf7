"""How closely a causal student follows a language model, token by token: on given texts, and on the student's own.

Knows hidden states, heads and completions. Knows nothing of training. The divergence is always KL(teacher ‖ student) at
temperature 1, and the teacher is whatever the caller takes for the original.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DataError, RunError
from distrust.evaluate.texts import Spread, likeness, spread
from distrust.losses import linear
from distrust.losses.chunks import Projected
from distrust.losses.surprise import logits
from distrust.modules import device_of, frozen
from distrust.pretrained import token_limit
from distrust.students.causal import CausalStudent
from distrust.students.completions import Reader
from distrust.students.heads import check
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
            places = counted.flatten().nonzero().squeeze(-1)  # logits of all of them would be the largest thing here
            for some in torch.split(places, linear.CHUNK):
                wanted = labels.flatten()[some]
                parts = [replace(one, hidden=one.hidden.flatten(0, 1)[some]) for one in (mine, theirs)]
                said = [logits(one, size) for one in parts]  # (c, V) each
                sums[1] += float((said[0].argmax(-1) == said[1].argmax(-1)).sum())
                for place, one in enumerate(said):
                    sums[2 + place] += float(torch.nn.functional.cross_entropy(one, wanted, reduction="sum"))
                count += len(wanted)
    kl, same, nll, teacher_nll = (sums / count).tolist()
    return Following(kl, same, nll, teacher_nll, count)


def read_alike(name: str, teacher: CausalStudent, student: CausalStudent, same_tokens: bool = True) -> CausalStudent:
    """A teacher's model as it reads completions beside a student: prompts its own way, completions as long as the student's.

    Raises:
        RunError: another tokenizer than the student's, unless that may be; too short a context; logits made in a way that
            is not known here.
    """
    mine, its = student.reader.tokenizer, teacher.reader.tokenizer
    if same_tokens and (mine.get_vocab() != its.get_vocab() or mine.eos_token_id != its.eos_token_id):
        raise RunError(
            f"{name} and the student have different tokenizers ({len(its)} and {len(mine)} tokens), so their "
            "probabilities are of different things; give the student the teacher's tokenizer, or learn with the method uld "
            "(sorted probabilities, whatever the tokens), or from its texts alone with the method distill."
        )
    reader = replace(teacher.reader, max_completion_length=student.reader.max_completion_length)
    longest = reader.max_prompt_length + reader.max_completion_length
    limit = token_limit(teacher.module, reader.tokenizer)
    if limit is not None and longest > limit:
        raise RunError(
            f"{name} reads at most {limit} tokens, and its max_prompt_length with the student's "
            f"max_completion_length makes {longest}; lower one of them."
        )
    check(teacher.module, name)
    check(student.module, "The student")
    return replace(teacher, reader=reader)


def own_words(student: CausalStudent, items: Items, seed: int = 0, temperature: float = 1.0) -> list[list[int]]:
    """What a student writes of items (B), sampled, as token ids with the end token where one came: B lists.

    A text ends before a token that its tokenizer does not have, of a head that is padded: nobody else could read it.
    """
    end, known = student.reader.tokenizer.eos_token_id, len(student.reader.tokenizer)
    prompts = student.encode(items)
    keys = text_keys(items.ids, 1, seed)
    found: list[list[int]] = [[]] * len(items)
    for chosen in prompts.by_length(256):
        for row, ids in zip(
            chosen.tolist(), complete(student, prompts.batch(chosen), keys[chosen], temperature), strict=True
        ):
            strange = next((place for place, token in enumerate(ids) if token >= known), None)
            found[row] = ids if strange is None else [*ids[:strange], end]
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


def sampled(
    student: CausalStudent, items: Items, wanted: Sequence[str], samples: int, teachers: Mapping[str, CausalStudent]
) -> dict[str, Any]:
    """What a student samples of items (B) at temperature 1, over so many seeds, and how closely it follows teachers there.

    Args:
        wanted: B references.
        samples: seeds, each of a text an item: 1 or more.
        teachers: by name, as `read_alike` gives them.

    Returns:
        `exact_match` and `rouge_l` of the texts, `distinct_1`, `distinct_2` of all of a seed's, each a `Spread`; and by
        name, `teachers`: `given`, a `Following` on the references, and `own`, its figures on the student's texts, each a
        `Spread`; `excess_error` in percent, a `Spread`, NaN where the divergence on the teacher's own texts is 0.

    Raises:
        DataError: no items.
    """
    written = [own_words(student, items, seed=seed) for seed in range(samples)]
    plain = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    spoken = [student.reader.tokenizer.batch_decode(one, **plain) for one in written]
    found: dict[str, Any] = {
        score: spread([float(likeness(texts, [[one] for one in wanted], score).mean()) for texts in spoken])
        for score in ("exact_match", "rouge_l")
    }
    found |= {f"distinct_{n}": spread([distinct(texts, n) for texts in spoken]) for n in (1, 2)}
    given = student.reader.completions(wanted)[0]
    return found | {"teachers": {name: _beside(student, one, items, given, written) for name, one in teachers.items()}}


def _beside(
    student: CausalStudent,
    teacher: CausalStudent,
    items: Items,
    given: Sequence[Sequence[int]],
    written: Sequence[Sequence[Sequence[int]]],
) -> dict[str, Any]:
    """One teacher's entry of `sampled`: on given texts, on each seed's of the student, and on what the teacher samples."""
    teacher.module.to(device_of(student.module))
    alone = [asdict(following(student, teacher, items, one)) for one in written]
    taught = following(student, teacher, items, own_words(teacher, items, seed=len(written))).kl
    excess = [excess_error(one["kl"], taught) if taught > 0 else float("nan") for one in alone]
    own: dict[str, Spread] = {name: spread([one[name] for one in alone]) for name in alone[0]}
    return {"given": following(student, teacher, items, given), "own": own, "excess_error": spread(excess)}
