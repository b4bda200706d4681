"""What a simulated run produced, what it is worth in numbers, and the report that people read.

What lives here: the columns of a run (`run`) and what it needs to know of the fleet (`facts`), exact sums over them (`exact`,
`usage`), the measures (`metrics`, `groups`), runs of one trace side by side (`compare`), a run as a Parquet file (`saved`), and
one page of HTML without anything from elsewhere (`page`, with `charts`, `svg`, `markup`, `texts`). What may never: a decision
about who runs where, a clock, chance, a script, a font or picture of others, a number that is not of all jobs unless it says so,
or text of a trace that reaches the page unescaped."""

from dure.simulator.report.compare import MEASURES, Measure, Row, Table, common, compare
from dure.simulator.report.facts import FleetFacts, facts_of
from dure.simulator.report.groups import Group, by_size, by_tenant
from dure.simulator.report.metrics import Waited, longest_wait, measure, widest_gang
from dure.simulator.report.page import page, write_html
from dure.simulator.report.run import FINISHED, NEVER, STATES, UNFINISHED, Run, Samples, Stretches, make_run, run_of
from dure.simulator.report.saved import read_parquet, write_parquet

__all__ = [
    "FINISHED",
    "MEASURES",
    "NEVER",
    "STATES",
    "UNFINISHED",
    "FleetFacts",
    "Group",
    "Measure",
    "Row",
    "Run",
    "Samples",
    "Stretches",
    "Table",
    "Waited",
    "by_size",
    "by_tenant",
    "common",
    "compare",
    "facts_of",
    "longest_wait",
    "make_run",
    "measure",
    "page",
    "read_parquet",
    "run_of",
    "widest_gang",
    "write_html",
    "write_parquet",
]
