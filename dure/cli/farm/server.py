"""The plane's process: one event loop that serves the API, beside the controller's and the store's threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from dure.cli.farm.agent_child import AgentChild
from dure.cli.farm.doors import BACKLOG, Door, places, quietly, raise_files

# Readers of logs and events hang on for as long as they like; a farm that stops lets go of them after this long, so that the
# whole stop stays below five seconds.
GRACE_S = 1


class PortTaken(Exception):
    """Something else listens on the port. port; detail: what the kernel said."""

    def __init__(self, host: str, port: int, detail: str) -> None:
        super().__init__(f"{host}:{port}: {detail}")
        self.host, self.port, self.detail = host, port, detail


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises PortTaken. Bound before anything else is started, so that a farm
    that cannot be reached does not come up half."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as taken:
        bound.close()
        if taken.errno in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL) or isinstance(taken, socket.gaierror):
            raise PortTaken(host, port, taken.strerror or str(taken)) from taken
        raise
    return bound


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, with the farm's own signal handling instead of its."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Any, bound: socket.socket, agent: AgentChild | None, hang_up: Callable[[], None], ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT: then stop the agent first (it would call back), accept nothing more, let go of readers.

    hang_up: ends streams and long polls; ready: called once the plane answers."""
    before = raise_files()
    if agent:
        agent.files = before
    config = uvicorn.Config(
        app,
        http=Door(places()).protocol,  # type: ignore[arg-type]
        ws="none",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        timeout_keep_alive=75,
    )
    server = _Server(config)
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(quietly())
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below it stands a line for every malformed request of anybody
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    await _started(server, serving)
    tasks = {serving, asyncio.create_task(asked.wait())}
    keeping = asyncio.create_task(agent.keep_running()) if agent else None
    gc.collect()
    gc.freeze()  # what is there by now stays for good: to walk it again in each collection takes time, in the middle of a step
    ready()
    await asyncio.wait(tasks | ({keeping} if keeping else set()), return_when=asyncio.FIRST_COMPLETED)
    if agent and keeping:
        await agent.stop()
        await keeping
    asked.set()
    hang_up()
    server.should_exit = True
    await asyncio.gather(*tasks)


async def _started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)  # uvicorn has no event for it
    if serving.done():
        serving.result()
