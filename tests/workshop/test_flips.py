"""The noise workshop: how much is wrong, as what, and that nothing else happens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distrust.errors import DataError
from distrust.workshop import exchanged, forgotten, instance_dependent, pairwise, symmetric

LABELS = torch.randint(5, (20_000,), generator=torch.Generator().manual_seed(1))
Noise = Callable[[Tensor, int, float, int], Tensor]


def like(labels: Tensor, classes: int, rate: float, seed: int) -> Tensor:
    """Instance-dependent noise by probabilities of its own draw."""
    draw = torch.Generator().manual_seed(len(labels))
    return instance_dependent(labels, classes, rate, seed, torch.rand(len(labels), classes, generator=draw))


@pytest.mark.parametrize("noise", [symmetric, pairwise, like])
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.6, 1.0])
def test_the_rate_is_the_share_of_wrong_labels(noise: Noise, rate: float) -> None:
    wrong = (noise(LABELS, 5, rate, 0) != LABELS).double().mean()
    assert float(wrong) == pytest.approx(rate, abs=4 * (rate * (1 - rate) / len(LABELS)) ** 0.5 + 1e-12)


@pytest.mark.parametrize("noise", [symmetric, pairwise, like])
def test_only_the_seed_decides(noise: Noise) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = noise(LABELS, 5, 0.4, 3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(first, noise(LABELS, 5, 0.4, 3)) and not torch.equal(first, noise(LABELS, 5, 0.4, 4))


def test_symmetric_noise_is_even_over_the_other_classes() -> None:
    wrong = symmetric(LABELS, 5, 0.8, 0)
    shift = ((wrong - LABELS) % 5).bincount(minlength=5).double() / len(LABELS)
    assert torch.allclose(shift, torch.full((5,), 0.2, dtype=torch.float64), atol=0.015)


def test_pairwise_noise_goes_to_the_next_class() -> None:
    assert set(((pairwise(LABELS, 5, 0.3, 0) - LABELS) % 5).tolist()) == {0, 1}
    assert pairwise(torch.tensor([4]), 5, 1.0, 0).tolist() == [0]


def test_hard_items_are_mislabelled_as_what_they_look_like() -> None:
    labels = torch.zeros(30_000, dtype=torch.long)
    easy, hard = torch.tensor([0.9, 0.1, 0.0]), torch.tensor([0.7, 0.1, 0.2])
    probabilities = torch.cat([easy.expand(15_000, 3), hard.expand(15_000, 3)])
    noisy = instance_dependent(labels, 3, 0.4, 0, probabilities)
    shares = [noisy[part].bincount(minlength=3).double() / 15_000 for part in (slice(15_000), slice(15_000, None))]
    # chances 0.1 s and 0.3 s with a mean of 0.4: s = 2, so 0.2 and 0.6; the second splits 1 to 2
    assert shares[0].tolist() == pytest.approx([0.8, 0.2, 0.0], abs=0.02)
    assert shares[1].tolist() == pytest.approx([0.4, 0.2, 0.4], abs=0.02)


def test_saturated_probabilities_still_reach_the_rate() -> None:
    probabilities = torch.nn.functional.one_hot(LABELS, 5).double()
    noisy = instance_dependent(LABELS, 5, 0.4, 0, probabilities)
    assert float((noisy != LABELS).double().mean()) == pytest.approx(0.4, abs=0.02)


@given(st.lists(st.integers(-1, 3), max_size=20), st.floats(0, 1), st.integers(0, 9))
def test_labels_stay_labels_and_abstentions_abstentions(given_labels: list[int], rate: float, seed: int) -> None:
    labels = torch.tensor(given_labels, dtype=torch.long)
    before = labels.clone()
    for noise in (symmetric, pairwise, like):
        noisy = noise(labels, 4, rate, seed)
        assert torch.equal(labels, before) and noisy.shape == labels.shape and noisy.dtype == torch.long
        assert torch.equal(noisy == -1, labels == -1) and bool(((noisy >= -1) & (noisy < 4)).all())


@pytest.mark.parametrize(
    "classes, rate, label, said",
    [(1, 0.2, 0, "at least 2"), (3, 1.2, 0, "0 to 1"), (3, float("nan"), 0, "0 to 1"), (3, 0.2, 3, "-1 to 2")],
)
def test_what_is_refused(classes: int, rate: float, label: int, said: str) -> None:
    for noise in (symmetric, pairwise, like):
        with pytest.raises(DataError, match=said):
            noise(torch.tensor([label, 0]), classes, rate, 0)


def test_probabilities_must_fit() -> None:
    labels = torch.tensor([0, 1])
    for wrong in (torch.rand(2, 2), torch.rand(1, 3), torch.full((2, 3), torch.nan), -torch.ones(2, 3)):
        with pytest.raises(DataError, match="legal is"):
            instance_dependent(labels, 3, 0.2, 0, wrong)


@pytest.mark.parametrize(("share", "changed"), [(0.0, 0), (0.4, 2), (0.6, 2), (0.8, 4), (1.0, 4)])
def test_classes_are_exchanged_in_pairs_everywhere(share: float, changed: int) -> None:
    wrong = exchanged(LABELS, 5, share, 2)
    said_for = [set(wrong[label == LABELS].tolist()) for label in range(5)]
    assert all(len(one) == 1 for one in said_for)
    mapped = [one.pop() for one in said_for]
    assert [mapped[mapped[label]] for label in range(5)] == list(range(5))
    assert sum(mapped[label] != label for label in range(5)) == changed
    assert torch.equal(exchanged(wrong, 5, share, 2), LABELS)
    assert exchanged(torch.tensor([-1, 0]), 5, share, 2)[0] == -1
    assert torch.equal(wrong, exchanged(LABELS, 5, share, 2))


def test_forgotten_classes_are_a_guess_and_the_others_right() -> None:
    lost = torch.tensor([True, False, False, True, False])
    wrong = forgotten(LABELS, 5, lost, 3)
    kept = ~lost[LABELS]
    assert torch.equal(wrong[kept], LABELS[kept])
    assert float((wrong[~kept] == LABELS[~kept]).double().mean()) == pytest.approx(0.2, abs=0.02)
    assert forgotten(torch.tensor([-1, 0]), 5, lost, 3)[0] == -1
    assert torch.equal(wrong, forgotten(LABELS, 5, lost, 3)) and not torch.equal(wrong, forgotten(LABELS, 5, lost, 4))


def test_shares_and_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="legal is 0 to 1"):
        exchanged(LABELS, 5, 1.5, 0)
    with pytest.raises(DataError, match=r"`lost` is \(4,\) torch.bool; legal is \(5,\) bool"):
        forgotten(LABELS, 5, torch.zeros(4, dtype=torch.bool), 0)
