"""The endpoint teacher against a loopback server that misbehaves on demand, really killed and interrupted."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import sqlite3
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distrust.commits import connect
from distrust.data import Items
from distrust.errors import BudgetError, RecipeError, RunError, TeacherError
from distrust.evidence import join
from distrust.labels import LabelSpace
from distrust.ledger import Ledger
from distrust.recipe import Budget, Endpoint
from distrust.teachers.buying import Progress
from distrust.teachers.endpoint import EndpointTeacher
from tests import servers
from tests.annotating import numbered

pytestmark = pytest.mark.usefixtures("forgetful")
SPACE = LabelSpace(("alpha", "beta", "gamma"))
PRICED = {"per_million_prompt_tokens": 1.0, "per_million_completion_tokens": 10.0}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def recipe(address: str, mode: str = "fine", **more: Any) -> dict[str, Any]:
    settings = {"max_tokens": 8, "concurrency": 4, "retries": 2, "timeout": 20, "price": {"per_call": 0.01}}
    base = {"kind": "endpoint", "name": "t", "base_url": f"{address}/{mode}/v1", "model": "m"}
    return base | settings | more


def teacher(ledger: Ledger, address: str, mode: str = "fine", total: Budget | None = None, **more: Any) -> EndpointTeacher:
    given = Endpoint.model_validate(recipe(address, mode, **more))
    return EndpointTeacher(given, SPACE, ledger, total or Budget())


def times_served(address: str) -> list[int]:
    return list(servers.served(address)["served"].values())


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_answers_are_claims_and_are_bought_once(ledger: Ledger, address: str, api: str) -> None:
    one = teacher(ledger, address, api=api)
    items = numbered(20)
    first, second = one.ask(items), one.ask(items)
    assert first.ids == items.ids and first.claims.shape == (1, 20)
    assert first.texts is not None and [SPACE.names[claim] for claim in first.claims[0]] == [
        texts[0] for texts in first.texts
    ]
    assert torch.equal(first.claims, second.claims)
    assert times_served(address) == [1] * 20
    assert first.cost is not None and first.cost.money.sum().item() == pytest.approx(0.2)
    assert first.notes == {} and first.logits is None
    spent = one.spending()
    assert (spent.calls, spent.ended, spent.failed, spent.unknown_outcome) == (20, "complete", 0, 0)
    assert spent.money == pytest.approx(0.2)


def test_asking_leaves_the_global_random_state_and_the_items_alone(ledger: Ledger, address: str) -> None:
    before, torch_before, items = random.getstate(), torch.get_rng_state(), numbered(5)
    teacher(ledger, address, mode="error_once").ask(items)
    assert random.getstate() == before and torch.equal(torch.get_rng_state(), torch_before)
    assert items == numbered(5)


def test_a_mended_parser_and_more_samples_buy_only_what_is_missing(ledger: Ledger, address: str) -> None:
    items = numbered(6)
    lost = teacher(ledger, address, samples=2, seed=5, parse={"after": "Label:"}).ask(items)
    assert lost.notes == {"could not parse": 12} and (lost.claims == -1).all()
    mended = teacher(ledger, address, samples=2, seed=5)
    assert (mended.ask(items).claims >= 0).all()
    assert times_served(address) == [1] * 12  # seeds 5 and 6
    more = teacher(ledger, address, samples=3, seed=5).ask(items)
    assert more.claims.shape == (3, 6) and sum(times_served(address)) == 18
    assert mended.ask(items).claims.shape == (2, 6)


def test_fingerprint_covers_the_evidence_and_nothing_else(ledger: Ledger, address: str) -> None:
    same = teacher(ledger, address).fingerprint
    for more in ({"concurrency": 9}, {"retries": 0}, {"timeout": 5}, {"budget": {"calls": 3}}, {"price": {}}):
        assert teacher(ledger, address, **more).fingerprint == same
    assert teacher(ledger, "http://elsewhere:1").fingerprint == same
    changes = ({"model": "n"}, {"prompt": "{text}"}, {"samples": 2}, {"temperature": 1.0}, {"parse": {"after": ":"}})
    assert len({same, *(teacher(ledger, address, **more).fingerprint for more in changes)}) == 6


def test_several_choices_in_one_request_are_counted(ledger: Ledger, address: str) -> None:
    many = teacher(ledger, address, "many", honours_n=True, samples=5).ask(numbered(4))
    assert (many.claims >= 0).all() and sum(times_served(address)) == 4 and many.notes == {}
    assert many.cost is not None and many.cost.calls.tolist() == [1] * 4


@pytest.mark.parametrize(("mode", "requests"), [("fine", 5), ("two_at_most", 4)])
def test_a_server_that_ignores_n_is_found_out_and_asked_singly(
    ledger: Ledger, address: str, mode: str, requests: int
) -> None:
    evidence = teacher(ledger, address, mode, honours_n=True, samples=5).ask(numbered(4))
    assert (evidence.claims >= 0).all()
    assert sum(times_served(address)) == 4 * requests
    assert evidence.notes == {"fewer choices than asked for; the rest was asked singly": 4}


def test_a_cap_on_calls_is_a_normal_end_and_is_kept(ledger: Ledger, address: str) -> None:
    one = teacher(ledger, address, total=Budget(calls=7), concurrency=64)
    evidence = one.ask(numbered(100))
    assert sum(times_served(address)) == 7 and int((evidence.claims >= 0).sum()) == 7
    assert evidence.notes == {"not bought: budget.calls": 93} and one.spending().ended == "budget.calls"
    assert one.ask(numbered(100)).notes == evidence.notes and sum(times_served(address)) == 7
    more = teacher(ledger, address, total=Budget(calls=20))
    assert int((more.ask(numbered(100)).claims >= 0).sum()) == 20


@pytest.mark.parametrize(
    ("budget", "key"),
    [({"tokens": 3000}, "tokens"), ({"money": 0.004}, "money")],
)
def test_caps_on_tokens_and_money_hold_and_are_used_up_at_high_concurrency(
    ledger: Ledger, address: str, budget: dict[str, float], key: str
) -> None:
    """Many reservations at their worst case fill the cap at once; most end lower, so buying goes on until it is full."""
    one = teacher(ledger, address, budget=budget, price=PRICED, concurrency=64)
    one.buy(numbered(300))
    spent = one.spending()
    assert spent.ended == f"teachers.t.budget.{key}" and spent.money is not None
    used = spent.prompt_tokens + spent.completion_tokens if key == "tokens" else spent.money
    assert 0.8 * budget[key] < used <= budget[key]


def test_unknown_price_is_unknown_and_refused_under_a_money_cap(ledger: Ledger, address: str) -> None:
    one = teacher(ledger, address, price={})
    evidence = one.ask(numbered(3))
    assert evidence.cost is not None and evidence.cost.money.isnan().all() and one.spending().money is None
    with pytest.raises(BudgetError, match="price is unknown"):
        teacher(ledger, address, price={}, total=Budget(money=1))
    with pytest.raises(BudgetError, match="3 earlier calls"):
        teacher(ledger, address, total=Budget(money=1)).ask(numbered(4))


def test_what_a_server_reports_is_charged_even_above_the_reservation(ledger: Ledger, address: str) -> None:
    one = teacher(ledger, address, "greedy", budget={"tokens": 5000}, concurrency=1)
    one.buy(numbered(10))
    assert one.spending().prompt_tokens == 100_000 and one.spending().ended == "teachers.t.budget.tokens"


@pytest.mark.parametrize("mode", ["no_usage", "mad_usage"])
def test_unreported_tokens_are_charged_at_the_reservation(ledger: Ledger, address: str, mode: str) -> None:
    one = teacher(ledger, address, mode, price=PRICED)
    evidence = one.ask(numbered(2))
    assert evidence.notes == {"tokens not reported: charged at the reservation": 2}
    assert one.spending().completion_tokens == 16 and one.spending().prompt_tokens > 200


def test_notes_of_buying_are_counted_once_however_parts_are_joined(ledger: Ledger, address: str) -> None:
    one, note = teacher(ledger, address, "no_usage", price=PRICED), "tokens not reported: charged at the reservation"
    items = numbered(5)
    first, second = one.ask(items.select(range(2))), one.ask(items.select(range(2, 5)))
    assert (first.notes[note], second.notes[note]) == (2, 3) and join([first, second]).notes == {note: 5}
    assert one.ask(items.select(range(2))).notes == {note: 2}, "asked again for nothing, it says the same"


@pytest.mark.parametrize("mode", ["busy_once", "error_once"])
def test_a_refusal_is_tried_again_and_costs_nothing(ledger: Ledger, address: str, mode: str) -> None:
    one = teacher(ledger, address, mode)
    start = time.monotonic()
    assert (one.ask(numbered(8)).claims >= 0).all()
    assert (one.spending().calls, one.spending().failed, one.spending().unknown_outcome) == (8, 0, 0)
    if mode == "busy_once":
        assert time.monotonic() - start > 0.3  # Retry-After, in seconds


def test_retry_after_as_a_date_is_honoured(ledger: Ledger, address: str) -> None:
    start = time.monotonic()
    assert (teacher(ledger, address, "busy_date").ask(numbered(1)).claims >= 0).all()
    assert 0.4 < time.monotonic() - start < 5


def test_a_broken_connection_is_charged_and_tried_again(ledger: Ledger, address: str) -> None:
    one = teacher(ledger, address, "reset_once")
    assert (one.ask(numbered(3)).claims >= 0).all()
    assert (one.spending().calls, one.spending().unknown_outcome) == (6, 3)


@pytest.mark.parametrize(
    ("mode", "more", "words"),
    [
        ("unauthorized", {}, r"Teacher 't' could not be asked further: HTTP 401: Incorrect key .*0 of 30 answers are kept"),
        ("no_model", {}, "HTTP 400: The model m does not exist"),
        ("nowhere", {}, "HTTP 404"),
        ("redirect", {}, "it redirects to http://127.0.0.1:1/elsewhere"),
        ("busy", {}, "HTTP 429: slow down"),
        ("busy_for_hours", {}, "pause of 7200 s"),
        ("hang", {"timeout": 0.2}, r"failed \d+ times in a row, at last so: no answer within 0.2 s"),
        ("drip", {"timeout": 0.2}, "no answer within 0.2 s"),
        ("reset", {}, "the connection broke"),
        ("html", {}, r"cannot be read \(no JSON: '<html><script>alert\(1\)</script>\\\\x1b\[31mPlease"),
        ("wrong_json", {}, "a choice whose content is no text"),
        ("deep_json", {}, "no JSON"),
        ("bomb", {}, "more than 8 MiB"),
        ("gigantic", {}, "more than 8 MiB"),
        ("no_structure", {"structured": "json"}, "response_format is not supported"),
        ("no_structure", {"structured": "choice"}, "response_format is not supported"),
    ],
)
def test_a_server_that_cannot_go_on_is_a_sentence(ledger: Ledger, address: str, mode: str, more: Any, words: str) -> None:
    with pytest.raises(TeacherError, match=words) as caught:
        teacher(ledger, address, mode, **more).ask(numbered(30))
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert sum(times_served(address)) <= 16  # it soon gave up


def test_a_server_out_of_reach_is_a_sentence_and_costs_nothing(ledger: Ledger) -> None:
    one = teacher(ledger, f"http://127.0.0.1:{servers.free_port()}")
    with pytest.raises(TeacherError, match="cannot be reached"):
        one.ask(numbered(3))
    assert one.spending().calls == 0 and one.spending().money == 0
    with pytest.raises(TeacherError, match="cannot be reached"):
        one.reach()


def test_reach(ledger: Ledger, address: str) -> None:
    assert teacher(ledger, address).reach() == teacher(ledger, address, model="medium-8b").reach() == ""
    assert teacher(ledger, address, "unlisted_501").reach().startswith("the server does not list its models, so")
    assert teacher(ledger, address, model="medium-8b:70").reach().startswith("the server lists no model 'medium-8b:70'")
    said = "the server lists no model 'medum-8b'; did you mean 'medium-8b:latest'? it has m, medium-8b:latest"
    assert teacher(ledger, address, model="medum-8b").reach() == said
    with pytest.raises(TeacherError, match="HTTP 401"):
        teacher(ledger, address, "unauthorized").reach()


def test_what_was_bought_before_the_server_broke_is_kept(ledger: Ledger, address: str) -> None:
    teacher(ledger, address).buy(numbered(10))
    broken = teacher(ledger, address, "busy")
    with pytest.raises(TeacherError, match="10 of 30 answers are kept; start again to go on"):
        broken.ask(numbered(30))
    assert (broken.ask(numbered(10)).claims >= 0).all()


def test_one_refused_item_abstains_and_the_others_go_on(ledger: Ledger, address: str) -> None:
    items = numbered(9)
    poisoned = type(items)(items.ids, (*items.inputs[:8], "poison"))
    one = teacher(ledger, address, "poison")
    evidence = one.ask(poisoned)
    assert (evidence.claims[0, :8] >= 0).all() and evidence.claims[0, 8] == -1
    assert evidence.notes == {"failed": 1} and one.spending().failed == 1
    assert one.ask(poisoned).notes == {"failed": 1} and one.spending().failed == 1  # not tried again by this object


def test_a_round_of_quick_refusals_is_not_yet_a_broken_server(ledger: Ledger) -> None:
    items = numbered(40)
    poisoned = type(items)(items.ids, (*(f"poison {number}" for number in range(12)), *items.inputs[12:]))
    with servers.loopback(delay=0.05) as slow:
        evidence = teacher(ledger, slow, "poison", concurrency=16).ask(poisoned)
    assert evidence.notes == {"failed": 12} and (evidence.claims[0, 12:] >= 0).all()


def test_a_megabyte_of_answer_is_cut_kept_and_read(ledger: Ledger, address: str) -> None:
    evidence = teacher(ledger, address, "megabyte").ask(numbered(2))
    assert (evidence.claims == 0).all() and evidence.texts is not None
    assert [len(texts[0]) for texts in evidence.texts] == [262_144] * 2


def test_hostile_text_is_kept_raw_but_never_breaks_storage(ledger: Ledger, address: str) -> None:
    evidence = teacher(ledger, address, "hostile").ask(numbered(2))
    assert (evidence.claims == 0).all()
    assert evidence.texts is not None
    assert evidence.texts[0] == ["\x1b]0;owned\x07?\x00<script>alert(1)</script> alpha"]  # ?: half a surrogate pair


def test_half_a_surrogate_pair_in_an_item_is_asked_about_like_any_other(ledger: Ledger, address: str) -> None:
    odd = Items(("i\ud800",), ("a thing \ud83d",))
    one = teacher(ledger, address)
    assert (one.ask(odd).claims >= 0).all() and (one.ask(odd).claims >= 0).all()
    assert one.spending().calls == 1


def test_the_key_is_sent_and_reaches_no_file_and_no_message(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-very-secret-0123")
    with Ledger(tmp_path / "l") as ledger:
        with pytest.raises(TeacherError) as caught:
            teacher(ledger, address, "unauthorized", api_key="${TEACHER_KEY}").ask(numbered(3))
        assert "Incorrect key Bearer ***" in str(caught.value)
    assert all(b"sk-very-secret" not in file.read_bytes() for file in tmp_path.iterdir())
    monkeypatch.setenv("TEACHER_KEY", "sk\nX-Header: 1")
    with Ledger(tmp_path / "l") as ledger, pytest.raises(RecipeError, match="line break"):
        teacher(ledger, address, api_key="${TEACHER_KEY}").ask(numbered(1))


def test_a_wrong_url_or_a_key_that_is_not_set_is_refused_where_there_is_anything_to_buy(
    ledger: Ledger, address: str
) -> None:
    with pytest.raises(RecipeError, match="looks like http://host:8000/v1"):
        teacher(ledger, "localhost:8000").ask(numbered(2))
    locked = teacher(ledger, address, api_key="${NO_SUCH_KEY_HERE}")
    with pytest.raises(RecipeError, match="NO_SUCH_KEY_HERE is not set"):
        locked.ask(numbered(2))
    teacher(ledger, address).buy(numbered(2))
    assert (locked.ask(numbered(2)).claims >= 0).all()


def test_a_teacher_that_refuses_every_item_is_no_teacher_but_one_last_item_may_fail(ledger: Ledger, address: str) -> None:
    items = numbered(3)
    poisoned = type(items)(items.ids, ("poison 0", "poison 1", "fine"))
    with pytest.raises(TeacherError, match="it answered nothing; at last so: HTTP 422: this text is refused"):
        teacher(ledger, address, "poison").ask(poisoned.select([0, 1]))
    for _ in range(2):  # a later start asks only the refused ones again, and goes on without them
        assert teacher(ledger, address, "poison").ask(poisoned).notes == {"failed": 2}


def test_the_rate_limit_holds(ledger: Ledger, address: str) -> None:
    teacher(ledger, address, requests_per_minute=1200, concurrency=16).buy(numbered(12))
    moments = servers.served(address)["moments"]
    assert moments[-1] - moments[0] > 0.05 * 10 * 0.9  # twelve calls, 50 ms apart


def test_concurrency_is_reached_and_not_exceeded(ledger: Ledger) -> None:
    with servers.loopback(delay=0.05) as address:
        teacher(ledger, address, concurrency=8).buy(numbered(64))
        assert servers.served(address)["most_in_flight"] == 8


def test_progress_is_told(ledger: Ledger, address: str) -> None:
    heard: list[Progress] = []
    one = EndpointTeacher(Endpoint.model_validate(recipe(address)), SPACE, ledger, Budget(), progress=heard.append)
    one.buy(numbered(10))
    assert heard[-1].done == heard[-1].wanted == 10 and heard[-1].seconds_left == 0 and heard[-1].money == pytest.approx(0.1)


def test_it_runs_inside_a_running_loop(ledger: Ledger, address: str) -> None:
    async def notebook() -> torch.Tensor:
        return teacher(ledger, address).ask(numbered(3)).claims

    assert (asyncio.run(notebook()) >= 0).all()


def test_a_kill_loses_nothing_confirmed_and_buys_nothing_twice(tmp_path: Path) -> None:
    ledger = tmp_path / "l"
    with servers.loopback(delay=0.02) as address:
        confirmed = 0
        for wanted in (40, 160):
            with servers.annotating(ledger, recipe(address), 300) as process:
                confirmed = servers.kill_after(process, wanted)
            with Ledger(ledger, readonly=True) as looking:
                assert looking.totals("t")["answered"][0] >= confirmed >= wanted
        with servers.annotating(ledger, recipe(address), 300) as process:
            assert process.stdout is not None and process.stdout.read().splitlines()[-1] == "ended complete"
        times = times_served(address)
        assert len(times) == 300 and sum(times) - 300 <= 2 * 4  # in flight at each kill: at most `concurrency`
    with Ledger(ledger) as kept:
        totals = kept.totals("t")
        assert totals["answered"][0] == 300 and 1 <= totals["unknown"][0] <= 2 * 4


def test_ctrl_c_stops_cleanly_and_says_so(tmp_path: Path) -> None:
    with servers.loopback(delay=0.02) as address:
        with servers.annotating(tmp_path / "l", recipe(address), 3000) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= 30:
                    break
            process.send_signal(signal.SIGINT)
            last = process.stdout.read().splitlines()[-1]
            assert process.wait(30) == 0
        assert "error KeyboardInterrupt Stopped asking teacher 't': " in last and "of 3000 answers are kept" in last
        with Ledger(tmp_path / "l") as ledger:
            assert ledger.totals("t").keys() == {"answered"}  # those in flight were waited for
            assert ledger.totals("t")["answered"][0] == len(times_served(address))


def test_a_second_ctrl_c_does_not_wait_and_charges_what_is_in_flight(tmp_path: Path, address: str) -> None:
    with servers.annotating(tmp_path / "l", recipe(address), 4) as process:
        assert process.stdout is not None and process.stdout.read().splitlines()[-1] == "ended complete"
    with servers.annotating(tmp_path / "l", recipe(address, "hang"), 10) as process:
        while servers.served(address)["most_in_flight"] < 4 or len(servers.served(address)["moments"]) < 8:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert "Stopped asking teacher 't': 4 of 10 answers are kept" in process.stdout.read()
        assert process.wait(30) == 0
    with Ledger(tmp_path / "l") as ledger:
        assert {status: count for status, (count, _) in ledger.totals("t").items()} == {"answered": 4, "unknown": 4}


def test_a_server_that_dies_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    port = servers.free_port()
    settings = recipe(f"http://127.0.0.1:{port}", retries=9)
    script = servers.loopback(delay=0.02, port=port)
    script.__enter__()
    with servers.annotating(tmp_path / "l", settings, 200) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 50:
                break
        script.__exit__(None, None, None)
        with servers.loopback(delay=0.02, port=port):
            assert process.stdout.read().splitlines()[-1] == "ended complete"
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.totals("t")["answered"][0] == 200 and ledger.totals("t").get("unknown", (0,))[0] <= 4


def test_a_full_disk_ends_buying_with_a_sentence_alone(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def small(path: Path, readonly: bool = False) -> sqlite3.Connection:
        connection = connect(path, readonly)
        connection.execute("PRAGMA max_page_count = 30")  # SQLite then fails as on a full disk
        return connection

    monkeypatch.setattr("distrust.commits.connect", small)
    with Ledger(tmp_path / "l") as ledger:
        with pytest.raises(RunError, match="disk is full"):
            teacher(ledger, address, "hostile").ask(numbered(2000))
        kept = ledger.totals("t")["answered"][0]
    gc.collect()
    assert kept > 10 and capfd.readouterr().err == ""
    monkeypatch.undo()
    with Ledger(tmp_path / "l") as ledger:
        assert (teacher(ledger, address).ask(numbered(kept + 100)).claims >= 0).all()
        assert ledger.totals("t")["answered"][0] == kept + 100


def test_memory_holds_no_answers_while_buying(ledger: Ledger, address: str) -> None:
    tracemalloc.start()
    try:
        teacher(ledger, address, "megabyte", concurrency=2).buy(numbered(100))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16e6 < 100 * 262_144
