"""The fast path of a trial: its loop over time compiled, over the kernels that `plan` calls (`loop`, `deciding`). It makes the
same run as a snapshot and a plan at each step do (`trial`), which answer for what is not covered here."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from dure.model.policy import Packing, TurnOrder
from dure.scheduler.kernels.board import TENURES, Board, grown, longer
from dure.scheduler.kernels.ground import Table, table
from dure.scheduler.kernels.state import START, WORKER, Cycle
from dure.scheduler.kernels.turns import Turns
from dure.scheduler.kernels.waits import TURN
from dure.scheduler.order import by_demand, turn_keys
from dure.scheduler.snapshot import I32, I64, Bool, Snapshot
from dure.scheduler.tables import cycle_of
from dure.simulator.report.run import Samples
from dure.simulator.traces.trace import Trace
from dure.simulator.trial.asks import Asks
from dure.simulator.trial.columns import (
    ENDED,
    GROUP,
    JOB,
    KLASS,
    LONGER,
    MORE,
    NOW,
    OVER,
    OWED,
    REALM,
    STEPS,
    STRETCH,
    STRETCHES,
    TALLY,
    TENANT,
    UNSURE,
    WAY,
    Past,
    Track,
    Way,
)
from dure.simulator.trial.fragmentation import expected, samples_of, wasted_on
from dure.simulator.trial.fragmentation import grown as grown_samples
from dure.simulator.trial.history import KEPT, History
from dure.simulator.trial.loop import advance
from dure.simulator.trial.rules import ORDERS, Order, Rules
from dure.simulator.trial.state import Farm, Live

KINDS_EACH = 5  # kinds of a job's history


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Columns that the plan's kernels only read, and that are written to here: `Track` has the same."""

    limit: I64
    priority: I64
    priorities: I64


def uncovered(farm: Farm, asks: Asks, rules: Rules, *, learns: bool) -> str:
    """What the fast path does not know how to decide with; "": nothing of this trial."""
    found = {
        "limits of power": bool(farm.envelopes.capped), "shares of devices": bool(asks.share_milli.any()),
        "topology blocks": bool(asks.block.any()), "preferences": bool(rules.preferences),
        "work that yields": farm.yielding, "work that is moved": rules.moves,
        "packing that knows who runs": rules.packing in (Packing.FGD, Packing.LEAST_WASTE, Packing.GPU_CLUSTERING),
        "turns by learned limits": learns and by_demand(rules.turns),
    }  # fmt: skip
    return ", ".join(what for what, there in found.items() if there)


class Fast:
    """One trial. sure: whether what was decided is of any worth."""

    def __init__(
        self, trace: Trace, farm: Farm, asks: Asks, rules: Rules, preempts: Bool, *, learns: bool, every_ms: int
    ) -> None:  # fmt: skip
        """preempts: by job, whether it may take others' places."""
        s, count = _everybody(trace, farm, asks, preempts), len(trace)
        own = Own(
            limit=s.pending.limit_ms.copy(), priorities=np.zeros(2 * count, np.int64),
            priority=s.pending.priority.copy() if rules.order == Order.FAIR else np.zeros(count, np.int64),
        )  # fmt: skip
        self._cycle = _cycle(s, asks, rules, own)
        self._track = _track(trace, farm, self._cycle, asks, rules, own, learns=learns, every_ms=every_ms)
        self._track.jobs.turn = np.unique(turn_keys(s), return_inverse=True)[1].reshape(-1)
        begin_ms = int(trace.submit_ms[0]) if count else 0
        self._wasted = wasted_on(expected(asks, farm), self._cycle.board.ground, begin_ms)
        self.sure = True

    def run(self, say_every: int, say: Callable[[int, int], None]) -> int:
        """Until nothing happens any more; how many times it was decided. say: ended, and the time."""
        tally = self._track.tally
        while (came := advance(self._track, self._cycle, self._wasted, say_every)) != OVER:
            if came == UNSURE:
                self.sure = False
                break
            if came == LONGER and self._wasted.used[0] == len(self._wasted.samples):
                self._wasted = grown_samples(self._wasted)
            elif came == LONGER:
                s = self._track.stretches
                self._track = self._track._replace(stretches=longer(s, 2 * len(s) + 64))
            elif came == MORE:
                say(int(tally[ENDED]), int(tally[NOW]))
        return int(tally[STEPS])

    @property
    def track(self) -> Track:
        return self._track

    @property
    def cycle(self) -> Cycle:
        """The plan's state that is kept between steps."""
        return self._cycle

    def fragmentation(self) -> Samples | None:
        """Until now."""
        return samples_of(self._wasted, int(self._track.tally[NOW]))

    @property
    def stretches(self) -> Table:
        return self._track.stretches[: self._track.tally[STRETCHES]].view(np.recarray)


# -- the plan's tables -----------------------------------------------------------------------------------------------------------


def _everybody(trace: Trace, farm: Farm, asks: Asks, preempts: Bool) -> Snapshot:
    """A snapshot in which every job of the trace waits, and nobody runs."""
    none, count = np.zeros(0, np.int64), len(trace)
    use = np.zeros(len(farm.projects.ids))
    return farm.snapshot(0, Live(), none, np.arange(count), asks.priority.copy(), preempts, use)


def _read_only(column: I64) -> I64:
    """A view of it, as a snapshot's column is one: kernels are compiled for either."""
    view = column.view()
    view.flags.writeable = False
    return view


def _cycle(s: Snapshot, asks: Asks, rules: Rules, own: Own) -> Cycle:
    """The cycle of that snapshot, with room for an attempt of every job, whose tenures have a place of their own each. What it is
    made of has the types of any plan's, so that what was compiled for plans is used."""
    made, count, nodes = cycle_of(s), len(s.pending.ids), len(s.nodes.ids)
    seats = np.minimum(asks.workers, max(nodes, 1))
    first = np.concatenate([[0], np.cumsum(seats)]).astype(np.int64)
    ptr = np.zeros(2 * count + 1, np.int64)
    ptr[::2], ptr[1::2] = first, first[:-1]
    most = int(asks.workers.max(initial=1))
    kept = rules.promises * max(int(seats.max(initial=1)), 1)
    limit = _read_only(own.limit)
    queue = made.queue._replace(priority=_read_only(own.priority), limit=limit, shortest=limit)
    found = made.found._replace(
        starts=table(START, 2), workers=table(WORKER, most + 1), victim=np.zeros(max(count, 1), np.int32),
    )  # fmt: skip
    return made._replace(
        board=_board(grown(made.board, kept=kept + 1), int(first[-1])), queue=queue, found=found,
        turns=_turns(made.turns, count),
        candidates=made.candidates._replace(
            attempt=np.zeros(count, np.int32), lost=np.zeros(2 * count), priority=_read_only(own.priorities),
            gone=np.zeros(2 * count, np.int64),
            taken=np.zeros(2 * count, np.bool_), tenure_ptr=ptr,
        ),
        power=made.power._replace(attempt=np.zeros(2 * count, np.int64)), ends=np.zeros(2 * count, np.int64),
        victims=np.zeros(count, np.int32),
    )  # fmt: skip


def _board(board: Board, tenures: int) -> Board:
    """Nobody is there; the order of tenures is kept by `places`."""
    board = grown(board, tenures=tenures + 1)
    board.cells.cell.settled = 0
    board.used[TENURES] = tenures
    return board._replace(order=np.zeros(tenures + 1, np.int32), settled=tenures)


def _turns(turns: Turns, count: int) -> Turns:
    lines = max(count, 1)
    return turns._replace(rows=np.zeros(lines, np.int64), group=np.zeros((lines, 4), np.int64))


# -- what is kept between steps --------------------------------------------------------------------------------------------------


def _track(trace: Trace, farm: Farm, cycle: Cycle, asks: Asks, rules: Rules, own: Own, *, learns: bool, every_ms: int) -> Track:
    count = len(trace)
    jobs = _jobs(trace, farm, cycle, asks, every_ms)
    groups = _groups(jobs, asks, rules, farm.projects.share)
    classes, realms = _classes(cycle, learns=learns)
    ways = _ways(cycle, classes)
    tenants = table(TENANT, len(farm.projects.ids))
    foresees = learns or rules.order == Order.EXPECTED
    way = Way(
        ORDERS.index(rules.order), every_ms, rules.min_run_ms, float(farm.policy.half_life_ms), 0.5, rules.resumes,
        rules.preempts, learns, foresees,
    )  # fmt: skip

    def numbers(length: int) -> I64:
        return np.zeros(length, np.int64)

    return Track(
        way=way, jobs=jobs, tally=numbers(TALLY), tenants=tenants, groups=groups, classes=classes, ways=ways,
        core_rate=cycle.rules.core_rate.copy(), rows=cycle.turns.rows, active=numbers(len(classes)), realms=table(REALM, realms),
        owed=table(OWED, rules.promises + 1), live=numbers(count + 1), heap_key=numbers(2 * count + 2),
        heap_row=numbers(2 * count + 2), entered=numbers(count + 1), gone=numbers(count + 1), candidates=numbers(count + 1),
        merged=numbers(count + 1), limit=own.limit, priority=own.priority, priorities=own.priorities,
        steps=np.array([1000 * step for step in rules.steps_s], np.int64), past=_past(trace, foresees),
        stretches=table(STRETCH, count + count // 4 + 64),
    )  # fmt: skip


def _jobs(trace: Trace, farm: Farm, cycle: Cycle, asks: Asks, every_ms: int) -> Table:
    jobs = table(JOB, len(trace))
    columns = {
        "submit": trace.submit_ms, "duration": trace.duration_ms, "width": asks.width, "checkpoint": trace.checkpoint_ms,
        "apart": trace.apart * (every_ms == 0),
        "preemptible": trace.preemptible, "named": asks.limit_named, "standing": cycle.standings.code[cycle.queue.klass] == TURN,
        "tenant": farm.tenant, "klass": cycle.queue.klass, "urgent": cycle.queue.preempts, "left": trace.duration_ms,
    }  # fmt: skip
    for name, column in columns.items():
        jobs[name] = column
    jobs.start = jobs.end = -1
    return jobs


def _groups(jobs: Table, asks: Asks, rules: Rules, share: I32) -> Table:
    """A line for each priority class and tenant, the highest class first; one line where there are no classes nor tenants. share:
    by tenant, its row in the tree of shares. Writes to each job in which it waits."""
    fair = rules.order == Order.FAIR
    below = asks.priority.max(initial=0) - asks.priority if fair else np.zeros(len(jobs), np.int64)
    line = jobs.tenant if rules.turns is TurnOrder.FAIR else np.zeros_like(jobs.tenant)  # else all of a class are in one
    known, of, counts = np.unique(np.array([below, line], np.int64), axis=1, return_inverse=True, return_counts=True)
    groups = table(GROUP, known.shape[1])
    groups.below_top, groups.leaf = known[0], share[known[1]]
    groups.first = np.cumsum(counts) - counts
    jobs.group = of.reshape(-1)
    return groups


def _classes(cycle: Cycle, *, learns: bool) -> tuple[Table, int]:
    """What is known of the classes of demands beforehand, and how many realms of sites there are."""
    klass, limit, ptr = cycle.queue.klass, cycle.queue.limit, cycle.demands.each.kind_ptr
    classes = table(KLASS, len(cycle.demands.sites) + 1)
    for name in ("workers", "cores", "memory", "devices"):
        classes[name] = cycle.demands.each[name]
    classes.row[klass[::-1]] = np.arange(len(klass))[::-1]
    least, most = np.full(len(classes), np.iinfo(np.int64).max), np.zeros(len(classes), np.int64)
    np.minimum.at(least, klass, limit)
    np.maximum.at(most, klass, limit)
    classes.least, classes.uniform = (0 if learns else least), (least == most) & (not learns)
    realm = np.arange(cycle.standings.sites.shape[1])
    for c in range(len(cycle.demands.sites)):
        sites = np.flatnonzero(cycle.standings.sites[ptr[c] : ptr[c + 1]].any(axis=0))
        if len(sites):
            realm[np.isin(realm, realm[sites])] = realm[sites].min()
            classes.realm[c] = sites[0]
    classes.realm = realm[classes.realm] if len(realm) else 0
    return classes, max(len(realm), 1)


def _ways(cycle: Cycle, classes: Table) -> Table:
    """The runs of cells on which classes might run. Writes to each class where its own begin."""
    rows: list[tuple[int, int, int]] = []
    kind, ptr = cycle.demands.kind, cycle.demands.each.kind_ptr
    for c in range(len(classes) - 1):
        classes.way[c] = len(rows)
        for alt in range(ptr[c], ptr[c + 1]):
            at = np.flatnonzero(cycle.standings.sites[alt]).tolist()
            rows += [(site, cycle.low[site, kind[alt]], cycle.high[site, kind[alt]]) for site in at]
    classes.way[-1] = len(rows)
    ways = table(WAY, len(rows))
    if rows:
        ways.site, ways.low, ways.high = np.array(rows, np.int64).T
    return ways


def _past(trace: Trace, foresees: bool) -> Past:
    """The kinds of jobs by number; without any where nobody asks."""
    known: dict[Hashable, int] = {}
    kinds = np.full((len(trace) if foresees else 0, KINDS_EACH), -1, np.int32)
    of = History(trace)
    for job in range(len(kinds)):
        own = [known.setdefault(kind, len(known)) for kind in of.kinds(job)]
        kinds[job, : len(own)] = own
    return Past(kinds, np.zeros((len(known), KEPT), np.int64), np.zeros(len(known), np.int64), np.zeros(len(trace), np.int64))
