from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from distrust import recipe
from distrust.answers import Answers
from distrust.data import Items
from distrust.errors import DataError, RecipeError
from distrust.students.causal import CausalStudent, build, load
from distrust.students.completions import IGNORED
from distrust.students.likelihood import likelihood
from distrust.students.sampling import generate
from tests.models import save_classifier
from tests.stories import save_stories
from tests.writers import KINDS, LLAMA, flips, options, writer

SPACE = Answers(recipe.Answer())
ITEMS, ANSWERS = flips(24)


def naive(student: CausalStudent, prompt: str, said: str) -> list[float]:
    """Log-probability of each token of a completion, one unpadded sequence at a time, in double precision."""
    tokenizer = student.reader.tokenizer
    first = tokenizer(prompt + "\n", add_special_tokens=False)["input_ids"]
    rest = [*tokenizer(said, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    model = student.module.double().eval()
    with torch.no_grad():
        logp = model(input_ids=torch.tensor([first + rest])).logits[0].log_softmax(-1)
    model.float()
    return [float(logp[len(first) + place - 1, token]) for place, token in enumerate(rest)]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_logits_of_a_padded_batch_are_those_of_each_sequence_alone(kind: str) -> None:
    student = writer(kind)
    batch = student.encode_told(ITEMS, ANSWERS).batch(torch.arange(len(ITEMS)))
    student.module.eval()
    logits = student.logits(batch)
    assert logits.shape[:2] == batch["labels"].shape
    logp = -cross_entropy(logits.transpose(1, 2), batch["labels"], ignore_index=IGNORED, reduction="none")
    for row in range(8):
        wanted = torch.tensor(naive(student, ITEMS.text(row), ANSWERS[row]))
        found = logp[row][batch["labels"][row] != IGNORED]
        torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-4, atol=1e-4)


def test_padding_gets_no_gradient_and_gives_none_that_is_not_finite() -> None:
    student = writer(max_prompt_length=48)
    encoded = student.encode_told(Items(("a", "b"), ("A", ITEMS.text(0) * 2)), ["no", "yes yes yes"])

    def gradient(rows: list[int]) -> torch.Tensor:
        student.module.zero_grad()
        batch = encoded.batch(torch.tensor(rows))
        labels = batch["labels"].clone()
        labels[1:] = IGNORED
        cross_entropy(student.logits(batch).flatten(0, 1), labels.flatten(), ignore_index=IGNORED).backward()
        return torch.cat([one.grad.flatten() for one in student.module.parameters() if one.grad is not None])

    together, alone = gradient([0, 1]), gradient([0])
    assert bool(together.isfinite().all()) and bool(alone.any())
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_likelihood_is_the_naive_one_and_leaves_the_mode() -> None:
    student = writer("gpt2")  # which has dropout
    student.module.train()
    found = likelihood(student, ITEMS, ANSWERS, rows=5)
    assert student.module.training
    for row in range(6):
        wanted = naive(student, ITEMS.text(row), ANSWERS[row])
        assert found.logp[row] == pytest.approx(sum(wanted), rel=1e-4)
        assert found.tokens[row] == len(wanted)
        assert found.per_token[row] == pytest.approx(float(torch.tensor(wanted).mean().exp()), rel=1e-4)
    assert not len(likelihood(student, ITEMS.select([]), []).logp)


def test_learning_the_completions_teaches_to_write_them() -> None:
    student = writer(wild=False)
    items, answers = flips(60, most=2)
    encoded = student.encode_told(items, answers)
    optimiser = torch.optim.AdamW(student.module.parameters(), lr=3e-3)
    student.module.train()
    for step in range(80):
        batch = encoded.batch(torch.arange(step * 20, step * 20 + 20) % 60)
        loss = cross_entropy(student.logits(batch).flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORED)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    written = generate(student, items)
    assert sum(text == [wanted] for text, wanted in zip(written.texts, answers, strict=True)) >= 57
    assert bool(written.ended.all()), "the end was learned"


def test_the_same_seed_is_the_same_student_and_the_global_random_state_is_left() -> None:
    before = torch.random.get_rng_state()
    first, second, other = writer(), writer(), writer(seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.key == second.key != other.key and first.reads == second.reads == other.reads
    assert first.key != build(options(wild=True), Answers(recipe.Answer(kind="number")), 0, flips(60)[0]).key


def test_completions_do_not_reach_the_tokenizer() -> None:
    """A hidden answer must not be seen by any path: the tokenizer is the same whatever the pool's columns hold."""
    items = flips(60)[0]
    told = Items(items.ids, items.inputs, {"completion": ["zebra zebra zebra"] * 60})
    assert build(options(), SPACE, 0, told).reads == build(options(), SPACE, 0, items).reads


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_saved_students_load_for_us_and_for_anybody(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    student = build(options(kind, wild=True), Answers(recipe.Answer(kind="yes_no")), 0, flips(60)[0])
    student.save(tmp_path / "student")
    again = load(tmp_path / "student")
    assert (again.key, again.reads, again.answers) == (student.key, student.reads, student.answers)
    written = generate(student, ITEMS).texts
    assert generate(again, ITEMS).texts == written
    model, tokenizer = (one.from_pretrained(tmp_path / "student") for one in (AutoModelForCausalLM, AutoTokenizer))
    for row in range(4):
        inputs = tokenizer(ITEMS.text(row) + "\n", return_tensors="pt")
        out = model.generate(**inputs, max_new_tokens=12, do_sample=False)
        assert tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True) == written[row][0]


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    pool = flips(20)[0]
    with pytest.raises(RecipeError, match="no causal language model; did you mean 'llama'"):
        build(options(config={"model_type": "lama"}), SPACE, 0, pool)
    with pytest.raises(RecipeError, match="unknown key 'hiden_size'; did you mean 'hidden_size'"):
        build(options(config={**LLAMA, "hiden_size": 3}), SPACE, 0, pool)
    with pytest.raises(RecipeError, match="at most 128 tokens; max_prompt_length 120 and max_completion_length 12"):
        build(options(max_prompt_length=120), SPACE, 0, pool)
    bert = {"model_type": "bert", "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    with pytest.raises(RecipeError, match="a bert, sees what comes after a token; set is_decoder"):
        build(options(config={**bert, "initializer_range": 0.4}), SPACE, 0, pool)
    with pytest.raises(DataError, match=r"lacks .* weights"):
        save_classifier(tmp_path / "classifier")
        build(recipe.CausalStudent(kind="causal", model=str(tmp_path / "classifier")), SPACE, 0, pool)
    broken = writer()
    broken.module.get_output_embeddings().weight.data[5] = torch.nan  # type: ignore[operator]
    broken.save(tmp_path / "broken")
    with pytest.raises(DataError, match=r"big's weights lm_head.weight are not all finite: .*broken is damaged"):
        build(recipe.CausalStudent(kind="causal", model=str(tmp_path / "broken")), SPACE, 0, pool, "big")
    with pytest.raises(RecipeError, match="no text to train"):
        build(options(template="{prompt}"), SPACE, 0, Items(("a",), ("",)))


def test_a_prompts_length_shrinks_to_the_models_unless_it_was_asked_for() -> None:
    plain = recipe.CausalStudent(kind="causal", config=LLAMA, vocabulary=300)
    assert build(plain, SPACE, 0, flips(20)[0]).reader.max_prompt_length == 128 - 64


def test_a_real_llama_tells_its_story(data_folder: Path, tmp_path: Path) -> None:
    folder = save_stories(tmp_path / "stories", data_folder)
    raw = {"kind": "causal", "model": str(folder), "template": "{prompt}", "max_prompt_length": 99}
    student = build(recipe.CausalStudent.model_validate(raw), SPACE, 0, ITEMS)
    assert sum(one.numel() for one in student.module.parameters()) == 260_032
    items = Items(("a", "b"), ("Once upon a time", "One day, Tom and his dog went to the big park to play and"))
    written = generate(student, items)
    assert written.texts[0][0].startswith(", there was a little girl named Lily.")
    likely = likelihood(student, items, [", there was a little girl named Lily.", "xqz wv"]).per_token
    assert likely[0] > 1e-2 > 1e-4 > likely[1]
