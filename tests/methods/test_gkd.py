"""gkd from several teachers, each token's trust in them, and evidence that is asked for once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distrust.errors import RecipeError, RunError, TeacherError
from distrust.losses import ranking
from distrust.methods import METHODS, find
from distrust.methods.gkd import Gkd, gkd
from distrust.students.causal import build
from distrust.students.sampling import Sampling
from distrust.teachers.local_writer import LocalWriter
from tests import writers
from tests.methods import tutored
from tests.methods.followed import WHOLE, close, naive
from tests.methods.test_conformance import equal, weights

TEXTS = {"on_policy": 0.0}
ONE = WHOLE.model_copy(update={"num_train_epochs": 1, "per_device_train_batch_size": 16})


def untaught(name: str = "awry", seed: int = 5) -> LocalWriter:
    """A language model of the same tokenizer that knows nothing."""
    made = build(writers.options("llama", wild=True), tutored.HOW, seed, writers.flips(60)[0])
    made.module.eval()
    return LocalWriter(name, made, Sampling())


def learnt(
    folder: Path, teachers: Sequence[LocalWriter], loop: object = WHOLE, evidence: Path | None = None, **options: object
) -> tuple[dict[str, Tensor], list[str]]:
    with tutored.opened(folder, teachers[0], loop) as run:  # type: ignore[arg-type]
        run.teachers = [*run.teachers[:1], *teachers]
        if evidence is not None:
            run._hearing.store.folder = evidence
        found = weights(gkd(run, Gkd(**{**TEXTS, **options})))  # type: ignore[arg-type]
        return found, run.notes


def test_several_teachers_are_a_weighted_sum_by_the_texts_tokens(tmp_path: Path) -> None:
    items, other = tutored.pool(), untaught()
    batch = tutored.student().encode_told(items, items.columns["completion"]).batch(torch.arange(48))
    labels = batch.pop("labels")
    counted = labels >= 0
    with torch.no_grad():
        z = other.model.module(**batch).logits[:, -labels.shape[1] :][counted].double()

    def by_label(q: Tensor, p: Tensor, _: int) -> Tensor:
        both = torch.stack([z, p]).log_softmax(-1)  # (2, n, V)
        told = both.gather(-1, labels[counted].expand(2, -1).unsqueeze(-1)).squeeze(-1).exp()
        return (told / told.sum(0) * (both.exp() * (both - q.log_softmax(-1))).sum(-1)).sum(0).mean()

    def by_entropy(q: Tensor, p: Tensor, _: int) -> Tensor:
        both = torch.stack([z, p]).log_softmax(-1)
        unsure = -(both.exp() * both).sum(-1)
        return ((1 - unsure / unsure.sum(0)) * (both.exp() * (both - q.log_softmax(-1))).sum(-1)).sum(0).mean()

    found, notes = learnt(tmp_path / "label", [tutored.teacher(), other], trust="label")
    close(found, naive(by_label))
    said = next(one for one in notes if "believed by label" in one)
    assert float(said.split("awry ")[1].split(",")[0]) < 0.2 < 0.8 < float(said.split("big ")[1][:4])
    close(learnt(tmp_path / "entropy", [tutored.teacher(), other], trust="entropy")[0], naive(by_entropy))


def test_the_order_of_teachers_changes_nothing_and_two_equal_ones_are_one(tmp_path: Path) -> None:
    one, other = tutored.teacher(), untaught()
    first, _ = learnt(tmp_path / "a", [one, other], ONE, trust="label")
    assert equal(first, learnt(tmp_path / "b", [other, one], ONE, trust="label")[0])
    alone, _ = learnt(tmp_path / "c", [one], ONE)
    for rule in ("alike", "label", "entropy"):
        close(learnt(tmp_path / rule, [one, tutored.teacher(name="again")], ONE, trust=rule)[0], alone)
    assert not equal(first, learnt(tmp_path / "d", [one, other], ONE, trust="alike")[0])


def calls(teacher: LocalWriter) -> list[int]:
    """Texts in each forward of a teacher from now on."""
    seen: list[int] = []
    teacher.model.module.register_forward_hook(lambda *given: seen.append(len(given[2].logits)))
    return seen


@pytest.mark.parametrize("kept", [{"top": 300}, {"samples": 40}])
def test_what_is_kept_is_asked_for_once(tmp_path: Path, kept: dict[str, int]) -> None:
    asked = tutored.teacher()
    seen = calls(asked)
    loop = WHOLE.model_copy(update={"num_train_epochs": 3, "per_device_train_batch_size": 16})
    first, _ = learnt(tmp_path / "a", [asked], loop, tmp_path / "kept", teacher_evidence=kept)
    texts = len(seen)
    whole = sum(seen)
    assert whole - 2 <= len(set(zip(*parts(), strict=True))), "each text once, and two looks at the model's head"
    again, _ = learnt(tmp_path / "b", [asked], loop, tmp_path / "kept", teacher_evidence=kept)
    assert equal(first, again) and len(seen) == texts + 2, "the head is looked at, and nothing is asked"
    learnt(tmp_path / "c", [asked], loop, tmp_path / "kept", teacher_evidence=kept, temperature=1.0, gold_weight=0.5)
    assert len(seen) == texts + 4
    if "top" in kept:  # of every token there is
        close(first, learnt(tmp_path / "d", [tutored.teacher()], loop)[0])


def parts() -> tuple[Sequence[object], Sequence[object]]:
    items = tutored.pool()
    return items.inputs, items.columns["completion"]  # type: ignore[return-value]


def test_kept_teachers_are_weighed_as_live_ones(tmp_path: Path) -> None:
    both = [tutored.teacher(), untaught()]
    for rule in ("label", "entropy"):
        live, _ = learnt(tmp_path / f"{rule}-live", both, ONE, trust=rule)
        kept, notes = learnt(tmp_path / f"{rule}-kept", both, ONE, trust=rule, teacher_evidence={"top": 300})
        close(kept, live)
        assert any(f"believed by {rule}" in one for one in notes)


def test_damaged_evidence_is_refused(tmp_path: Path) -> None:
    asked = tutored.teacher()
    learnt(tmp_path / "a", [asked], evidence=tmp_path / "kept", teacher_evidence={"top": 4})
    path = next((tmp_path / "kept").glob("big-tokens-*/logp.bin"))
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"logp.bin is damaged in rows 0 to \d+; delete .* and run again"):
        learnt(tmp_path / "b", [asked], evidence=tmp_path / "kept", teacher_evidence={"top": 4})


def test_a_teacher_that_is_broken_is_named_by_the_item(tmp_path: Path) -> None:
    asked = tutored.teacher()
    read = asked.model.reader.prompts(tutored.pool())
    token = int(read.tokens.flat[3])
    with torch.no_grad():
        asked.model.module.get_input_embeddings().weight[token] = torch.inf  # type: ignore[operator]
    with pytest.raises(TeacherError, match=r"logits of item f[0-9]+ are not finite"):
        learnt(tmp_path, [asked], teacher_evidence={"top": 4})


def test_on_texts_of_its_own_the_student_is_corrected_there(tmp_path: Path) -> None:
    """On-policy KD and, mixed with given texts, ImitKD: each step on what the student writes just then, to its end token."""

    def loss(q: Tensor, p: Tensor, _: int) -> Tensor:
        p, q = p.log_softmax(-1), q.log_softmax(-1)
        return (q.exp() * (q - p)).sum(-1).mean()

    close(learnt(tmp_path, [tutored.teacher()], on_policy=1.0, divergence="reverse")[0], naive(loss, own=True))


def test_ranking_stands_beside_the_divergence(tmp_path: Path) -> None:
    def loss(q: Tensor, p: Tensor, _: int) -> Tensor:
        both = p.log_softmax(-1)
        return ((both.exp() * (both - q.log_softmax(-1))).sum(-1) + 0.5 * ranking(q, p)).mean()

    close(learnt(tmp_path, [tutored.teacher()], ranking=0.5)[0], naive(loss))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"trust": "label"}, "trust `label` goes by tokens of given texts, .* set `on_policy: 0`"),
        ({"teacher_evidence": {"top": 4}}, "`teacher_evidence` is of given texts, .* set `on_policy: 0`"),
        ({"on_policy": 0, "teacher_evidence": {"top": 4, "samples": 4}}, "two ways of keeping; give one of them"),
        ({"on_policy": 0, "teacher_evidence": {"samples": 4}, "temperature": 2}, "unbiased for the forward divergence"),
        ({"on_policy": 0, "teacher_evidence": {"tops": 4}}, "unknown key 'method.options.teacher_evidence.tops'; .*top"),
        ({"trust": "gold"}, "trust"),
        ({"exponents": [0.5, 0.5]}, "`exponents` are of alpha-beta; the divergence forward has none"),
        ({"divergence": "alpha-beta", "exponents": [0.0, 0.0]}, r"`exponents` are \[0.0, 0.0\]; both are at least 0"),
        ({"divergence": "alpha-beta", "exponents": [0.5]}, "exponents"),
    ],
)
def test_refusals_are_sentences(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        find("gkd", options)


def broken() -> LocalWriter:
    """A teacher whose logits are NaN on 16 texts at once: not where it is checked, nor for an epoch's figures."""
    asked = tutored.teacher()

    def spoil(_: object, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
        return torch.full_like(made, torch.nan) if given[0].shape[-1] > 2 and len(given[0]) == 16 else made

    asked.model.module.get_input_embeddings().register_forward_hook(spoil)  # type: ignore[operator]
    return asked


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("gkd", TEXTS),
        ("gkd", {**TEXTS, "divergence": "reverse"}),
        ("taid", {}),
        ("okd", {"rank": 2, "divergence": "reverse"}),
    ],
)
def test_a_teacher_that_says_no_numbers_is_named(tmp_path: Path, method: str, options: dict[str, object]) -> None:
    with tutored.opened(tmp_path, broken(), ONE) as run, pytest.raises(TeacherError) as said:
        METHODS[method].run(run, METHODS[method].options.model_validate(options))
    assert str(said.value).startswith("big's logits are not finite in epoch 1, where its student's still were; look at")


@pytest.mark.parametrize("divergence", ["reverse", "skew-reverse"])
def test_a_student_that_diverges_is_never_kept(tmp_path: Path, divergence: str) -> None:
    wild = tutored.LOOP.model_copy(update={"learning_rate": 1e38})
    with pytest.raises(RunError, match="student has a loss of nan in epoch 1; lower train"):
        learnt(tmp_path, [tutored.teacher()], wild, divergence=divergence, teacher_evidence={"top": 8})


def test_the_exponents_of_alpha_beta_are_of_choice(tmp_path: Path) -> None:
    """1 and 0 are the forward KL."""
    found, _ = learnt(tmp_path / "a", [tutored.teacher()], ONE, divergence="alpha-beta", exponents=[1.0, 0.0])
    close(found, learnt(tmp_path / "b", [tutored.teacher()], ONE)[0])
