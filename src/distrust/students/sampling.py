"""What a causal student writes: one prefill of each prompt, shared by its samples, then a token at a time.

Knows prompts, caches and random numbers keyed by item and sample. Knows nothing of what a text claims.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from distrust.data import Items
from distrust.errors import DataError
from distrust.evidence import Cost, Evidence
from distrust.modules import device_of, frozen
from distrust.sharding import bare
from distrust.students.causal import CausalStudent
from distrust.students.room import make_room

LOW = 0xFFFFFFFF  # 32 bits of an int64, in which products may wrap
GOLDEN = 0x9E3779B1  # spreads neighbouring numbers apart


@dataclass(frozen=True)
class Written:
    """Texts of a student."""

    texts: list[list[str]]  # B lists of S
    ended: Tensor  # (S, B) bool: it came to its end, and was not cut at `max_new_tokens`


@dataclass(frozen=True)
class Sampling:
    """How a student is asked for texts: so many an item, at a temperature (0: greedy, and then all alike)."""

    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Choice:
    """How the next token is chosen."""

    temperature: float
    top_p: float = 1.0

    def __call__(self, logits: Tensor, keys: Tensor, step: int) -> Tensor:
        """The next token of each row: logits (n, V), keys (n,), to ids (n,).

        Sampled by the largest of log-probability plus Gumbel noise (Gumbel 1954), which a rounding error moves only where
        two tokens tie; the inverse of the distribution function would add up the roundings of the whole vocabulary.
        """
        if not self.temperature:
            return logits.argmax(-1)
        scaled = logits.float() / self.temperature
        if self.top_p < 1:
            ranked, order = scaled.softmax(-1).sort(dim=-1, descending=True, stable=True)
            outside = ranked.cumsum(-1) - ranked >= self.top_p  # never the first
            scaled = scaled.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), -torch.inf)
        return (scaled - _exponential(keys, step, scaled.shape[-1]).log()).argmax(-1)


def generate(
    student: CausalStudent,
    items: Items,
    *,
    samples: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_new_tokens: int | None = None,
    seed: int = 0,
    rows: int = 256,
) -> Written:
    """Let a student complete prompts, in eval mode, without gradient, leaving modes and global random state alone.

    Args:
        student, items: who writes, and B prompts.
        samples: S texts an item; greedy ones are all alike, and written once.
        temperature: of sampling; 0 is greedy.
        top_p: sample among the likeliest tokens that together have this probability.
        max_new_tokens: longest text, its end token included; default: what the student learned to write.
        seed: of sampling. A sample's random numbers depend on it, on the item's id and on the sample's number alone, so
            that its text does not depend on the batch it is written in (up to rounding between two equally likely tokens).
        rows: texts written at once.

    Raises:
        DataError: numbers out of range, or tensor items.
    """
    limit = student.reader.max_completion_length if max_new_tokens is None else max_new_tokens
    _check(samples, temperature, top_p, limit)
    prompts, device = student.encode(items), device_of(student.module)
    choice = Choice(temperature, top_p)
    copies = samples if temperature > 0 else 1
    written = torch.full((len(items), copies, limit), student.reader.tokenizer.pad_token_id)
    lengths = torch.zeros(len(items), copies, dtype=torch.long)
    with frozen(student.module):
        for chosen in prompts.by_length(max(1, rows // copies)):
            inputs = {name: value.to(device) for name, value in prompts.batch(chosen).items()}
            keys = text_keys([items.ids[row] for row in chosen.tolist()], copies, seed).to(device)
            tokens, counts = _write(student, inputs, copies, limit, choice, keys)
            written[chosen], lengths[chosen] = tokens.cpu().view(-1, copies, limit), counts.cpu().view(-1, copies)
    texts = _texts(student.reader.tokenizer, written.flatten(0, 1), lengths.flatten().clamp(max=limit))
    repeat = 1 if temperature > 0 else samples
    return Written(
        [texts[row * copies : (row + 1) * copies] * repeat for row in range(len(items))],
        (lengths <= limit).T.repeat(repeat, 1),
    )


def answer_texts(
    student: CausalStudent, items: Items, sampling: Sampling, name: str = "student", rows: int = 256
) -> Evidence:
    """What a student writes as evidence: texts and the answers read from them, free of charge. Raises as `generate` does."""
    written = generate(student, items, **asdict(sampling), rows=rows)
    return student.answers.evidence(name, items.ids, written.texts, Cost.free(len(items)))


def complete(student: CausalStudent, inputs: dict[str, Tensor], keys: Tensor, temperature: float = 1.0) -> list[list[int]]:
    """Complete prompts that are tokenised: inputs (n, P) to n lists of token ids, with the end token where one came.

    As `generate`, for a student in training. keys: (n,) long, of each text's random numbers.
    """
    device, limit = device_of(student.module), student.reader.max_completion_length
    with frozen(student.module):
        placed = {name: value.to(device) for name, value in inputs.items()}
        return as_lists(*_write(student, placed, 1, limit, Choice(temperature), keys.to(device)))


def as_lists(tokens: Tensor, counts: Tensor) -> list[list[int]]:
    """Tokens (n, limit) and how many of them each text has before its end, as lists, with the end token where one came."""
    return [row[: count + 1] for row, count in zip(tokens.tolist(), counts.tolist(), strict=True)]


class Voice:
    """A model in the middle of texts: a cache of what it has read, and what it would say next. Inside `modules.frozen`."""

    logits: Tensor  # (n, V), of the next token

    def __init__(self, model: CausalStudent, inputs: dict[str, Tensor], copies: int = 1) -> None:
        """Read prompts (n, P) once, to be gone on with `copies` times each."""
        self._model, self._mask, self._place = model, inputs["attention_mask"], inputs["position_ids"]
        self.logits = self._look(inputs["input_ids"], None).repeat_interleave(copies, 0)
        if copies > 1:
            self._cache.batch_repeat_interleave(copies)
        make_room(self._cache)
        self._mask, self._place = (one.repeat_interleave(copies, 0) for one in (self._mask, self._place[:, -1:]))

    def keep(self, rows: Tensor) -> None:
        """Go on with some texts (m,) alone."""
        self._cache.batch_select_indices(rows)
        self._mask, self._place = self._mask[rows], self._place[rows]

    def read(self, tokens: Tensor) -> None:
        """Go on by a token each, (n,)."""
        self._mask, self._place = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], 1), self._place + 1
        self.logits = self._look(tokens.unsqueeze(-1), self._cache)

    def _look(self, ids: Tensor, cache: Any) -> Tensor:
        student = self._model
        given = {"input_ids": ids, "attention_mask": self._mask, "position_ids": self._place, "logits_to_keep": 1}
        given = {name: value for name, value in given.items() if name in student.accepted}
        output = student.module(**given, past_key_values=cache, use_cache=True)
        self._cache = output.past_key_values
        logits: Tensor = output.logits[:, -1]
        return logits


Choose = Callable[[Tensor, int], Tensor]  # whose texts the rows are (n,), and the step, to the next token of each (n,)


def go_on(voices: Sequence[Voice], choose: Choose, limit: int, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Go on with n texts until they end: tokens (n, limit) and their number, limit + 1 if cut off. All voices read them."""
    count, device = len(voices[0].logits), voices[0].logits.device
    live = torch.arange(count, device=device)  # whose texts the rows of the caches are
    tokens = torch.zeros(count, limit, dtype=torch.long, device=device)
    counts = torch.full((count,), limit + 1, device=device)
    for step in range(limit):
        chosen = choose(live, step)
        tokens[live, step] = chosen
        ended = torch.isin(chosen, ends) & (counts[live] > limit)
        counts[live[ended]] = step
        going = counts[live] > limit
        left = int(going.sum())
        if not left or step + 1 == limit:
            break
        if 2 * left <= len(live):  # rows that have ended cost as much as others, and copying a cache is not free
            kept = going.nonzero().squeeze(-1)
            for voice in voices:
                voice.keep(kept)
            live, chosen = live[kept], chosen[kept]
        for voice in voices:
            voice.read(chosen)
    return tokens, counts


def _write(
    student: CausalStudent, inputs: dict[str, Tensor], copies: int, limit: int, choice: Choice, keys: Tensor
) -> tuple[Tensor, Tensor]:
    """Complete n prompts (n, P), each `copies` times: as `go_on`. keys: (n · copies,), as in `complete`."""
    voice = Voice(student, inputs, copies)
    return go_on([voice], lambda live, step: choice(voice.logits, keys[live], step), limit, ends_of(student, keys.device))


def _exponential(keys: Tensor, step: int, width: int) -> Tensor:
    """Numbers of the standard exponential distribution, a function of key, step and place alone: keys (n,) to (n, width)."""
    row = _mix((keys + step * GOLDEN) & LOW)  # (n,)
    place = torch.arange(width, device=keys.device) * GOLDEN & LOW  # (width,)
    odd = (_mix(row.unsqueeze(-1) ^ place) >> 8) | 1  # 24 bits, of which the last is set: neither 0 nor 1 below
    return -(odd.float() / 2**24).log()


def _mix(number: Tensor) -> Tensor:
    """Spread 32 bits, in place. Source: Wellons' lowbias32."""
    number ^= number >> 16
    number *= 0x7FEB352D
    number &= LOW
    number ^= number >> 15
    number *= 0x846CA68B
    number &= LOW
    number ^= number >> 16
    return number


def text_keys(ids: Sequence[str], copies: int, seed: int) -> Tensor:
    """Where each text's random numbers begin: (n · copies,) long, from seed, item id and sample number alone."""
    names = [f"{seed}/{copy}/{item}".encode(errors="surrogatepass") for item in ids for copy in range(copies)]
    return torch.tensor([int.from_bytes(hashlib.sha256(name).digest()[:4], "big") for name in names])


def ends_of(student: CausalStudent, device: torch.device) -> Tensor:
    """Ids that end a text: the tokenizer's, and those that the model's own settings name."""
    named = getattr(getattr(bare(student.module), "generation_config", None), "eos_token_id", None)
    ends = {student.reader.tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])} - {None}
    return torch.tensor(sorted(ends), device=device)


def _texts(tokenizer: Any, tokens: Tensor, lengths: Tensor) -> list[str]:
    """Tokens (R, limit), of which lengths (R,) count, as texts."""
    rows = [ids[:length] for ids, length in zip(tokens.tolist(), lengths.tolist(), strict=True)]
    found: list[str] = tokenizer.batch_decode(rows, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return found


def _check(samples: int, temperature: float, top_p: float, limit: int) -> None:
    if samples < 1 or limit < 1:
        raise DataError(f"{samples} samples of {limit} tokens cannot be written; legal is 1 or more of both.")
    if not 0 <= temperature < float("inf"):
        raise DataError(f"A temperature of {temperature} cannot be sampled at; legal is 0 (greedy) or more.")
    if not 0 < top_p <= 1:
        raise DataError(f"top_p is {top_p}; legal is above 0, up to 1.")
