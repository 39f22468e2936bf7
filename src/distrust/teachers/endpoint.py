"""The endpoint teacher: any OpenAI-compatible server, asked through the ledger.

Knows how questions, bought answers and the parser become evidence. Does not know HTTP, SQL or whom to believe.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from distrust.answers import NO_ANSWER, Answers
from distrust.budget import Charge, refuse_unkeepable
from distrust.data import Items
from distrust.errors import TeacherError, nearest
from distrust.evidence import Cost, Dense, Evidence
from distrust.files import fingerprint
from distrust.labels import ABSTAIN, LabelSpace
from distrust.ledger import Answer, Ledger
from distrust.recipe import Budget, Endpoint
from distrust.report.facts import Spending
from distrust.secrets import show
from distrust.teachers.answer_logprobs import label_logprobs
from distrust.teachers.buying import Buying, Progress
from distrust.teachers.client import Client, Failure
from distrust.teachers.orders import Order, in_chunks, missing
from distrust.teachers.parse import reader
from distrust.teachers.prompt import Prompt

TICK = 0.1  # seconds between two reports of progress


class EndpointTeacher:
    """A teacher behind an OpenAI-compatible chat or completions server.

    `fingerprint` covers all that its evidence depends on: model, prompt, sampling, examples, number of samples, parser
    and labels; not the server's address, the key or the speed. The ledger's key leaves out parser and number of samples
    too, so that a mended parser or two more samples buy only what is missing.

    Args:
        recipe: its part of the recipe.
        space: the task's classes.
        ledger: where answers are kept and what is left of the budget is known.
        total: the caps over all teachers together.
        examples: few-shot gold, (text, label name) each; they must not judge later.
        progress: hears how far buying has come, about ten times a second.
        answers: how texts are read, where answers are open.

    Raises:
        RecipeError: a prompt or parser that cannot work. BudgetError: caps that cannot be kept.
    """

    keeps_answers = True  # in the ledger: a run simply asks again, which costs nothing

    def __init__(
        self,
        recipe: Endpoint,
        space: LabelSpace,
        ledger: Ledger,
        total: Budget,
        examples: Sequence[tuple[str, str]] = (),
        progress: Callable[[Progress], None] | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.recipe, self.open = recipe, answers
        self.name = recipe.name
        self.space = LabelSpace(space.names, {**space.aliases, **recipe.labels})
        self.ledger = ledger
        self.total = total
        self.prompt = Prompt(recipe, space, examples)
        self._read = reader(recipe.parse, self.space) if answers is None else _unread
        self._progress = progress
        self._ended = "complete"
        self._notes: dict[str, Counter[str]] = {}  # of what was bought for a set of items, by its key: parts may be joined
        self.lenders: Sequence[Path] = ()  # other runs' ledgers: what they have answers to is booked here, and not sent
        self._failed: set[bytes] = set()  # not asked again by this object: the next start tries them anew
        refuse_unkeepable(recipe.name, recipe.price, recipe.max_tokens, recipe.budget, total)
        described = self.prompt.setting()
        self.setting = ledger.setting(recipe.name, described)
        templates = [recipe.prompt, self.prompt.examples, self.prompt.labels]
        how = recipe.parse if answers is None else answers.how
        reading = [how.model_dump(), dict(self.space.aliases), recipe.samples]
        self.fingerprint = fingerprint(recipe.name, described, templates, list(space.names), reading)

    def ask(self, items: Items) -> Evidence:
        """Buy what the ledger lacks, then read every answer from it. (S, B) claims, S the recipe's `samples`.

        Items that a cap left unasked, that failed or that could not be read abstain; the notes count which.

        Raises:
            RecipeError: a base URL that is none or a key that is not set, where there is anything to buy.
            TeacherError: the server cannot go on (key refused, no such model, out of reach, rate limited for good);
                what was bought is kept. RunError: the ledger cannot be written.
            KeyboardInterrupt: after Ctrl-C, once what was bought is safe; its text says so.
        """
        self.buy(items)
        return self._evidence(items)

    def buy(self, items: Items) -> None:
        """Buy what the ledger lacks and keep nothing in memory. Raises as `ask` does."""
        wanted = len(items) * self.recipe.samples
        lacking = sum(len(order.samples) for order in self._orders(items))
        if not lacking:
            return
        with ExitStack() as open_books:
            lenders = [open_books.enter_context(Ledger(path, readonly=True)) for path in self.lenders]
            buying = Buying(self.recipe, self.prompt, self.ledger, self.setting, self.total, Client(self.recipe), lenders)
            try:
                _run(buying.run(self._orders(items), self._teller(buying, wanted, wanted - lacking)))
            except asyncio.CancelledError:  # a second Ctrl-C
                buying.ended = "interrupted"
        self._notes.setdefault(items.key, Counter()).update(buying.notes)
        self._failed |= buying.failed
        self._ended = self._ended if buying.ended == "complete" else buying.ended  # a cap that was reached stays reached
        there = wanted - lacking + buying.bought
        if buying.failed and not there:  # one refused item abstains; all of them are no teacher
            buying.trouble = buying.trouble or f"it answered nothing; at last so: {buying.last_failure}"
        kept = f"{there} of {wanted} answers are kept; start again to go on"
        if buying.ended == "interrupted":
            raise KeyboardInterrupt(f"Stopped asking teacher {self.name!r}: {kept}.")
        if buying.trouble is not None:
            self._ended = "server"
            raise TeacherError(f"Teacher {self.name!r} could not be asked further: {buying.trouble.rstrip('.')}. {kept}.")

    def spending(self) -> Spending:
        """What this teacher has cost so far, in this run and before."""
        totals = self.ledger.totals(self.name)
        charges = [charge for _, charge in totals.values()]
        known = [charge.money for charge in charges if charge.money is not None]
        return Spending(
            teacher=self.name,
            calls=sum(charge.calls for charge in charges),
            prompt_tokens=sum(charge.prompt_tokens for charge in charges),
            completion_tokens=sum(charge.completion_tokens for charge in charges),
            money=sum(known) if len(known) == len(charges) and self.recipe.price.known else None,
            unknown_outcome=totals["unknown"][0] if "unknown" in totals else 0,
            failed=totals["failed"][0] if "failed" in totals else 0,
            ended=self._ended,
        )

    def reach(self) -> str:
        """Ask the server for its models, which is free: what is to be said of its list, nothing where this one is in it.

        One that is not listed may be served all the same: some servers answer for any name, or load what is asked for.

        Raises:
            TeacherError: it is out of reach.
        """
        found: list[str] = []
        wanted = self.recipe.model

        async def knock() -> None:
            async with Client(self.recipe) as client:
                said = await client.reach()
            if isinstance(said, Failure):
                raise TeacherError(f"Teacher {self.name!r}: {said.reason}.")
            found.extend(said)

        _run(knock())
        if not found:
            return "the server does not list its models, so that a wrong address or model shows when the first item is asked"
        if {wanted, f"{wanted}:latest", wanted.removesuffix(":latest")} & set(found):
            return ""
        return f"the server lists no model {show(wanted)!r}; {nearest(show(wanted), map(show, found), say='it has')}"

    def _teller(self, buying: Buying, wanted: int, there: int) -> Callable[[int], None]:
        start, told = time.monotonic(), 0.0

        def tell(_: int) -> None:
            nonlocal told
            now, done = time.monotonic(), there + buying.bought
            if self._progress is not None and (now - told > TICK or done == wanted):
                told = now
                price = self.ledger.accounts.money(self.name) if self.recipe.price.known else None
                self._progress(Progress(self.name, done, wanted, buying.bought, now - start, price))

        return tell

    def _orders(self, items: Items) -> Iterator[Order]:
        return missing(self.recipe, self.prompt, items, self.ledger, self.setting.fingerprint, self._failed)

    def _evidence(self, items: Items) -> Evidence:
        size, samples = len(items), self.recipe.samples
        claims = torch.full((samples, size), ABSTAIN, dtype=torch.long)
        logits = torch.full((size, len(self.space)), -torch.inf)  # a row of -inf said nothing; its votes speak
        cost = [Charge(0, 0, 0.0, 0)] * size
        texts: list[list[str]] = []
        notes = Counter(self._notes.get(items.key))
        for questions in in_chunks(self.prompt, items, self.setting.fingerprint):
            found = self.ledger.answers([question.key for question in questions])
            for question in questions:
                row = len(texts)
                bought = [(one, charge) for one, charge in found.get(question.key, []) if one.sample < samples]
                texts.append([one.text for one, _ in bought])
                cost[row] = _sum([charge for _, charge in bought])
                unbought = "failed" if question.key in self._failed else f"not bought: {self._ended}"
                notes[unbought] += samples - len(bought)
                for one, _ in bought:
                    claims[one.sample, row], why = self._read(one.text)
                    notes[why] += bool(why)
                scores = self._label_logprobs(bought[0][0], int(claims[bought[0][0].sample, row])) if bought else None
                if scores is not None:
                    logits[row] = torch.tensor(scores)
        if self.open is not None:
            said = self.open.evidence(self.name, items.ids, texts, _cost(cost))
            silent = sum(not one for one in texts)  # never bought, and counted as such
            notes[NO_ANSWER] = said.notes.get(NO_ANSWER, 0) - silent
            return replace(said, notes={name: count for name, count in notes.items() if count})
        return Evidence(
            source=self.name,
            ids=items.ids,
            space=self.space,
            claims=claims,
            logits=Dense(logits) if bool(logits.isfinite().any()) else None,
            texts=texts,
            cost=_cost(cost),
            notes={name: count for name, count in notes.items() if count},
        )

    def _label_logprobs(self, answer: Answer, claim: int) -> list[float] | None:
        """Only a plain answer starts with its label: not one that is reasoned towards, nor JSON.

        Of several samples the votes speak: one sample's log-probabilities would silence the others.
        """
        parse = self.recipe.parse
        plain = self.recipe.samples == 1 and parse.kind in ("label", "choice") and parse.after is None and self.open is None
        return label_logprobs(answer.logprobs, self.prompt.answers, claim) if plain else None


def _unread(text: str) -> tuple[int, str]:
    """Of open answers: they are read all together, where the ledger's texts are."""
    return ABSTAIN, ""


def _sum(charges: list[Charge]) -> Charge:
    known = [charge.money for charge in charges if charge.money is not None]
    return Charge(
        sum(charge.prompt_tokens for charge in charges),
        sum(charge.completion_tokens for charge in charges),
        sum(known) if len(known) == len(charges) else None,
        sum(charge.calls for charge in charges),
    )


def _cost(charges: list[Charge]) -> Cost:
    def column(name: str) -> torch.Tensor:
        values = [getattr(charge, name) for charge in charges]
        return torch.tensor([float("nan") if value is None else value for value in values], dtype=torch.float64)

    return Cost(column("calls"), column("prompt_tokens"), column("completion_tokens"), column("money"))


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, also inside a notebook, whose own loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    errors: list[BaseException] = []

    def other() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # carried over to the caller's thread, whatever it is
            errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
