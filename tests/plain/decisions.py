"""What a plan decides while it is made, and its columns in the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from dure.scheduler.plan import Plan
from dure.scheduler.snapshot import I32, I64, Snapshot
from tests.plain.capacity import Promise
from tests.plain.place import Seats
from tests.plain.shapes import Verdict, Way

STARTS = -1  # wait code of a workload that does not wait
FACTS = 4  # columns of Plan.wait_facts


@dataclass(frozen=True, slots=True)
class Start:
    row: int
    way: Way
    site: int
    seats: Seats
    masks: tuple[int, ...]
    victims: tuple[int, ...] = ()
    places: tuple[tuple[int, tuple[int, ...]], ...] = ()  # of victims that are moved: node, and masks by worker


@dataclass(slots=True)
class Decisions:
    starts: dict[int, Start] = field(default_factory=dict)
    promises: dict[int, Promise] = field(default_factory=dict)
    blocked: dict[int, tuple[Verdict, list[Way]]] = field(default_factory=dict)  # promised rows: why, and how they could run
    ahead: dict[int, int] = field(default_factory=dict)  # by row: how many waiting ones had their turn before it
    tried: int = 0  # how many of those, the first ones, had a turn within the depth bound


def assemble(s: Snapshot, done: Decisions, verdicts: list[Verdict]) -> Plan:
    """The columns of a plan. Starts and promises stand in the order in which they were decided."""
    starts, promises = list(done.starts.values()), list(done.promises.values())
    facts = np.zeros((len(verdicts), FACTS), np.int64)
    for row, (_, numbers) in enumerate(verdicts):
        facts[row, : len(numbers)] = numbers
    return Plan(
        start_pending=_i32(x.row for x in starts),
        start_alternative=_i32(int(s.pending.alt_ptr[x.row]) + x.way.alt for x in starts),
        start_site=_i32(x.site for x in starts),
        start_currency=_i32(x.way.currency for x in starts),
        start_worker_ptr=_ptr(len(x.masks) for x in starts),
        start_node=_i32(node for x in starts for node in _by_worker(x.seats)),
        start_mask=np.array([mask for x in starts for mask in x.masks], np.uint64),
        start_victim_ptr=_ptr(len(x.victims) for x in starts),
        victim_attempt=_i32(v for x in starts for v in x.victims),
        start_reclaims=np.zeros(len(starts), np.bool_),
        victim_place_ptr=_ptr(n for x in starts for n in ([len(m) for _, m in x.places] or [0] * len(x.victims))),
        place_node=_i32(node for x in starts for node, masks in x.places for _ in masks),
        place_mask=np.array([mask for x in starts for _, masks in x.places for mask in masks], np.uint64),
        reserve_pending=_i32(p.pending for p in promises),
        reserve_ms=_i64(p.at_ms for p in promises),
        reserve_site=_i32(int(s.nodes.site[p.seats.nodes[0]]) for p in promises),
        reserve_alternative=_i32(int(s.pending.alt_ptr[p.pending]) + p.alt for p in promises),
        wait_code=_i32(code for code, _ in verdicts),
        wait_facts=facts,
        reserve_worker_ptr=_ptr(sum(p.seats.counts) for p in promises),
        reserve_node=_i32(node for p in promises for node in _by_worker(p.seats)),
        reserve_mask=np.zeros(sum(sum(p.seats.counts) for p in promises), np.uint64),
    )


def _by_worker(seats: Seats) -> Iterable[int]:
    return (node for node, count in zip(seats.nodes, seats.counts, strict=True) for _ in range(count))


def _i32(values: Iterable[int]) -> I32:
    return np.fromiter(values, np.int32)


def _i64(values: Iterable[int]) -> I64:
    return np.fromiter(values, np.int64)


def _ptr(lengths: Iterable[int]) -> I32:
    return _i32(accumulate(lengths, initial=0))
