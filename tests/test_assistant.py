"""An assistant's say in another's claims: classes and open answers, by its own answers or shown the claim."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.answers import Answers
from distrust.assistant import HOW_SURE, TRUTH, confidence_in, judge, questions, text_confidence
from distrust.data import Items
from distrust.errors import DataError, RecipeError
from distrust.evaluate import Interval, quality
from distrust.evidence import Dense, Evidence
from distrust.labels import ABSTAIN, LabelSpace
from distrust.ledger import Ledger
from distrust.recipe import Answer, Budget, Endpoint, Recorded
from distrust.selection import need
from distrust.teachers.endpoint import EndpointTeacher
from distrust.teachers.recorded import RecordedTeacher
from distrust.trust import fit_calibration, p_true, self_consistency, silence
from tests import servers
from tests.annotating import numbered
from tests.writers import flips, writer

SPACE = LabelSpace(("cat", "dog", "emu"))
ITEMS = Items(("a", "b", "c", "d"), ("meow", "woof", "boom", "?"))
NUMBERS = Answers(Answer(kind="number"))


def classes(name: str, claims: list[list[int]], space: LabelSpace = SPACE, **more: Any) -> Evidence:
    return Evidence(name, ITEMS.ids, space, torch.tensor(claims), **more)


def near(found: torch.Tensor, wanted: list[float]) -> bool:
    return all(math.isnan(a) if math.isnan(b) else abs(a - b) < 1e-6 for a, b in zip(found.tolist(), wanted, strict=True))


def test_a_classifier_says_the_probability_of_the_claimed_class_in_its_own_order_and_words() -> None:
    """A2e; the assistant knows no emu, and says nothing where nothing is claimed."""
    own = LabelSpace(("dog", "feline"), {"cat": "feline"})
    logits = torch.tensor([[0.1, 0.9], [0.6, 0.4], [0.5, 0.5], [0.5, 0.5]]).log()
    assistant = classes("ta", [[1, 0, 0, 0]], own, logits=Dense(logits))
    assert near(confidence_in(assistant, classes("t", [[0, 0, 2, ABSTAIN]]), ITEMS), [0.9, 0.4, math.nan, 0])


def test_samples_over_classes_are_counted_abstentions_too() -> None:
    """A2d, and one recorded annotator is k = 1."""
    assistant = classes("ta", [[0, 0, -1, 1], [0, 1, -1, 1], [-1, 1, -1, 2]])
    teacher = classes("t", [[0, 0, 0, 1]])
    assert near(confidence_in(assistant, teacher, ITEMS), [2 / 3, 1 / 3, math.nan, 2 / 3])
    recorded = RecordedTeacher(
        Recorded(kind="recorded", name="second", column="said"), SPACE,
        Items(ITEMS.ids, ITEMS.inputs, {"said": ["cat", "emu", "", "dog"]}),
    )  # fmt: skip
    assert near(confidence_in(recorded.ask(ITEMS), teacher, ITEMS), [1, 0, math.nan, 1])


def test_open_answers_are_compared_as_they_are_read() -> None:
    """A2d; the assistant was not asked about d, and answers nothing about c."""
    teacher = NUMBERS.evidence("t", ITEMS.ids, [["so it is 4"], ["five? 7"], ["3"], ["9"]])
    assistant = NUMBERS.evidence("ta", ITEMS.ids[:3], [["4", "4.0", "5"], ["8", "hm", "8"], ["dunno", "?"]])
    assert near(confidence_in(assistant, teacher, ITEMS), [2 / 3, 0, math.nan, math.nan])
    mute = NUMBERS.evidence("s", ITEMS.ids, [["?"], [], ["3"], ["9"]])
    assert near(confidence_in(assistant, mute, ITEMS), [0, 0, math.nan, math.nan])


def test_the_majority_of_the_students_samples_is_what_is_judged_whatever_the_order_of_items() -> None:
    student = NUMBERS.evidence("s", ITEMS.ids, [["1", "2", "2"], ["1", "2", "3"], ["6"], ["6"]])
    assistant = NUMBERS.evidence("ta", ITEMS.ids, [["2"], ["1"], ["1"], ["6"]])
    found = confidence_in(assistant, student, ITEMS)
    assert near(found, [1, 1, 0, 1])
    order = [2, 0, 3, 1]
    assert torch.equal(confidence_in(assistant, student, ITEMS.select(order)), found[order])


def test_a_classifier_may_judge_open_answers_that_are_its_classes() -> None:
    teacher = Answers(Answer(kind="yes_no")).evidence("t", ITEMS.ids, [["Yes."], ["no"], ["yes"], ["?"]])
    own = LabelSpace(("No", "Yes"))
    assistant = classes("ta", [[1, 1, 0, 0]], own, logits=Dense(torch.tensor([[0.2, 0.8]] * 4).log()))
    assert near(confidence_in(assistant, teacher, ITEMS), [0.8, 0.2, 0.8, 0])


def test_an_assistant_with_other_labels_is_refused_in_a_sentence() -> None:
    teacher, other = classes("t", [[0, 1, 2, 0]]), LabelSpace(("red", "blue"))
    with pytest.raises(DataError, match="ta knows none of the labels that t claims, such as 'cat'; it says red, blue"):
        confidence_in(classes("ta", [[0, 0, 1, 1]], other), teacher, ITEMS)
    with pytest.raises(DataError, match="ta writes open answers; t claims classes"):
        confidence_in(NUMBERS.evidence("ta", ITEMS.ids, [["4"]] * 4), teacher, ITEMS)


def test_an_assistant_that_always_says_yes_is_as_sure_of_all() -> None:
    teacher = classes("t", [[0, 1, 2, 0]])
    asked = questions(teacher, ITEMS)
    yes = Evidence("ta", asked.items.ids, TRUTH, torch.zeros(1, 4, dtype=torch.long))
    sure = asked.confidence(yes)
    right = torch.tensor([1, 1, 0, 1])
    judged = quality(sure, right, bootstrap=50)
    assert sure.tolist() == [1, 1, 1, 1] and judged is not None and judged.auroc == Interval(0.5, 0.5, 0.5)
    assert fit_calibration(sure, right)(sure).tolist() == pytest.approx([4 / 6] * 4), "gold says how much a yes is worth"


def test_a_question_shows_item_and_claim_and_is_the_same_only_for_the_same_claim() -> None:
    braces = Items(("a", "b"), ("what is {claim}?", "{prompt}"))
    said = Answers(Answer()).evidence("t", braces.ids, [["{prompt} or {x}"], []])
    asked = questions(said, braces)
    assert asked.rows.tolist() == [0] and asked.of == 2 and asked.items.columns["item"] == ["a"]
    assert "Question: what is {claim}?\n" in asked.items.text(0) and "answer: {prompt} or {x}\n" in asked.items.text(0)
    again = questions(Answers(Answer()).evidence("s", braces.ids, [["{prompt} or {x}"], []]), braces)
    other = questions(Answers(Answer()).evidence("s", braces.ids, [["something else"], []]), braces)
    assert again.items.ids == asked.items.ids != other.items.ids
    long = questions(Answers(Answer()).evidence("t", ("a",), [["x" * 100_000 + " so 4"]]), braces.select([0]))
    assert len(long.items.text(0)) < 9000 and " so 4\n" in long.items.text(0)
    with pytest.raises(RecipeError, match=r"write \{claim\}"):
        questions(said, braces, "True? {prompt}")
    with pytest.raises(RecipeError, match=r"uses \{answer\}"):
        questions(said, braces, "{answer} {claim}")


def test_p_true_from_log_probabilities_else_from_samples_else_unknown() -> None:
    asked = questions(classes("t", [[0, 1, 2, ABSTAIN]]), ITEMS)
    logits = torch.tensor([[0.0, -1.0], [-3.0, -1.0], [-torch.inf, -torch.inf]])
    one = Evidence("ta", asked.items.ids, TRUTH, torch.tensor([[0, 1, -1]]), Dense(logits))
    wanted = [float(p_true(logits[row, 0], logits[row, 1])) for row in (0, 1)]
    assert near(asked.confidence(one), [*wanted, math.nan, 0])
    samples = Evidence("ta", asked.items.ids[:2], TRUTH, torch.tensor([[0, 1], [0, -1], [1, -1]]))
    assert near(asked.confidence(samples), [2 / 3, 0, math.nan, 0])


def test_a_number_in_words_is_read_from_the_replies() -> None:
    asked = questions(classes("t", [[0, 1, 2, ABSTAIN]]), ITEMS, HOW_SURE)
    assert asked.items.text(1).count("Proposed answer: dog\n") == 1
    replies = Answers(Answer()).evidence(
        "ta", asked.items.ids[::-1], [["no idea"], ["Probability: 30 %"], ["0.9", "0.7", "?"]]
    )
    assert near(asked.stated(replies), [0.8, 0.3, math.nan, 0])
    assert near(asked.stated(replies.select([2])), [0.8, math.nan, math.nan, 0])


def test_an_assistant_that_was_asked_something_else_is_refused() -> None:
    asked = questions(classes("t", [[0, 1, 2, 0]]), ITEMS)
    for space in (LabelSpace(("False", "True")), LabelSpace(("cat", "dog"))):
        with pytest.raises(DataError, match="was not asked for True or False"):
            asked.confidence(Evidence("ta", asked.items.ids, space, torch.zeros(1, 4, dtype=torch.long)))


def test_a_student_that_never_parses_needs_the_teacher_everywhere() -> None:
    student = NUMBERS.evidence("s", ITEMS.ids, [["?", "dunno"], ["!", "hm"], [], ["no"]])
    assistant = NUMBERS.evidence("ta", ITEMS.ids, [["1"], ["2"], ["?"], ["4"]])
    wanted = need(self_consistency(student), confidence_in(assistant, student, ITEMS))
    assert wanted.tolist() == [1, 1, 1, 1] and silence(student.claims).tolist() == [1, 1, 1, 1]
    assert len(questions(student, ITEMS).items) == 0


def test_a_local_language_model_judges_and_scores() -> None:
    """P(True) by hand from the model's own logits, and the likelihood a token of what was claimed."""
    items, answers = flips(6)
    model = writer(max_prompt_length=96)
    teacher = Answers(Answer(kind="yes_no")).evidence("t", items.ids, [[answer] for answer in answers[:5]] + [["?"]])
    asked = questions(teacher, items, "{prompt} {claim} True?")
    said = judge(model, asked)
    found = asked.confidence(said)
    assert found.shape == (6,) and found[5] == 0 and bool(((found[:5] > 0) & (found[:5] < 1)).all())
    tokens, prompt = model.reader.tokenizer, model.encode(asked.items).batch(torch.tensor([2]))["input_ids"][0].tolist()
    logp = []
    for word in (" True", " False"):
        ids = [*tokens(word, add_special_tokens=False)["input_ids"], tokens.eos_token_id]
        with torch.no_grad():
            logits = model.module.eval()(input_ids=torch.tensor([prompt + ids])).logits[0].double().log_softmax(-1)
        logp.append(sum(float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(ids)))
    assert float(found[2]) == pytest.approx(1 / (1 + math.exp(logp[1] - logp[0])), abs=1e-4)
    fluent = text_confidence(model, teacher, items)
    assert fluent[5] == 0 and bool(((fluent[:5] > 0) & (fluent[:5] < 1)).all())


@contextmanager
def server(logprobs: bool) -> Iterator[str]:
    """An assistant behind an endpoint: "cat" is true with probability .8, anything else false; counts its calls."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            true = "Proposed answer: cat" in body["messages"][-1]["content"]
            top = [("True", 0.8 if true else 0.1), ("False", 0.2 if true else 0.9)]
            token = max(top, key=lambda one: one[1])[0]
            listed = [{"token": name, "logprob": math.log(chance)} for name, chance in top]
            served = {"content": [{"token": token, "logprob": 0.0, "top_logprobs": listed}]} if logprobs else None
            choice = {"index": 0, "finish_reason": "stop", "message": {"content": token}, "logprobs": served}
            value = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 50, "completion_tokens": 1}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(value)))
            self.end_headers()
            self.wfile.write(value)

        def log_message(self, *_: object) -> None:
            pass

    one = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=one.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{one.server_port}/v1"
    finally:
        one.shutdown()
        thread.join()
        one.server_close()


@pytest.mark.parametrize("logprobs", [True, False])
def test_an_endpoint_judges_from_log_probabilities_where_served_and_its_calls_are_in_the_ledger(
    tmp_path: Path, logprobs: bool
) -> None:
    teacher = classes("t", [[0, 1, 0, ABSTAIN]])
    asked = questions(teacher, ITEMS)
    with server(logprobs) as address, Ledger(tmp_path / "ledger") as ledger:
        options = {"kind": "endpoint", "name": "ta", "base_url": address, "model": "m", "prompt": "{text}", "logprobs": 5}
        total = Budget(calls=4)
        one = EndpointTeacher(Endpoint.model_validate(options | {"max_tokens": 1}), TRUTH, ledger, total)
        wanted = [0.8, 0.1, 0.8, 0] if logprobs else [1, 0, 1, 0]
        assert near(asked.confidence(one.ask(asked.items)), wanted)
        assert one.spending().calls == 3
        moved = questions(classes("t", [[0, 1, 1, 0]]), ITEMS)  # two claims stay; two new questions, one call left
        found = moved.confidence(one.ask(moved.items))
        assert one.spending().calls == 4 and one.spending().ended == "budget.calls"
        assert near(found[:2], wanted[:2]) and int(found.isnan().sum()) == 1


def test_a_real_server_assists_from_log_probabilities_and_by_agreement(tmp_path: Path) -> None:
    """llama.cpp's server: the model names colours rightly, and has little confidence in a teacher's wrong ones."""
    model, items, space = servers.tiny_llama(tmp_path), numbered(24), LabelSpace(servers.LABELS)
    claims = torch.arange(24) % 3
    wrong = torch.arange(24) % 4 == 0
    teacher = Evidence("t", items.ids, space, torch.where(wrong, (claims + 1) % 3, claims)[None])
    port = servers.free_port()
    process = servers.start_llama_cpp(model / "tiny.gguf", port)
    try:
        options = {"kind": "endpoint", "name": "ta", "base_url": f"http://127.0.0.1:{port}/v1", "model": str(model)}
        options |= {"prompt": servers.PROMPT, "max_tokens": 4, "concurrency": 4}
        with Ledger(tmp_path / "ledger") as ledger:
            for more in ({"logprobs": 10}, {"samples": 3, "temperature": 0.3, "seed": 0}):
                one = EndpointTeacher(Endpoint.model_validate(options | more), space, ledger, Budget())
                said = one.ask(items)
                found = confidence_in(said, teacher, items)
                assert (said.logits is not None) == ("logprobs" in more)
                assert bool((found[wrong] < 0.4).all()) and bool((found[~wrong] > 0.6).all())
    finally:
        servers.stop(process, kill=True)
