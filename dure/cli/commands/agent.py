"""The agent that `dure up` runs as a child. It loads nothing of the plane."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from typing import Annotated

import typer

from dure.backends.local.sandbox import die_with_parent
from dure.bootstrap.site import run_site
from dure.cli.farm.logs import log_to_stderr
from dure.cli.run import Run


def agent(
    run: Run,
    farm: Annotated[str, typer.Option("--farm")],
    parent: Annotated[int, typer.Option("--parent")] = 0,
    site: Annotated[str, typer.Option("--site")] = "",
) -> None:
    """The site's agent. parent: the farm's process, with which it goes."""
    if parent:
        die_with_parent(parent, signal.SIGKILL)  # it has nothing to lose: the journal is on disk, jobs have their shims
    log_to_stderr(run.config.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_site(replace(run.config, site=site or run.config.site), farm, stop)
