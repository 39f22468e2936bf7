"""The OpenAI-compatible protocol as plain values: what is sent, and what a body that came back says.

Knows JSON bodies of both APIs and how servers bend them. Knows nothing of connections, money or labels' meaning.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distrust.recipe import Endpoint

KEPT_TEXT = 262_144  # characters of one answer that are stored
KEPT_LOGPROBS = 262_144  # characters of JSON


@dataclass(frozen=True)
class Choice:
    """One answer of a reply."""

    text: str
    finish: str | None
    logprobs: str | None  # JSON as served


@dataclass(frozen=True)
class Reply:
    """A readable reply. Tokens are None where the server did not say."""

    choices: tuple[Choice, ...]
    prompt_tokens: int | None
    completion_tokens: int | None


def payload(recipe: Endpoint, answers: Sequence[str], prompt: str, sample: int, n: int) -> dict[str, Any]:
    """The body of one request: `n` samples from number `sample` on; `answers` are the legal ones, for `structured`."""
    body: dict[str, Any] = {"model": recipe.model, "temperature": recipe.temperature}
    if recipe.api == "chat":
        system = [] if recipe.system is None else [{"role": "system", "content": recipe.system}]
        body["messages"] = [*system, {"role": "user", "content": prompt}]
    else:
        body["prompt"] = prompt
    optional = {
        "top_p": recipe.top_p,
        "max_tokens": recipe.max_tokens,
        "seed": None if recipe.seed is None else recipe.seed + sample,
        "stop": recipe.stop or None,
        "n": n if n > 1 else None,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    if recipe.logprobs is not None:
        top = recipe.logprobs
        body |= {"logprobs": True, "top_logprobs": top} if recipe.api == "chat" else {"logprobs": top}
    return body | _structured(recipe, list(answers))


def _structured(recipe: Endpoint, answers: list[str]) -> dict[str, Any]:
    if recipe.structured == "choice":  # vLLM's name of it, old and new; a server reads the one it knows
        return {"guided_choice": answers, "structured_outputs": {"choice": answers}}
    if recipe.structured == "json":
        label = {"type": "string", "enum": answers}
        schema = {"type": "object", "properties": {"label": label}, "required": ["label"], "additionalProperties": False}
        named = {"name": "label", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    return {}


def read_reply(body: bytes) -> Reply:
    """Read a body of either API. Raises ValueError, with a reason, for one that holds no answer."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("no JSON") from error
    if not isinstance(value, dict):
        raise ValueError("JSON without choices")
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(one, dict) for one in choices):
        raise ValueError("JSON without choices")
    usage = value.get("usage") if isinstance(value.get("usage"), dict) else {}
    assert isinstance(usage, dict)
    return Reply(
        tuple(_choice(one) for one in choices), _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    )


def read_models(body: bytes) -> list[str]:
    """The ids of a list of models; none where the body is no such list, or of a server that answers for any name."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return []
    listed = value.get("data") if isinstance(value, dict) else None
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if any(one.get("owned_by") == "llamacpp" for one in found):  # its server has one model, whatever is asked for
        return []
    return [one["id"] for one in found if isinstance(one.get("id"), str)]


def error_text(body: bytes) -> str:
    """What an error body says: OpenAI's `error.message`, FastAPI's `detail`, or the body's beginning."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return text
    for key in ("error", "detail", "message"):
        found = value.get(key) if isinstance(value, dict) else None
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str) and found:
            return found
    return text


def _choice(one: dict[str, Any]) -> Choice:
    message = one.get("message")
    text = message.get("content") if isinstance(message, dict) else one.get("text")
    if text is None and not isinstance(message, dict):
        raise ValueError("a choice without text")
    if text is not None and not isinstance(text, str):
        raise ValueError("a choice whose content is no text")
    finish = one.get("finish_reason")
    logprobs = json.dumps(one["logprobs"]) if one.get("logprobs") else None
    return Choice(
        text=storable(text or ""),
        finish=storable(finish)[:40] if isinstance(finish, str) else None,
        logprobs=logprobs if logprobs is not None and len(logprobs) <= KEPT_LOGPROBS else None,
    )


def storable(text: str) -> str:
    """Text that SQLite and files can hold: half a surrogate pair becomes "?"; cut at `KEPT_TEXT` characters."""
    return text[:KEPT_TEXT].encode("utf-8", "replace").decode()


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else None
