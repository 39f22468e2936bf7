"""Students in shards (FSDP): a process keeps its part of every parameter and borrows the rest while it computes.

Knows how a module is sharded and how its tensors become whole again. Knows nothing of losses, steps or files.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from distrust.errors import RunError

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

UNKNOWN = ("offload_params", "activation_checkpointing")  # flags of the launcher that would change what a step does


def asked() -> bool:
    """Whether `accelerate launch --use_fsdp` was said."""
    return _said("ACCELERATE_USE_FSDP")


def check(module: nn.Module) -> None:
    """Raises RunError where a module cannot be sharded, or not as the launcher was told."""
    for flag in UNKNOWN:
        if _said(f"FSDP_{flag.upper()}"):
            raise RunError(f"Sharded students are trained without {flag}; launch with --fsdp_{flag} false.")
    scalar = next((name for name, value in module.named_parameters() if not value.dim()), None)
    if scalar is not None:
        raise RunError(f"{scalar} is a single number, which FSDP cannot shard; make it a vector of length 1.")
    kinds = sorted({str(value.dtype) for value in module.parameters() if value.requires_grad})
    if len(kinds) > 1:
        raise RunError(f"FSDP shards parameters of one type, not of {' and '.join(kinds)}; give the student one of them.")


def shard(module: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a module that is sharded over all processes, with rank 0's weights; the module itself is left alone.

    A transformer's blocks (those that transformers never splits) are gathered one at a time, all else at once. Gradients
    are averaged over the processes, as DistributedDataParallel does, and buffers are rank 0's at every forward.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    parts = copy.deepcopy(module)
    blocks = set(getattr(module, "_no_split_modules", None) or ())
    for one in reversed(list(parts.modules())):  # the inner ones first, as fully_shard wants it
        if one is parts or type(one).__name__ in blocks:
            fully_shard(one, mesh=mesh)
    put(parts, module.state_dict())
    if any(True for _ in parts.buffers()):
        parts.register_forward_pre_hook(lambda *_: share(parts.buffers()))
    return parts


def bare(module: nn.Module) -> nn.Module:
    """The module that has plain names, where DistributedDataParallel stands around it."""
    return module.module if isinstance(module, DistributedDataParallel) else module


def put(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights, whole or in shards, into a module; every process must come here with the same names in one order.

    What is not among them stays as it is.
    """
    own = module.state_dict()
    module.load_state_dict({name: like(own[name], value) for name, value in weights.items()}, strict=False)


def like(own: Tensor, value: Tensor) -> Tensor:
    """A whole value (*) of rank 0 in shards, where `own` (*) is in shards; else the value as it is."""
    if not _in_shards(own) or _in_shards(value):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements)


def whole(value: Tensor) -> Tensor:
    """A tensor that may be in shards, in full; every process must come here."""
    return value.full_tensor() if _in_shards(value) else value


def share(buffers: Iterable[Tensor]) -> None:
    """Make buffers (running means of a batch norm, say) rank 0's in every process."""
    for value in buffers:
        distributed.broadcast(value, 0)


def _in_shards(value: Tensor) -> TypeGuard[DTensor]:
    if not distributed.is_initialized():
        return False  # half a second of imports is saved where there is one process
    from torch.distributed.tensor import DTensor

    return isinstance(value, DTensor)


def _said(name: str) -> bool:
    return os.environ.get(name, "false").lower() in ("true", "1")
