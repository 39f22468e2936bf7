"""What a student and an assistant make of answers: the three signals of TA-in-the-loop, brought to what gold says of them.

Knows a run's students, its assistant and the gold that may calibrate. Asks no teacher, and does not know what a signal is
used for. A signal that is switched off is None; one that has no say of an item is NaN there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distrust.assistant import HOW_SURE, TRUE_OR_FALSE, TRUTH, confidence_in, questions, text_confidence
from distrust.claimed import final
from distrust.data import REFERENCE, Items
from distrust.errors import RunError
from distrust.evidence import Evidence
from distrust.labels import LabelSpace
from distrust.methods.chances import NAMES, Signal, chances
from distrust.methods.voted import classes
from distrust.recipe import Strict
from distrust.run import Run
from distrust.students import Student
from distrust.students.causal import CausalStudent
from distrust.students.sampling import Sampling
from distrust.trust import self_consistency, silence


class Signals(Strict):
    """Options of the signals."""

    signals: list[Literal["s1", "s2", "s3"]] = Field(
        ["s1", "s2", "s3"],
        description="which are read: `s1`, the student's self-consistency; the assistant's confidence in the student's "
        "answer, `s2`, and in the teachers', `s3`",
    )
    samples: int = Field(5, gt=0, description="texts of the student an item, for `s1`; of classes its own chances are read")
    temperature: float = Field(0.7, gt=0, description="at which it writes them; its chances of classes are softened so too")
    calibrate: Literal["platt", "isotonic", "agreement", "none"] = Field(
        "platt",
        description="signals are made chances by gold, cross-fitted, where it judges 20 items or more; `agreement`: without "
        "gold, those of an assistant that answers the items 3 times or more, by how often it agrees with 20 claims or more",
    )

    confidence: Literal["answers", "stated", "likelihood"] = Field(
        "answers",
        description="how the assistant's confidence is read: by its own `answers`, or by True and False where it is shown "
        "claims; `stated`: an endpoint whose prompt is `{text}` is shown each claim and replies a number; `likelihood`: how "
        "likely a language model of this process (`kind: causal`) finds the claim's text",
    )

    def reads(self, run: Run, signal: str) -> bool:
        """Whether a signal is on, and there is somebody to give it."""
        return signal in self.signals and (signal == "s1" or run.assistant is not None)


@dataclass(frozen=True)
class Read:
    """What a student and the assistant say of items; no teacher was asked."""

    items: Items
    said: Evidence  # the student's own answers
    consistency: Tensor | None  # (n,) s1
    in_student: Tensor | None  # (n,) s2
    right: Tensor  # (g,) 1 where the student is right about a gold item that may calibrate, else 0
    as_read: Tensor | None = None  # (n,) s2 before anything calibrated it

    def on(self, items: Items) -> Read:
        """Of some of the items."""
        rows = self.items.rows(items.ids)
        s1, s2, raw = (None if one is None else one[rows] for one in (self.consistency, self.in_student, self.as_read))
        return Read(items, self.said.on(items.ids), s1, s2, self.right, raw)


def read(run: Run, student: Student, items: Items, options: Signals) -> Read:
    """The first two signals of items, and what gold says of them: the card's third step.

    Source: TA-in-the-loop card, equations A1 and A2. Of a student over classes s1 is the chance of its likeliest class at
    the temperature: what the share of its samples, drawn from its softmax, tends to.
    """
    said, *signals = _raw(run, student, items, options)
    gold, right = judges(run), torch.zeros(0, dtype=torch.long)
    on_gold: list[Signal | None] = [None, None]
    if len(gold):
        of_gold, *on_gold = _raw(run, student, gold, options)
        right = outcomes(run, of_gold, gold)
    s1, s2 = (
        None
        if one is None
        else chances(run, NAMES[name], one, None if other is None else other[0], right, options.calibrate)[0]
        for name, one, other in zip(("s1", "s2"), signals, on_gold, strict=True)
    )
    silent = float(silence(said.claims).mean()) if len(said) else 0.0
    if silent:
        run.note(f"No answer could be read from {100 * silent:.1f} % of the student's samples; they agree with nothing.")
    if silent == 1:
        run.warn("The student answered nothing that could be read, so it says nothing of what it needs.")
    return Read(items, said, s1, s2, right, None if signals[1] is None else signals[1].value)


def _raw(run: Run, student: Student, items: Items, options: Signals) -> tuple[Evidence, Signal | None, Signal | None]:
    """What a student says of items, and the first two signals as they are."""
    said = samples(run, student, items, options)
    s1 = Signal(_consistency(run, said, options)) if options.reads(run, "s1") else None
    return said, s1, of_assistant(run, said, items, options) if options.reads(run, "s2") else None


def samples(run: Run, student: Student, items: Items, options: Signals) -> Evidence:
    """A student's answers: its chances of classes, or texts sampled at the temperature."""
    if run.answers is None:
        return run.ask(student, items)
    return run.ask(student, items, Sampling(options.samples, options.temperature, seed=run.seed))


def of_assistant(run: Run, said: Evidence, items: Items, options: Signals) -> Signal:
    """The assistant's confidence in what a source finally claims, as `assistant.confidence_in` has it.

    An assistant over True and False is shown each claim, and so is one that states a number; of a text's likelihood its
    model is asked; any other is asked the items, once for whoever's claims.
    """
    assert run.assistant is not None, "a signal of the assistant is read where there is one"
    if options.confidence == "likelihood":
        return Signal(text_confidence(_model(run), said, items))
    stated = options.confidence == "stated"
    if not stated and not is_shown(run):
        reply = run.ask(run.assistant, items)
        claimed = torch.tensor([one is not None for one in final(said, items)], dtype=torch.bool)
        return Signal(confidence_in(reply, said, items), reply.claims.shape[0] if reply.logits is None else 0, claimed)
    asked = questions(said, items, HOW_SURE if stated else TRUE_OR_FALSE)
    if not len(asked.items):
        return Signal(torch.zeros(len(items), dtype=torch.float64))
    reply = run.ask(run.assistant, asked.items)
    return Signal(asked.stated(reply) if stated else asked.confidence(reply))


def _model(run: Run) -> CausalStudent:
    """The assistant's model. Raises RunError where it is not at hand."""
    model = getattr(run.assistant, "model", None)
    if not isinstance(model, CausalStudent):
        raise RunError("confidence: likelihood asks a language model of this process: give the assistant the kind causal.")
    return model


def is_shown(run: Run) -> bool:
    """Whether the assistant is shown claims, rather than asked the items."""
    return run.assistant is not None and run.assistant.space.names == TRUTH.names


def judges(run: Run) -> Items:
    """The gold items that may calibrate. No student learns from them before it is asked about them here."""
    return run.gold_items.select(run.gold_items.rows(run.gold.part("calibrate").ids))


def outcomes(run: Run, said: Evidence, gold: Items) -> Tensor:
    """Where a source's final claim is what gold says: (g,) long, 1 right, 0 wrong or no claim."""
    if run.answers is None:
        space = classes(run)
        assert isinstance(space, LabelSpace), "classes are a label space"
        label = dict(zip(run.gold.ids, run.gold.labels.tolist(), strict=True))
        pairs = zip(final(said, gold), gold.ids, strict=True)
        return torch.tensor([one is not None and space.find(one.answer) == label[item] for one, item in pairs]).long()
    wanted: Sequence[str | None] = [run.answers.reference(text) for text in gold.columns.get(REFERENCE, [])]
    pairs_of_texts = zip(final(said, gold), wanted, strict=True)
    return torch.tensor([one is not None and one.answer == answer for one, answer in pairs_of_texts]).long()


def check_assistant(run: Run, options: Signals) -> None:
    """Refuse, before anything is bought, an assistant that could say nothing; note what is off without one."""
    if run.assistant is None:
        if {"s2", "s3"} & set(options.signals):
            run.note("There is no assistant, so the signals s2 and s3 are off: name one under `assistant`.")
        return
    if run.assistant.name in {teacher.name for teacher in run.teachers}:
        raise RunError(f"The assistant and a teacher are both named {run.assistant.name!r}; each needs a name of its own.")
    if options.confidence == "likelihood":
        _model(run)
        return
    if options.confidence == "stated":
        _check_stated(run)
        return
    if run.answers is None and not is_shown(run) and not bool(run.assistant.space.known_in(run.space).any()):
        raise RunError(
            f"The assistant {run.assistant.name} knows none of the task's classes: it says "
            f"{', '.join(run.assistant.space.names[:5])}, the task has {', '.join(run.space.names[:5])}."
        )


def _check_stated(run: Run) -> None:
    """Refuse an assistant that would not be shown the claims, or that says True or False of them."""
    prompt = getattr(getattr(run.assistant, "recipe", None), "prompt", "")
    if "{text}" not in prompt or is_shown(run):
        raise RunError(
            "confidence: stated shows each claim to an endpoint that replies a number: give the assistant the kind "
            'endpoint, `prompt: "{text}"` and no `knows`.'
        )


def _consistency(run: Run, said: Evidence, options: Signals) -> Tensor:
    """s1: (n,) double."""
    if run.answers is None:
        return said.distribution(options.temperature).amax(-1).double()
    return self_consistency(said).double()
