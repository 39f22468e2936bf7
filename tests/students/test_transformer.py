from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distrust import recipe
from distrust.data import Items
from distrust.errors import DataError, RecipeError, RunError
from distrust.labels import LabelSpace
from distrust.students import Student
from distrust.students.transformer import TransformerStudent, build, load
from distrust.students.vocabulary import train_tokenizer
from tests.models import SIZES, save_classifier, texts

SPACE = LabelSpace(("spam", "ham", "news"))
BERT = {"model_type": "bert", "initializer_range": 0.3, **SIZES}
POOL = texts(40)
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 64}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
GROUPED = {**SIZES, "num_key_value_heads": 2}
KINDS = {"bert": SIZES, "distilbert": DISTIL, "roberta": SIZES, "gpt2": GPT2, "llama": GROUPED, "modernbert": SIZES}


def options(**more: object) -> recipe.TransformerStudent:
    return recipe.TransformerStudent.model_validate({"kind": "transformer", **more})


def scratch(seed: int = 0, space: LabelSpace = SPACE, pool: Items = POOL, **config: object) -> TransformerStudent:
    return build(options(config={**BERT, **config}, vocabulary=300), space, seed, pool)


def logits(student: Student, items: Items) -> Tensor:
    student.module.eval()
    with torch.no_grad():
        return student.logits(student.encode(items).batch(torch.arange(len(items))))


def fit(student: Student, items: Items, steps: int = 12) -> list[float]:
    """A plain loop: it knows nothing of what it trains."""
    labels = torch.arange(len(items)) % len(student.space)
    encoded, losses = student.encode(items), []
    optimiser = torch.optim.AdamW([one for one in student.module.parameters() if one.requires_grad], lr=1e-2)
    student.module.train()
    for step in range(steps):
        rows = torch.arange(step, step + 8) % len(items)
        loss = torch.nn.functional.cross_entropy(student.logits(encoded.batch(rows)), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def users_logits(folder: Path, items: Items) -> tuple[Tensor, Any]:
    """What somebody gets who knows transformers and not this package, one item at a time."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        each = [model(**tokenizer(text, return_tensors="pt", truncation=True)).logits[0] for text in items.inputs]
    return torch.stack(each), model.config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("students") / "base")


# --- from scratch --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_saved_as_its_users_load_it(kind: str, tmp_path: Path) -> None:
    student = build(options(config={"model_type": kind, **KINDS[kind]}, vocabulary=300), SPACE, 0, POOL)
    fit(student, POOL)
    (tmp_path / f".student.{os.getpid()}.part" / "left by a kill").mkdir(parents=True)
    items = Items(tuple(map(str, range(6))), (*POOL.inputs[:5], "wheat " * 200))
    before = logits(student, items)
    student.save(tmp_path / "student")
    theirs, config = users_logits(tmp_path / "student", items)
    torch.testing.assert_close(theirs, before, rtol=1e-4, atol=1e-5)
    assert config.id2label == {0: "spam", 1: "ham", 2: "news"} and config.label2id["news"] == 2
    assert not [file.name for file in (tmp_path / "student").iterdir() if file.suffix in (".bin", ".pt", ".pkl")]
    again = load(tmp_path / "student")
    assert torch.equal(logits(again, items), before)
    assert (again.key, again.space, again.default_learning_rate) == (student.key, SPACE, student.default_learning_rate)
    assert [one.name for one in tmp_path.iterdir()] == ["student"], "no draft is left behind"


def test_it_learns_and_a_pipeline_names_its_labels(tmp_path: Path) -> None:
    from transformers import pipeline

    words = Items(tuple("abc"), ("wheat corn", "ship harbour", "oil barrel"))
    student = scratch()
    losses = fit(student, words, steps=60)
    assert losses[-1] < 0.1 < losses[0]
    student.save(tmp_path / "student")
    said = pipeline("text-classification", model=str(tmp_path / "student"))(list(words.inputs))
    assert [one["label"] for one in said] == ["spam", "ham", "news"]


def test_seed_and_pool_decide_the_start_and_nothing_else_does() -> None:
    state = torch.get_rng_state()
    first = scratch(seed=3)
    assert torch.equal(torch.get_rng_state(), state), "the global random state is left alone"
    torch.rand(7)
    again = scratch(seed=3)
    assert again.key == first.key
    assert torch.equal(logits(again, POOL), logits(first, POOL))
    others = [
        scratch(seed=4),
        scratch(seed=3, space=LabelSpace(("a", "b", "c"))),
        scratch(seed=3, pool=texts(40, seed=9).select(range(5))),
        build(options(config=BERT, vocabulary=300, max_length=20), SPACE, 3, POOL),
    ]
    assert len({first.key, *(one.key for one in others)}) == 5
    assert first.default_learning_rate == 5e-4


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_tokenizer_is_the_same_in_another_process_and_within_its_size(kind: str) -> None:
    code = "import sys\nfrom tests.models import tokenizer\nprint(tokenizer(sys.argv[1]).backend_tokenizer.to_str())"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, kind], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == train_tokenizer(texts(50), kind, 300).backend_tokenizer.to_str()
    odd = Items(("a", "b"), ("日本語のテキスト " * 3 + "".join(chr(0x4E00 + i) for i in range(500)), "\x00 🙂 ünï [SEP]"))
    for size in (261, 400):
        assert len(train_tokenizer(odd, kind, size)) <= size
    tokens = train_tokenizer(texts(50), kind, 300)("wheat", "ship")["input_ids"]
    assert tokens[0] == train_tokenizer(texts(50), kind, 300).cls_token_id


def test_batches_do_not_change_answers() -> None:
    student = scratch()
    together = logits(student, POOL)
    encoded = student.encode(POOL)
    with torch.no_grad():
        alone = torch.cat([student.logits(encoded.batch(torch.tensor([row]))) for row in range(len(POOL))])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
    batch = encoded.batch(torch.tensor([3, 0]))
    assert batch["input_ids"].shape[1] == int(encoded.batch(torch.tensor([0]))["attention_mask"].sum())
    assert student.encode(Items((), ())).batch(torch.tensor([], dtype=torch.long))["input_ids"].shape == (0, 0)


def test_pairs_are_read_as_pairs() -> None:
    pairs = Items(("a", "b"), (("wheat", "ship"), ("oil", "")))
    student = scratch(pool=pairs)
    assert student.encode(pairs).batch(torch.tensor([0]))["token_type_ids"].tolist()[0][-1] == 1
    assert logits(student, pairs).shape == (2, 3)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"hidden_size": 32}, "lacks its `model_type`"),
        ({"model_type": "brt"}, "'brt', no sequence classifier; did you mean 'bert'"),
        ({**BERT, "hiden_size": 3}, "unknown key 'hiden_size'; did you mean 'hidden_size'"),
        ({**BERT, "num_labels": 5}, "unknown key 'num_labels'"),
        ({**BERT, "num_attention_heads": 5}, "makes no bert"),
        ({**BERT, "vocab_size": 10}, r"vocab_size of 10 but its tokenizer has \d+ tokens"),
    ],
)
def test_wrong_configs_are_refused(config: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        build(options(config=config, vocabulary=300), SPACE, 0, POOL)


def test_other_wrong_starts_are_refused() -> None:
    with pytest.raises(RecipeError, match="frozen encoder needs trained weights"):
        build(options(config=BERT, freeze_encoder=True), SPACE, 0, POOL)
    with pytest.raises(RecipeError, match="vocabulary of 100 is too small; a roberta needs at least 261"):
        build(options(config={"model_type": "roberta"}, vocabulary=100), SPACE, 0, POOL)
    with pytest.raises(RecipeError, match="no text to train"):
        scratch(pool=Items(("a",), (" ",)))
    with pytest.raises(RecipeError, match="at most 64 tokens; its max_length of 65"):
        build(options(config=BERT, max_length=65), SPACE, 0, POOL)
    assert scratch().max_length == 64, "the default gives way to what the model can read"
    tensors = Items(("a",), torch.zeros(1, 2))
    with pytest.raises(DataError, match="items are tensors"):
        scratch(pool=tensors)
    with pytest.raises(DataError, match="items are tensors"):
        scratch().encode(tensors)


# --- pretrained ----------------------------------------------------------------------------------------------------


def test_a_pretrained_student_keeps_its_encoder_and_names_the_tasks_labels(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    space = LabelSpace(tuple("abcde"))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    student = build(options(model=str(folder)), space, 2, POOL)
    assert torch.equal(torch.get_rng_state(), state)
    assert student.default_learning_rate == 5e-5
    assert student.notes == (f"{folder} was trained for other classes: classifier.bias, classifier.weight start at random.",)
    base = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    own = student.module.state_dict()
    assert all(torch.equal(own[name], base[name]) for name in base if name.startswith("bert."))
    assert logits(student, POOL).shape == (40, 5)
    assert (
        student.key
        == build(options(model=str(folder)), space, 2, POOL).key
        != build(options(model=str(folder)), space, 3, POOL).key
    )
    assert build(options(model=str(folder)), SPACE, 2, POOL).notes == ()
    student.save(tmp_path / "saved")
    assert users_logits(tmp_path / "saved", POOL)[1].id2label == dict(enumerate("abcde"))


def test_an_encoder_with_holes_is_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    holed = tmp_path / "holed"
    shutil.copytree(folder, holed)
    weights = load_file(holed / "model.safetensors")
    del weights["bert.encoder.layer.0.output.dense.weight"]
    save_file(weights, holed / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"lacks 1 weights of the encoder, bert\.encoder\.layer\.0\.output\.dense\.weight"):
        build(options(model=str(holed)), SPACE, 0, POOL)


def test_a_multi_label_checkpoint_becomes_single_label(tmp_path: Path) -> None:
    base = save_classifier(tmp_path / "several", problem_type="multi_label_classification")
    student = build(options(model=str(base)), SPACE, 0, POOL)
    student.save(tmp_path / "student")
    assert users_logits(tmp_path / "student", POOL)[1].problem_type == "single_label_classification"


def test_wrong_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no folder"):
        build(options(model=str(tmp_path / "none")), SPACE, 0, POOL)
    with pytest.raises(DataError, match=r"holds no student\.json"):
        load(folder)
    with pytest.raises(DataError, match="do not belong together"):
        build(options(model=str(save_classifier(tmp_path / "small", vocab_size=20))), SPACE, 0, POOL)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        scratch().save(tmp_path / "file")


# --- a frozen encoder ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_encoder_gives_the_whole_models_answers(kind: str, tmp_path: Path) -> None:
    whole = build(options(config={"model_type": kind, **KINDS[kind]}, vocabulary=300), SPACE, 0, POOL)
    whole.save(tmp_path / "base")
    student = build(options(model=str(tmp_path / "base"), freeze_encoder=True), SPACE, 0, POOL)
    torch.testing.assert_close(logits(student, POOL), logits(whole, POOL), rtol=1e-4, atol=1e-5)
    before = {name: value.clone() for name, value in whole.module.state_dict().items()}
    losses = fit(student, POOL)
    assert losses[-1] != losses[0]
    trained = logits(student, POOL)
    student.save(tmp_path / "student")
    torch.testing.assert_close(users_logits(tmp_path / "student", POOL)[0], trained, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits(student, POOL), trained), "saving leaves it as it was"
    again = load(tmp_path / "student")
    torch.testing.assert_close(logits(again, POOL), trained)
    assert (again.key, again.default_learning_rate) == (student.key, 1e-3)
    again.save(tmp_path / "again")
    after = build(options(model=str(tmp_path / "again")), SPACE, 0, POOL).module.state_dict()
    prefix = whole.module.base_model_prefix + "."
    moved = {name for name in before if not torch.equal(after[name], before[name])}
    assert moved and not any(name.startswith(str(prefix)) for name in moved), "only the head has learned"


def test_a_frozen_encoder_has_no_dropout_while_the_head_trains(folder: Path) -> None:
    student = build(options(model=str(folder), freeze_encoder=True), SPACE, 0, POOL)
    student.module.train()
    first = student.encode(POOL).batch(torch.arange(40))["inputs_embeds"]
    assert torch.equal(first, student.encode(POOL).batch(torch.arange(40))["inputs_embeds"])
    assert first.shape == (40, 1, 32)
    order = torch.randperm(40)
    torch.testing.assert_close(student.encode(POOL.select(order)).batch(torch.arange(40))["inputs_embeds"], first[order])
    assert sum(one.numel() for one in student.module.parameters()) == 32 * 3 + 3
    assert student.encode(Items((), ())).batch(torch.tensor([], dtype=torch.long))["inputs_embeds"].shape == (0, 1, 32)


def test_a_head_that_reads_more_than_one_vector_is_refused(tmp_path: Path) -> None:
    layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = {"model_type": "bart", "d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, **layers}
    build(options(config=config, vocabulary=300), SPACE, 0, POOL).save(tmp_path / "bart")
    with pytest.raises(DataError, match="train it whole, without freeze_encoder"):
        build(options(model=str(tmp_path / "bart"), freeze_encoder=True), SPACE, 0, POOL)
