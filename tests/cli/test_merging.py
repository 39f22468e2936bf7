"""`distrust merge`: from folders to a student that `from_pretrained` loads and that knows every class."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.world import Call, write
from tests.models import save_classifier, save_image_classifier, save_images, texts


def pool(folder: Path, count: int = 40) -> Path:
    return write(folder / "pool.csv", [{"text": text, "n": row} for row, text in enumerate(texts(count).inputs)])


def test_two_folders_become_one_student_of_all_classes(distrust: Call, tmp_path: Path) -> None:
    save_classifier(tmp_path / "bank", ("loan", "card", "balance"))
    save_classifier(tmp_path / "trip", ("flight", "cards"), seed=5)
    data, out = pool(tmp_path), tmp_path / "out"
    asked = ["merge", tmp_path / "bank", tmp_path / "trip", "--data", data, "--output", out]
    code, said, err = distrust(*asked, "--set", "train.num_train_epochs=1")
    assert code == 0, err
    assert "5 classes of 2 teachers, 40 items:" in said
    assert "'card' and 'cards'" in err, "named before work starts"
    assert f"Student: {out / 'student'}" in said.replace("\n", "")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(out / "student")
    assert list(model.config.id2label.values()) == ["loan", "card", "balance", "flight", "cards"]
    AutoTokenizer.from_pretrained(out / "student")
    found = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert found["method"]["name"] == "muka" and any("No gold tells who knows" in note for note in found["notes"])
    again, _, err = distrust("run", out / "merge.yaml", "--set", "train.num_train_epochs=1")
    assert again == 0 and "fit student" not in err, "the recipe goes on where the merge was"


def test_names_that_are_one_class_are_joined_and_gold_is_used(distrust: Call, tmp_path: Path) -> None:
    save_classifier(tmp_path / "a", ("loan", "card"))
    save_classifier(tmp_path / "b", ("flight", "CARDS"), seed=5)
    data, out = pool(tmp_path), tmp_path / "out"
    rows = [{"text": f"wheat {n}", "topic": ("loan", "card", "flight")[n % 3]} for n in range(15)]
    gold = write(tmp_path / "gold.csv", rows)
    more = ["--gold", gold, "--test", gold, "--label", "topic", "--same", "CARDS=card", "--set", "train.num_train_epochs=1"]
    code, said, err = distrust("merge", tmp_path / "a", tmp_path / "b", "--data", data, "--output", out, *more)
    assert code == 0, err
    assert "3 classes of 2 teachers" in said and "card" in said and "a, b" in said
    found = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert any("weighed by gold" in note for note in found["notes"])


def test_mistakes_are_sentences(distrust: Call, tmp_path: Path) -> None:
    save_classifier(tmp_path / "a", ("loan", "card"))
    save_classifier(tmp_path / "b", None, num_labels=2)
    data = pool(tmp_path)
    for given, words in (
        ([tmp_path / "a"], "two or more are needed"),
        ([tmp_path / "a", tmp_path / "c"], "There is no folder"),
        ([tmp_path / "a", tmp_path / "b"], "It does not name its classes; write `labels: {LABEL_0: ..., LABEL_1: ...}`"),
        ([tmp_path / "a", data], "is a file; name the folder"),
    ):
        code, _, err = distrust("merge", *given, "--data", data, "--output", tmp_path / "out")
        assert code == 2 and words in err and "Traceback" not in err, err
    code, _, err = distrust(
        "merge", tmp_path / "a", tmp_path / "b", "--data", tmp_path / "no.csv", "--output", tmp_path / "o"
    )
    assert code == 2 and "Traceback" not in err


def test_two_classifiers_of_images_become_one(distrust: Call, tmp_path: Path) -> None:
    save_image_classifier(tmp_path / "warm", ("red", "orange"))
    save_image_classifier(tmp_path / "cold", ("green", "blue"), seed=5)
    (tmp_path / "more").mkdir()
    table, more, out = save_images(tmp_path, 12), save_images(tmp_path / "more", 14), tmp_path / "out"
    asked = ["merge", tmp_path / "warm", tmp_path / "cold", "--data", table, "--data", more, "--output", out]
    held = ["--gold", table, "--test", table, "--set", "train.num_train_epochs=1"]
    code, said, err = distrust(*asked, "--image", "file", *held)
    assert code == 0, err
    assert "4 classes of 2 teachers, 14 items:" in said, "an image that stands in both tables is one item"
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(out / "student")
    assert sorted(model.config.id2label.values()) == ["blue", "green", "orange", "red"]
    AutoImageProcessor.from_pretrained(out / "student")


def test_images_and_texts_are_not_merged(distrust: Call, tmp_path: Path) -> None:
    save_image_classifier(tmp_path / "eye", ("red", "green"))
    save_classifier(tmp_path / "ear", ("loan", "card"))
    save_classifier(tmp_path / "ear2", ("flight", "card"))
    table = save_images(tmp_path, 4)
    for given, words in (
        (["eye", "ear"], "reads images and"),
        (["ear", "ear2", "--image", "file"], "reads texts; leave out --image"),
        (["ear", "ear2", "--student", tmp_path / "eye"], "reads texts and"),
    ):
        models = [tmp_path / one if one in ("eye", "ear", "ear2") else one for one in given]
        code, _, err = distrust("merge", *models, "--data", table, "--output", tmp_path / "out")
        assert code == 2 and words in err and "Traceback" not in err, err
