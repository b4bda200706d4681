"""A job or an array by what was typed for it: id or name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dure.cli.naming import resolved
from dure.cli.run import Run
from dure.errors import ApiError


@dataclass(frozen=True, slots=True)
class Work:
    """row: of the job, of the first element of an array. states: of every element. element_of: the array of a single element."""

    id: str
    row: Mapping[str, Any]
    states: tuple[str, ...]
    is_array: bool = False

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.row["spec"]
        return spec

    @property
    def project(self) -> str:
        return str(self.row["project"])

    @property
    def element_of(self) -> str:
        return "" if self.is_array else str(self.row["array_id"])


def work_of(run: Run, text: str) -> Work:
    """Raises Refusal when several have the name, ApiError when nothing has."""
    id = resolved(run, "workload", text)
    try:
        row = run.client.workload(id)
        return Work(id, row, (row["state"],))
    except ApiError as missing:
        if missing.status != 404:
            raise
        return _array(run, id, missing)


def _array(run: Run, id: str, missing: ApiError) -> Work:
    try:
        array = run.client.array(id)
    except ApiError as nothing:
        raise missing from nothing  # people typed a job's id: what is not there is a job
    states = tuple(state for state, count in array["states"].items() for _ in range(count))
    return Work(id, run.client.workload(array["ids"][0]), states, is_array=True)
