"""What methods share that learn from a language model's probabilities of tokens, rather than from its texts alone.

Knows the one teacher of such a method, whether it reads as the student does, whose texts both read, and divergences by name.
Knows nothing of any one method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from distrust import losses
from distrust.claimed import told_by
from distrust.data import Items
from distrust.errors import RunError
from distrust.evaluate.following import Reads, following, own_words, read_alike
from distrust.files import fingerprint
from distrust.labelled import Labelled
from distrust.losses import linear
from distrust.losses.blocks import Loss
from distrust.losses.chunks import Given, Projected
from distrust.objective import Batch, Objective
from distrust.processes import mix
from distrust.recipe import Train
from distrust.rows import Completions
from distrust.run import Run
from distrust.sides import Side
from distrust.students.causal import CausalStudent, writer
from distrust.students.sampling import complete
from distrust.teachers.local_writer import LocalWriter

TUTOR = "teacher"  # the side's name
PROBE = 64  # items on which an epoch's figures are taken

DIVERGENCES: dict[str, tuple[Loss, str | None]] = {  # and what `share` is called
    "forward": (losses.forward_kl, None),
    "reverse": (losses.reverse_kl, None),
    "symmetric": (losses.symmetric_kl, "reverse"),
    "jensen-shannon": (losses.jensen_shannon, "beta"),
    "skew-forward": (losses.skew_forward_kl, "skew"),
    "skew-reverse": (losses.skew_reverse_kl, "skew"),
    "total-variation": (losses.total_variation, None),
    "adaptive": (losses.adaptive_kl, "head"),
    "alpha-beta": (losses.alpha_beta, None),
}
Divergence = Literal[
    "forward",
    "reverse",
    "symmetric",
    "jensen-shannon",
    "skew-forward",
    "skew-reverse",
    "total-variation",
    "adaptive",
    "alpha-beta",
]


def shared() -> list[str]:
    """Divergences that have a share."""
    return [name for name, (_, called) in DIVERGENCES.items() if called]


@dataclass(frozen=True)
class Tutor:
    """A language model beside its student: who it is, and as a side of the loop."""

    teacher: LocalWriter
    model: CausalStudent  # its own module, reading completions as the student does
    vocabulary: int  # its tokens; what pads a head beyond is nobody's
    called: str = TUTOR  # as a side

    @property
    def key(self) -> str:
        """Fingerprint of what it says of a text."""
        return fingerprint(self.teacher.fingerprint, self.model.reader.key)

    def side(self, options: Train, every: int = 0) -> Side:
        """The teacher in the loop: in eval mode, moving on every n-th step or never."""
        return Side(self.model, Objective({}), options, self.called, every, steady=True, who=self.teacher.name)


def tutor(run: Run, same_tokens: bool = True) -> Tutor:
    """The run's language model.

    Raises:
        RunError: none or several; another tokenizer than the student's, unless that may be; too short a context; logits
            made in a way that is not known here.
    """
    found = _writers(run)
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "none"
        raise RunError(f"This method learns from one language model of `kind: causal`, and the teachers name {names}.")
    return _tutor(run, found[0], TUTOR, same_tokens)


def tutors(run: Run) -> list[Tutor]:
    """The run's language models, by name, so that their order in the recipe changes nothing. Raises RunError as `tutor`."""
    found = sorted(_writers(run), key=lambda one: one.name)
    if not found:
        raise RunError("This method learns from language models of `kind: causal`, and the teachers name none.")
    names = [TUTOR] if len(found) == 1 else [f"{TUTOR}-{place}" for place in range(len(found))]
    return [_tutor(run, one, name) for one, name in zip(found, names, strict=True)]


def _writers(run: Run) -> list[LocalWriter]:
    return [one for one in run.teachers if isinstance(one, LocalWriter)]


def _tutor(run: Run, teacher: LocalWriter, called: str, same_tokens: bool = True) -> Tutor:
    student = writer(run.new_student(run.seed))
    model = read_alike(teacher.name, teacher.model, student, same_tokens)
    mine, its = (_size(one.module) for one in (student, teacher.model))
    if its < mine:
        run.warn(f"{teacher.name} has {its:,} parameters and its student {mine:,}: the student is the larger of the two.")
    return Tutor(teacher, model, len(model.reader.tokenizer), called)


def texts(run: Run, tutors: Sequence[Tutor], gold_weight: float) -> Labelled:
    """The texts that both read: what other teachers say of the pool, else what its language models write; and gold."""
    writers = [one.teacher for one in tutors]
    others = [one for one in run.teachers if one not in writers]
    if not others:
        names = " and ".join(one.name for one in writers)
        run.note(f"No other teacher gives texts, so {names} wrote those that the student learns from.")
    said = [run.ask(one, run.pool) for one in others or writers]
    return run.with_gold(told_by(said, run.pool), gold_weight)


Pull = Callable[..., Tensor]  # (student, targets, batch, trust=None), as `towards` takes them, to a loss ()


def divergence(name: str, share: float | None) -> Loss:
    """A divergence by name. Raises RunError for a share where it has none."""
    loss, called = DIVERGENCES[name]
    if share is None:
        return loss
    if called is None:
        raise RunError(f"The divergence {name} has no share; leave it out, or choose one of {', '.join(shared())}.")
    return partial(loss, **{called: share})


def pull(name: str, share: float | None, temperature: float, vocabulary: int) -> Pull:
    """A divergence of the student from its teacher over the tokens that count, reduced: `towards` without its rest."""
    return partial(towards, loss=divergence(name, share), temperature=temperature, vocabulary=vocabulary)


def towards(
    student: Projected,
    targets: Given | Sequence[Given],
    batch: Batch,
    trust: Tensor | None = None,
    *,
    loss: Loss,
    temperature: float,
    vocabulary: int | None,
) -> Tensor:
    """A loss of the student (n, T, d) from a target or M, over the tokens that count of a batch, reduced to ().

    trust: (M, n, T), how much of each of M targets; None: of one target all, of several each alike.
    """
    weights = batch["weight"]  # (n, T)
    if isinstance(targets, Sequence) and len(targets) == 1:
        (targets,) = targets
    if isinstance(targets, Sequence):
        if trust is None:
            trust = weights.new_full((len(targets), 1, 1), 1 / len(targets))
        weights = (trust * weights).expand(len(targets), *weights.shape)
    value, _ = linear.divergence(
        student,
        targets,
        loss=loss,
        weights=weights,
        counted=batch["weight"] > 0,
        count=batch["count"],
        temperature=temperature,
        vocabulary=vocabulary,
    )
    return value


def text_seeds(seed: int, step: int, rows: Tensor) -> Tensor:
    """Where the random numbers of texts begin that are written in a step: rows (n,) of the training set to keys (n,)."""
    return torch.tensor([mix(seed, step, row) % 2**32 for row in rows.tolist()])


def own_texts(
    student: CausalStudent, rows: Completions, chosen: Tensor, step: int, seed: int, temperature: float
) -> list[list[int]]:
    """What a student in training writes of the prompts of rows (n,): n lists of token ids."""
    return complete(student, rows.asked(chosen), text_seeds(seed, step, chosen), temperature)


@dataclass(frozen=True)
class Probe:
    """Some of the items that both learn from, with a text of each: what an epoch's figures are taken on."""

    items: Items
    completions: list[list[int]]  # token ids

    def figures(
        self, student: CausalStudent, original: Reads, seed: int, own: list[list[int]] | None = None
    ) -> dict[str, float]:
        """How far the student is from the *original* teacher, on the texts and on its own: part of an epoch's record.

        own: what the student writes of the items, where that is known.
        """
        own = own_words(student, self.items, seed) if own is None else own
        given, written = (following(student, original, self.items, texts) for texts in (self.completions, own))
        return {"kl": given.kl, "agreement": given.agreement, "kl_own_words": written.kl}


def probe(told: Labelled, tutor: Tutor) -> Probe:
    """The first told items of a training set, each with the text that is told most, the first of equals."""
    assert told.texts is not None, "a language model's student learns from texts"
    most = told.targets.argmax(-1).tolist()
    said = [answers[place] if answers else None for answers, place in zip(told.texts.answers, most, strict=True)]
    rows = [row for row, text in enumerate(said) if text is not None][:PROBE]
    return Probe(told.items.select(rows), tutor.model.reader.completions([said[row] or "" for row in rows])[0])


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
