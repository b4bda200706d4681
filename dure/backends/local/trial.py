"""A trial of the sandbox: go in, check that the farm is out of sight, run the job's Python. Standard library only."""
# ruff: noqa: PTH123
# (shares the shim's imports)

from __future__ import annotations

import json
import os
import sys

from dure.backends.local import sandbox


def main() -> None:
    """argv: -c, package root, trial order as JSON. Exit status 0 when a job could run so."""
    order = json.loads(sys.argv[2])
    sandbox.enter(order["sandbox"])
    os.chdir(order["cwd"])
    with open("trial", "w") as file:
        file.write("a job can write where it works")
    for path in order["forbidden"]:
        if os.access(path, os.R_OK):
            sys.exit(f"a job could read {path}")
    os.execve(order["command"][0], order["command"], {"HOME": order["cwd"], "PATH": os.defpath})
