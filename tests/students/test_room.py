from __future__ import annotations

import torch
from transformers.cache_utils import DynamicCache

from distrust.students.room import LEAST, make_room


def filled() -> DynamicCache:
    cache = DynamicCache()
    generator = torch.Generator().manual_seed(0)
    for layer in range(2):
        cache.update(*torch.randn(2, 4, 3, 5, 8, generator=generator), layer)
    return cache


def test_a_cache_with_room_holds_what_a_growing_one_holds() -> None:
    roomy, growing = filled(), filled()
    make_room(roomy)
    generator = torch.Generator().manual_seed(1)
    for step in range(3 * LEAST):
        if step in (7, 2 * LEAST):  # rows are chosen now and then
            kept = torch.tensor([0, 2] if step == 7 else [1])
            roomy.batch_select_indices(kept)
            growing.batch_select_indices(kept)
        rows = len(growing.layers[0].keys)
        for layer in range(2):
            new = torch.randn(2, rows, 3, 1, 8, generator=generator)
            for mine, theirs in zip(roomy.update(*new, layer), growing.update(*new, layer), strict=True):
                assert torch.equal(mine, theirs)
        assert roomy.get_seq_length() == growing.get_seq_length()


def test_a_step_copies_nothing_while_there_is_room() -> None:
    cache = filled()
    make_room(cache)
    places = {cache.update(*torch.zeros(2, 4, 3, 1, 8), 0)[0].data_ptr() for _ in range(LEAST)}
    assert len(places) == 1


def test_what_is_no_growing_layer_is_left_alone() -> None:
    cache = filled()
    layer = cache.layers[0]
    layer.__class__ = type("Windowed", (type(layer),), {})
    make_room(cache)
    assert "update" not in vars(layer) and "update" in vars(cache.layers[1])
    make_room(())
