"""The planner's kernels are compiled once after each installation, before anybody waits for a plan."""

from __future__ import annotations

import threading

from dure.cli.run import Run
from dure.scheduler.warm import warm

QUIET_S = 2.0  # loading what is compiled takes less; a wait that takes longer is told


def compiled(run: Run) -> None:
    """Returns once they are: at once after the first time."""
    telling = threading.Timer(QUIET_S, run.note, ("up.compiles",))
    telling.daemon = True
    telling.start()
    try:
        warm()
    finally:
        telling.cancel()
