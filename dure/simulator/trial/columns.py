"""What the fast path of a trial keeps between steps, in tables that its kernels work on.

Jobs are rows of the trace everywhere, also in the queue of its plan. An attempt is twice the row of its job (`attempt_of`), so
that the tenures of a job have a stretch of their own: `Candidates.tenure_ptr` says where it begins, and where what is used of it
ends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.ground import I32, I64, Columns, Table

F64 = NDArray[np.float64]

# what a run of steps came back with
# nothing happens any more; go on; with longer `stretches`; a promise could not be made
OVER, MORE, LONGER, UNSURE = 0, 1, 2, 3

JOB: Columns = [
    # as the trace and the rules have it
    ("submit", np.int64),
    ("duration", np.int64),
    ("width", np.int64),  # devices of the whole job, or 1
    ("checkpoint", np.int64),  # every so many ms; 0: never
    ("apart", np.bool_),  # it comes when it has been decided about what else happens at its moment before
    ("preemptible", np.bool_),
    ("named", np.bool_),  # its wall time
    ("standing", np.bool_),  # it could run on the empty fleet
    ("tenant", np.int32),
    ("klass", np.int32),
    ("urgent", np.bool_),  # it may take others' places
    ("group", np.int32),  # where it waits
    ("turn", np.int64),  # by what a policy gives turns, as a number; 0 where it is by none
    # while it waits
    ("key", np.int64),  # its order within the group, smallest first, then the lower row
    ("left", np.int64),  # ms of run time
    ("attained", np.int64),  # device-milliseconds
    # what became of it
    ("start", np.int64),
    ("end", np.int64),
    ("preemptions", np.int64),
    ("lost", np.int64),
    # while it runs
    ("live", np.bool_),
    ("number", np.int64),  # of its start: attempts are in order of these
    ("started", np.int64),
    ("finish", np.int64),
    ("site", np.int32),
    ("kind", np.int32),
    ("claims", np.bool_),  # it got its place in this plan, behind others who have it still
    ("harms", np.bool_),  # it has the place of another tenant's work
    ("own", np.bool_),  # it makes room for work of its own tenant
    ("rate", np.float64),  # normalised core-seconds a second, as fair share counts them
    ("worth", np.float64),  # the same, as work that is lost is counted
]
TENANT: Columns = [
    ("use", np.float64),  # decayed until
    ("use_ms", np.int64),
    ("waiting", np.int64),
]
GROUP: Columns = [  # waiting workloads of one priority class and tenant, in the order of turns
    ("leaf", np.int32),
    ("below_top", np.int64),
    ("first", np.int64),  # in `Turns.rows`
    ("count", np.int64),
]
KLASS: Columns = [  # by class of demands, and one row more for the end of the last one's ways
    ("workers", np.int64),
    ("cores", np.int64),  # per worker, as are memory and devices
    ("memory", np.int64),
    ("devices", np.int64),
    ("way", np.int64),  # where it might run, in `ways`
    ("row", np.int64),  # a job of it
    ("least", np.int64),  # no job of it has a shorter limit
    ("uniform", np.bool_),  # all jobs of it have one limit
    ("realm", np.int32),  # sites are of one realm that have a class in common: promises in another are of no concern
    ("waiting", np.int64),
    ("urgent", np.int64),  # of those, how many may take others' places
    ("place", np.int64),  # in `active`
    ("stuck", np.bool_),  # no room for it even if nothing were promised; nothing that could help was freed since
    # in one plan
    ("stays", np.bool_),  # none of it starts any more
    ("calm", np.bool_),  # nor takes others' places
    ("open", np.bool_),  # it is counted in OPEN
    ("tried", np.bool_),  # something may be remembered of it
]
WAY: Columns = [("site", np.int64), ("low", np.int64), ("high", np.int64)]  # a run of cells
REALM: Columns = [("owed", np.int64), ("kept", np.int64)]  # promises: given but not made yet; made
OWED: Columns = [("row", np.int64), ("kept", np.bool_)]
STRETCH: Columns = [
    ("job", np.int64),
    ("since", np.int64),
    ("until", np.int64),
    ("site", np.int32),
    ("kind", np.int32),
    ("limit", np.int64),
    ("harms", np.bool_),  # it had the place of another tenant's work
    ("own", np.bool_),  # it left for work of its own tenant
]

# entries of Track.tally
NOW, ARRIVED, LIVE, WAITING, URGENT, NUMBER, STEPS, AGAIN, HEAP, STRETCHES, ENDED, ACTIVE = range(12)
# and of a plan: classes that may yet get something; promises that were given; every promise is made at once; what is known of
# candidates, how many they are, and the lowest of their priorities; the first start of this plan; jobs that got a place; those
# who make room; and of all plans: promises that could not be made, plans that had turns, and promises that were made
OPEN, GIVEN, EAGER, KNOWN, CANDIDATES, LOWEST, FIRST, ENTERED, VICTIMS, UNKEPT, PLANS, MADE = range(12, 24)
DONE = 24  # who ended at this moment: so many of `gone`
TALLY = 25


class Way(NamedTuple):
    """By which rules; numbers of `Order` as ORDERS has them."""

    order: int
    every_ms: int
    min_run_ms: int
    half_life_ms: float
    half: float  # 0.5, which is no literal: a power of it is the library's
    resumes: bool
    anyone: bool  # every job may be asked to make room, whatever the trace says
    learns: bool
    foresees: bool


class Past(NamedTuple):
    """Run times of what has ended, by kind; see `history`."""

    kinds: I32  # shape (jobs, kinds of each), from what is most like it to what is least; -1: none
    ran: I64  # shape (kinds, KEPT)
    ended: I64  # by kind: how many
    expected: I64  # by job, device-milliseconds


class Track(NamedTuple):
    way: Way
    jobs: Table  # JOB
    tally: I64
    tenants: Table  # TENANT
    groups: Table  # GROUP
    classes: Table  # KLASS
    ways: Table  # WAY
    core_rate: F64  # by type, the last for none
    rows: I64  # of the plan's turns: who waits, group by group
    active: I64  # classes of which somebody waits
    realms: Table  # REALM
    owed: Table  # OWED, in the order in which they were given
    live: I64  # in the order of their starts
    heap_key: I64  # ends to come; some are of those who left before
    heap_row: I64
    entered: I64  # scratch: who started in this plan
    gone: I64  # scratch: who leaves
    candidates: I64  # scratch
    merged: I64  # scratch: what is sorted
    # what the plan's kernels only read, to be written to; by job, and by attempt
    limit: I64
    priority: I64
    priorities: I64
    steps: I64  # device-milliseconds after which a job falls
    past: Past
    stretches: Table  # STRETCH
