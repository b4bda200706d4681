"""What the second program says of those who are moved: plain loops over plain numbers, as in `check`.

Whoever moves may be moved, and loses nothing but what it has not saved: it gets a place like its own, at once and for as long as
it may stay. What that place takes from others is held against everything else by `check` and `check_power`, as a start that holds
it from now on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from dure.scheduler.check_columns import run, windows
from dure.scheduler.plan import Plan
from dure.scheduler.snapshot import Snapshot

MOVES_MAX, MOVING_MAX = 8, 16  # how many may move for one claim, and for how many claims of a plan others may, as in the plan

Place = tuple[int, int]  # a worker: node, devices


def places_of(p: Plan, v: int) -> list[Place]:
    """Where the victim number `v` of a plan goes on, by worker; empty: it waits again."""
    return list(zip(run(p.victim_place_ptr, p.place_node, v), run(p.victim_place_ptr, p.place_mask, v), strict=True))


def moved(p: Plan) -> Iterator[tuple[int, list[Place]]]:
    """Attempts that the plan moves, and where."""
    for v, attempt in enumerate(p.victim_attempt.tolist()):
        if places := places_of(p, v):
            yield attempt, places


def stays_until(s: Snapshot, attempt: int, leave: Sequence[int]) -> int:
    """When one that is moved has left its new place at the latest. leave: when each is gone if the plan asks it to."""
    return leave[attempt] + int(s.attempts.rest_ms[attempt])


def shape_faults(s: Snapshot, p: Plan) -> Iterator[str]:
    """Columns of places that do not belong together."""
    ptr, rows, entries = p.victim_place_ptr.tolist(), len(p.victim_attempt), len(p.place_node)
    if len(ptr) != rows + 1 or ptr[0] != 0 or ptr[-1] != entries or any(a > b for a, b in pairwise(ptr)):
        yield f"column victim_place_ptr is no run over {rows} rows and {entries} entries"
    if len(p.place_mask) != len(p.place_node):
        yield "columns of places differ in length"
    if ((p.place_node < 0) | (p.place_node >= len(s.nodes.ids))).any():
        yield "column place_node names a row that does not exist"


def move_faults(s: Snapshot, p: Plan, leave: Sequence[int]) -> Iterator[str]:
    """Every rule of moving that the plan breaks."""
    yielding = {c.value for c in s.policy.classes if c.yields}
    claims = sum(map(p.moved, range(len(p.start_pending))))
    if claims > MOVING_MAX:
        yield f"others move for {claims} claims of a plan, which may be {MOVING_MAX}"
    for i, row in enumerate(p.start_pending.tolist()):
        found = [places_of(p, v) for v in range(p.start_victim_ptr[i], p.start_victim_ptr[i + 1])]
        if not any(found):
            continue
        name = s.pending.ids[row]
        if not s.policy.moves:
            yield f"others move for {name}, which the policy does not allow"
        if len(found) > MOVES_MAX:
            yield f"for {name} {len(found)} move, who may be {MOVES_MAX}"
        if not all(found) or p.start_reclaims[i]:
            yield f"for {name} some move and others do not"
        if s.pending.preemptible[row] and s.pending.priority[row] in yielding:
            yield f"others move for {name}, though it is of a class that yields"
    for attempt, places in moved(p):
        yield from _may_move(s, attempt)
        yield from _alike(s, attempt, places)
        yield from _closed(s, attempt, places, stays_until(s, attempt, leave))


def _may_move(s: Snapshot, attempt: int) -> Iterator[str]:
    a = s.attempts
    if a.rest_ms[attempt] <= 0 or a.share_milli[attempt]:
        yield f"{a.ids[attempt]} may not be moved"
    if s.now_ms < a.started_ms[attempt] + s.policy.min_run_ms:
        yield f"{a.ids[attempt]} is moved before it has had its guaranteed run"


def _alike(s: Snapshot, attempt: int, places: list[Place]) -> Iterator[str]:
    """A place is like that which is left: as many workers on one node, of the same site and type, with as many devices each."""
    a, n = s.attempts, s.nodes
    name, nodes = a.ids[attempt], run(a.worker_ptr, a.worker_node, attempt)
    devices = [mask.bit_count() for mask in run(a.worker_ptr, a.worker_mask, attempt)]
    if len(places) != len(nodes) or len(set(nodes)) != 1 or len({node for node, _ in places}) != 1:
        yield f"{name} does not move whole from one node to one other"
        return
    node, old = places[0][0], nodes[0]
    if node == old:
        yield f"{name} is moved to where it is"
    if n.site[node] != n.site[old] or n.accelerator[node] != n.accelerator[old]:
        yield f"{name} is moved to {n.ids[node]}, which is of another site or type"
    if not n.usable[node] or not s.sites.reachable[n.site[node]] or s.sites.drained[n.site[node]]:
        yield f"{name} is moved to {n.ids[node]}, which is not usable"
    if [mask.bit_count() for _, mask in places] != devices:
        yield f"{name} is moved and does not get as many devices"
    if any(mask & ~int(n.device_mask[node]) for _, mask in places):
        yield f"{name} gets devices that {n.ids[node]} does not have"


def _closed(s: Snapshot, attempt: int, places: list[Place], end_ms: int) -> Iterator[str]:
    node = places[0][0]
    for begin, over in windows(s, node):
        if begin < end_ms:
            yield (
                f"{s.attempts.ids[attempt]} is moved to {s.nodes.ids[node]} and may run until {end_ms}, though nothing may run"
                f" there from {begin} until {over}"
            )
