"""The plane on a fake world: the same controller, agents, scheduler and ledger, with a clock that only moves when told.

Here live the fakes of the ports (`fakes`), the world that ties them together (`world`), Markdown scenarios (`story`, `telling`)
and the exhaustive search over crash points (`crash`). Beside them, imported from where they are as they need numba and pyarrow:
traces of real clusters (`traces`), trials of policies on them (`trial`; `replay` and `fill`, compiled, for head-of-line orders
and packing), and what people read of a trial (`report`). Nothing here decides anything that production code decides; a fault is a
wrapper around a port, never a branch in product code. No wall clock, no unseeded chance, no thread."""

from dure.simulator.crash import CrashReport, crash_points
from dure.simulator.fakes import SeededEntropy, SimClock
from dure.simulator.scenario import ScenarioResult, run_scenario, run_text
from dure.simulator.world import Crashed, World

__all__ = [
    "CrashReport",
    "Crashed",
    "ScenarioResult",
    "SeededEntropy",
    "SimClock",
    "World",
    "crash_points",
    "run_scenario",
    "run_text",
]
