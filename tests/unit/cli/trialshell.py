"""A terminal in a folder that holds a trace and a fleet, for `dure simulate`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dure.cli.app import call
from dure.cli.exits import Exit
from dure.cli.run import Run
from dure.client import DureClient

FLEET = """
[fleet]
name = "small"
source = "made for a test"
[[site]]
name = "seoul"
[[site.pool]]
name = "h200"
nodes = 2
accelerator = "h200"
devices = 4
cores = 64
memory_gib = 512
"""
HEADER = "job_id,tenant,submit_s,duration_s,gpus,cpus,mem_gib,limit_s\n"
# Eight devices: `long` leaves one node free, `wide` wants both, and `short` fits beside `long` if it may pass `wide`.
JOBS = "long,a,1,600,4,1,1,900\nwide,b,2,100,8,1,1,200\nshort,a,3,50,4,1,1,60\n"


def nobody(run: Run) -> DureClient:
    raise AssertionError("a simulation asks no plane")


@dataclass
class Shell:
    """A terminal in a folder that holds a trace and a fleet."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def run(self, *typed: str, expect: int = Exit.OK) -> tuple[str, str]:
        """stdout and stderr of `dure simulate`."""
        environ = {"DURE_DATA": str(self.folder / "data"), "LANG": "C", "COLUMNS": "200"}
        code = call(["simulate", *typed], environ, nobody)
        said = self.capture.readouterr()
        assert code == expect, said.out + said.err
        return said.out, said.err

    def compare(self, *typed: str, trace: str = "jobs.csv", expect: int = Exit.OK) -> tuple[str, str]:
        return self.run(trace, "--fleet", "FLEET.toml", *typed, expect=expect)

    def refused(self, *typed: str, trace: str = "jobs.csv") -> str:
        out, err = self.compare(*typed, trace=trace, expect=Exit.USAGE)
        assert out == ""
        return err

    def json(self, *typed: str) -> Any:
        return json.loads(self.compare(*typed, "--json")[0])

    def write(self, rows: str, name: str = "jobs.csv", header: str = HEADER) -> None:
        (self.folder / name).write_text(header + rows)
