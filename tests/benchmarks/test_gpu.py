"""The benchmarks that wait for a GPU: they end in a sentence without one, and their toy sizes run where there is none."""

from __future__ import annotations

import os

import pytest
import torch

from benchmarks import gpu_kernels, gpu_okd
from benchmarks.harness import Absent

without = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device, which they would use")
with_data = pytest.mark.skipif(not os.environ.get("DISTRUST_DATA"), reason="the optional data sets: set DISTRUST_DATA")


@without
def test_they_wait_for_a_device(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("DISTRUST_DATA", str(tmp_path))
    for one in (gpu_kernels, gpu_okd):
        with pytest.raises(Absent, match=r"needs a CUDA device, and torch sees none; --quick"):
            one.run(quick=False)


@without
def test_kernels_at_toy_sizes() -> None:
    found = gpu_kernels.run(quick=True)
    assert found.settings["device"] == "none: on the CPU"
    assert (
        found.figures["fp32.max_error"] < 1e-5
        and found.figures["bf16.max_error"] < 2 * found.figures["bf16.max_error.naive"]
    )
    assert {name.split(".")[3] for name in found.figures if name.endswith("x_floor")} == {
        *("naive", "two_sided", "chunk32", "chunk64")
    }


@without
@with_data
def test_students_at_toy_sizes() -> None:
    figures = gpu_okd.run(quick=True).figures
    assert figures["verse.toy.32.okd.drift"] > 0 and "verse.toy.32.forward.kl" in figures
    assert 0 < figures["verse.toy.32.forward.seconds_to_forward"] <= figures["verse.toy.32.forward.seconds"]


def test_controls_and_alphas_are_among_the_gpus_students() -> None:
    searched = gpu_okd.searches(gpu_okd.TOY)
    told = {one: {"kl": 1.0, "kl_own": one.rate, "seconds": 2.0 if one.method == "okd" else 1.0} for one in searched}
    plan = gpu_okd.planned(told, gpu_okd.TOY)
    wanted = {"okd.alpha0", "tuned_first", "forward_longer", "okd.alpha25", "okd.alpha50"}
    assert wanted <= {one.method for one in plan} == set(gpu_okd.NAMES) and len(plan) == 3 * len(gpu_okd.NAMES)
    assert {one.epochs for one in plan if one.method == "forward_longer"} == {2 * gpu_okd.EPOCHS}
    assert {one.rate for one in plan} == {min(gpu_okd.RATES)}
