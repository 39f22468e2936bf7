"""Torch modules handled with care: frozen for a while, fingerprinted, and left exactly as they were.

Knows modes, gradients, random state and weights. Knows nothing of what a module is for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from distrust.data import Items
from distrust.errors import DataError
from distrust.files import fingerprint

Inputs = Callable[[Items], Tensor]  # items to the tensor (B, ...) that a module reads
PROBE = 4  # items read twice, to find a reading that is not repeatable


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Inside: eval mode everywhere, no gradient, no autocast, random draws undone. After: every mode as it was.

    Modes are set one by one rather than by `eval()` and `train()`, which some modules override.
    """
    modes = [(one, one.training) for one in module.modules()]
    here = device_of(module)
    try:
        for one, _ in modes:
            one.training = False
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())  # not inference_mode: its tensors cannot enter a student's graph later
            stack.enter_context(torch.random.fork_rng(devices=[here] if here.type == "cuda" else []))
            stack.enter_context(torch.autocast(here.type, enabled=False))
            yield
    finally:
        for one, mode in modes:
            one.training = mode


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside: torch's generators start from `seed`. After: the global random state as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def device_of(module: nn.Module) -> torch.device:
    """Where a module's first parameter or buffer lies; the CPU where it has none."""
    return next((one.device for one in (*module.parameters(), *module.buffers())), torch.device("cpu"))


def best_device() -> torch.device:
    """The accelerator, if torch sees one."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")


def weights_key(module: nn.Module) -> str:
    """Fingerprint of a module's classes, settings and weights, the same in every process.

    Blind to code that neither `repr` nor the weights show: a function called in `forward` that changed, for instance.
    """
    drawn = re.sub(r" at 0x[0-9a-f]+", "", repr(module))
    classes = [type(one).__module__ + "." + type(one).__qualname__ for one in module.modules()]
    parts = [part for name, value in module.state_dict().items() for part in (name, value)]
    return fingerprint(drawn, classes, *parts)


def read_tensor(items: Items, inputs: Inputs | None, who: str) -> Tensor:
    """What a module reads of items, (B, ...).

    Raises:
        DataError: items are texts and nobody says how to read them; or `inputs` reads an item otherwise each time (an
            augmentation that draws anew) or by what stands beside it, so that what was said of it could not be found again.
    """
    if inputs is None:
        if not isinstance(items.inputs, Tensor):
            raise DataError(
                f"{who} reads tensors and the items are texts; give `inputs`, a function from items to a tensor."
            )
        return items.inputs
    read = inputs(items)
    if not isinstance(read, Tensor) or len(read) != len(items):
        raise DataError(f"{who}'s `inputs` must give a tensor with {len(items)} rows, one per item.")
    some = read[:PROBE]
    again = inputs(items.select(range(len(some))))
    if again.shape == some.shape and not torch.allclose(again.double(), some.double(), rtol=1e-3, atol=1e-3, equal_nan=True):
        raise DataError(
            f"{who}'s `inputs` reads an item otherwise each time, or by the items beside it; read each by itself, and "
            "replay augmentations from a seed (distrust.views)."
        )
    return read
