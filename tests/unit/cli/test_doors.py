"""What somebody without a token can do to the plane's port: nothing that keeps others out. Over real sockets."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from dure.cli.farm.agent_child import AgentChild
from dure.cli.farm.doors import BACKLOG, FILES_RESERVED, HEAD_BYTES_MAX, Door, places, quietly, raise_files

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nX: "


@dataclass
class House:
    """A server behind a door, and its app: it answers with the length of the body, "/early" before that, "/slow" when let."""

    door: Door
    port: int = 0
    inside: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    let: threading.Event = field(default_factory=threading.Event)
    ends: list[str] = field(default_factory=list)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        length = 0
        self.inside.release()
        while scope["path"] == "/slow" and not self.let.is_set():
            await asyncio.sleep(0.005)
        while scope["path"] != "/early":
            message = await receive()
            self.ends.append(message["type"])
            length += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        headers = [(b"content-length", str(len(str(length))).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": str(length).encode()})

    def connect(self, *words: bytes) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        for word in words:
            made.sendall(word)
        return made

    def ask(self, word: bytes = GET) -> bytes:
        with self.connect(word) as made:
            return heard(made)


def heard(made: socket.socket) -> bytes:
    """What is said next; b"" when the other side has hung up, politely or not."""
    try:
        return made.recv(4096)
    except ConnectionError:
        return b""


@contextmanager
def house(most: int = 100, **times: float) -> Iterator[House]:
    made = House(Door(most, **times))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(BACKLOG)
        made.port = bound.getsockname()[1]
        config = uvicorn.Config(
            made.app,
            http=made.door.protocol,  # type: ignore[arg-type]
            lifespan="off",
            interface="asgi3",
            log_config=None,
            backlog=BACKLOG,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield made
        finally:
            made.let.set()
            server.should_exit = True
            thread.join(20)


def test_half_open_connections_keep_nobody_out() -> None:
    with house(most=8, head_s=60) as made, ExitStack() as held:
        for _ in range(50):
            held.enter_context(made.connect(HALF))
        assert made.ask().startswith(b"HTTP/1.1 200")
        assert made.door.open <= 8 + 1


def test_idle_connections_give_way_and_those_at_work_do_not() -> None:
    with house(most=3, head_s=60) as made, ExitStack() as held:
        idle = held.enter_context(made.connect(GET))
        assert heard(idle).startswith(b"HTTP/1.1 200")
        made.inside.acquire(timeout=20)
        busy = [held.enter_context(made.connect(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")) for _ in range(3)]
        for _ in busy:
            assert made.inside.acquire(timeout=20)
        assert heard(idle) == b""  # the third at work took its place
        assert made.ask(b"").startswith(b"HTTP/1.1 503")
        made.let.set()
        assert all(heard(one).startswith(b"HTTP/1.1 200") for one in busy)
        assert made.ask().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("said", [b"", b"\r\n", HALF, GET + HALF, GET + b"\r\n"])
def test_who_does_not_finish_the_head_is_hung_up_on(said: bytes) -> None:
    with house(head_s=0.1) as made, made.connect(said) as one:
        if said.startswith(GET):
            assert heard(one).startswith(b"HTTP/1.1 200")
        if said == GET + b"\r\n":
            one.sendall(b"\r\n")
        assert heard(one) == b""
        assert made.ask().startswith(b"HTTP/1.1 200")


def test_a_head_that_comes_byte_by_byte_is_not_waited_for() -> None:
    with house(head_s=0.2) as made, made.connect(HALF) as one:
        one.settimeout(0.02)
        began_s = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - began_s < 20:
                one.sendall(b"a")
                time.sleep(0.02)
        assert made.ask().startswith(b"HTTP/1.1 200")


def test_a_head_without_end_is_cut_off() -> None:
    with house() as made, made.connect(HALF) as one:
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                one.sendall(b"a" * HEAD_BYTES_MAX)
        assert made.ask().startswith(b"HTTP/1.1 200")


def test_a_body_that_does_not_come_ends_the_request() -> None:
    with house(body_s=0.1) as made, made.connect(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab") as one:
        assert heard(one) == b""
        assert made.ask() and "http.disconnect" in made.ends


def test_a_body_that_comes_fast_enough_may_take_longer_than_the_time_for_a_short_one() -> None:
    size = 1 << 20
    with house(body_s=0.05) as made, made.connect(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size) as one:
        for _ in range(4):
            one.sendall(b"x" * (size // 4))
            time.sleep(0.04)
        assert heard(one).endswith(str(size).encode())


def test_a_request_refused_before_its_body_leaves_no_connection_behind() -> None:
    with house(head_s=0.1) as made, made.connect(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n") as one:
        assert heard(one).startswith(b"HTTP/1.1 200")
        one.sendall(b"late")
        assert heard(one) == b""


def test_a_connection_serves_one_request_after_another_and_several_at_once() -> None:
    with house(head_s=0.5, body_s=0.5) as made, made.connect() as one:
        for _ in range(3):
            one.sendall(GET)
            assert heard(one).startswith(b"HTTP/1.1 200")
        one.sendall(GET * 3)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 3:
            answers += one.recv(4096)


def test_the_process_takes_all_the_files_it_may_have_and_its_agent_as_many_as_before() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_RESERVED + 100, hard))
    try:
        assert places() == 100
        before = raise_files()
        assert before == (FILES_RESERVED + 100, hard)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
        child = AgentChild([], {}, lambda _, __: None)
        child.files = before
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
            child._limit(process.pid)
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == before
            process.communicate()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_want_of_files_is_said_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now_s = [0.0]
    handle, loop = quietly(lambda: now_s[0]), asyncio.new_event_loop()
    want = {"message": "socket.accept() out of system resource", "exception": OSError(24, "Too many open files")}
    with caplog.at_level(logging.ERROR):
        for second in range(21):
            now_s[0] = float(second)
            for _ in range(100):
                handle(loop, dict(want))
        assert len(caplog.records) == 3
        assert "Too many open files" in caplog.text and "(1000 times)" in caplog.text
        handle(loop, {"message": "something else"})
        assert len(caplog.records) == 4
    loop.close()
