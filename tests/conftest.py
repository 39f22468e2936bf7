"""What every test shares: one thread, fixed seeds, and the optional data folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: bit-equality holds for one thread count
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# A shell that starts the tests in the background ignores Ctrl-C, and so would every process that they start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50, database=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def data_folder() -> Path:
    """The optional data sets; a test that needs one is skipped where they are not."""
    folder = os.environ.get("DISTRUST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the optional data sets: set DISTRUST_DATA to their folder")
    return Path(folder)
