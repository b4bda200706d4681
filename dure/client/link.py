"""The agent's link to the plane over HTTP. It satisfies `agent.link.Link`, and knows nothing of agents but their messages."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import ssl
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote

import httpx

from dure.errors import ApiError, ConfigError, LinkError
from dure.model.codec import from_plain, to_plain
from dure.model.link import Hello, HelloAnswer, LogAnswer, LogChunk, Poll, PollAnswer, Report, ReportAnswer

MIB = 1024 * 1024
CONNECT_S = 5.0
CALL_S = 30.0
HELLO_S = 120.0  # that of a large site is read, checked and stored before it is answered
LOG_S = 45.0  # the plane may keep a chunk for 20 s until its readers have room
BUNDLE_S = 30.0  # of silence; a slow link may take longer in all
ANSWER_MAX = 64 * MIB  # of a poll that orders ten thousand launches at once

A = TypeVar("A")

# "Not now": the plane, or a proxy in front of it, wants to be asked again later.
_LATER = (408, 425, 429)


class HttpLink:
    """Called from several threads: one client keeps their connections alive (httpx clients are safe to share, and a client a
    thread would open a connection for each of the agent's threads that speaks only now and then).

    base_url: of the plane, without /api/v1. verify: False, or the file with the certificates that sign the plane's.
    proxy: URL, "" for none. margin_ms: how much longer than asked a long poll may take. Reads no environment."""

    def __init__(self, base_url: str, token: str, *, verify: bool | str = True, proxy: str = "", margin_ms: int = 10_000) -> None:
        self._margin_s = margin_ms / 1000
        self._sockets = _Sockets()
        self._client = httpx.Client(
            base_url=base_url.rstrip("/") + "/api/v1/agent/",
            headers={"Authorization": f"Bearer {token}"},
            verify=_verify(verify),
            proxy=proxy or None,
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=60),
        )

    def hello(self, hello: Hello) -> HelloAnswer:
        return self._say("hello", hello, HelloAnswer, HELLO_S)

    def poll(self, poll: Poll) -> PollAnswer:
        return self._say("poll", poll, PollAnswer, poll.wait_ms / 1000 + self._margin_s)

    def report(self, report: Report) -> ReportAnswer:
        return self._say("report", report, ReportAnswer, CALL_S)

    def send_log(self, chunk: LogChunk) -> LogAnswer:
        return self._say("logs", chunk, LogAnswer, LOG_S)

    def fetch_bundle(self, project: str, sha256: str, target: Path, size_max: int) -> str:
        """Download to a file beside `target`, verify, rename: `target` is whole or absent, whatever happens in between.

        "" when it is there, "bundle_missing", "bundle_too_large" or "bundle_corrupt" when it never will be."""
        with self._asking("GET", f"bundles/{quote(project, safe='')}/{sha256}", BUNDLE_S) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                return "bundle_missing"
            _refuse(response)
            descriptor, name = tempfile.mkstemp(prefix=".part-", dir=target.parent)
            part = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    fault = _download(response, file, sha256, size_max)
                    file.flush()
                    os.fsync(file.fileno())
                if not fault:
                    part.replace(target)
                    _sync_folder(target.parent)
                return fault
            finally:
                part.unlink(missing_ok=True)

    def close(self) -> None:
        """End the calls in progress, from any thread: they raise LinkError, and so does every later one."""
        self._sockets.shut()
        self._client.close()

    def _say(self, word: str, message: Any, kind: type[A], read_s: float) -> A:
        with self._asking("POST", word, read_s, to_plain(message)) as response:
            _refuse(response)
            body = _bounded(response, ANSWER_MAX)
        try:
            return from_plain(kind, json.loads(body))
        except (ValueError, TypeError, AttributeError, KeyError) as fault:
            raise LinkError(f"the plane's answer to {word} could not be understood: {fault}") from fault

    @contextmanager
    def _asking(self, method: str, path: str, read_s: float, body: Any = None) -> Iterator[httpx.Response]:
        """The response, its body still to be read. Every fault on the way there and back becomes a LinkError."""
        if self._sockets.closed:
            raise LinkError("the link is closed")
        timeout = httpx.Timeout(read_s, connect=CONNECT_S, pool=None)
        headers = {} if body is not None else {"Accept-Encoding": "identity"}
        try:
            with self._client.stream(
                method, path, json=body, headers=headers, timeout=timeout, extensions={"trace": self._sockets.trace}
            ) as response:
                yield response
        except (httpx.HTTPError, httpx.StreamError) as fault:
            raise LinkError(f"{method} {self._client.base_url}{path}: {type(fault).__name__} {fault}") from fault
        except RuntimeError as fault:
            if not self._sockets.closed:
                raise
            raise LinkError("the link is closed") from fault


class _Sockets:
    """The sockets in use, so that a long poll can be ended from another thread. Closing a client does not wake a thread
    that waits in recv; shutting its socket down does. httpcore's documented `trace` extension is what shows them."""

    def __init__(self) -> None:
        self.closed = False
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if not event.endswith(("connect_tcp.complete", "start_tls.complete")):
            return
        connected = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._open.add(connected)
            if self.closed:
                _shut(connected)

    def shut(self) -> None:
        with self._lock:
            self.closed = True
            for connected in list(self._open):
                _shut(connected)


def _shut(connected: socket.socket) -> None:
    # The plain socket's own method also for a TLS socket: that one's would take the TLS state away from the thread that reads.
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _verify(verify: bool | str) -> bool | ssl.SSLContext:
    if isinstance(verify, bool):
        return verify
    try:
        return ssl.create_default_context(cafile=verify)
    except OSError as fault:
        raise ConfigError(f"the certificates of the plane could not be read from {verify}: {fault}") from fault


def _refuse(response: httpx.Response) -> None:
    """Raise what a status other than success means; its body is read only then."""
    status = response.status_code
    if status < 300:
        return
    problem = _problem(_bounded(response, MIB))
    if 400 <= status < 500 and status not in _LATER:
        raise ApiError(status, problem or {"title": response.reason_phrase or "refused", "status": status})
    raise LinkError(f"{response.request.url}: {status} {problem.get('title', response.reason_phrase)}")


def _problem(body: bytes) -> Mapping[str, Any]:
    """The problem document, empty when it is none: then a proxy in between has answered."""
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _bounded(response: httpx.Response, size_max: int) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > size_max:
            raise LinkError(f"{response.request.url}: more than {size_max} bytes were answered")
    return bytes(body)


def _download(response: httpx.Response, file: IO[bytes], sha256: str, size_max: int) -> str:
    """ "" when the bytes have the hash, else why they are of no use."""
    size, digest = 0, hashlib.sha256()
    for piece in response.iter_bytes():
        size += len(piece)
        if size > size_max:
            return "bundle_too_large"
        digest.update(piece)
        file.write(piece)
    return "" if digest.hexdigest() == sha256 else "bundle_corrupt"


def _sync_folder(folder: Path) -> None:
    # A rename is durable only once its folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
