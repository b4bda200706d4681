"""Compile the kernels of the fast path before anybody waits for a trial: `warm()`, once after each installation, behind that of
the scheduler."""

from __future__ import annotations

from dure.simulator.traces.fleet import Kind, Pool, Site
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.trace import make_trace
from dure.simulator.trial.rules import rules_of
from dure.simulator.trial.trial import trial


def warm() -> None:
    """What is compiled depends on the types of the columns alone, so one job on one node will do."""
    pool = Pool(name="p", nodes=1, accelerator="g", devices=1)
    fleet = make_fleet("one", [Site(name="s", pools=(pool,))], kinds=(Kind(id="g"),))
    trial(make_trace(1, submit_ms=[0], duration_ms=[1], devices=[1]), fleet, rules_of("default"))
