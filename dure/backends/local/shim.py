"""The shim: a process that runs one attempt, outlives the agent, and writes down how it ended.

Started as `python -I -S -c <BOOT> <package root> <attempt folder> dure-shim <attempt>` in a session of its own, with the
attempt's lock open as descriptor 3. It takes orders by files only: `order.json` at the start, `stop`
(announced by a byte on `wake`) later.

Limits: wall time by its own monotonic clock; memory by a look every TICK_MS at what the whole attempt holds (proportional
sizes decide, so shared pages count once; `memory`); a log that outgrows its bound is cut back to it, its beginning is kept, and
the job runs on. The end of every rank's command is the end of the attempt: what they left running is killed. After a
stop, and when one rank of a gang has failed, everything gets SIGTERM, the grace period, and SIGKILL until `waitpid` has
nothing left. Where namespaces are allowed the ranks live in a PID namespace (`space`), and SIGKILL to its init is the end of
all of them at once, whatever they do; elsewhere the shim strikes until nothing is left. SIGTERM to the shim itself (the machine
shuts down) ends the attempt as lost, which may be run again elsewhere."""
# ruff: noqa: PTH110, PTH116
# (pathlib costs the shim 3 ms at every start)

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib
import os
import resource
import select
import signal
import sys
import time

from dure.backends.local import cgroups, checkpoints, files, memory, processes, sandbox, space, workers

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs every start 3 ms
    from collections.abc import Callable
    from typing import Any, NoReturn

LOCK_FD = 3
TICK_MS = 500  # between two looks at logs and memory
REAP_MS = 20  # between two looks while processes are being killed
STRIKES = 50  # without a pause, so that what forks without a pause is outrun
EVASION_MS = 2_000  # for which an attempt without a namespace may evade the kill before all of its user's processes go
ASIDE_AS_BYTES = 512 << 20  # address space of what unpacks and copies: Python and tarfile take 60 MiB
BLOCK = 512  # st_blocks counts in these
LOG_NOTICE = b"\n[dure: the log has reached its bound; what followed is not kept]\n"


def main() -> None:
    """argv: -c, package root, attempt folder, "dure-shim", attempt id."""
    shim = Shim(sys.argv[2])
    try:
        shim.run()
    except BaseException:
        say_fault()
        shim.give_up()


def say_fault() -> None:
    """The exception being handled, on standard error: by the interpreter itself, since `traceback` costs every start 5 ms."""
    sys.excepthook(*sys.exc_info())


def now_ms() -> int:
    """Monotonic."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Shim:
    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._listen()
        self.order: dict[str, Any] = files.read_record(f"{folder}/order.json") or {}
        self.saved = checkpoints.Checkpoints(self.order.get("checkpoint_folder", ""))
        self.gang = workers.Gang()
        self.alive: set[int] = set()  # pids of ranks that have not ended
        self.children = True  # whether waitpid may have something left
        self.outcome = ""  # why it is being ended: set at most once, by the first cause
        self.detail = ""
        self.failure: tuple[int, int] | None = None  # exit code and signal of the first rank that failed
        self.kill_at: int | None = None  # monotonic; not None: it is being ended
        self.deadline: int | None = None  # monotonic; of what runs now: what prepares it, or the command
        self.started = self.started_wall = self.tick_at = self.evidence_at = 0
        self.rss_max_mib = self.cpu_ms = 0
        self.init = 0  # pid of the namespace's init while it lives; 0 too where there is no namespace
        self.memory = memory.Watch()
        self.shm = ""  # where the attempt's own shared memory is; "" where it has none
        self.group: cgroups.Group | None = None  # what the ranks are members of, where there are cgroups

    def _listen(self) -> None:
        """Signals and the FIFO become readable descriptors, so that one poll waits for everything. First, before any other
        descriptor is made, what the caller happened to leave open is closed: it must not reach a job."""
        self.terminated = False
        fcntl.fcntl(LOCK_FD, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        sandbox.close_above(LOCK_FD)
        sandbox.prctl(sandbox.PR_SET_CHILD_SUBREAPER, 1)
        self.fifo = os.open(f"{self.folder}/wake", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self.poller = select.poll()
        self.poller.register(self.fifo, select.POLLIN)
        self.poller.register(self.woken, select.POLLIN)

    def _on_term(self, *_: object) -> None:
        self.terminated = True

    # -- the life of an attempt -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """1. a stop that came first; 2. the bundle, and an origin's checkpoint; 3. all ranks ready; 4. the record that it runs;
        5. let go; 6. watch; 7. the end."""
        self._read_stop()
        if self.outcome or not self._unpack() or not self._inherit():
            self._finish()
            return
        self._make_group()
        parent = os.getpid()
        lacking = self._enclose() or self.gang.fork(self.order, self.folder, 0 if self.init else parent, self.group)
        self.alive = set(self.gang.ranks)
        if lacking:
            self._not_ready(lacking)
            return
        self.started, self.started_wall = now_ms(), wall_ms()
        self.deadline = self.started + self.order["limit_ms"]
        self._write_run()
        for rank, number in self.gang.let_go().items():
            self.detail = self.detail or ("no_such_command" if number == errno.ENOENT else "not_executable")
            sys.stderr.write(f"rank {rank}: {os.strerror(number)}\n")
        self._watch()
        self._finish()

    def _make_group(self) -> None:
        if (plan := self.order["cgroup"]) is not None:
            group = cgroups.Group(plan["path"])
            for fault in group.make(plan["bounds"]):
                sys.stderr.write(fault + "\n")  # watched as where there are no cgroups
            self.group = group if group.door is not None else None

    def _enclose(self) -> str:
        """The namespaces of the attempt, where its level has them: "" or what went wrong. After the bundle: the unpacker is ours
        and must not be the init."""
        plan = self.order["sandbox"]
        if plan["level"] != "namespace+uid":
            return ""
        try:
            self.init, told = space.begin(plan["shm"], self.order["memory_mib"])
        except OSError as fault:
            return f"error: {fault}"
        self.shm = plan["shm"]
        self.poller.register(told, select.POLLIN)
        return ""

    def _not_ready(self, lacking: str) -> None:
        """A gang is whole or absent. A missing command is the tenant's failure; anything else is ours, and nothing ran."""
        sys.stderr.write(lacking + "\n")
        self._kill_all()
        self.failure = None
        if lacking.startswith("missing"):
            self.failure, self.detail = (workers.NO_SUCH_COMMAND, 0), "no_such_command"
        else:
            self.outcome, self.detail = "rejected", "isolation_failed"
        self._finish()

    def _unpack(self) -> bool:
        """Fill the work folder on the workload's first launch, as the job's user. False when that was not to be."""
        bundle, marker = self.order["bundle"], f"{self.order['workload_folder']}/unpacked"
        if bundle is None or os.path.exists(marker):
            return True
        unpack = importlib.import_module("dure.backends.local.unpack")  # 15 ms that only bundles pay
        try:
            archive = os.open(bundle["path"], os.O_RDONLY | os.O_CLOEXEC)
        except OSError as fault:
            sys.stderr.write(f"{fault}\n")
            self.outcome, self.detail = "rejected", "bad_bundle"
            return False
        done = self._aside(
            self.order["cwd"], bundle["ms_max"], lambda: unpack.unpack(archive, bundle["bytes_max"], bundle["files_max"])
        )
        os.close(archive)
        if self.outcome:
            return False  # stopped meanwhile
        if not done:
            self.outcome, self.detail = "rejected", "bad_bundle"
            return False
        files.write_record(marker, {"path": bundle["path"]})
        return True

    def _inherit(self) -> bool:
        """Begin with what the origin saved, on the workload's first launch. False when stopped meanwhile; a checkpoint that
        cannot be had whole is done without."""
        plan, folder = self.order["inherit"], self.order["workload_folder"]
        checkpoint, fresh, marker = self.order["checkpoint_folder"], f"{folder}/inherited.new", f"{folder}/inherited"
        if plan is None or os.path.exists(marker) or os.listdir(checkpoint):  # noqa: PTH208
            return True
        inherit = importlib.import_module("dure.backends.local.inherit")
        try:
            source = os.open(plan["from"], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            inherit.begin(fresh, self.order["sandbox"]["uid"])
        except OSError as fault:
            sys.stderr.write(f"{fault}\n")
            return True
        done = self._aside(fresh, plan["ms_max"], lambda: inherit.copy(source, plan["bytes_max"], plan["entries_max"]))
        whole = inherit.end(fresh, checkpoint, plan["from"], source, whole=done and not self.outcome)
        os.close(source)
        if self.outcome:
            return False
        files.write_record(marker, {"from": plan["from"], "whole": whole})
        return True

    def _aside(self, folder: str, ms_max: int, act: Callable[[], None]) -> bool:
        """Let a fork act in a folder as the job's user: whether it did what it was to do, in time."""
        if (pid := os.fork()) == 0:
            self._be_aside(folder, ms_max, act)
        self.alive, self.deadline = {pid}, now_ms() + ms_max
        self._watch()
        failed, self.failure, self.kill_at = self.failure, None, None
        self.children = True
        return not failed

    def _be_aside(self, folder: str, ms_max: int, act: Callable[[], None]) -> None:
        shim, code = os.getppid(), 1
        try:
            workers.be_fresh(shim)
            here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            sandbox.set_limits(0)
            resource.setrlimit(resource.RLIMIT_AS, (ASIDE_AS_BYTES, ASIDE_AS_BYTES))
            resource.setrlimit(resource.RLIMIT_CPU, (-(-ms_max // 1000),) * 2)
            workers.as_user(self.order["sandbox"], here)
            sandbox.die_with_parent(shim, signal.SIGKILL)
            act()
            code = 0
        except BaseException:
            say_fault()
        os._exit(code)

    def _watch(self) -> None:
        """Until nothing that belongs to the attempt is left."""
        while True:
            self._reap()
            if not self.children:
                return
            if self._is_empty():
                self._kill_all()
                return
            self._look_for_causes()
            self._tick()
            if not self.alive and self.kill_at is None:
                self.kill_at = now_ms()  # the commands have ended; what they left behind goes now
            if self.kill_at is not None and now_ms() >= self.kill_at:
                self._kill_all()
                return
            self._wait()

    def _is_empty(self) -> bool:
        """Whether the namespace holds nothing but its init: what a collected rank left behind is below the init."""
        return self.init != 0 and not self.alive and not processes.descendants(self.init)

    def _members(self) -> list[int]:
        return [p for p in processes.descendants(os.getpid()) if p != self.init]

    def _wait(self) -> None:
        ends_at = self.kill_at if self.kill_at is not None else self.deadline
        moments = [self.tick_at] + ([ends_at] if ends_at is not None else [])
        for fd, _ in self.poller.poll(max(0, min(moments) - now_ms()) + 1):
            with contextlib.suppress(BlockingIOError):
                os.read(fd, 4096)

    # -- reasons to end ---------------------------------------------------------------------------------------------------

    def _look_for_causes(self) -> None:
        self._read_stop()
        if self.terminated and not self.outcome:
            self._end("lost", self.order["grace_ms"])
            self.detail = self.detail or ("shim_terminated" if self.outcome else "")
        if self.kill_at is None and self.deadline is not None and now_ms() >= self.deadline:
            if self.started:
                self._end("timed_out", self.order["grace_ms"])
            else:
                self._terminate(0)  # what prepares it: a bad bundle, no checkpoint

    def _read_stop(self) -> None:
        stop = None if self.outcome else files.read_record(f"{self.folder}/stop")
        if stop is not None:
            self._end(stop.get("cause", "cancelled"), stop.get("grace_ms", 0))

    def _end(self, outcome: str, grace_ms: int) -> None:
        """Polite signal now, kill later. The first cause names the outcome, and a rank's own failure or the end of all ranks
        is a cause too; a later one can only shorten the grace."""
        decided = self.failure is not None or self.detail or (self.started and not self.alive)
        self.outcome = self.outcome or ("" if decided else outcome)
        self._terminate(grace_ms)

    def _terminate(self, grace_ms: int) -> None:
        kill_at = now_ms() + max(0, grace_ms)
        if self.kill_at is not None:
            self.kill_at = min(self.kill_at, kill_at)
            return
        self.kill_at = kill_at
        for pid in self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
        groups = {str(pid).encode() for pid in self.alive}
        below = self._members()
        strays = [p for p in below if (s := processes.stat(p)) is not None and s[processes.GROUP] not in groups]
        processes.signal_all(strays, signal.SIGTERM)

    def _kill_all(self) -> None:
        """SIGKILL until waitpid has nothing left. As subreaper the shim inherits every orphan, so nothing escapes by setsid."""
        self._spent_ms()  # of what dies under its init nobody learns it afterwards
        since = now_ms()
        while True:
            for _ in range(1 if self.init else STRIKES):
                if self.group is not None:
                    self.group.kill()
                if self.init:
                    os.kill(self.init, signal.SIGKILL)
                else:
                    processes.strike(os.getpid())
                self._reap()
                if not self.children:
                    return
            uid = self.order["sandbox"]["uid"]
            # A user of its own only: else this would end the farm.
            if not self.init and uid is not None and now_ms() - since > EVASION_MS and os.fork() == 0:
                kill_user(uid)
            self._note()
            self.poller.poll(REAP_MS)
            with contextlib.suppress(BlockingIOError):
                os.read(self.woken, 4096)

    def _reap(self) -> None:
        """Collect every child that has ended. The first rank that failed decides; the rest of its gang is then ended."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.children = False
                return
            if pid == 0:
                return
            if pid == self.init:
                self.init, self.shm = 0, ""
                continue
            self.rss_max_mib = max(self.rss_max_mib, usage.ru_maxrss >> 10)
            if pid not in self.alive:
                continue
            self.alive.discard(pid)
            code = os.waitstatus_to_exitcode(status)
            if code != 0 and self.failure is None:
                self.failure = (code, 0) if code > 0 else (128 - code, -code)
                if self.alive:
                    self._terminate(self.order["grace_ms"])

    # -- bounds and evidence ----------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Costly looks come in slices: until this one is over, the next turn of the watch, causes first, goes on with it."""
        if now_ms() < self.tick_at:
            return
        self._note()
        if not self._bound_memory():
            self.tick_at = now_ms()

    def _note(self) -> None:
        now = now_ms()
        if now < self.tick_at:
            return
        self.tick_at = now + TICK_MS
        self._bound_logs()
        if self.started and now >= self.evidence_at:
            with contextlib.suppress(OSError):  # a full disk: the next one may succeed
                self._write_run()

    def _bound_logs(self, *, last: bool = False) -> None:
        """Cut a log that has outgrown its bound. Between two looks it can grow by what the disk takes in TICK_MS.

        Blocks can be reserved behind the end of a file: by a job, and by a file system that lets a growing file have as much more
        (XFS). Freeing them may take what is written meanwhile along, so while it runs only who reserves more than that is cut."""
        bound = self.order["log_bytes_max"]
        reserved = (bound if last else 2 * bound) + len(LOG_NOTICE)
        for rank in range(len(self.order["workers"])):
            with contextlib.suppress(OSError):
                path = f"{self.folder}/log.{rank}"
                about = os.stat(path)
                if about.st_size > bound + len(LOG_NOTICE):
                    os.truncate(path, bound)
                    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
                    os.pwrite(fd, LOG_NOTICE, bound)
                    os.close(fd)
                elif about.st_blocks * BLOCK > reserved:
                    os.truncate(path, about.st_size)  # as long as it is: frees what lies behind

    def _bound_memory(self) -> bool:
        """False: not done, it takes another slice."""
        limit = self.order["memory_mib"]
        mib: int | None
        if self.group is not None and self.group.bounds_memory:
            mib = self.group.used_mib()  # for the record: the kernel keeps the bound, without a look
        else:
            mib = self.memory.used_mib(self._members, self.shm, limit)
        if mib is None:
            return False
        self.rss_max_mib = max(self.rss_max_mib, mib)
        if self.started and mib > limit and self.detail != "memory_limit":
            self.detail = "memory_limit" if not self.outcome else self.detail
            self.kill_at = now_ms()  # no polite signal: it would go on allocating
        return True

    def _write_run(self) -> None:
        pid = os.getpid()
        self.evidence_at = now_ms() + self.order["evidence_ms"]
        identity = {"boot_id": files.boot_id(), "pid": pid, "start_ticks": processes.start_ticks(pid)}
        init = [self.init, processes.start_ticks(self.init)] if self.init else None
        files.write_record(f"{self.folder}/run", {**identity, "init": init, "evidence": self._evidence()})

    def _evidence(self, *, last: bool = False) -> dict[str, Any]:
        look = self.saved.last_look if last else self.saved.look
        return {
            "started_ms": self.started_wall,
            "run_ms": now_ms() - self.started if self.started else 0,
            "cpu_ms": self._spent_ms(),
            "rss_max_mib": self.rss_max_mib,
            "checkpoint_ms": look(self.started_wall, wall_ms()),
        }

    def _spent_ms(self) -> int:
        """CPU time of what has ended and of what lives; never less than was said before."""
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        below = processes.descendants(os.getpid()) if self.children else []
        self.cpu_ms = max(self.cpu_ms, int((spent.ru_utime + spent.ru_stime) * 1000) + processes.cpu_ms(below))
        return self.cpu_ms

    def _finish(self) -> None:
        """Write how it ended. A cause that was acted upon names the outcome, whatever the command made of its signal:
        a preempted job that saves and exits 0 has not succeeded."""
        self._bound_logs(last=True)
        self._leave_group()
        outcome = self.outcome or ("failed" if self.failure or self.detail == "memory_limit" else "succeeded")
        code, number = self.failure or (0, 0)
        ran = outcome != "rejected"
        end = {"ended_ms": wall_ms() if ran else 0, "exit_code": code if ran else None, "signal": number, "detail": self.detail}
        if ran and not self.started:
            end["started_ms"] = end["ended_ms"]
        logs = [log_bytes(f"{self.folder}/log.{rank}") for rank in range(len(self.order["workers"]))]
        record = {"outcome": outcome, "evidence": {**self._evidence(last=True), **end}, "log_bytes": logs}
        files.write_record(f"{self.folder}/exit", record)

    def _leave_group(self) -> None:
        """What the kernel says of a death for want of memory: the job's own, or the machine's, which is nobody's failure here and
        no reason not to run it elsewhere."""
        if self.group is None:
            return
        oom = self.group.oom() if self.failure and not self.outcome else ""
        if oom == "job":
            self.detail, self.rss_max_mib = "memory_limit", max(self.rss_max_mib, self.order["memory_mib"])
        elif oom == "machine" and self.detail != "memory_limit":
            self.outcome, self.detail = "lost", "machine_memory"
        self.group.remove()

    def give_up(self) -> None:
        """The shim itself is broken: leave no process behind and say so. If even that fails, the driver finds it lost."""
        self._kill_all()
        self.outcome, self.detail = ("lost" if self.started else "rejected"), "shim_error"
        self._finish()


def log_bytes(path: str) -> int:
    """What a log holds at the end: whatever is written later, by one to whom a job has handed its open file, is not the job's."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def kill_user(uid: int) -> NoReturn:
    """End all that a project's user runs here, and this process: the one stroke that no fork slips through without a namespace
    (the kernel adds no process while it goes through all). It costs the project its other jobs on this machine, nobody else's."""
    try:
        os.setresuid(uid, uid, uid)
        os.kill(-1, signal.SIGKILL)
    finally:
        os._exit(0)
