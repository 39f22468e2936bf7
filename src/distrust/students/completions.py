"""Prompts and completions as a causal model reads them: prompts padded on the left, completions on the right.

So every completion of a batch begins in the same column, in training as in generation. Knows templates, tokens, cuts and
padding. Knows nothing of models, of losses, or of who wrote a completion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distrust.conversations import Turns
from distrust.data import Items
from distrust.errors import DataError
from distrust.files import fingerprint
from distrust.pretrained import CHUNK, tokenizer_key

IGNORED = -100  # a label that no loss counts, as torch and transformers have it


@dataclass(frozen=True)
class Ragged:
    """Sequences of token ids of any length each, one after another."""

    flat: Tensor  # (tokens,) int32
    starts: Tensor  # (R,) long
    lengths: Tensor  # (R,) long

    @staticmethod
    def of(sequences: Sequence[Sequence[int]]) -> Ragged:
        lengths = torch.tensor([len(one) for one in sequences], dtype=torch.long)
        flat = torch.tensor([token for one in sequences for token in one], dtype=torch.int32)
        return Ragged(flat, lengths.cumsum(0) - lengths, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, rows: Tensor) -> Ragged:
        """Some sequences (n,), which stay where they lie."""
        return Ragged(self.flat, self.starts[rows], self.lengths[rows])

    def padded(self, rows: Tensor, fill: int, left: bool) -> tuple[Tensor, Tensor]:
        """Ids (n, longest) long of some rows (n,) and which of them are no padding (n, longest) bool."""
        lengths = self.lengths[rows].unsqueeze(-1)  # (n, 1)
        longest = int(lengths.max()) if len(rows) else 0
        place = torch.arange(longest) - (longest - lengths if left else 0)  # (n, longest)
        inside = (place >= 0) & (place < lengths)
        index = torch.where(inside, self.starts[rows].unsqueeze(-1) + place, 0)
        return torch.where(inside, self.flat[index].long(), fill), inside


@dataclass(frozen=True)
class Prompts:
    """Prompts to be answered."""

    tokens: Ragged
    fill: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Model inputs of some rows (n,) long, each (n, P), padded on the left."""
        ids, inside = self.tokens.padded(rows, self.fill, left=True)
        return {"input_ids": ids, **_places(inside)}

    def by_length(self, size: int) -> Iterator[Tensor]:
        """All rows in batches (n,) of like length, longest first."""
        if len(self):
            yield from torch.split(self.tokens.lengths.argsort(descending=True, stable=True), size)


@dataclass(frozen=True)
class Exchanges:
    """Prompts with a completion each: what a causal model learns from."""

    prompts: Ragged
    whose: Tensor  # (R,) long: which prompt each completion answers
    completions: Ragged  # R of them
    fill: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.completions)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Some rows (n,) long: `input_ids` (n, P + T - 1) with their mask and positions, and `labels` (n, T).

        The model reads everything but a completion's last token; its last T outputs are asked for the T labels. IGNORED
        fills the labels of shorter completions.
        """
        prompt, there = self.prompts.padded(self.whose[rows], self.fill, left=True)
        completion, said = self.completions.padded(rows, self.fill, left=False)
        ids = torch.cat([prompt, completion[:, :-1]], 1)
        inside = torch.cat([there, said[:, :-1]], 1)
        return {"input_ids": ids, **_places(inside), "labels": torch.where(said, completion, IGNORED)}


@dataclass(frozen=True)
class Reader:
    """How a causal model reads prompts and completions.

    A tokenizer with a chat template renders a prompt with it, up to where the assistant begins; one without reads
    `template`, turns of a conversation as lines "role: content". A completion is read as it is, and ends with the
    tokenizer's end token, which is learned. What is too long is cut and counted: the beginning of a prompt, the end
    (with its end token) of a completion.
    """

    tokenizer: Any
    template: str
    max_prompt_length: int
    max_completion_length: int  # the end token included

    @property
    def key(self) -> str:
        """Fingerprint of how a prompt and a completion become tokens."""
        chat = getattr(self.tokenizer, "chat_template", None)
        return fingerprint(
            tokenizer_key(self.tokenizer), chat, self.template, self.max_prompt_length, self.max_completion_length
        )

    def prompts(self, items: Items) -> Prompts:
        """Items as prompts. Raises DataError for tensors."""
        tokens, notes = self._prompts(items)
        return Prompts(tokens, self.tokenizer.pad_token_id, notes)

    def exchanges(self, items: Items, completions: Sequence[str], whose: Tensor | None = None) -> Exchanges:
        """Completions (R) of the items in rows `whose` (R,) long; default: one of each, in order."""
        whose = torch.arange(len(items)) if whose is None else whose
        assert len(whose) == len(completions), "each completion answers one item"
        prompts, notes = self._prompts(items)
        said, long = self.completions(completions)
        if long:
            limit = self.max_completion_length
            notes += (f"{long} of {len(said)} completions are longer than {limit} tokens: their end is cut off.",)
        return Exchanges(prompts, whose, Ragged.of(said), self.tokenizer.pad_token_id, notes)

    def completions(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """Token ids of completions (R), each with its end token, and how many of them were too long and are cut."""
        said = [[*ids, self.tokenizer.eos_token_id] for ids in self._tokens(texts, special=False)]
        limit = self.max_completion_length
        return [ids[:limit] for ids in said], sum(len(ids) > limit for ids in said)

    def continued(self, items: Items, written: Sequence[Sequence[int]]) -> Exchanges:
        """Completions that are tokens already, one an item (B), taken as they are."""
        prompts, notes = self._prompts(items)
        return Exchanges(prompts, torch.arange(len(items)), Ragged.of(written), self.tokenizer.pad_token_id, notes)

    def _prompts(self, items: Items) -> tuple[Ragged, tuple[str, ...]]:
        if isinstance(items.inputs, Tensor):
            raise DataError("A causal student reads texts and the items are tensors; give a module that reads tensors.")
        if getattr(self.tokenizer, "chat_template", None):
            read = self._tokens([self._chat(one) for one in items.inputs], special=False, trusted=True)
        else:
            read = self._tokens([self._plain(one) for one in items.inputs], special=True)
        end, limit = self.tokenizer.eos_token_id, self.max_prompt_length
        start = self.tokenizer.bos_token_id
        start = end if start is None else start
        read = [ids[:-1] if ids[-1:] == [end] else ids for ids in read]  # some tokenizers end every text; this one goes on
        read = [ids or [start] for ids in read]  # a model needs one position to answer from
        long = sum(len(ids) > limit for ids in read)
        notes = (f"{long} of {len(read)} prompts are longer than {limit} tokens: their beginning is cut off.",)
        return Ragged.of([ids[-limit:] for ids in read]), notes if long else ()

    def _tokens(self, texts: Sequence[str], special: bool, trusted: bool = False) -> list[list[int]]:
        """Token ids of texts. A special token that a text spells is read as plain letters, unless the text is `trusted`."""
        found: list[list[int]] = []
        for start in range(0, len(texts), CHUNK):
            part = list(texts[start : start + CHUNK])
            found += self.tokenizer(part, add_special_tokens=special, split_special_tokens=not trusted)["input_ids"]
        return found

    def _plain(self, one: str | tuple[str, str] | Turns) -> str:
        if isinstance(one, str):
            return self.template.replace("{prompt}", one)
        if isinstance(one[0], str):
            return self.template.replace("{prompt}", "\n".join(part for part in one if isinstance(part, str)))
        return "".join(f"{role}: {content}\n" for role, content in one) + "assistant: "

    def _chat(self, one: str | tuple[str, str] | Turns) -> str:
        turns: Any = one if not isinstance(one, str) and not isinstance(one[0], str) else None
        if turns is None:
            turns = [("user", one if isinstance(one, str) else "\n".join(str(part) for part in one))]
        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # templates refuse roles and orders in their own words
            roles = ", ".join(role for role, _ in turns)
            raise DataError(f"The tokenizer's chat template refuses a conversation of {roles}: {error}.") from error
        return text


def _places(inside: Tensor) -> dict[str, Tensor]:
    """What a model needs to pass over padding: inside (n, L) bool to `attention_mask` and `position_ids`, (n, L) each."""
    return {"attention_mask": inside.long(), "position_ids": (inside.long().cumsum(-1) - 1).clamp(min=0)}
