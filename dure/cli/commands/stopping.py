"""The end of this machine's farm, with its jobs or without them."""

from __future__ import annotations

import signal
import time
from dataclasses import asdict
from typing import Annotated

import typer

from dure.bootstrap.machine import DRAINED_FOR_STOP
from dure.bootstrap.site import running_here
from dure.cli.commands.draining import Drained, drain
from dure.cli.exits import Exit
from dure.cli.farm import lock
from dure.cli.run import Run
from dure.model.calendar import parse_duration

STOP_S = 15.0  # a farm stops in less than five seconds; three times that means that it hangs
LOOK_S = 0.05


def down(
    run: Run,
    jobs: Annotated[bool, typer.Option("--jobs", help="opt.down_jobs")] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="opt.timeout", metavar="TIME")] = "10m",
) -> int:
    """Stop the farm; with --jobs, only after what runs has ended or was preempted."""
    patience_ms = parse_duration(timeout)
    if patience_ms is None:
        raise run.refusal("down.bad_time", Exit.USAGE, text=timeout)
    farm = lock.running(run.config.data)
    if farm is None:
        run.console.document({"stopped": False})
        run.say("down.none", data=run.config.data)
        return Exit.REFUSED if jobs else Exit.OK
    drained = Drained()
    if jobs:
        # a mark first: whatever happens to this command, the next start opens the farm again
        (run.config.data / DRAINED_FOR_STOP).touch(mode=0o600)
        drained = drain(run, patience_ms)
    _stop(run, farm)
    # the plane may know nothing of a job: one that an older plane on this folder started, say, and no agent has told of
    left = running_here(run.config) if jobs else []
    run.console.document({"stopped": True, "pid": farm.pid, **asdict(drained), "left": [asdict(one) for one in left]})
    for one in left:
        run.note("down.left", id=one.attempt, pid=one.pid, command=f"kill {'-9 ' if one.orphaned else ''}{one.pid}")
    run.say("down.done_but" if left else "down.done" if jobs else "down.jobs_go_on", n=len(left))
    return Exit.REFUSED if left else Exit.OK


def _stop(run: Run, farm: lock.Farm) -> None:
    process = lock.process(farm)
    if process is not None:
        process.send_signal(signal.SIGTERM)
    deadline_s = time.monotonic() + STOP_S
    while lock.process(farm) is not None:
        if time.monotonic() > deadline_s:
            raise run.refusal("down.hangs", pid=farm.pid)
        time.sleep(LOOK_S)
