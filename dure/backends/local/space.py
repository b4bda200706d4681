"""The init of an attempt's PID namespace: it collects orphans, and its death is the death of everything in there.

Imported by the shim: standard library only. The ranks are forked by the shim itself, into the namespace, so their exit codes
reach it; their orphans become children of this init. It is root, so no job can signal or trace it, and runs nothing of theirs."""

from __future__ import annotations

import contextlib
import os
import select
import signal

from dure.backends.local import sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs every start of a shim 3 ms
    from typing import NoReturn

READY = b"!"


def begin(shm: str, shm_mib: int) -> tuple[int, int]:
    """Make the namespaces and their init: (its pid, a descriptor that becomes readable when it has collected somebody).
    Raises OSError."""
    sandbox.new_space(shm, shm_mib)
    told, tell = os.pipe()
    life, _held = os.pipe()  # the second end is closed by the shim's death only
    pid = os.fork()
    if pid == 0:
        _be_init(tell, life)
    os.close(tell)
    os.close(life)
    if os.read(told, 1) != READY:
        raise OSError("the init of the namespace did not start")
    os.set_blocking(told, False)
    return pid, told


def _be_init(tell: int, life: int) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sandbox.close_above(2, tell, life)
        os.setpgid(0, 0)
        sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
        # The shim's pid is not visible from here; a shim that died before the line above has closed its end.
        if not select.select([life], [], [], 0)[0]:
            os.write(tell, READY)
            os.set_blocking(tell, False)
            while True:
                signal.sigwait({signal.SIGCHLD})
                _collect(tell)
    finally:
        os._exit(1)


def _collect(tell: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        os.write(tell, READY)
