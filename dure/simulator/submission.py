"""What a line of a scenario submits."""

from __future__ import annotations

from dataclasses import dataclass

from dure.backends.fake import Script
from dure.model.calendar import HOUR_MS
from dure.model.workload import Demand, WorkloadSpec
from dure.simulator.story import Line, Options

TERM_MS = 1000  # from the signal to the end of what is told to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """runs_ms: how long it would run; None: as long as its limit. after: names of workloads that have to succeed before."""

    line: Line
    name: str
    project: str
    array: int  # elements; 0: it is none
    demand: Demand
    workers: int
    workers_min: int  # 0: as many as `workers`
    limit_ms: int
    runs_ms: int | None
    exits: int
    priority: str
    preemptible: bool
    checkpoint_ms: int
    after: tuple[str, ...]
    retries: int
    sites: tuple[str, ...]
    topology: str

    @property
    def script(self) -> Script:
        """What becomes of it on a fake backend."""
        return Script(run_ms=self.runs_ms, exit_code=self.exits, term_ms=TERM_MS)

    def spec(self, depends_on: tuple[str, ...]) -> WorkloadSpec:
        """depends_on: the ids of those in `after`."""
        return WorkloadSpec(
            name=self.name, command=("run",), demand=self.demand, workers=self.workers, workers_min=self.workers_min,
            limit_ms=self.limit_ms, priority=self.priority, preemptible=self.preemptible,
            checkpoint_interval_ms=self.checkpoint_ms, depends_on=depends_on, retries=self.retries, sites=self.sites,
            topology=self.topology,
        )  # fmt: skip


def submission(o: Options) -> Submission:
    """submit NAME TENANT [gpus N] [cores N] [memory N] [workers N [least N]] [on TYPE,TYPE] for LIMIT [runs TIME] [exits N]
    [priority CLASS] [checkpoint TIME] [after NAME,NAME] [array N] [retries N] [at SITE,SITE]
    [topology block] [fixed]. Raises ConfigError, naming the line."""
    name, project = o.next("the workload's name"), o.next("the tenant's name")
    array = o.number("array", 0)
    demand = Demand(
        cores_milli=o.number("cores", 1) * 1000, memory_mib=o.number("memory", 1) * 1024, devices=o.number("gpus", 0),
        accelerators=_list(o, "on", lower=True),
    )  # fmt: skip
    runs_ms = o.duration("runs", -1)
    made = Submission(
        line=o.line, name=name, project=project, array=array, demand=demand, workers=o.number("workers", 1),
        workers_min=o.number("least", 0), limit_ms=o.duration("for", HOUR_MS), runs_ms=None if runs_ms < 0 else runs_ms,
        exits=o.number("exits", 0), priority=o.take("priority") or "normal", preemptible=not o.drop("fixed"),
        checkpoint_ms=o.duration("checkpoint", 0), after=_list(o, "after"), retries=o.number("retries", 0),
        sites=_list(o, "at"), topology=o.take("topology") or "",
    )  # fmt: skip
    o.finish()
    return made


def _list(o: Options, name: str, *, lower: bool = False) -> tuple[str, ...]:
    words = (o.take(name) or "").split(",")
    return tuple(word.lower() if lower else word for word in words if word)
