"""What an assistant says of another source's claims, whoever the assistant is: any teacher, asked in one of two ways.

Either it answers the items itself, and its answers are compared with the claims; or it is shown each claim and says whether
that is true. Knows evidence of both, and the question that shows a claim. Does not know prices: an assistant that costs
money is a teacher with the same ledger and the same total budget as the others, under a name of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distrust.claimed import Claim, final
from distrust.data import Items, content_id
from distrust.errors import DataError, RecipeError
from distrust.evidence import Cost, Dense, Evidence
from distrust.labels import ABSTAIN, Candidates, LabelSpace
from distrust.students.causal import CausalStudent
from distrust.students.likelihood import likelihood
from distrust.teachers.prompt import fill
from distrust.trust.stated import stated_confidence
from distrust.trust.support import claim_probability, support

TRUTH = LabelSpace(("True", "False"), {"yes": "True", "no": "False"})  # what an assistant says of a claim that it is shown
TRUE_OR_FALSE = (
    "Question: {prompt}\n\nProposed answer: {claim}\n\n"
    "Is the proposed answer true or false? Say one word, True or False.\nAnswer:"
)
HOW_SURE = (
    "Question: {prompt}\n\nProposed answer: {claim}\n\n"
    "How likely is it that the proposed answer is right? Say a number from 0 to 1 and nothing else.\nAnswer:"
)
LONGEST = 8192  # characters of a claim that are shown, its end: an answer comes last


def confidence_in(assistant: Evidence, source: Evidence, items: Items) -> Tensor:
    """An assistant's confidence in what a source finally claims, by its own answers to the items: (B,) in [0, 1].

    With probabilities over classes (a classifier, an endpoint that serves log-probabilities) it is the probability of the
    claimed class (A2e); else the share of the assistant's samples that give the same answer (A2d), of which a recorded
    second annotator has one.

    Args:
        assistant: over classes, whose names are matched with the claims; or over open answers.
        source: a student or a teacher; its final claims are judged.
        items: B items.

    Returns:
        0 where the source claims nothing. NaN where the assistant has no say: it was not asked, gave no answer, or knows no
        such class.

    Raises:
        DataError: the source chooses among classes and the assistant does not, or knows none of those that are claimed.

    Source: TA-in-the-loop card, equations A2d and A2e (a reconstruction, not the paper's text).
    """
    said = final(source, items)
    if isinstance(assistant.space, Candidates):
        if not isinstance(source.space, Candidates):
            raise DataError(f"{assistant.source} writes open answers; {source.source} claims classes.")
        return _same(assistant, said, items)
    space = assistant.space
    named = torch.tensor([ABSTAIN if one is None else space.find(one.answer) for one in said], dtype=torch.long)  # (B,)
    foreign = torch.tensor([one is not None for one in said], dtype=torch.bool) & (named == ABSTAIN)
    if bool(foreign.any()) and bool((named == ABSTAIN).all()):
        example = next(one.answer for one in said if one is not None)
        raise DataError(
            f"The assistant {assistant.source} knows none of the labels that {source.source} claims, such as {example!r}; "
            f"it says {', '.join(space.names[:5])}."
        )
    placed, rows = _placed(assistant, items)
    values = torch.full((len(items),), torch.nan, dtype=torch.float64)
    if placed.logits is None:
        values[rows] = support(named[rows], placed.claims).double()
    else:
        values[rows] = claim_probability(placed.distribution(), named[rows]).double()
    values[foreign] = torch.nan
    return values.masked_fill((named == ABSTAIN) & ~foreign, 0.0)


@dataclass(frozen=True)
class Questions:
    """One question for each item of which something is claimed: is this true?"""

    items: Items  # the questions; a teacher's prompt for them is `{text}`
    rows: Tensor  # (Q,) long, which item each is about
    of: int  # B

    def confidence(self, assistant: Evidence) -> Tensor:
        """What the assistant said of them, over `TRUTH`, as P(True): (B,) in [0, 1].

        From log-probabilities where it has them (A2a), else the share of the samples that say True among those that say
        either. 0 where nothing was claimed, NaN where the assistant said neither, or nothing.

        Raises:
            DataError: evidence over other classes than True and False, in this order.
        """
        if not isinstance(assistant.space, LabelSpace) or assistant.space.names != TRUTH.names:
            raise DataError(f"{assistant.source} was not asked for True or False; give it the space assistant.TRUTH.")
        said = assistant.on(self.items.ids)
        chance = said.distribution().double()  # (Q', 2)
        return self._back(said, chance[:, 0].where(chance.sum(-1) > 0, torch.nan))

    def stated(self, assistant: Evidence) -> Tensor:
        """The numbers in the assistant's replies to `HOW_SURE` (A2b): (B,) in [0, 1].

        0 where nothing was claimed, NaN where no reply gives a number, or there is none.
        """
        said = assistant.on(self.items.ids)
        return self._back(said, stated_confidence(said.texts or [[]] * len(said)).double())

    def _back(self, said: Evidence, values: Tensor) -> Tensor:
        """From the questions that were answered (Q',) to items (B,)."""
        row_of = dict(zip(self.items.ids, self.rows.tolist(), strict=True))
        found = torch.zeros(self.of, dtype=torch.float64)
        found[self.rows] = torch.nan
        found[[row_of[item] for item in said.ids]] = values
        return found


def questions(source: Evidence, items: Items, template: str = TRUE_OR_FALSE) -> Questions:
    """Ask of each item's final claim whether it is true: `{prompt}` and `{claim}` of the template are filled in.

    A question's id is that of its item and of the claim, so that a claim that stays is not asked about, and not paid, again.
    The claim is quoted as it is, and may hold words that are meant for the assistant; no reading of ours can help that.

    Raises:
        RecipeError: a template without `{claim}`, or with another field than these two.
    """
    if "{claim}" not in template:
        raise RecipeError("The question to an assistant must show the claim; write {claim} where it belongs.")
    rows, texts = [], []
    for row, one in enumerate(final(source, items)):
        if one is not None:
            rows.append(row)
            texts.append(
                fill(template, {"prompt": items.text(row), "claim": one.text[-LONGEST:]}, "The assistant's question")
            )
    whose = [items.ids[row] for row in rows]
    ids = tuple(f"{item}/{content_id(text)}" for item, text in zip(whose, texts, strict=True))
    return Questions(Items(ids, tuple(texts), {"item": whose}), torch.tensor(rows, dtype=torch.long), len(items))


def judge(model: CausalStudent, asked: Questions, name: str = "assistant") -> Evidence:
    """A local language model's answer to the questions: log-probabilities of the two words, free of charge.

    A model without a chat template goes on after a blank, as its tokens begin; the end of the word counts.

    Source: Kadavath et al. 2022, P(True).
    """
    lead = "" if getattr(model.reader.tokenizer, "chat_template", None) else " "
    scores = [likelihood(model, asked.items, [lead + word] * len(asked.items)).logp for word in TRUTH.names]
    logits = torch.stack(scores, -1)  # (Q, 2)
    return Evidence(name, asked.items.ids, TRUTH, logits.argmax(-1)[None], Dense(logits), cost=Cost.free(len(asked.items)))


def text_confidence(model: CausalStudent, source: Evidence, items: Items) -> Tensor:
    """How likely a local language model finds the text of each final claim, a token: (B,) in [0, 1]; 0 where there is none.

    Source: TA-in-the-loop card, equation A2c.
    """
    said = [(row, one.text) for row, one in enumerate(final(source, items)) if one is not None]
    rows = [row for row, _ in said]
    values = torch.zeros(len(items), dtype=torch.float64)
    values[rows] = likelihood(model, items.select(rows), [text for _, text in said]).per_token
    return values


def _same(assistant: Evidence, said: Sequence[Claim | None], items: Items) -> Tensor:
    """Share of the assistant's samples whose answer is that of the claim."""
    assert isinstance(assistant.space, Candidates)
    placed, rows = _placed(assistant, items)
    assert isinstance(placed.space, Candidates)
    claims = [said[row] for row in rows]
    listed = [
        ABSTAIN if one is None else placed.space.find(column, one.answer) for column, one in enumerate(claims)
    ]  # what nobody of the assistant said is "none of these"
    none = placed.space.none_of_these
    samples = placed.claims.where(placed.claims != none, len(placed.space))  # another answer is no agreement
    values = torch.tensor([0.0 if one is None else torch.nan for one in said], dtype=torch.float64)
    values[rows] = support(torch.tensor(listed, dtype=torch.long), samples).double()
    return values


def _placed(assistant: Evidence, items: Items) -> tuple[Evidence, list[int]]:
    """The assistant on those of the items that it was asked, and their rows."""
    placed = assistant.on(items.ids)
    return placed, items.rows(placed.ids)
