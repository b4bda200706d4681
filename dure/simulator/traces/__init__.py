"""Traces and fleets for the simulator: readers of logs that others wrote, FLEET.toml, and a seeded generator.

What lives here: the columns of a trace and of a fleet (`trace`, `fleet`), one reader for each format behind `read_trace` and
`read_fleet`, fleets and workloads made by functions (`fleets`, `national`, `generate`, `stationary`, `cycle`) and how well
these fit what was measured (`fit`). What may never: a decision about who runs where, a guess in place of what a log does not
say (unknown stays unknown; where a default is wanted it is a named option), chance without a generator that the caller seeded,
a clock, or data of others. Bad input raises `TraceError` or `FleetError`, and nothing else; pyarrow is known to `parquet`
alone."""

from dure.simulator.traces.cycle import CycleShape, CycleWorld, cycle_world
from dure.simulator.traces.faults import Fault, FaultKind, FleetError, TraceError
from dure.simulator.traces.fleet import Fleet, FleetNodes, Kind, Pool, Site, Window
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.fleetfile import parse_fleet, read_fleet, write_fleet
from dure.simulator.traces.fleets import FLEETS, built_in, national_fleet
from dure.simulator.traces.generate import national, offered_load, submitted
from dure.simulator.traces.jobtable import write_trace
from dure.simulator.traces.national import Workload
from dure.simulator.traces.options import BadOption, Reading, ReadOptions, of_format, parse_options
from dure.simulator.traces.registry import READERS, format_of, read_trace
from dure.simulator.traces.trace import Trace, make_trace

__all__ = [
    "FLEETS",
    "READERS",
    "BadOption",
    "CycleShape",
    "CycleWorld",
    "Fault",
    "FaultKind",
    "Fleet",
    "FleetError",
    "FleetNodes",
    "Kind",
    "Pool",
    "ReadOptions",
    "Reading",
    "Site",
    "Trace",
    "TraceError",
    "Window",
    "Workload",
    "built_in",
    "cycle_world",
    "format_of",
    "make_fleet",
    "make_trace",
    "national",
    "national_fleet",
    "of_format",
    "offered_load",
    "parse_fleet",
    "parse_options",
    "read_fleet",
    "read_trace",
    "submitted",
    "write_fleet",
    "write_trace",
]
