"""Requests, repeats and streams, under the typed methods. The home of httpx on the people's side."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from dure.errors import ApiError, LinkError

Plain = dict[str, Any]
PREFIX = "/api/v1"
RETRIED = frozenset({502, 503, 504})  # nothing is known to have been done, or it is known that nothing was
TIMEOUT_S, CONNECT_S = 30.0, 5.0
STREAM_TIMEOUT = httpx.Timeout(TIMEOUT_S, connect=CONNECT_S, read=60.0)  # the plane sends a comment every 15 s


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is repeated, and the pauses between: first, doubled each time, at most. Seconds."""

    times: int = 5
    first_s: float = 0.1
    most_s: float = 2.0

    def pause_s(self, failed: int) -> float:
        """The pause after so many failures (1, 2, …)."""
        return min(self.first_s * 2.0 ** (failed - 1), self.most_s)


@dataclass(frozen=True, slots=True)
class LogPiece:
    """kind "log": `data` ends before byte `offset`. "status": facts say why nothing comes. "end": nothing more will."""

    kind: str
    offset: int
    data: bytes = b""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SseEvent:
    event: str
    id: str
    data: Any


def new_key() -> str:
    """A fresh Idempotency-Key."""
    return str(uuid.uuid4())


def part(id: str) -> str:
    """An id as one part of a path: whatever somebody typed names one thing, and never another route.

    Servers read %2F as a slash before they look for the route, so a slash is quoted twice. Raises ValueError for nothing: without
    it, the address would be another one."""
    if not id.strip():
        raise ValueError("an id is wanted here, and it is empty")
    return quote(id.replace("/", "%2F"), safe=":*") if id.strip(".") else id.replace(".", "%2E")


class Transport:
    """The plane at `base_url` (without /api/v1), as the holder of `token`: one connection pool, safe from several threads.

    Writes carry a fresh Idempotency-Key from `keys` and are repeated with the same one when the link fails or the plane
    answers 502, 503 or 504. Answers are the JSON documents of the API. Raises ApiError and LinkError. lang: "en" or "ko".
    timeout_s: how long a try waits for an answer, streams apart."""

    def __init__(
        self,
        base_url: str,
        token: str = "",
        *,
        lang: str = "en",
        keys: Callable[[], str] = new_key,
        pause: Callable[[float], None] = time.sleep,
        retries: Retries | None = None,
        timeout_s: float = TIMEOUT_S,
        http: httpx.Client | None = None,
    ) -> None:
        self._keys = keys
        self._pause = pause
        self._retries = retries or Retries()
        self._http = http or httpx.Client(base_url=base_url.rstrip("/"), timeout=httpx.Timeout(timeout_s, connect=CONNECT_S))
        self._headers = {"accept-language": lang}
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- requests -----------------------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Plain:
        return _document(self.send("GET", path, query=query))

    def write(self, method: str, path: str, body: Any = None, *, key: str = "", **query: Any) -> Plain:
        """A write under one Idempotency-Key for all its repeats. key: the caller's own, to be safe beyond this process."""
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"idempotency-key": key or self._keys()}
        if content is not None:
            headers["content-type"] = "application/json"
        return _document(self.send(method, path, query=query, content=content, headers=headers))

    def ask(self, path: str, body: Any) -> Plain:
        """A POST that changes nothing."""
        content = json.dumps(body, ensure_ascii=False).encode()
        return _document(self.send("POST", path, content=content, headers={"content-type": "application/json"}))

    def upload(self, path: str, content: bytes, headers: Mapping[str, str]) -> Plain:
        named = {"content-type": "application/gzip", "idempotency-key": self._keys(), **headers}
        return _document(self.send("POST", path, content=content, headers=named))

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send, and send again after a failure of the link or a 502, 503 or 504: every request here may be repeated.

        Raises ApiError when the plane refuses, LinkError when it could not be reached in all those tries."""
        request = self._http.build_request(
            method, _address(path), params=_query(query), content=content, headers={**self._headers, **(headers or {})}
        )
        failed = 0
        while True:
            answer = self._try(request, last=failed >= self._retries.times)
            if answer is not None:
                return answer
            failed += 1
            self._pause(self._retries.pause_s(failed))

    def _try(self, request: httpx.Request, *, last: bool) -> httpx.Response | None:
        """The answer; None when it should be tried again."""
        try:
            response = self._http.send(request)
        except httpx.TransportError as error:
            if last:
                raise LinkError(f"{request.method} {request.url}: {error or type(error).__name__}") from error
            return None
        if response.status_code in RETRIED and not last:
            return None
        if response.status_code >= 400:
            raise refusal(response)
        return response

    def pages(self, path: str, **query: Any) -> Iterator[Plain]:
        """Every item of every page, asked for as they are needed."""
        cursor = ""
        while True:
            page = self.get(path, **query, cursor=cursor)
            yield from page["items"]
            cursor = page["next"]
            if not cursor:
                return

    # -- streams ------------------------------------------------------------------------------------------------------

    def stream(self, path: str, *, last_id: str = "", ends: Iterable[str] = (), **query: Any) -> Iterator[SseEvent]:
        """Server-sent events; reconnects behind the last one that was seen. Ends after an event named in `ends`.

        Raises LinkError after so many failures in a row as `retries` says, ApiError when the plane refuses."""
        failed, final = 0, frozenset(ends)
        while True:
            try:
                for event in self._one_stream(path, last_id, query):
                    failed, last_id = 0, event.id or last_id
                    yield event
                    if event.event in final:
                        return
            except httpx.TransportError as error:
                failed += 1
                if failed > self._retries.times:
                    raise LinkError(f"{path}: {error or type(error).__name__}") from error
            except ApiError as error:
                failed += 1
                if error.status not in RETRIED or failed > self._retries.times:
                    raise
            self._pause(self._retries.pause_s(max(failed, 1)))

    def _one_stream(self, path: str, last_id: str, query: Mapping[str, Any]) -> Iterator[SseEvent]:
        headers = {**self._headers, "accept": "text/event-stream"}
        if last_id:
            headers["last-event-id"] = last_id
        with self._http.stream("GET", _address(path), params=_query(query), headers=headers, timeout=STREAM_TIMEOUT) as response:
            if response.status_code >= 400:
                response.read()
                raise refusal(response)
            yield from parse_sse(response.iter_lines())


def _address(path: str) -> str:
    return path if path.startswith("/healthz") else PREFIX + path


def _query(query: Mapping[str, Any] | None) -> dict[str, Any]:
    """Without what was left out."""
    return {name: value for name, value in (query or {}).items() if value not in (None, "")}


def _document(response: httpx.Response) -> Plain:
    try:
        document = response.json()
    except ValueError as error:
        raise LinkError(f"{response.url}: the answer is not JSON; is this a Dure plane?") from error
    return document if isinstance(document, dict) else {"items": document}


def refusal(response: httpx.Response) -> ApiError:
    """The exception for an answer of 400 and more; what is not a problem document (a proxy's page) becomes one."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": response.reason_phrase, "status": response.status_code, "detail": response.text[:200]}
    return ApiError(response.status_code, problem)


def parse_sse(lines: Iterable[str]) -> Iterator[SseEvent]:
    """The events in a stream of lines. Comments and unknown fields are passed over; data is JSON."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line and "data" in fields:
            yield SseEvent(fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"]))
        if not line:
            fields = {}
            continue
        name, _, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")


def log_piece(event: SseEvent) -> LogPiece:
    """A server-sent event of a log as a piece of it."""
    facts = dict(event.data)
    data = base64.b64decode(facts.pop("data", ""))
    start = int(facts.pop("offset", 0))
    return LogPiece(kind=event.event, offset=start + len(data), data=data, facts=facts)
