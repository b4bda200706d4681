"""The site's agent as a child process of the farm: started again when it dies, gone when the farm is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

BACKOFF_S = 0.5  # first pause before an agent that died is started again; doubles up to the maximum
BACKOFF_S_MAX = 30.0
HEALTHY_S = 60.0  # an agent that lived this long starts again without a pause that earlier deaths had earned
STOP_S = 2.0  # how long an agent may take to stop before it is killed: it has nothing to lose, its journal is on disk


class AgentChild:
    """Keeps one agent running. say(event, facts): "died" with status and pause in seconds."""

    def __init__(
        self, words: Sequence[str], environ: Mapping[str, str], say: Callable[[str, Mapping[str, object]], None]
    ) -> None:
        self._words = (sys.executable, "-m", "dure.cli", *words, "--parent", str(os.getpid()))
        self._environ = dict(environ)
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self.files: tuple[int, int] | None = None  # its limit of open files, where it is not to have the farm's

    async def keep_running(self) -> None:
        """Returns after `stop`. A session of its own, so that Ctrl-C at the terminal reaches the farm alone."""
        pause_s = BACKOFF_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            born_s = loop.time()
            self._process = await asyncio.create_subprocess_exec(
                *self._words, env=self._environ, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
            )
            self._limit(self._process.pid)
            status = await self._process.wait()
            if self._stopping.is_set():
                return
            pause_s = BACKOFF_S if loop.time() - born_s > HEALTHY_S else min(pause_s, BACKOFF_S_MAX)
            self._say("died", {"status": status, "pause_s": pause_s})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s *= 2

    def _limit(self, pid: int) -> None:
        """Long before it launches anything: whatever it launches inherits this. Linux alone can do it from outside."""
        if self.files is not None and hasattr(resource, "prlimit"):
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, self.files)

    async def stop(self) -> None:
        """End the agent; what it started runs on under its shims."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
