"""The driver of one machine. See the package's charter for the windows of a launch and what the lock means."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import signal
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dure
from dure.backends.local import cgroups, cpus, files, isolation, limits, machine, orders, processes
from dure.backends.local.housekeeping import Billed, Housekeeping
from dure.backends.local.settings import LocalSettings
from dure.errors import BackendError
from dure.model.codec import from_plain
from dure.model.workload import Evidence, Outcome
from dure.ports import LaunchOrder, Observation, Swept

# A farm that was started with signals ignored (from a script in the background, say) must not hand that on.
SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
SHIM_LOCK_FD = 3  # where the shim finds its lock
ASIDE_FD = 10  # the lock is kept above the descriptors that the shim is given
KILL_LOOKS = 50  # looks, KILL_PAUSE_S apart, for leftovers of a dead shim before "not yet" is the answer
KILL_PAUSE_S = 0.01
LOG_READ_MAX = 4 << 20
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

# Shims are children of this process while it lives, whichever driver launched them: collected here, by pid, at every verb.
_children: set[int] = set()
_children_guard = threading.Lock()


class LocalDriver:
    """Driver, LogReader, Forgetter and Sweeper for this machine. Safe to call from several threads and, on one root, from several
    processes. Making one finds out the isolation by a trial run. `close` is not needed: everything that lasts is in files."""

    def __init__(self, settings: LocalSettings) -> None:
        # Real paths: what is covered and what is shown inside it must be told by the same names.
        settings = replace(settings, root=settings.root.resolve(), farm_folder=settings.hidden.resolve())
        self._settings = settings
        self._attempts = settings.root / "attempts"
        self._forgotten = settings.root / "forgotten"
        self._ended: dict[str, Observation] = {}  # ends do not change, so they are read once
        self._refused: dict[str, Observation] = {}  # what could not even be written down
        self._pause = threading.Event()  # never set: a wait that needs no clock
        self._house = Housekeeping(settings)
        self._claims = cpus.Claims()
        # By the root's name: several farms may divide one place, and none may take another's groups for its own.
        self._groups = cgroups.find(settings.cgroups, f"dure-{hashlib.sha256(str(settings.root).encode()).hexdigest()[:8]}-")
        self._broken = self._make_folders()
        self._isolation = isolation.Isolation(isolation.NONE, self._broken) if self._broken else isolation.decide(settings)
        self._node = machine.inventory(settings, machine.find_accelerators())

    # -- the five verbs -------------------------------------------------------------------------------------------------

    def describe(self) -> Mapping[str, Any]:
        return {
            "name": "local",
            "version": dure.__version__,
            "authority": "exact",
            "isolation": str(self._isolation),
            "isolation_why": self._isolation.why,
            "limits": limits.describe(self._settings, self._isolation, self._groups),
        }

    def inventory(self) -> Sequence[Mapping[str, Any]]:
        return [self._node]

    def launch(self, order: LaunchOrder) -> Observation:
        """1. known already? 2. fit? 3. prepare out of sight; 4. claim; 5. spawn."""
        _reap()
        if orders.is_name(order.attempt) and (known := self._known(order)) is not None:
            return known
        fault = orders.fault_of(order, self._settings, int(self._node["devices"]))
        if fault:
            return self._refuse(order, fault)
        try:
            return self._launch_new(order)
        except OSError as cause:
            return self._refuse(order, "disk_full" if cause.errno in NO_SPACE else "root_unwritable")

    def stop(self, attempt: str, cause: Outcome, grace_ms: int) -> None:
        _reap()
        folder = self._attempts / attempt
        if not orders.is_name(attempt) or attempt in self._ended or not folder.is_dir():
            return
        try:
            files.write_record_once(str(folder / "stop"), {"cause": cause.value, "grace_ms": grace_ms})
        except OSError as fault:
            raise BackendError(f"{attempt} cannot be told to stop: {fault}") from fault
        files.wake(str(folder / "wake"))

    def observe(self, attempts: Collection[str] | None = None) -> Sequence[Observation]:
        _reap()
        try:
            names = self._remembered() if attempts is None else [a for a in attempts if orders.is_name(a)]
            seen = (self._look(name) for name in names)
            return [observation for observation in seen if observation is not None]
        except OSError as fault:
            raise BackendError(f"{self._attempts} cannot be read: {fault}") from fault

    # -- besides ----------------------------------------------------------------------------------------------------------

    def read_log(self, attempt: str, worker: int, offset: int, size: int) -> bytes:
        if not orders.is_name(attempt) or worker < 0 or offset < 0:
            return b""
        folder = self._attempts / attempt
        try:
            with (folder / f"log.{worker}").open("rb") as log:
                kept = (files.read_record(str(folder / "exit")) or {}).get("log_bytes", [])
                wanted = min(max(0, size), LOG_READ_MAX, *[max(0, end - offset) for end in kept[worker : worker + 1]])
                return os.pread(log.fileno(), wanted, offset)
        except OSError:
            return self._house.epitaph(attempt)[offset : offset + max(0, size)]

    def forget(self, attempt: str) -> None:
        """Drop the folder of an attempt that has ended; what its workload made stays. A live attempt is not forgotten."""
        self._refused.pop(attempt, None)
        if not orders.is_name(attempt) or (seen := self._look(attempt)) is None or seen.phase != "ended":
            return
        with contextlib.suppress(OSError):
            self._house.bury(attempt)
            self._ended.pop(attempt, None)
        self._house.empty_trash()

    def sweep(self, billed: Billed, now_ms: int) -> Swept:
        if self._broken:
            return Swept()
        try:
            self._house.begin()
            seen = {o.attempt: o for o in self.observe() if o.attempt not in self._refused}
            gone, more = self._house.sweep(seen, billed, now_ms)
            gone += self._drop_refused(billed)
        except OSError as fault:
            raise BackendError(f"{self._settings.root} cannot be swept: {fault}") from fault
        for attempt in gone:
            self._ended.pop(attempt, None)
        return Swept(tuple(gone), more)

    def _drop_refused(self, billed: Billed) -> list[str]:
        """They have no folders, only this process's memory, which must not grow for ever."""
        gone = list(billed(list(self._refused))) if self._refused else []
        for attempt in gone:
            if orders.is_name(attempt):
                self._house.bury(attempt)
            self._refused.pop(attempt, None)
        return gone

    # -- launching ----------------------------------------------------------------------------------------------------------

    def _known(self, order: LaunchOrder) -> Observation | None:
        try:
            if (seen := self._look(order.attempt)) is not None:
                return seen
            return _refusal(order, "forgotten") if self._house.is_buried(order.attempt) else None
        except OSError:
            return None  # the launch will meet it too, and say so

    def _launch_new(self, order: LaunchOrder) -> Observation:
        if self._broken:
            self._broken = self._make_folders()
            self._isolation = isolation.decide(self._settings) if not self._broken else self._isolation
        with self._house.preparing(order):
            return self._prepare(order)

    def _prepare(self, order: LaunchOrder) -> Observation:
        wanted = orders.cores_milli(order)
        have = cpus.allowed()
        chosen = self._claims.take(order.attempt, wanted, have) if cpus.pins(self._settings, have) else ()
        plain = orders.shim_order(order, self._settings, self._isolation, self._groups, chosen)
        folder = self._attempts / f".new-{order.attempt}.{os.getpid()}.{threading.get_ident()}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            lock = orders.prepare(folder, plain)
            if lock is None:
                raise OSError("a new lock is taken")
            try:
                return self._claim_and_spawn(order, folder, lock)
            finally:
                os.close(lock)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # gone already when the claim succeeded

    def _claim_and_spawn(self, order: LaunchOrder, folder: Path, lock: int) -> Observation:
        claimed = self._attempts / order.attempt
        try:
            folder.rename(claimed)  # refused when it exists: it is never empty
        except OSError as fault:
            if fault.errno in (errno.ENOTEMPTY, errno.EEXIST) and (seen := self._look(order.attempt)) is not None:
                self._adopt_cpus(order.attempt, seen)
                return seen
            raise
        try:
            files.sync_folder(str(self._attempts))
            self._spawn(claimed, order.attempt, lock)
        except OSError:
            return self._end(order.attempt, claimed, Outcome.REJECTED, {"detail": "spawn_failed"})
        return _observation(order, "launching")

    def _spawn(self, folder: Path, attempt: str, lock: int) -> None:
        aside = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, ASIDE_FD)
        command = isolation.python_command("shim", str(folder), "dure-shim", attempt)
        log = (os.POSIX_SPAWN_OPEN, 1, str(folder / "shim.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            log,
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, aside, SHIM_LOCK_FD),
        ]
        try:
            with _children_guard:
                pid = os.posix_spawn(
                    command[0], command, isolation.SHIM_ENV, file_actions=actions, setsid=True, setsigmask=(), setsigdef=SIGNALS
                )
                _children.add(pid)
        finally:
            os.close(aside)

    def _refuse(self, order: LaunchOrder, detail: str) -> Observation:
        """Nothing was claimed. Remembered while this process lives, so that the same question gets the same answer."""
        self._claims.release(order.attempt)
        self._refused[order.attempt] = _refusal(order, detail)
        return self._refused[order.attempt]

    # -- looking --------------------------------------------------------------------------------------------------------------

    def _remembered(self) -> list[str]:
        on_disk = [] if self._broken else [e.name for e in os.scandir(self._attempts) if orders.is_name(e.name)]
        return sorted({*on_disk, *self._refused})

    def _look(self, attempt: str) -> Observation | None:
        """What is true of an attempt now; settles what its shim left open when the shim is gone."""
        if (ended := self._ended.get(attempt) or self._refused.get(attempt)) is not None:
            return ended
        folder = self._attempts / attempt
        order = files.read_record(str(folder / "order.json"))
        if order is None:
            return None
        end = files.read_record(str(folder / "exit"))
        if end is None:
            with self._lock(folder) as free:
                if free:
                    end = files.read_record(str(folder / "exit")) or self._settle(attempt, folder)
        if end is not None:
            return self._remember(attempt, order, end)
        run = files.read_record(str(folder / "run"))
        return _seen(attempt, order, "launching" if run is None else "running", Outcome.NONE, (run or {}).get("evidence", {}))

    @contextlib.contextmanager
    def _lock(self, folder: Path) -> Iterator[bool]:
        """Whether no shim and no launch holds the attempt; then nobody else does until the block is left."""
        fd = files.try_lock(str(folder / "lock"))
        try:
            yield fd is not None
        finally:
            if fd is not None:
                os.close(fd)

    def _settle(self, attempt: str, folder: Path) -> dict[str, Any] | None:
        """The shim is gone (we hold its lock) and has not said how it ended. None while something of it still lives."""
        run = files.read_record(str(folder / "run"))
        if run is None:
            self._end_group(attempt)
            return self._write_end(folder, Outcome.REJECTED, {"detail": "never_started"})
        same_boot = run.get("boot_id") == files.boot_id()
        if same_boot and run.get("start_ticks") and processes.start_ticks(run.get("pid", 0)) == run["start_ticks"]:
            return None  # the second witness says that it lives: this file system's locks are not to be trusted
        if same_boot and not self._kill_leftovers(attempt, run.get("init")):
            return None  # it may run again elsewhere once it is lost, so first it must be gone
        evidence = run.get("evidence", {})
        ended = evidence.get("started_ms", 0) + evidence.get("run_ms", 0)
        detail = "shim_died" if same_boot else "machine_rebooted"
        return self._write_end(folder, Outcome.LOST, {**evidence, "ended_ms": ended, "detail": detail})

    def _kill_leftovers(self, attempt: str, init: Sequence[int] | None) -> bool:
        """init: pid and start ticks of the namespace's, where there is one; it dies with its shim, so as a rule it is gone."""
        marker = f"DURE_ATTEMPT={attempt}".encode()
        for _ in range(KILL_LOOKS):
            grouped = self._end_group(attempt)
            if (init is None or processes.kill_space(*init)) and processes.kill_marked(marker) and grouped:
                return True
            self._pause.wait(KILL_PAUSE_S)
        return False

    def _end_group(self, attempt: str) -> bool:
        """End and remove the cgroup that a shim left: True when there is none (any more)."""
        if not self._groups.base:
            return True
        group = cgroups.Group(self._groups.path(attempt))
        group.kill()
        return group.is_empty() and group.remove()

    def _write_end(self, folder: Path, outcome: Outcome, evidence: Mapping[str, Any]) -> dict[str, Any]:
        end = {"outcome": outcome.value, "evidence": dict(evidence)}
        files.write_record(str(folder / "exit"), end)
        return end

    def _end(self, attempt: str, folder: Path, outcome: Outcome, evidence: Mapping[str, Any]) -> Observation:
        order = files.read_record(str(folder / "order.json")) or {}
        return self._remember(attempt, order, self._write_end(folder, outcome, evidence))

    def _remember(self, attempt: str, order: Mapping[str, Any], end: Mapping[str, Any]) -> Observation:
        self._claims.release(attempt)
        outcome = Outcome(end.get("outcome", Outcome.LOST.value))
        self._ended[attempt] = _seen(attempt, order, "ended", outcome, end.get("evidence", {"detail": "exit_unreadable"}))
        return self._ended[attempt]

    # -- housekeeping -----------------------------------------------------------------------------------------------------------

    def _make_folders(self) -> str:
        """Make the folders, sweep what a killed predecessor left. "" or why it cannot be."""
        try:
            self._settings.root.mkdir(mode=0o711, parents=True, exist_ok=True)
            for folder in (self._attempts, self._forgotten):
                folder.mkdir(mode=0o700, exist_ok=True)
            orders.make_python_command(self._settings)
            self._clean_up()
        except OSError as fault:
            return f"the backend's folder cannot be used: {fault}"
        return ""

    def _clean_up(self) -> None:
        for entry in list(os.scandir(self._attempts)):
            if entry.name.startswith(".new-"):
                with self._lock(Path(entry.path)) as free:  # another process may be preparing it this moment
                    if free:
                        shutil.rmtree(entry.path, ignore_errors=True)
        self._house.sweep_tombstones()
        for attempt in [e.name for e in os.scandir(self._attempts) if orders.is_name(e.name)]:
            if not (self._attempts / attempt / "exit").exists():
                self._adopt_cpus(attempt)
        for attempt in self._groups.attempts():
            if (self._attempts / attempt / "exit").exists() or not (self._attempts / attempt).exists():
                self._end_group(attempt)

    def _adopt_cpus(self, attempt: str, seen: Observation | None = None) -> None:
        order = files.read_record(str(self._attempts / attempt / "order.json")) or {}
        self._claims.adopt(attempt, order.get("cpus", ()))
        if seen is not None and seen.phase == "ended":
            self._claims.release(attempt)


def _reap() -> None:
    """Collect the shims that have ended; after us, init does."""
    with _children_guard:
        for pid in list(_children):
            try:
                gone = os.waitpid(pid, os.WNOHANG)[0] == pid
            except ChildProcessError:
                gone = True
            if gone:
                _children.discard(pid)


def _refusal(order: LaunchOrder, detail: str) -> Observation:
    return _observation(order, "ended", Outcome.REJECTED, Evidence(detail=detail))


def _observation(
    order: LaunchOrder, phase: str, outcome: Outcome = Outcome.NONE, evidence: Evidence | None = None
) -> Observation:
    return Observation(
        attempt=order.attempt,
        epoch=order.epoch,
        workload=order.workload,
        phase=phase,
        outcome=outcome,
        evidence=evidence or Evidence(),
    )


def _seen(attempt: str, order: Mapping[str, Any], phase: str, outcome: Outcome, evidence: Mapping[str, Any]) -> Observation:
    return Observation(
        attempt=attempt,
        epoch=order.get("epoch", 0),
        workload=order.get("workload", ""),
        phase=phase,
        outcome=outcome,
        evidence=from_plain(Evidence, evidence),
    )
