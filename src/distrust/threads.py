"""How many threads the libraries of a process, and of processes that it starts, have.

Knows torch, the libraries below it, and the variables that they read. Knows nothing of who works in a process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read by a library as it is loaded, never again


def limit(threads: int) -> None:
    """So many threads in torch, in libraries that are loaded, and in those that will be."""
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
    threadpool_limits(threads)


@contextmanager
def inherited(threads: int) -> Iterator[None]:
    """Inside: a process that is started has so many threads in every library, from its first moment."""
    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
