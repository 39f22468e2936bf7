"""Items worth a look: those with the largest gap, what is shown of each, and pictures of inputs that are some."""

import base64
import struct
import zlib
from dataclasses import replace

import torch

from distrust.data import Items
from distrust.evaluate import final_claims
from distrust.evidence import Evidence, stack
from distrust.report.examples import LARGEST_IMAGE, disputed, doubted


def test_examples_are_those_with_the_largest_gap(messages_facts):
    claims = final_claims(stack(messages_facts.evidence, messages_facts.space, messages_facts.pool.ids))
    shown = doubted(messages_facts, claims)
    targets, gaps = messages_facts.targets, {}
    for row, item in enumerate(messages_facts.pool.ids):
        spoke = [claim for claim in claims[:, row].tolist() if claim >= 0]
        gaps[item] = sum(1 - float(targets[row, claim]) for claim in spoke) / max(len(spoke), 1)
    names = {one.id for one in shown}
    assert len(shown) == 6 and not names & set(messages_facts.gold.ids)
    others = [gap for item, gap in gaps.items() if item not in names and item not in messages_facts.gold.ids]
    assert min(gaps[name] for name in names) >= max(others) - 1e-6
    for one in disputed(messages_facts, claims):
        assert len({said.claim for said in one.said if said.claim}) == 2


def test_teachers_that_all_agree_dispute_nothing(messages_facts):
    same = torch.zeros(2, len(messages_facts.pool), dtype=torch.long)
    assert disputed(messages_facts, same) == []


def test_of_an_item_only_what_is_not_its_claim_is_quoted(messages_facts):
    space, pool = messages_facts.space, messages_facts.pool
    first, second, *_ = space.names
    one = Evidence("one", pool.ids[:1], space, torch.tensor([[0], [0]]), texts=[[f" {first} ", "I say so."]])
    two = Evidence("two", pool.ids, space, torch.ones(1, len(pool), dtype=torch.long))
    facts = replace(messages_facts, evidence=[one, two], targets=None, gold=None)
    claims = torch.full((2, len(pool)), -1)
    claims[:, 0] = torch.tensor([0, 1])
    (shown,) = disputed(facts, claims)
    assert [(said.teacher, said.claim, said.text) for said in shown.said] == [
        ("one", first, "I say so."),
        ("two", second, None),
    ]
    assert (shown.id, shown.told, shown.share, shown.gold, shown.image) == (pool.ids[0], None, None, None, None)
    assert doubted(facts, claims) == [], "nothing was told"


def test_a_small_grey_input_is_drawn_and_another_is_not(digits_facts):
    def shown(inputs):
        pool = Items(("a",), inputs)
        here = [Evidence(one, ("a",), digits_facts.space, torch.tensor([[place]])) for place, one in enumerate("xy")]
        facts = replace(digits_facts, pool=pool, evidence=here, targets=None, gold=None)
        return disputed(facts, torch.tensor([[0], [1]]))[0].image

    picture = torch.tensor([[[0.0, 1.0, 2.0], [2.0, 1.0, float("nan")], [4.0, 0.0, 0.0]]])
    data = base64.b64decode(shown(picture).removeprefix("data:image/png;base64,"))
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", data[16:24]) == (3, 3)
    body = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[body - 4 : body])
    rows = zlib.decompress(data[body + 4 : body + 4 + length])
    assert list(rows) == [0, 0, 63, 127, 0, 127, 63, 0, 0, 255, 0, 0]
    assert shown(torch.zeros(1, 3, LARGEST_IMAGE + 1)) is None and shown(torch.zeros(1, 12)) is None
