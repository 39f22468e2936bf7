"""Dropout in a module that is otherwise frozen: which units fall depends on item and pass, and on nothing else.

Knows where torch models drop units, and how to draw for each item alone. Knows nothing of teachers, or of what becomes of
the answers.

Dropout is caught where it happens, as a function: that of layers, the one that models call by themselves, and the one inside
attention. So BatchNorm and whatever else asks `training` stays in eval mode, and no generator is read: the draws are a hash
of item, pass, call and place, the same in any order, batch or process. What torch drops inside one call of its own
(recurrent layers, `nn.MultiheadAttention`) stays off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from distrust.modules import frozen

INNER = (nn.RNNBase, nn.MultiheadAttention)  # draw from torch's generator in the middle of one call
WHOLE = {functional.dropout: 0, torch.dropout: 0}  # functions, and how many last dimensions fall together
CHANNELS = {functional.dropout1d: 1, functional.dropout2d: 2, functional.dropout3d: 3}
GOLDEN = -1640531527  # 2^32 over the golden ratio, as int32: tells neighbouring places apart
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by the bytes of a number


class Dropping(TorchFunctionMode):
    """Inside: every dropout above 0 drops, whatever mode its module is in.

    Say whose rows come before each forward: `draws.begin(keys)`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.met = 0  # dropouts so far
        self.widest = [1, 1]  # numbers in the largest tensor made before the first dropout, and since
        self._keys = torch.zeros(0, dtype=torch.int32)
        self._call = 0

    def begin(self, keys: Tensor) -> None:
        """The rows of the next forward: (n,) int32, one key each; or inside `torch.vmap` those of each of its turns."""
        self._keys, self._call = keys, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        together = (WHOLE | CHANNELS).get(func)
        if together is not None:
            given, rate = args[0] if args else named["input"], args[1] if len(args) > 1 else named.get("p", 0.5)
            return self._dropped(given, float(rate), together)
        if func is functional.scaled_dot_product_attention:
            return self._attention(*args, **named)
        made = func(*args, **named)
        if isinstance(made, Tensor):
            self.widest[self.met > 0] = max(self.widest[self.met > 0], made.numel())
        return made

    def _dropped(self, value: Tensor, rate: float, together: int = 0) -> Tensor:
        """Zeros where units fall, the rest scaled up: (k · n, ...) to the same; maps of `together` dimensions fall whole."""
        if rate <= 0:
            return value
        self.met, self._call = self.met + 1, self._call + 1
        rows = len(self._keys)
        if not rows or len(value) % rows:
            raise ValueError(f"dropout of a tensor {tuple(value.shape)} in which {rows} items cannot be told apart")
        parts = value if len(value) == rows else value.reshape(rows, len(value) // rows, *value.shape[1:])
        size = parts.shape[1 : parts.dim() - together]
        if rate >= 1:
            return torch.zeros_like(value)
        draws = _draws(_mixed(self._keys ^ _number(self._call, self._keys)), size)  # (rows, *size)
        scaled: Tensor = parts * (1 / (1 - rate))
        kept = draws.bitwise_right_shift_(1).add_(2**30 - round((1 - rate) * 2**31)).bitwise_right_shift_(31)
        bits = scaled.view(BITS[scaled.element_size()])  # and-ing them is five times as fast as filling by a mask
        kept = kept.reshape(rows, *size, *[1] * together).to(bits.dtype)  # -1, all ones, where a unit stays; else 0
        return (kept & bits).view(scaled.dtype).reshape(value.shape)

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **more: Any,
    ) -> Tensor:
        """Attention whose weights are dropped by item: torch's own draws from its generator. (n, h, T, d) to the same."""
        if dropout_p <= 0 and not self._call:  # torch's own cannot be mapped over passes
            plain: Tensor = functional.scaled_dot_product_attention(query, key, value, attn_mask, 0.0, is_causal, **more)
            return plain
        if more.get("enable_gqa"):
            key, value = (one.repeat_interleave(query.shape[-3] // one.shape[-3], -3) for one in (key, value))
        scale = more.get("scale")
        score = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            score = score.masked_fill(~torch.ones_like(score, dtype=torch.bool).tril(), -torch.inf)
        if attn_mask is not None:
            score = score.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else score + attn_mask
        self.widest[self._call > 0] = max(self.widest[self._call > 0], score.numel())
        return self._dropped(score.softmax(-1), dropout_p) @ value


@contextmanager
def dropping(module: nn.Module) -> Iterator[Dropping]:
    """Inside: the module is frozen but for its dropout. After: every module's mode, and the random state, as before."""
    with frozen(module), Dropping() as draws:
        for one in module.modules():
            if _drops(one) and not isinstance(one, INNER) and not hasattr(one, "running_mean"):
                one.training = True  # attention asks it before it hands its rate to torch
        yield draws


def item_keys(ids: Sequence[str], seed: int) -> Tensor:
    """A key for each item: (n,) int32, of its id and the seed alone."""
    numbers = [int.from_bytes(sha256(f"{seed}/{item}".encode()).digest()[:4], "big", signed=True) for item in ids]
    return torch.tensor(numbers, dtype=torch.int32)


def pass_keys(keys: Tensor, passes: int) -> Tensor:
    """Keys of items (n,) for each pass over them: (passes, n) int32."""
    turns = _mixed(torch.arange(1, passes + 1, dtype=torch.int32, device=keys.device) * GOLDEN)
    return _mixed(keys ^ turns.unsqueeze(-1))


def _drops(module: nn.Module) -> bool:
    """Whether a module has dropout of its own: a layer of it, or a rate above 0."""
    layers = any(isinstance(one, nn.modules.dropout._DropoutNd) for one in module.children())
    return layers or any("drop" in name and isinstance(one, Real) and one > 0 for name, one in vars(module).items())  # type: ignore[operator]


def _draws(keys: Tensor, size: Sequence[int]) -> Tensor:
    """An int32 for each place, any of them alike: keys (n,) int32 to (n, *size), by a hash of key and place."""
    state = keys
    for count in size:
        state = _mixed(state) if state is not keys else state
        state = state.unsqueeze(-1) ^ (torch.arange(count, dtype=torch.int32, device=keys.device) * GOLDEN)
        state.bitwise_xor_(state >> 16)
        state.mul_(2146121005)  # its high bits are mixed, and they decide
    return state


def _mixed(bits: Tensor) -> Tensor:
    """An int32 hash, one to one and without visible order: xor-shifts and multiplications that wrap."""
    bits = bits ^ (bits >> 16)
    bits.mul_(2146121005)
    bits.bitwise_xor_(bits >> 15)
    bits.mul_(-2073254261)
    return bits.bitwise_xor_(bits >> 16)


def _number(value: int, like: Tensor) -> Tensor:
    return _mixed(torch.tensor([value], dtype=torch.int32, device=like.device) * GOLDEN)
