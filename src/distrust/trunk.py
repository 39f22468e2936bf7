"""A frozen language model whose lower layers ran once: their hidden states are on disk, and an epoch runs the last alone.

Knows where a model keeps its layers and what it adds to embeddings. Knows nothing of losses, or of what trains above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import RunError
from distrust.files import fingerprint
from distrust.losses.chunks import Projected
from distrust.low_rank import blocks
from distrust.mapped import Mapped
from distrust.modules import device_of, frozen
from distrust.sharding import bare
from distrust.shards import Shards
from distrust.students.causal import CausalStudent
from distrust.students.completions import Exchanges

COLUMN = "states"
ROWS = 64  # texts that the lower layers read at once, and a shard's size


@dataclass(frozen=True)
class Stored:
    """Exchanges of which the lower layers have spoken."""

    read: Exchanges
    states: Mapped  # (R, longest, d), each row's tokens from its first on

    @property
    def notes(self) -> tuple[str, ...]:
        return self.read.notes

    def __len__(self) -> int:
        return len(self.read)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """As the exchanges' batch of rows (n,), with `inputs_embeds` (n, P + T - 1, d) in place of `input_ids`."""
        inputs = self.read.batch(rows)
        inside = inputs["attention_mask"].bool()
        said = self.states[rows]  # (n, longest, d)
        there = torch.arange(said.shape[1]) < inside.sum(-1, keepdim=True)
        placed = said.new_zeros(*inside.shape, said.shape[-1])
        placed[inside] = said[there]
        return {**{name: value for name, value in inputs.items() if name != "input_ids"}, "inputs_embeds": placed}


@dataclass
class Top(CausalStudent):
    """The last layers of a language model, which begins where the stored hidden states end."""

    layers: int
    kept: Callable[[str, Callable[[Path], None]], Path]  # a stage: its key and who builds it, to its folder

    def encode_told(self, items: Items, completions: Sequence[str], whose: Tensor | None = None) -> Any:
        """As a causal student's, the lower layers run on each text once, ever."""
        read = super().encode_told(items, completions, whose)
        texts = (read.prompts.flat, read.prompts.lengths, read.whose, read.completions.flat, read.completions.lengths)
        key = fingerprint("trunk of whole texts", self.key, str(next(self.module.parameters()).dtype), self.layers, *texts)
        folder = self.kept(key, lambda here: _write(self, read, here))
        shards = Shards(folder)
        rows = shards.rows([str(row) for row in range(len(read))])
        if bool((rows < 0).any()):
            raise RunError(f"{folder} lacks hidden states; delete it and run again.")
        return Stored(read, shards.column(COLUMN, rows))

    def hidden(self, inputs: dict[str, Tensor]) -> Projected:
        """As a causal student's, of a batch of `Stored`."""
        with topped(bare(self.module), self.layers):
            return super().hidden(inputs)


def top(model: CausalStudent, layers: int, kept: Callable[[str, Callable[[Path], None]], Path]) -> Top:
    """The last layers of a model, with the states below them kept as a stage."""
    return Top(**model.parts, layers=layers, kept=kept)


@contextmanager
def topped(model: Any, layers: int) -> Iterator[None]:
    """Inside, the model runs its last layers alone, on `inputs_embeds` as they are: no position is added to them.

    What its config says of each layer (which attend within a window, which turn positions how) is that of the last ones.
    """
    stack = blocks(model)
    parent, name = next((one, own) for one in model.modules() for own, part in one._modules.items() if part is stack)
    config = vars(model.config.get_text_config())  # itself: setting attributes would count the layers anew
    told = {
        own: value
        for own, value in config.items()
        if "layer" in own and isinstance(value, list | tuple) and len(value) == len(stack)
    }
    words = model.get_input_embeddings()
    places = [one for one in model.modules() if isinstance(one, nn.Embedding) and one is not words]
    nothing = torch.zeros((), device=device_of(model))
    setattr(parent, name, nn.ModuleList(list(stack)[-layers:]))
    config |= {own: value[-layers:] for own, value in told.items()}
    for one in places:
        one.forward = lambda *given, **named: nothing  # type: ignore[method-assign]
    try:
        yield
    finally:
        setattr(parent, name, stack)
        config |= told
        for one in places:
            del one.forward


def check(model: CausalStudent, layers: int, name: str) -> None:
    """Raises RunError unless the last layers, begun from what goes into them, end where the whole model ends.

    Tried on as many tokens as a text may have: of two, a layer that attends within a window sees all.
    """
    longest = model.reader.max_prompt_length + model.reader.max_completion_length
    places = torch.arange(longest, device=device_of(model.module)).unsqueeze(0)  # (1, L)
    ids = places % len(model.reader.tokenizer)
    inputs = {"attention_mask": torch.ones_like(ids), "position_ids": places, "labels": ids}
    with frozen(model.module):
        wanted = model.hidden({"input_ids": ids, **inputs}).hidden
        below = _below(model, layers, {"input_ids": ids, **inputs})
        with topped(model.module, layers):
            found = model.hidden({"inputs_embeds": below, **inputs}).hidden
    if not torch.allclose(found.float(), wanted.float(), rtol=1e-3, atol=1e-3):
        raise RunError(f"{name} does more with its layers than run one after the other; set store_trunk: false.")


def _below(model: CausalStudent, layers: int, inputs: dict[str, Tensor]) -> Tensor:
    """What goes into the first of the last layers: (n, L, d)."""
    caught: list[Tensor] = []
    first = blocks(bare(model.module))[-layers]

    def catch(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        caught.append(given[0] if given else named["hidden_states"])

    hook = first.register_forward_pre_hook(catch, with_kwargs=True)
    try:
        CausalStudent.hidden(model, inputs)
    finally:
        hook.remove()
    return caught[0]


def _write(model: Top, read: Exchanges, folder: Path) -> None:
    """Run the lower layers on all exchanges and keep what they say, a shard at a time; goes on where it was stopped."""
    lengths = read.prompts.lengths[read.whose] + read.completions.lengths  # (R,): a batch's longest alone lacks its last
    longest, device, shards = int(lengths.max()), device_of(model.module), Shards(folder)
    with frozen(model.module), shards.locked():
        for rows in torch.split(torch.arange(len(read)), ROWS):
            keys = [str(row) for row in rows.tolist()]
            if bool((shards.rows(keys) >= 0).all()):
                continue
            inputs = {name: value.to(device) for name, value in read.batch(rows).items()}
            said = _below(model, model.layers, inputs).cpu()
            inside = inputs["attention_mask"].bool().cpu()
            kept = said.new_zeros(len(rows), longest, said.shape[-1])
            kept[torch.arange(longest) < inside.sum(-1, keepdim=True)] = said[inside]
            shards.append(keys, {COLUMN: kept}, {})
