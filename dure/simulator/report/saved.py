"""A run as one Parquet file: a row a job, the stretches in which it ran as lists, and in the file's own words the policy, the
trace, the fleet, the versions and whatever else its notes tell. Unknown is null; read again it is the same run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.errors import InvariantViolated
from dure.simulator.report.facts import facts_from
from dure.simulator.report.run import COLUMNS, Run, Samples, Stretches, make_run
from dure.simulator.traces.faults import Faults
from dure.simulator.traces.parquet import read_described, write_described

FORMAT = "dure-run-1"
_KEY = "dure"
_STRETCH = {"from_ms": np.int64, "until_ms": np.int64, "held_milli": np.int64}


def write_parquet(run: Run, path: Path) -> None:
    """Write a run. Columns: those of `Run` in ms, thousandths and MiB, job_id, tenant, state; ran_from_ms, ran_until_ms,
    ran_held_milli, ran_site and ran_accelerator hold an entry for each stretch. Raises OSError."""
    part, order = run.stretches, np.argsort(run.stretches.job, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(part.job, minlength=len(run)))]).astype(np.int32)
    columns: dict[str, Any] = {name: getattr(run, name) for name in COLUMNS if name != "tenant"}
    columns |= {"job_id": [_plain(run.name(row)) for row in range(len(run))], "tenant": _named(run.tenant, run.tenants)}
    lists = {f"ran_{name}": (offsets, getattr(part, name)[order]) for name in _STRETCH}
    lists["ran_site"] = offsets, _named(part.site[order], run.fleet.sites)
    lists["ran_accelerator"] = offsets, _named(part.accelerator[order], run.fleet.accelerators)
    write_described(
        path, columns, lists, {_KEY: json.dumps(_about(run)), **{f"note.{k}": _plain(v) for k, v in run.notes.items()}}
    )


def read_parquet(path: Path) -> Run:
    """A run that `write_parquet` wrote. Raises TraceError for anything else."""
    faults = Faults(path.name, skip_bad=False, unit="row")
    columns, lists, words = read_described(path, faults)
    try:
        about = json.loads(words[_KEY])
        if about.pop("format") != FORMAT:
            raise ValueError("its format is of another version")
        return _rebuilt(columns, lists, about, {k.removeprefix("note."): v for k, v in words.items() if k.startswith("note.")})
    except (KeyError, ValueError, TypeError, InvariantViolated) as cause:
        problem = f"it is no run that Dure saved, or it was changed ({str(cause)[:200]})"
        raise faults.unreadable(problem, "Simulate again, or name a trace as such.") from cause


def _about(run: Run) -> dict[str, Any]:
    found = {name: getattr(run, name) for name in ("policy", "trace", "until_ms", "clock_ms", "tenants")}
    if run.fragmentation is not None:
        found["fragmentation"] = {name: column.tolist() for name, column in vars(run.fragmentation).items()}
    return {"format": FORMAT, **found, "fleet": run.fleet.json(), "named": bool(run.ids)}


def _rebuilt(columns: Mapping[str, Any], lists: Mapping[str, Any], about: dict[str, Any], notes: dict[str, str]) -> Run:
    fleet, tenants = facts_from(about.pop("fleet")), tuple(about.pop("tenants"))
    offsets = lists["ran_from_ms"][0]
    part = Stretches(
        job=np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), site=_coded(lists["ran_site"][1], fleet.sites),
        accelerator=_coded(lists["ran_accelerator"][1], fleet.accelerators),
        **{name: lists[f"ran_{name}"][1] for name in _STRETCH},
    )  # fmt: skip
    samples = about.pop("fragmentation", None)
    return make_run(
        **{name: columns[name] for name in COLUMNS if name != "tenant"}, tenant=_coded(columns["tenant"], tenants),
        tenants=tenants, ids=tuple(columns["job_id"]) if about.pop("named") else (), stretches=part, fleet=fleet, notes=notes,
        fragmentation=Samples(**{k: np.array(v, np.int64) for k, v in samples.items()}) if samples else None, **about,
    )  # fmt: skip


def _named(codes: NDArray[np.integer], names: tuple[str, ...]) -> list[str | None]:
    known = [*map(_plain, names), None]
    return [known[code] for code in codes.tolist()]


def _coded(words: list[str | None], names: tuple[str, ...]) -> NDArray[np.int32]:
    places = {_plain(name): place for place, name in enumerate(names)}
    return np.array([-1 if word is None else places[word] for word in words], np.int32)


def _plain(text: str) -> str:
    """Text that is UTF-8: JSON can name half a character, and a file cannot."""
    return text.encode("utf-8", "replace").decode()
