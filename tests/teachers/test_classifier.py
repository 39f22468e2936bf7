from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from distrust import recipe
from distrust.data import Items
from distrust.errors import DataError, TeacherError
from distrust.evidence import Dense
from distrust.labels import LabelSpace
from distrust.teachers import Teacher
from distrust.teachers.classifier import ClassifierTeacher
from distrust.teachers.module import ModuleTeacher
from tests.models import SIZES, save_adapter, save_classifier, save_image_classifier, texts, tokenizer

SPACE = LabelSpace(("spam", "ham", "news"))


def options(model: Path | str, **more: object) -> recipe.Classifier:
    return recipe.Classifier.model_validate({"kind": "classifier", "name": "bert", "model": str(model), **more})


def values(teacher: Teacher, items: Items) -> Tensor:
    logits = teacher.ask(items).logits
    assert isinstance(logits, Dense)
    return logits.values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("teachers") / "base")


@pytest.fixture(scope="module")
def teacher(folder: Path) -> ClassifierTeacher:
    return ClassifierTeacher(options(folder), SPACE)


# --- what it answers -----------------------------------------------------------------------------------------------


def test_answers_are_the_models_own_one_item_at_a_time(folder: Path, teacher: ClassifierTeacher) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    items = texts(12)
    evidence = teacher.ask(items)
    with torch.no_grad():
        alone = [
            model(**tokenizer(text, truncation=True, max_length=64, return_tensors="pt")).logits[0] for text in items.inputs
        ]
    assert isinstance(evidence.logits, Dense)
    torch.testing.assert_close(evidence.logits.values, torch.stack(alone), rtol=1e-5, atol=1e-5)
    assert evidence.claims.tolist() == [[int(one.argmax()) for one in alone]]
    assert len(set(evidence.claims[0].tolist())) > 1, "a model that always says the same would prove nothing"
    assert evidence.ids == items.ids
    assert evidence.source == "bert"
    assert evidence.cost is not None and evidence.cost.money.tolist() == [0.0] * 12


def test_asked_twice_it_answers_the_same_bit_for_bit(folder: Path, teacher: ClassifierTeacher) -> None:
    items = texts(40)
    first = values(teacher, items)
    assert torch.equal(first, values(teacher, items))
    assert torch.equal(first, values(ClassifierTeacher(options(folder), SPACE), items)), "loaded again"


@given(order=st.permutations(range(20)), size=st.integers(1, 21))
def test_order_and_batch_size_change_nothing(order: list[int], size: int) -> None:
    teacher = test_order_and_batch_size_change_nothing.teacher  # type: ignore[attr-defined]
    items = texts(20)
    expected = values(teacher, items)
    assert torch.equal(values(teacher, items.select(order)), expected[order]), "the same batches in any order"
    teacher._batch_size, before = size, teacher._batch_size
    try:
        torch.testing.assert_close(values(teacher, items), expected, rtol=1e-5, atol=1e-5)
    finally:
        teacher._batch_size = before


@pytest.fixture(autouse=True, scope="module")
def _shared(teacher: ClassifierTeacher) -> None:
    test_order_and_batch_size_change_nothing.teacher = teacher  # type: ignore[attr-defined]


def test_text_pairs_are_read_as_pairs(folder: Path, teacher: ClassifierTeacher) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    items = Items(("a", "b"), (("wheat price", "oil"), ("ship", "")))
    inputs = AutoTokenizer.from_pretrained(folder)("wheat price", "oil", return_tensors="pt")
    assert inputs["token_type_ids"].max() == 1
    with torch.no_grad():
        expected = AutoModelForSequenceClassification.from_pretrained(folder).eval()(**inputs).logits[0]
    torch.testing.assert_close(values(teacher, items)[0], expected, rtol=1e-5, atol=1e-5)


def test_long_texts_are_cut_and_no_item_is_no_trouble(folder: Path, teacher: ClassifierTeacher) -> None:
    long = Items(("x",), ("wheat " * 500,))
    assert torch.equal(values(teacher, long), values(teacher, Items(("x",), ("wheat " * 900,))))
    assert values(ClassifierTeacher(options(folder, max_length=8), SPACE), long).isfinite().all()
    nothing = teacher.ask(Items((), ()))
    assert nothing.claims.shape == (1, 0) and values(teacher, Items((), ())).shape == (0, 3)


def test_features_are_tapped_and_the_hooks_are_gone(folder: Path) -> None:
    teacher = ClassifierTeacher(options(folder, batch_size=4), SPACE, features={"pooled": "bert.pooler"})
    items = texts(10)
    evidence = teacher.ask(items)
    assert evidence.features["pooled"].shape == (10, 32)
    head = teacher._model.classifier
    assert isinstance(evidence.logits, Dense)
    torch.testing.assert_close(head(evidence.features["pooled"]).detach(), evidence.logits.values, rtol=1e-4, atol=1e-4)
    assert not any(one._forward_hooks for one in teacher._model.modules())
    with pytest.raises(TeacherError, match=r"no module 'bert\.poler'.*did you mean 'bert\.pooler'"):
        ClassifierTeacher(options(folder), SPACE, features={"pooled": "bert.poler"})
    with pytest.raises(TeacherError, match="one vector per item"):
        ClassifierTeacher(options(folder, batch_size=4), SPACE, features={"all": "bert.encoder"}).ask(items)


@pytest.mark.parametrize(
    ("kind", "feature", "head"),
    [
        ("bert", "auto", None),
        ("roberta", "auto", None),  # its head is a module of several layers: the last of them is meant
        ("bert", "bert.pooler", ["dropout", "classifier"]),
        ("bert", "bert.pooler.dense.input", ["bert.pooler.dense", "bert.pooler.activation", "classifier"]),
    ],
)
def test_a_recipe_names_a_feature_and_its_head_makes_the_logits(
    tmp_path: Path, kind: str, feature: str, head: list[str] | None
) -> None:
    teacher = ClassifierTeacher(options(_saved(tmp_path, kind), feature=feature, head=head), SPACE)
    evidence = teacher.ask(texts(10))
    value = evidence.features["feature"].requires_grad_()
    made = teacher.heads["feature"](value)
    assert value.shape == (10, 32) and isinstance(evidence.logits, Dense)
    torch.testing.assert_close(made.detach(), evidence.logits.values, rtol=1e-4, atol=1e-5)
    made.sum().backward()
    assert value.grad is not None and all(one.grad is None for one in teacher.heads["feature"].parameters())


def _saved(folder: Path, kind: str) -> Path:
    if kind == "bert":
        return save_classifier(folder)
    from transformers import RobertaConfig, RobertaForSequenceClassification

    words = tokenizer()
    sizes = SIZES | {"vocab_size": len(words), "pad_token_id": words.pad_token_id, "max_position_embeddings": 80}
    RobertaForSequenceClassification(RobertaConfig(**sizes, id2label=dict(enumerate(SPACE.names)))).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def test_a_recipes_head_needs_a_feature_that_it_goes_with() -> None:
    for feature in (None, "auto"):
        with pytest.raises(ValueError, match="`head` goes with a `feature`"):
            options("x", feature=feature, head=["classifier"])


def test_a_model_without_one_last_layer_names_its_feature_itself(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    words = tokenizer()
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64, "vocab_size": len(words)}
    config = GPT2Config(**sizes, pad_token_id=words.pad_token_id, id2label=dict(enumerate(SPACE.names)))
    GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    with pytest.raises(TeacherError, match="no single layer that makes its logits; name its `feature`"):
        ClassifierTeacher(options(tmp_path, feature="auto"), SPACE)


# --- what it leaves alone ------------------------------------------------------------------------------------------


def test_the_random_state_is_untouched(folder: Path) -> None:
    def state() -> tuple[object, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())

    before = state()
    ClassifierTeacher(options(folder), SPACE).ask(texts(5))
    assert state() == before


def test_the_models_mode_is_its_own_business(teacher: ClassifierTeacher) -> None:
    items = texts(10)
    expected = values(teacher, items)
    teacher._model.train()
    try:
        assert torch.equal(values(teacher, items), expected)
    finally:
        teacher._model.eval()


# --- fingerprints --------------------------------------------------------------------------------------------------


def test_fingerprint_follows_what_answers_depend_on(folder: Path, tmp_path: Path) -> None:
    base = ClassifierTeacher(options(folder), SPACE).fingerprint
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    assert ClassifierTeacher(options(moved, batch_size=3), SPACE).fingerprint == base
    others = [
        ClassifierTeacher(options(save_classifier(tmp_path / "seed", seed=5)), SPACE),
        ClassifierTeacher(options(folder, max_length=10), SPACE),
        ClassifierTeacher(options(folder, labels={"news": "ham", "ham": "news"}), SPACE),
        ClassifierTeacher(options(save_classifier(tmp_path / "config", layer_norm_eps=1e-3)), SPACE),
        ClassifierTeacher(options(folder), SPACE, features={"pooled": "bert.pooler"}),
        ClassifierTeacher(options(folder, adapter=str(save_adapter(tmp_path / "lora", folder))), SPACE),
    ]
    assert len({base, *(one.fingerprint for one in others)}) == len(others) + 1
    teacher = ClassifierTeacher(options(folder), SPACE)
    teacher.ask(texts(4))
    assert teacher.fingerprint == base


def test_fingerprint_is_the_same_in_another_process(folder: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "lora", folder)
    code = (
        "import sys\nfrom distrust import recipe\nfrom distrust.teachers.classifier import ClassifierTeacher\n"
        "o = recipe.Classifier(kind='classifier', name='bert', model=sys.argv[1], adapter=sys.argv[2])\n"
        "print(ClassifierTeacher(o).fingerprint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder, adapter],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert done.stdout.strip() == ClassifierTeacher(options(folder, adapter=str(adapter))).fingerprint
    assert done.stderr.strip() == "", "a teacher loads without a word"


# --- labels --------------------------------------------------------------------------------------------------------


def test_unnamed_labels_ask_for_a_mapping_and_take_it(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "unnamed", labels=None)
    with pytest.raises(TeacherError, match=r"labels: \{LABEL_0: \.\.\., LABEL_1: .*the task has spam, ham, news"):
        ClassifierTeacher(options(folder), SPACE)
    with pytest.raises(TeacherError, match=r"labels: \{LABEL_2: \.\.\.\}"):
        ClassifierTeacher(options(folder, labels={"LABEL_0": "ham", "LABEL_1": "spam"}), SPACE)
    mapped = {"LABEL_0": "ham", "LABEL_1": "spam", "LABEL_2": "LABEL_2"}
    teacher = ClassifierTeacher(options(folder, labels=mapped), SPACE)
    assert teacher.space.names == ("ham", "spam", "LABEL_2"), "its own space, in its head's order"
    assert ClassifierTeacher(options(folder), LabelSpace(("LABEL_0", "LABEL_1", "LABEL_2"))).space.names[0] == "LABEL_0"


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"spam": "junk"}, r"mapped to 'junk', no class of the task; legal are spam, ham, news"),
        ({"span": "spam"}, r"no label 'span' to rename; did you mean 'spam'"),
        ({"spam": "ham"}, r"labels 'spam' and 'ham' both become 'ham', and to it they are two classes"),
    ],
)
def test_wrong_mappings_are_refused(folder: Path, labels: dict[str, str], sentence: str) -> None:
    with pytest.raises(TeacherError, match=sentence):
        ClassifierTeacher(options(folder, labels=labels), SPACE)


def test_heads_that_do_not_classify_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="regression"):
        ClassifierTeacher(options(save_classifier(tmp_path / "one", labels=("score",))), None)
    several = save_classifier(tmp_path / "several", problem_type="multi_label_classification")
    with pytest.raises(TeacherError, match="multi_label"):
        ClassifierTeacher(options(several), SPACE)


# --- adapters ------------------------------------------------------------------------------------------------------


def test_an_adapter_changes_answers_as_peft_would(folder: Path, tmp_path: Path, teacher: ClassifierTeacher) -> None:
    import peft
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    adapter = save_adapter(tmp_path / "lora", folder)
    items = texts(6)
    adapted = values(ClassifierTeacher(options(folder, adapter=str(adapter)), SPACE), items)
    model = peft.PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(folder), adapter).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        expected = [
            model(**tokenizer(text, truncation=True, max_length=64, return_tensors="pt")).logits[0] for text in items.inputs
        ]
    torch.testing.assert_close(adapted, torch.stack(expected), rtol=1e-5, atol=1e-5)
    assert (adapted - values(teacher, items)).abs().max() > 0.1


def test_the_callers_own_adapted_module_stays_adapted(folder: Path, tmp_path: Path) -> None:
    import peft
    from transformers import AutoModelForSequenceClassification

    adapter = save_adapter(tmp_path / "lora", folder)
    model = peft.PeftModel.from_pretrained(
        AutoModelForSequenceClassification.from_pretrained(folder), adapter, is_trainable=True
    )
    model.train()
    ids = torch.randint(5, 30, (9, 12))
    flags = {name: one.requires_grad for name, one in model.named_parameters()}

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, inputs: Tensor) -> Tensor:
            return self.model(input_ids=inputs).logits  # type: ignore[no-any-return]

    asked = values(ModuleTeacher("lora", Reader(), SPACE), Items(tuple(map(str, range(9))), ids))
    assert model.active_adapters == ["default"] and model.training
    assert {name: one.requires_grad for name, one in model.named_parameters()} == flags
    with torch.no_grad():
        torch.testing.assert_close(asked, model.eval()(input_ids=ids).logits, rtol=1e-5, atol=1e-5)


def test_an_adapter_may_bring_the_head(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    whole = save_classifier(tmp_path / "whole", labels=None)
    headless = tmp_path / "headless"
    AutoModel.from_pretrained(whole).save_pretrained(headless)
    AutoModelForSequenceClassification.from_pretrained(whole).config.save_pretrained(tmp_path / "config")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(whole / name, headless / name)
    adapter = save_adapter(tmp_path / "lora", headless, labels=4)
    labels = {f"LABEL_{index}": name for index, name in enumerate("abcd")}
    teacher = ClassifierTeacher(options(headless, adapter=str(adapter), labels=labels), LabelSpace(tuple("abcd")))
    assert teacher.space.names == tuple("abcd") and values(teacher, texts(5)).shape == (5, 4)
    with pytest.raises(TeacherError, match=r"no weights for classifier\.bias"):
        ClassifierTeacher(options(headless, labels={"LABEL_0": "spam", "LABEL_1": "ham"}), SPACE)


def test_adapters_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    other = save_classifier(tmp_path / "other", hidden_size=16)
    with pytest.raises(TeacherError, match="cannot be put on"):
        ClassifierTeacher(options(folder, adapter=str(save_adapter(tmp_path / "narrow", other))), SPACE)
    shallow = save_classifier(tmp_path / "shallow", num_hidden_layers=1)
    with pytest.raises(TeacherError, match="is only in one of both"):
        ClassifierTeacher(options(folder, adapter=str(save_adapter(tmp_path / "low", shallow))), SPACE)
    with pytest.raises(TeacherError, match="There is no folder"):
        ClassifierTeacher(options(folder, adapter=str(tmp_path / "none")), SPACE)
    pickled = save_adapter(tmp_path / "pickled", folder)
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    with pytest.raises(TeacherError, match="pickled adapters can run code"):
        ClassifierTeacher(options(folder, adapter=str(pickled)), SPACE)
    with pytest.raises(TeacherError, match="name its base under `model`"):
        ClassifierTeacher(options(save_adapter(tmp_path / "lora", folder)), SPACE)


def test_without_peft_the_extra_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = save_adapter(tmp_path / "lora", folder)
    monkeypatch.setitem(sys.modules, "peft", None)  # what Python itself does for a package that is not there
    with pytest.raises(TeacherError, match=r"pip install 'distrust\[peft\]'"):
        ClassifierTeacher(options(folder, adapter=str(adapter)), SPACE)


# --- folders -------------------------------------------------------------------------------------------------------


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(folder, pickled)
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(TeacherError, match=r"no \*\.safetensors weights.*pytorch_model\.bin.*pickled weights can run code"):
        ClassifierTeacher(options(pickled), SPACE)


def test_wrong_folders_have_their_sentences(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"There is no folder .*bsae; did you mean 'base'"):
        ClassifierTeacher(options(folder.parent / "bsae"), SPACE)
    with pytest.raises(TeacherError, match="is a file; name the folder"):
        ClassifierTeacher(options(folder / "config.json"), SPACE)
    with pytest.raises(TeacherError, match=r"no folder nobody/such-a-model.* and as a hub id .* not be loaded: HF_HUB"):
        ClassifierTeacher(options("nobody/such-a-model"), SPACE)
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    weights = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(TeacherError, match="could not be loaded as a classifier"):
        ClassifierTeacher(options(damaged), SPACE)
    mute = tmp_path / "mute"
    shutil.copytree(folder, mute)
    for file in mute.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(TeacherError, match="holds no tokenizer"):
        ClassifierTeacher(options(mute), SPACE)
    small = save_classifier(tmp_path / "small", vocab_size=20)
    with pytest.raises(TeacherError, match="the model knows 20"):
        ClassifierTeacher(options(small), SPACE)


def test_remote_code_does_not_run_unasked(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    remote = tmp_path / "remote"
    shutil.copytree(folder, remote)
    config = json.loads((remote / "config.json").read_text())
    config["model_type"] = "odd"
    config["auto_map"] = {"AutoConfig": "odd.OddConfig", "AutoModelForSequenceClassification": "odd.Odd"}
    (remote / "config.json").write_text(json.dumps(config))
    (remote / "odd.py").write_text(f"open({str(mark)!r}, 'w')\n")
    with pytest.raises(TeacherError, match="could not be loaded"):
        ClassifierTeacher(options(remote), SPACE)
    assert not mark.exists()


def test_other_limits_are_sentences(folder: Path, teacher: ClassifierTeacher) -> None:
    with pytest.raises(TeacherError, match="at most 64 tokens"):
        ClassifierTeacher(options(folder, max_length=65), SPACE)
    with pytest.raises(DataError, match="reads texts and the items are tensors"):
        teacher.ask(Items(("a",), torch.zeros(1, 6)))


def test_an_image_classifiers_feature_is_found_on_a_blank_image(tmp_path: Path) -> None:
    """Where its processor brings images to its size; else the refusal says what to name."""
    folder = save_image_classifier(tmp_path / "eye", ("a", "b"))
    space = LabelSpace(("a", "b"))
    assert list(ClassifierTeacher(options(folder, feature="auto"), space).heads) == ["feature"]
    config = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(config | {"do_resize": False}))
    with pytest.raises(TeacherError, match=r"cannot be tried on a blank item \(.*size.*\); name its `feature`"):
        ClassifierTeacher(options(folder, feature="auto"), space)
