"""The farm of this machine, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dure.backends.local.sandbox import die_with_parent
from dure.bootstrap.machine import SystemClock, make_folder, read_secret
from dure.bootstrap.plane import PlaneParts, admin_token_works, open_plane, site_token_works
from dure.cli.connecting import PATIENCE, connect_as_admin
from dure.cli.exits import Exit
from dure.cli.farm import lock
from dure.cli.farm.agent_child import AgentChild
from dure.cli.farm.answering import answers
from dure.cli.farm.compiling import QUIET_S, compiled
from dure.cli.farm.logs import log_to_stderr
from dure.cli.farm.server import PortTaken, listen, serve, url_of
from dure.cli.memory import keep_memory
from dure.cli.run import Run
from dure.client import DureClient
from dure.errors import ApiError
from dure.model.tenancy import Role

START_S = 30.0  # a farm that answers nothing for so long after its start has failed
JOIN_S = 60.0  # its agent joins within a second or two of that; on a machine that is busy it took 15
LOOK_S = 0.05

Port = Annotated[int | None, typer.Option("--port", help="opt.port", min=0, max=65535)]
Host = Annotated[str, typer.Option("--host", help="opt.host")]


def up(
    run: Run,
    port: Port = None,
    host: Host = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="opt.detach")] = False,
    no_agent: Annotated[bool, typer.Option("--no-agent", help="opt.no_agent")] = False,
    parent: Annotated[int, typer.Option("--parent", hidden=True)] = 0,
) -> int:
    """1. hold the folder; 2. take the port; 3. open the plane; 4. serve, with the agent as a child; 5. flush."""
    config = replace(run.config, host=host or run.config.host)
    chosen = config.port if port is None else port
    if detach:
        words = ["--host", config.host, "--port", str(chosen), *(["--no-agent"] if no_agent else [])]
        return _detached(run, words, agent=not no_agent)
    if parent:
        die_with_parent(parent, signal.SIGTERM)
    log_to_stderr(config.log_level)
    keep_memory(run.environ)
    with _held(run, make_folder(config)) as farm, _listening(run, config.host, chosen) as bound:
        compiled(run)
        plane = open_plane(config)
        try:
            url = url_of(bound)
            words = ["_agent", "--farm", url, "--site", config.site]
            agent = (
                None
                if no_agent
                else AgentChild(words, {**run.environ, **_agent_env(run)}, lambda _, facts: _agent_died(run, facts))
            )

            def ready() -> None:
                lock.write(config.data, replace(farm, url=url))
                _tell_ready(run, url)
                _tell_refused_tokens(run, plane, url, agent=agent is not None)

            asyncio.run(serve(plane.app, bound, agent, plane.hang_up, ready))
        finally:
            plane.close()
    run.note("up.stopped")
    return Exit.OK


def _agent_env(run: Run) -> Mapping[str, str]:
    """What the agent has to know of what the farm was told on its command line."""
    return {"DURE_DATA": str(run.config.data)}


def _agent_died(run: Run, facts: Mapping[str, object]) -> None:
    run.note("up.agent_died", **facts)


def _tell_ready(run: Run, url: str) -> None:
    run.console.document({"url": url, "pid": os.getpid(), "data": str(run.config.data)})
    run.say("up.ready", url=url, data=run.config.data)
    run.say("up.hint", token=run.config.admin_token)


def _tell_refused_tokens(run: Run, plane: PlaneParts, url: str, *, agent: bool) -> None:
    now_ms = SystemClock().now_ms()
    if not admin_token_works(plane.store, run.config, now_ms):
        run.note("up.token_refused", url=url, file=run.config.admin_token)
    if agent and not site_token_works(plane.store, run.config, now_ms):
        run.note("up.site_token_refused", url=url, site=run.config.site, file=run.config.site_token)


@contextlib.contextmanager
def _held(run: Run, data: Path) -> Iterator[lock.Farm]:
    try:
        with lock.held(data) as farm:
            yield farm
    except lock.Held as held:
        who = held.farm
        key = "up.held_by" if who else "up.held"
        raise run.refusal(key, data=str(data), pid=who.pid if who else 0, url=who.url if who else "") from held


@contextlib.contextmanager
def _listening(run: Run, host: str, port: int) -> Iterator[socket.socket]:
    try:
        bound = listen(host, port)
    except PortTaken as taken:
        raise run.refusal("up.port_taken", host=taken.host, port=taken.port, detail=taken.detail) from taken
    with bound:
        yield bound


def _detached(run: Run, words: list[str], *, agent: bool) -> int:
    """Start the farm in a session of its own, and return once it can run a job: it answers, and its agent has joined."""
    compiled(run)
    data = make_folder(run.config)
    with (data / "farm.log").open("ab") as log:
        (data / "farm.log").chmod(0o600)
        process = subprocess.Popen(
            [sys.executable, "-m", "dure.cli", "up", "--data", str(data), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=dict(run.environ),
            cwd="/",
        )
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        farm = lock.running(data)
        if farm is not None and farm.pid == process.pid and farm.url and answers(farm.url):
            if agent:
                _await_agent(run, farm)
            _tell_ready_detached(run, farm)
            return Exit.OK
        time.sleep(LOOK_S)
    raise run.refusal("up.failed", log=str(data / "farm.log"), last=_last_line(data / "farm.log"))


def _await_agent(run: Run, farm: lock.Farm) -> None:
    """Until the site has been heard of since this start: what it said before does not count. Raises Refusal."""
    began_s, told, log = time.monotonic(), False, run.config.data / "farm.log"
    with connect_as_admin(run, farm.url) as client:
        if not _administers(client):
            raise run.refusal("up.token_refused", url=farm.url, file=run.config.admin_token)
        if not _lets_agent_in(run, farm.url):
            raise run.refusal("up.site_token_refused", url=farm.url, site=run.config.site, file=run.config.site_token)
        while not _has_joined(client, run.config.site, farm.started_ms):
            waited_s = time.monotonic() - began_s
            if waited_s > JOIN_S or lock.process(farm) is None:
                raise run.refusal("up.no_agent", url=farm.url, site=run.config.site, log=str(log), last=_last_line(log))
            if waited_s > QUIET_S and not told:
                run.note("up.awaits_agent", site=run.config.site)
                told = True
            time.sleep(LOOK_S)


def _administers(client: DureClient) -> bool:
    """Whether the client's token is still an administrator's: it may have been revoked, or its role taken."""
    return any(role == Role.ADMIN for role, _ in _grants(client))


def _lets_agent_in(run: Run, url: str) -> bool:
    """Whether the token of this machine's site is one: that, too, may have been revoked, or be of another plane."""
    with DureClient(url, read_secret(run.config.site_token), lang=run.texts.lang, retries=PATIENCE) as client:
        return (Role.AGENT, run.config.site) in _grants(client)


def _grants(client: DureClient) -> set[tuple[str, str]]:
    """Role and scope of each; none when the token is nobody's."""
    try:
        return {(grant["role"], grant["scope"]) for grant in client.me()["grants"]}
    except ApiError as refused:
        if refused.status != 401:
            raise
        return set()


def _has_joined(client: DureClient, id: str, since_ms: int) -> bool:
    site = client.site(id)
    return site["reachable"] and site["last_seen_ms"] >= since_ms and any(node["up"] for node in site["nodes"])


def _tell_ready_detached(run: Run, farm: lock.Farm) -> None:
    run.console.document({"url": farm.url, "pid": farm.pid, "data": str(run.config.data)})
    run.say("up.ready_detached", url=farm.url, pid=farm.pid)


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
