"""An OpenAI-compatible server that misbehaves on demand: `http://127.0.0.1:PORT/MODE/v1`, one mode a path.

Run as a script it prints its port and serves until it is killed. `GET /served` tells how many answers each prompt and
seed was sent, `DELETE /served` forgets.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import time
from collections import Counter
from email.utils import formatdate
from typing import Any

from aiohttp import web

BOMB = gzip.compress(b"[" * 100_000_000, compresslevel=1)  # 0.4 MB
served: Counter[str] = Counter()
tries: Counter[str] = Counter()
in_flight = 0
most_in_flight = 0
moments: list[float] = []


def label_of(prompt: str) -> str:
    return ("alpha", "beta", "gamma")[hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[0] % 3]


def reply(body: dict[str, Any], n: int = 1, text: str | None = None, usage: Any = True) -> dict[str, Any]:
    chat = "messages" in body
    prompt = body["messages"][-1]["content"] if chat else body["prompt"]
    text = label_of(prompt) if text is None else text
    choices: list[dict[str, Any]] = [
        {"index": index, "finish_reason": "stop", **({"message": {"content": text}} if chat else {"text": text})}
        for index in range(n)
    ]
    value: dict[str, Any] = {"choices": choices}
    if usage:
        value["usage"] = {"prompt_tokens": len(prompt) // 4 + 1, "completion_tokens": 2} if usage is True else usage
    served[f"{prompt}|{body.get('seed')}"] += 1
    return value


async def answer(request: web.Request) -> web.StreamResponse:
    global in_flight, most_in_flight
    mode = request.match_info["mode"]
    if mode not in MODES:
        raise web.HTTPNotFound
    body = await request.json()
    in_flight += 1
    most_in_flight = max(most_in_flight, in_flight)
    moments.append(time.monotonic())
    try:
        if mode != "poison" or "poison" not in json.dumps(body):
            await asyncio.sleep(request.app["delay"])
        return await MODES[mode](request, body)
    finally:
        in_flight -= 1


async def fine(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(reply(body))


async def number(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    prompt = (body["messages"][-1]["content"] if "messages" in body else body["prompt"]).encode()
    return web.json_response(reply(body, text=f"Confidence: {hashlib.sha256(prompt).digest()[0] % 101} %"))


async def many(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(reply(body, n=body.get("n", 1)))


async def two_at_most(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(reply(body, n=min(body.get("n", 1), 2)))


async def hang(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


async def drip(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(36000):
        await response.write(b" ")
        await asyncio.sleep(0.05)
    return response


async def html(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(text="<html><script>alert(1)</script>\x1b[31mPlease log in", content_type="text/html")


async def wrong_json(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"choices": [{"message": {"content": 7}}]})


async def deep_json(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(text="[" * 200_000, content_type="application/json")


async def unauthorized(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    key = request.headers.get("Authorization", "")
    return web.json_response({"error": {"message": f"Incorrect key {key}\x1b[2J"}}, status=401)


async def no_model(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"error": {"message": f"The model {body['model']} does not exist"}}, status=400)


async def busy(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"error": {"message": "slow down"}}, status=429)


async def busy_once(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return await _first(body, "busy_once", web.Response(status=429, headers={"Retry-After": "0.3"}))


async def busy_date(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    date = formatdate(time.time() + 1.5, usegmt=True)
    return await _first(body, "busy_date", web.Response(status=429, headers={"Retry-After": date}))


async def busy_for_hours(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "7200"})


async def error_once(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return await _first(body, "error_once", web.Response(status=500, text="oops"))


async def poison(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    if "poison" in json.dumps(body):  # at once, long before any answer
        return web.json_response({"detail": "this text is refused"}, status=422)
    return web.json_response(reply(body))


async def no_structure(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    if "response_format" in body or "guided_choice" in body:
        return web.json_response({"error": {"message": "response_format is not supported"}}, status=400)
    return web.json_response(reply(body))


async def redirect(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/elsewhere"})


async def megabyte(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(reply(body, text="alpha " * 170_000))


async def gigantic(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(reply(body, text="alpha " * 3_000_000))


async def bomb(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(body=BOMB, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


async def reset(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def reset_once(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    tries[json.dumps(body)] += 1
    return await (reset if tries[json.dumps(body)] == 1 else fine)(request, body)


async def no_usage(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(reply(body, usage=None))


async def mad_usage(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(reply(body, usage={"prompt_tokens": -5, "completion_tokens": 10**30}))


async def greedy(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(reply(body, usage={"prompt_tokens": 100_000, "completion_tokens": 1}))


async def hostile(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(reply(body, text="\x1b]0;owned\x07\ud800\x00<script>alert(1)</script> alpha"))


async def _first(body: dict[str, Any], mode: str, response: web.Response) -> web.StreamResponse:
    key = mode + json.dumps(body)
    tries[key] += 1
    return response if tries[key] == 1 else web.json_response(reply(body))


async def tell(_: web.Request) -> web.Response:
    value = {"served": dict(served), "most_in_flight": most_in_flight, "moments": moments}
    return web.json_response(value)


async def forget(_: web.Request) -> web.Response:
    global most_in_flight
    served.clear()
    tries.clear()
    moments.clear()
    most_in_flight = 0
    return web.Response()


async def models(request: web.Request) -> web.Response:
    mode = request.match_info["mode"]
    status = 401 if mode == "unauthorized" else int(mode.removeprefix("unlisted_")) if mode.startswith("unlisted_") else 200
    return web.json_response({"data": [{"id": "m"}, {"id": "medium-8b:latest"}]}, status=status)


PLAIN = (
    fine,
    many,
    two_at_most,
    hang,
    drip,
    html,
    wrong_json,
    deep_json,
    unauthorized,
    no_model,
    busy,
    busy_once,
    busy_date,
)
ODD = (
    busy_for_hours,
    error_once,
    poison,
    no_structure,
    redirect,
    megabyte,
    gigantic,
    reset,
    reset_once,
    no_usage,
    mad_usage,
)
MODES = {mode.__name__: mode for mode in (*PLAIN, *ODD, greedy, hostile, bomb, number)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    options = parser.parse_args()
    app = web.Application(client_max_size=2**26)
    app["delay"] = options.delay
    app.router.add_post("/{mode}/v1/chat/completions", answer)
    app.router.add_post("/{mode}/v1/completions", answer)
    app.router.add_get("/{mode}/v1/models", models)
    app.router.add_get("/served", tell)
    app.router.add_delete("/served", forget)
    asyncio.run(_serve(app, options.port))


async def _serve(app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
