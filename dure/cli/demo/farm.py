"""The demo's farm: a real one, in a temporary folder and on a free port, gone without a trace afterwards.

It is started as anybody would start it (`dure up`), so what the demo shows is what `dure up` does. When somebody kills it, it is
started again, as a service manager would; its jobs do not notice.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from dure.cli.demo.failure import DemoFailure
from dure.cli.demo.interruption import Interruption
from dure.cli.farm import lock
from dure.cli.farm.answering import answers
from dure.client import DureClient, Retries
from dure.client.transport import TIMEOUT_S
from dure.errors import ApiError, LinkError

START_S = 40.0  # a cold start on a loaded machine of two cores took 8
STOP_S = 10.0
SILENT_S = 5.0  # a farm that answers nothing for so long is not asked again
END_JOBS_S = 20.0  # cancelled jobs get ten seconds of grace
LOOK_S = 0.1
# The story's client outlives a farm that is killed and comes back: nine tries, some twelve seconds.
PATIENCE = Retries(times=9, first_s=0.1, most_s=2.0)


class DemoFarm:
    """A running farm. say(event, facts): "again" when it had to be started again."""

    def __init__(
        self,
        settings: Mapping[str, str],
        lang: str,
        say: Callable[[str, Mapping[str, object]], None],
        interruption: Interruption,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dure-demo-"))
        self._environ = {**os.environ, **settings, "DURE_DATA": str(self.folder), "DURE_LANG": lang}
        for name in ("DURE_STORE", "DURE_URL", "DURE_TOKEN", "DURE_PROJECT"):
            self._environ.pop(name, None)  # the demo's farm is nobody else's
        self._lang = lang
        self._say = say
        self.pause = interruption.pause
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping, self._starting = threading.Event(), threading.Lock()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="demo-farm-watcher", daemon=True)
        self.url = ""

    def start(self) -> None:
        """Raises DemoFailure when the farm does not come up."""
        self._spawn(0)
        self.url = self._wait_ready()
        self._watcher.start()

    def client(self, token: str = "", *, retries: Retries = PATIENCE, timeout_s: float = TIMEOUT_S) -> DureClient:
        return DureClient(
            self.url,
            token or (self.folder / "admin.token").read_text(encoding="utf-8").strip(),
            lang=self._lang,
            retries=retries,
            pause=self.pause,
            timeout_s=timeout_s,
        )

    def _spawn(self, port: int) -> None:
        words = ["up", "--data", str(self.folder), "--port", str(port), "--parent", str(os.getpid())]
        with (self.folder / "farm.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dure.cli", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                start_new_session=True,
            )

    def _wait_ready(self) -> str:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s and not self._stopping.is_set():
            farm = lock.running(self.folder)
            if farm is not None and farm.url and answers(farm.url):
                return farm.url
            if farm is None and self._process is not None and self._process.poll() is not None:
                break
            self.pause(LOOK_S)
        raise DemoFailure("demo.no_farm", log=_tail(self.folder / "farm.log"))

    def _watch(self) -> None:
        """Start the farm again when it was killed; one that somebody else started meanwhile is as good."""
        while not self._stopping.wait(LOOK_S):
            dead = self._process is not None and self._process.poll() is not None
            if dead and lock.running(self.folder) is None and self._start_again():
                with contextlib.suppress(DemoFailure):
                    self._wait_ready()
        self._over.wait()  # the kernel takes the thread that started a farm for its parent: it must outlive the farm

    def _start_again(self) -> bool:
        """Unless it is being stopped: then nothing is started any more."""
        with self._starting:
            if self._stopping.is_set():
                return False
            self._say("again", {})
            self._spawn(urlsplit(self.url).port or 0)
            return True

    def stop(self) -> list[str]:
        """End its jobs, stop it, take its folder away. Returns what had to be swept up: nothing, if all is well."""
        with self._starting:
            self._stopping.set()
        try:
            if self.url and lock.running(self.folder) is not None:
                self._end_jobs()
            self._stop_farm()
            return self._sweep()
        finally:
            self._over.set()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end_jobs(self) -> None:
        """Cancel everything, and wait until no attempt lives: END_JOBS_S at most, less of a farm that is silent."""
        deadline_s = time.monotonic() + END_JOBS_S
        with (
            contextlib.suppress(ApiError, LinkError),
            self.client(retries=Retries(times=0), timeout_s=SILENT_S) as client,
        ):
            rows = [row for state in ("waiting", "starting", "running") for row in client.workloads(state=state)]
            for row in rows:
                if time.monotonic() < deadline_s:
                    with contextlib.suppress(ApiError):
                        client.cancel(row["id"])
            while time.monotonic() < deadline_s:
                attempts = client.farm()["attempts"]
                if not sum(count for state, count in attempts.items() if state != "ended"):
                    return
                time.sleep(LOOK_S)

    def _stop_farm(self) -> None:
        running = lock.running(self.folder)
        process = lock.process(running) if running else None
        for farm in (process, self._process):
            if farm is not None and (not isinstance(farm, subprocess.Popen) or farm.poll() is None):
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                    farm.send_signal(signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_S
        if process is not None:
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(STOP_S)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, deadline_s - time.monotonic()))

    def _sweep(self) -> list[str]:
        """Kill whatever still has to do with the folder, and name it: there should be nothing."""
        left = []
        for process in processes_of(self.folder):
            with contextlib.suppress(psutil.Error):
                left.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
                process.kill()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        return left


def processes_of(folder: Path) -> Iterator[psutil.Process]:
    """Live processes that name the folder in their command, work in it, or were started with it in their environment."""
    mark = str(folder)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            words = [*process.cmdline(), process.cwd(), *process.environ().values()]
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and any(mark in word for word in words):
                yield process


def _tail(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(lines[-5:])
