"""A trial of the sandbox: go in, check that the farm is out of sight, run the job's Python. Standard library only."""
# ruff: noqa: PTH123
# (shares the shim's imports)

from __future__ import annotations

import json
import os
import sys
from typing import Any

from dure.backends.local import sandbox


def main() -> None:
    """argv: -c, package root, trial order as JSON. Exit status 0 when a job could run so."""
    order = json.loads(sys.argv[2])
    if order["sandbox"]["level"] == "namespace+uid":
        sandbox.new_space(order["sandbox"]["shm"], 1)
    if (pid := os.fork()) == 0:
        _try(order)
    sys.exit(0 if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 else 1)


def _try(order: dict[str, Any]) -> None:
    """As a rank: never returns."""
    sandbox.set_limits(0)
    sandbox.enter(order["sandbox"])
    os.chdir(order["cwd"])
    with open("trial", "w") as file:
        file.write("a job can write where it works")
    for path in order["forbidden"]:
        if os.access(path, os.R_OK):
            sys.exit(f"a job could read {path}")
    os.execve(order["command"][0], order["command"], {"HOME": order["cwd"], "PATH": os.defpath})
