"""The planner's kernels, and those of trials, are compiled once after each installation, before anybody waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dure.cli.run import Run
from dure.scheduler.warm import warm

QUIET_S = 2.0  # loading what is compiled takes less; a wait that takes longer is told


def compiled(run: Run, kernels: Callable[[], None] = warm, told: str = "up.compiles") -> None:
    """Returns once they are: at once after the first time. told: the key of what is said to whoever waits."""
    telling = threading.Timer(QUIET_S, run.note, (told,))
    telling.daemon = True
    telling.start()
    try:
        kernels()
    finally:
        telling.cancel()
