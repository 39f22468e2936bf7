"""One request to a server, and what its outcome means: an answer, or a failure that says what to do about it.

Knows HTTP, timeouts and status codes. Does not know what was asked, what is charged, or when to try again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp

from distrust import __version__
from distrust.errors import RecipeError
from distrust.recipe import Endpoint
from distrust.secrets import expand, show
from distrust.teachers.wire import Reply, error_text, read_models, read_reply

READ = 8 * 2**20  # bytes of a body; more is no answer to a question
AGAIN = {408, 409, 425, 429}  # and every 5xx
_NO_MODEL = re.compile(r"model\b.*\b(not found|not exist|unknown|not available)|unknown model", re.IGNORECASE)
NO_LIST = {404, 405, 501}  # of the models' path, which no question needs
NO_USE = {401, 402, 403, 404}  # the same for every item: asking on is pointless


@dataclass(frozen=True)
class Failure:
    """A request without an answer.

    `outcome` is what it means for the bill: "refused" by the server (not billed), "unsent" (nothing reached it), or
    "lost" (it may have been answered and billed). `again` says whether trying again can help, `everywhere` whether
    every other item would fare the same; `wait` is what the server asks for, in seconds.
    """

    outcome: Literal["refused", "unsent", "lost"]
    reason: str
    again: bool = False
    everywhere: bool = False
    wait: float | None = None


class Client:
    """A session with one server, `concurrency` connections wide. Use as an async context manager.

    Raises:
        RecipeError: a base URL that is none, an environment variable that is not set, a key with a line break.
    """

    def __init__(self, recipe: Endpoint) -> None:
        base = expand(recipe.base_url, secret=True).rstrip("/")
        host = urlsplit(base).hostname
        if not base.startswith(("http://", "https://")) or not host:
            raise RecipeError(f"teachers.{recipe.name}.base_url is {recipe.base_url!r}; it looks like http://host:8000/v1.")
        self._shown = recipe.base_url
        self._model = recipe.model
        self._url = base + ("/chat/completions" if recipe.api == "chat" else "/completions")
        self._models = base + "/models"
        self._headers = {"User-Agent": f"distrust/{__version__}"}
        if recipe.api_key is not None:
            key = expand(recipe.api_key, secret=True)
            if not key.isprintable() or not key.isascii():
                raise RecipeError(f"The key in {recipe.api_key} holds a line break or a character that no key has.")
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout = aiohttp.ClientTimeout(total=recipe.timeout, sock_connect=min(recipe.timeout / 2, 15))
        self._seconds = recipe.timeout
        self._width = recipe.concurrency
        self._proxies = host not in ("localhost", "127.0.0.1", "::1")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._width),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._proxies,
            headers=self._headers,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, body: dict[str, Any]) -> Reply | Failure:
        """Send one request. Nothing a server does makes this raise."""
        assert self._session is not None
        try:
            # a redirect would carry the prompt and turn POST into GET: shown, not followed
            data = aiohttp.BytesPayload(json.dumps(body).encode(), content_type="application/json")
            async with self._session.post(self._url, data=data, allow_redirects=False) as response:
                content = await _read(response)
                return self._judge(response, content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Failure("unsent", f"{self._shown} cannot be reached ({show(str(error))})", again=True, everywhere=True)
        except TimeoutError:
            return Failure("lost", f"no answer within {self._seconds:g} s", again=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: headers or chunks that are no HTTP
            return Failure("lost", f"the connection broke ({show(str(error) or type(error).__name__)})", again=True)

    async def reach(self) -> Failure | list[str]:
        """Ask for the list of models, which costs nothing; none named where the server answers and keeps no list."""
        assert self._session is not None
        try:
            async with self._session.get(self._models, allow_redirects=False) as response:
                content = await _read(response)
                if response.status in NO_LIST:
                    return []
                if response.status != 200:
                    return self._refusal(response, content)
                return read_models(content or b"")
        except TimeoutError:
            return Failure("lost", f"no answer within {self._seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failure("unsent", f"{self._shown} cannot be reached ({show(str(error) or type(error).__name__)})")

    def _judge(self, response: aiohttp.ClientResponse, content: bytes | None) -> Reply | Failure:
        if response.status != 200:
            return self._refusal(response, content)
        if content is None:
            return Failure("lost", f"an answer of more than {READ // 2**20} MiB")
        try:
            return read_reply(content)
        except ValueError as error:
            reason = f"{error}: {show(error_text(content), 80)!r}"
            return Failure("lost", f"the server's answer cannot be read ({reason})")

    def _refusal(self, response: aiohttp.ClientResponse, content: bytes | None) -> Failure:
        said = show(error_text(content or b""))
        status = response.status
        reason = f"HTTP {status}: {said}" if said else f"HTTP {status}"
        if 300 <= status < 400:
            reason = f"HTTP {status}: it redirects to {show(response.headers.get('Location', 'nowhere'))}; use that base_url"
            return Failure("refused", reason, everywhere=True)
        if status in NO_USE or _NO_MODEL.search(said):
            return Failure("refused", reason, everywhere=True)
        again = status in AGAIN or status >= 500
        wait = retry_after(response.headers.get("Retry-After"))
        return Failure("refused", reason, again, everywhere=status == 429, wait=wait)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, given as seconds or as an HTTP date; None where it says neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return max(seconds, 0.0) if seconds == seconds else None


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None when it is larger than any answer."""
    packed = "Content-Encoding" in response.headers  # a small body may unpack to a large one
    if not packed and response.content_length is not None and response.content_length <= READ:
        return await response.read()
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > READ:
            response.close()
            return None
        parts.append(part)
    return b"".join(parts)
