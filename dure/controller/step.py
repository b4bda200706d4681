"""The step: observe → snapshot → plan → check → apply. The only loop body of the product, live and simulated.

Observing has two halves: agents' reports are brought into the store as they come (commands/agents.py), and here the
mirror follows what has happened since."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np

from dure.controller import housekeeping
from dure.controller.apply import apply_groups, groups_of
from dure.controller.columns import Columns
from dure.controller.deed import Deed
from dure.controller.drift import drift
from dure.controller.mirror import Mirror
from dure.controller.sealer import Sealer
from dure.errors import InvariantViolated, require
from dure.ports import Store
from dure.scheduler import Plan, Snapshot, check, paused, plan, salvage

log = logging.getLogger(__name__)

KEPT_BACK_MS = 600_000  # what broke a plan is tried again then: the world may be another
BEHIND_MS = 60_000  # likewise, for who may not have done anything
SITES_EVERY_MS = 2_000  # how often the sites' heartbeats are read
SWEEP_EVERY_MS = 60_000  # how often what is rarely due is looked for
BUNDLES_EVERY_MS = 3_600_000  # how often code archives that nothing names are looked for
# What there is to decide where nobody waits.
_NONE = np.zeros(0, np.int32)
_NO_RUNS = np.zeros(1, np.int32)
NOTHING = Plan(
    _NONE, _NONE, _NONE, _NONE, _NO_RUNS, _NONE, np.zeros(0, np.uint64), _NO_RUNS, _NONE, np.zeros(0, np.bool_), _NONE,
    np.zeros(0, np.int64), _NONE, _NONE, _NONE, np.zeros((0, 4), np.int64),
)  # fmt: skip
DRIFT_EVERY_MS = 600_000  # how often the followed state is compared with a rebuilt one: rare, as it reads everything that is live


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What a step did."""

    snapshot: Snapshot
    plan: Plan
    sealed: int = 0
    started: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()  # workloads whose world had moved on before the plan could be applied

    @property
    def busy(self) -> bool:
        """Whether something happened, so that another step may find more to do."""
        return bool(self.sealed or self.started or self.lost)


@dataclass
class Memory:
    """What the leader remembers between steps; made anew whenever a controller takes the lead."""

    mirror: Mirror = field(default_factory=Mirror)
    notes: housekeeping.NoteKeeper = field(default_factory=housekeeping.NoteKeeper)
    sites_ms: int = 0
    sweep_ms: int = 0
    drift_ms: int = 0
    bundles_ms: int = 0
    drift_every_ms: int = DRIFT_EVERY_MS
    reachable: dict[str, bool] = field(default_factory=dict)
    kept_back: dict[str, int] = field(default_factory=dict)  # workload that broke a plan → until when it waits for that

    def __post_init__(self) -> None:
        self.columns = Columns(self.mirror)


def load(store: Store, drift_every_ms: int = DRIFT_EVERY_MS) -> Memory:
    """Read the whole live state, at one moment."""
    memory = Memory(drift_every_ms=drift_every_ms)
    store.read(memory.mirror.load)
    return memory


def step(store: Store, memory: Memory, deed: Deed, epoch: int, sealer: Sealer) -> StepReport:
    """One step under the leader epoch `epoch`. Raises StaleLeader when another controller has taken over, ChainContradicted (and
    has then decided nothing) when the stored events are not those that were signed."""
    # 1. observe: seal what happened, and bring the mirror up to it
    sealed = sealer.seal(store, epoch, deed.now_ms, memory.mirror.hear)
    _follow(store, memory, deed.now_ms)
    # 2. what time alone asks for
    _keep_house(store, memory, deed, epoch, sealer)
    _watch_drift(store, memory, deed.now_ms, epoch)
    # 3. snapshot → plan → check
    snapshot = memory.columns.snapshot(deed.now_ms, epoch)
    snapshot, decided = _decided(memory, snapshot) if snapshot.pending.ids else (snapshot, NOTHING)
    _tell_silence(store, memory, deed, snapshot, epoch)
    # 4. apply, and tell those who wait why
    groups = groups_of(memory.mirror, snapshot, decided, lambda: deed.new_id("at"), deed.now_ms)
    applied = apply_groups(store, deed, groups, epoch)
    memory.notes.write(store, memory.notes.due(snapshot, decided), epoch)
    return StepReport(snapshot=snapshot, plan=decided, sealed=sealed, started=applied.started, lost=applied.lost)


def _decided(memory: Memory, snapshot: Snapshot) -> tuple[Snapshot, Plan]:
    """A plan that passes its check, and what it was made of. Who broke one waits a while; the others do not wait for that."""
    memory.kept_back = {id: until for id, until in memory.kept_back.items() if until > snapshot.now_ms}
    if memory.kept_back:
        until = {row: memory.kept_back[id] for row, id in enumerate(snapshot.pending.ids) if id in memory.kept_back}
        for moment in sorted(set(until.values())):
            snapshot = paused(snapshot, np.array([row for row, at in until.items() if at == moment], np.int64), moment)
    fault = _broken = None
    try:
        decided = plan(snapshot)
        faults = check(snapshot, decided)
        if not faults:
            return snapshot, decided
        fault = "; ".join(faults[:5])
    except Exception as broken:  # of a kernel, or of the check: it is said, and what it came of is found
        fault, _broken = repr(broken), broken
    until_ms = snapshot.now_ms + KEPT_BACK_MS
    found = salvage(snapshot, until_ms, snapshot.now_ms + BEHIND_MS, plan)
    if found is None:
        raise InvariantViolated(f"a plan failed its check and was not applied: {fault}") from _broken
    ids, behind = ([snapshot.pending.ids[row] for row in rows] for rows in (found.kept_back, found.behind))
    memory.kept_back |= dict.fromkeys(ids, until_ms) | dict.fromkeys(behind, snapshot.now_ms + BEHIND_MS)
    log.error(
        "a plan failed its check: %s. It is made without %d that wait, for ten minutes: %s; and for one without %d behind them",
        fault, len(ids), ids[:20], len(behind),
    )  # fmt: skip
    return found.snapshot, found.plan


def _follow(store: Store, memory: Memory, now_ms: int) -> None:
    store.read(memory.mirror.follow)
    # a site that seemed silent is looked at in every step, so that it counts again as soon as it speaks
    if now_ms - memory.sites_ms >= SITES_EVERY_MS or not all(memory.reachable.values()):
        memory.sites_ms = now_ms
        store.read(memory.mirror.refresh_sites)


def _keep_house(store: Store, memory: Memory, deed: Deed, epoch: int, sealer: Sealer) -> None:
    changed = housekeeping.fail_dependents(store, deed, memory.mirror, epoch)
    changed += housekeeping.fail_late(store, deed, memory.mirror, epoch)
    changed += housekeeping.expire_awards(store, deed, memory.mirror, epoch)
    if deed.now_ms - memory.sweep_ms >= SWEEP_EVERY_MS:
        memory.sweep_ms = deed.now_ms
        housekeeping.prune_answers(store, deed, epoch)
    if deed.now_ms - (memory.bundles_ms or deed.now_ms) >= BUNDLES_EVERY_MS:
        memory.bundles_ms = deed.now_ms
        changed += housekeeping.remove_bundles(store, deed, memory.mirror, epoch)
    memory.bundles_ms = memory.bundles_ms or deed.now_ms
    if changed:
        sealer.seal(store, epoch, deed.now_ms, memory.mirror.hear)
        store.read(memory.mirror.follow)


def _watch_drift(store: Store, memory: Memory, now_ms: int, epoch: int) -> None:
    """A followed state that has drifted is a bug; it is said, and the state is read anew."""
    if now_ms - (memory.drift_ms or now_ms) >= memory.drift_every_ms:
        column = store.read(lambda reader: drift(reader, memory.mirror, memory.columns, now_ms, epoch))
        require(not column, f"the followed state differs from the stored one in {column}")
        memory.drift_ms = memory.drift_ms if column is None else now_ms  # not comparable now: at the next step
    memory.drift_ms = memory.drift_ms or now_ms


def _tell_silence(store: Store, memory: Memory, deed: Deed, snapshot: Snapshot, epoch: int) -> None:
    now = dict(zip(snapshot.sites.ids, snapshot.sites.reachable.tolist(), strict=True))
    before = memory.reachable
    silent = [s for s, ok in now.items() if not ok and before.get(s, False)]
    returned = [s for s, ok in now.items() if ok and not before.get(s, True)]
    memory.reachable = now
    housekeeping.tell_silence(store, deed, silent, returned, epoch)
