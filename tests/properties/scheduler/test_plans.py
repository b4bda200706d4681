"""Whatever the farm looks like, its plan keeps these promises."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path

import numpy as np
from hypothesis import given

from dure.model.reason import ReasonKind
from dure.scheduler import Plan, Snapshot, check, plan, reason_of
from dure.scheduler.plan import CAPACITY
from dure.scheduler.snapshot import CLAIMED, STOPPING
from tests.builders.plans import both
from tests.builders.world import World
from tests.builders.worlds import examples, worlds

ROOT = str(Path(__file__).parents[3])


def digest(p: Plan) -> str:
    found = hashlib.sha256()
    for f in fields(p):
        found.update(f.name.encode() + str(getattr(p, f.name).dtype).encode() + getattr(p, f.name).tobytes())
    return found.hexdigest()


@given(worlds())
@examples(100)
def test_every_plan_passes_the_check(world: World) -> None:
    s = world.snapshot()
    assert check(s, both(s)) == ()


@given(worlds())
@examples(30)
def test_the_same_snapshot_gives_the_same_bytes(world: World) -> None:
    assert digest(plan(world.snapshot())) == digest(plan(world.snapshot()))


def farm() -> World:
    world = World().site("s0", 3, cores=8, devices=4, accelerator="a100").site("s1", 2, cores=16, devices=2, accelerator="npu")
    for i, project in enumerate(("ant", "bee", "cat", "dog")):
        world.award(project, 1000 * (i + 1))
    world.attempt("a", [("s0/n0", 3)], cores=4, ends=100).attempt("b", [("s1/n0", 1)], cores=9, ends=900)
    for i in range(60):
        project, devices = ("ant", "bee", "cat", "dog")[i % 4], (0, 1, 2)[i % 3]
        world.pending(f"w{i}", project=project, devices=devices, hold=30 + i, workers=1 + i % 2, limit=60 * (i + 1))
    world.pending("now", project="dog", priority="urgent", devices=2, hold=1)
    return world


def test_the_same_bytes_under_any_hash_seed() -> None:
    program = (
        f"import sys; sys.path.insert(0, {ROOT!r}); __file__ = {__file__!r}; exec(open(__file__).read())\n"
        "print(digest(plan(farm().snapshot())))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "77")
    }
    assert printed == {digest(plan(farm().snapshot())) + "\n"}


# -- a gang, and what it delays ---------------------------------------------------------------------------------------------


@given(worlds())
@examples(60)
def test_gangs_are_whole_or_absent(world: World) -> None:
    s = world.snapshot()
    p = plan(s)
    for i, row in enumerate(p.start_pending.tolist()):
        nodes = p.start_node[p.start_worker_ptr[i] : p.start_worker_ptr[i + 1]]
        assert len(nodes) == s.pending.workers[row]
        assert set(s.nodes.site[nodes].tolist()) == {int(p.start_site[i])}


@given(worlds(money=False))
@examples(60)
def test_no_start_delays_a_promise(world: World) -> None:
    """Replay: everybody takes all of his limit; each promised workload still finds its seats free at its moment."""
    s = world.snapshot()
    p = plan(s)
    for i in range(len(p.reserve_pending)):
        at_ms = int(p.reserve_ms[i])
        free = _free_at(s, p, at_ms)
        for j, row in enumerate(p.reserve_pending.tolist()):
            begins, ends = int(p.reserve_ms[j]), int(p.reserve_ms[j] + s.pending.limit_ms[row])
            if begins <= at_ms < ends:
                nodes = p.reserve_node[p.reserve_worker_ptr[j] : p.reserve_worker_ptr[j + 1]]
                for d, column in enumerate((s.pending.cores_milli, s.pending.memory_mib, s.pending.devices)):
                    np.subtract.at(free[d], nodes, column[row])
        mine = p.reserve_node[p.reserve_worker_ptr[i] : p.reserve_worker_ptr[i + 1]]
        wanted = [bool(c[p.reserve_pending[i]]) for c in (s.pending.cores_milli, s.pending.memory_mib, s.pending.devices)]
        assert (free[:, mine][wanted] >= 0).all()


def _free_at(s: Snapshot, p: Plan, at_ms: int) -> np.ndarray:
    """Cores, memory and devices that nobody sits on then. A claim counts once its victims are gone."""
    a, w = s.attempts, s.pending
    free = np.array([s.nodes.cores_milli, s.nodes.memory_mib, np.bitwise_count(s.nodes.device_mask)], np.int64)
    ends = np.maximum(a.ends_ms, s.now_ms + 1000)
    for i in range(len(a.ids)):
        victims = np.flatnonzero(a.beneficiary == i)
        waits = a.state[i] == CLAIMED and any(ends[v] > at_ms for v in victims)
        begun = max((int(ends[v]) for v in victims), default=0) + int(a.ends_ms[i] - a.started_ms[i])
        if not waits and max(int(ends[i]), begun if a.state[i] == CLAIMED else 0) > at_ms:
            for k in range(a.worker_ptr[i], a.worker_ptr[i + 1]):
                free[:, a.worker_node[k]] -= [a.cores_milli[i], a.memory_mib[i], int(a.worker_mask[k]).bit_count()]
    for i, row in enumerate(p.start_pending.tolist()):
        victims = p.victim_attempt[p.start_victim_ptr[i] : p.start_victim_ptr[i + 1]]
        begins = max((int(ends[v]) for v in victims), default=s.now_ms)
        if begins <= at_ms < begins + w.limit_ms[row]:
            for k in range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1]):
                free[:, p.start_node[k]] -= [w.cores_milli[row], w.memory_mib[row], w.devices[row]]
    return free


# -- reasons are true -------------------------------------------------------------------------------------------------------


def room_left(s: Snapshot, p: Plan) -> np.ndarray:
    """What others may use on each node beside everything live, claimed and started, counted afresh."""
    a = s.attempts
    total = np.array([s.nodes.cores_milli, s.nodes.memory_mib, np.zeros(len(s.nodes.ids))], np.int64)
    now, then = total.copy(), total.copy()
    masks = [int(m) for m in s.nodes.device_mask]
    victims = set(p.victim_attempt.tolist())
    for i in range(len(a.ids)):
        leaves = i in victims or (a.state[i] == STOPPING and a.beneficiary[i] >= 0)
        for k in range(a.worker_ptr[i], a.worker_ptr[i + 1]):
            node, load = a.worker_node[k], [a.cores_milli[i], a.memory_mib[i], 0]
            now[:, node] -= load if a.state[i] != CLAIMED else [0, 0, 0]
            then[:, node] -= load if not leaves else [0, 0, 0]
            masks[node] &= ~int(a.worker_mask[k])
    for i, row in enumerate(p.start_pending.tolist()):
        claim = p.start_victim_ptr[i] < p.start_victim_ptr[i + 1]
        for k in range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1]):
            node, load = p.start_node[k], [s.pending.cores_milli[row], s.pending.memory_mib[row], 0]
            then[:, node] -= load
            now[:, node] -= load if not claim else [0, 0, 0]
            masks[node] &= ~int(p.start_mask[k])
    room = np.minimum(now, then)
    room[2] = [m.bit_count() for m in masks]
    return room


def most_workers(s: Snapshot, row: int, room: np.ndarray, up: bool) -> int:
    """The most workers of a waiting workload at one allowed site, by plain division. up: only where something can start."""
    w, best = s.pending, 0
    allowed = w.site_row[w.site_ptr[row] : w.site_ptr[row + 1]].tolist()
    for alternative in range(w.alt_ptr[row], w.alt_ptr[row + 1]):
        type_ = int(s.alternatives.accelerator[alternative])
        for site in range(len(s.sites.ids)):
            if (allowed and site not in allowed) or (up and (s.sites.drained[site] or not s.sites.reachable[site])):
                continue
            found = 0
            for n in np.flatnonzero(s.nodes.site == site).tolist():
                if (up and not s.nodes.usable[n]) or ((type_ >= 0 or w.devices[row]) and s.nodes.accelerator[n] != type_):
                    continue
                wanted = (int(w.cores_milli[row]), int(w.memory_mib[row]), int(w.devices[row]))
                found += max(0, min((int(room[d, n]) // x for d, x in enumerate(wanted) if x), default=10**6))
            best = max(best, found)
    return best


@given(worlds())
@examples(100)
def test_what_a_plan_says_about_waiting_is_true(world: World) -> None:
    s = world.snapshot()
    p = plan(s)
    left = room_left(s, p)
    empty = np.array([s.nodes.cores_milli, s.nodes.memory_mib, np.bitwise_count(s.nodes.device_mask)], np.int64)
    for row, workers in enumerate(s.pending.workers.tolist()):
        reason = reason_of(s, p, row)
        if reason is None:
            continue
        facts, most = reason.facts, most_workers(s, row, empty, up=False)
        if reason.kind in CAPACITY:
            assert facts["workers_fit_now"] < workers <= most_workers(s, row, empty, up=True)
            if not p.victim_attempt.size:
                assert facts["workers_fit_now"] <= most_workers(s, row, left, up=True)
        elif reason.kind == ReasonKind.WAITS_RESERVED:
            assert most_workers(s, row, left, up=True) >= workers
            assert s.pending.ids.index(facts["for_workload"]) in p.reserve_pending
            assert s.now_ms < facts["until_ms"] < s.now_ms + s.pending.limit_ms[row]
        elif reason.kind == ReasonKind.WAITS_FOR_TURN:
            assert most_workers(s, row, left, up=True) >= workers
        elif reason.kind == ReasonKind.NODES_OUT:
            assert most_workers(s, row, empty, up=True) == facts["workers_fit_usable"] < workers <= most
        elif reason.kind == ReasonKind.SITE_TOO_SMALL:
            assert 0 <= facts["workers_fit_empty"] == most < workers
        elif reason.kind in (ReasonKind.NODE_TOO_SMALL_CORES, ReasonKind.NODE_TOO_SMALL_MEMORY):
            wanted, largest = facts.values()
            assert most == 0 and wanted > largest
        elif reason.kind in (ReasonKind.NODE_TOO_SMALL_DEVICES, ReasonKind.NO_SUCH_ACCELERATOR):
            assert most == 0 and s.pending.devices[row] > 0
        elif reason.kind in (ReasonKind.NO_SITE_REACHABLE, ReasonKind.SITES_DRAINED):
            assert most >= workers > most_workers(s, row, empty, up=True)
        elif reason.kind == ReasonKind.FUNDS_SHORT:
            assert 0 <= facts["available"] < facts["hold"]


@given(worlds(money=False))
@examples(60)
def test_who_waits_for_room_really_finds_none(world: World) -> None:
    s = world.snapshot()
    p = plan(s)
    left = room_left(s, p)
    for row, workers in enumerate(s.pending.workers.tolist()):
        reason = reason_of(s, p, row)
        if reason is not None and reason.kind in CAPACITY:
            assert most_workers(s, row, left, up=True) < workers
            _, fits, wanted, free = reason.facts.values()
            most, rooms = scarcest(s, row, left)[CAPACITY.index(reason.kind)]
            assert (wanted, free) == (needed(s, row)[CAPACITY.index(reason.kind)], most)
            assert rooms == max(r for _, r in scarcest(s, row, left).values()), "more of something else would help more"
            places: Counter[tuple[int, int]] = Counter()
            for n in in_question(s, row):
                places[int(s.nodes.site[n]), kind_of(s, row, n)] += fitting(left[:, n], needed(s, row))
            assert fits == max(places.values(), default=0)


def kind_of(s: Snapshot, row: int, node: int) -> int:
    """The accepted type that a node is of; -1 for work that runs on any."""
    return int(s.nodes.accelerator[node]) if s.pending.devices[row] else -1


def needed(s: Snapshot, row: int) -> tuple[int, int, int]:
    return int(s.pending.cores_milli[row]), int(s.pending.memory_mib[row]), int(s.pending.devices[row])


def scarcest(s: Snapshot, row: int, room: np.ndarray) -> dict[int, tuple[int, int]]:
    """By dimension that it needs: the most that is free on one node with room for the rest, and how many workers would have room
    if there were plenty of it."""
    wanted, nodes, found = needed(s, row), in_question(s, row), {}
    for d in [d for d in range(3) if wanted[d]] or [0]:
        rest = {n: fitting(room[:, n], wanted, besides=d) for n in nodes}
        found[d] = (max((int(room[d, n]) for n in nodes if rest[n]), default=0), sum(rest.values()))
    return found


def fitting(room: np.ndarray, wanted: tuple[int, int, int], besides: int = -1) -> int:
    return max(0, min((int(room[d]) // x for d, x in enumerate(wanted) if x and d != besides), default=1 << 24))


def in_question(s: Snapshot, row: int) -> list[int]:
    """Nodes on which it could start now, at sites that would hold it whole when empty."""
    w, sites = s.pending, s.sites
    empty = np.array([s.nodes.cores_milli, s.nodes.memory_mib, np.bitwise_count(s.nodes.device_mask)], np.int64)
    allowed = w.site_row[w.site_ptr[row] : w.site_ptr[row + 1]].tolist() or range(len(sites.ids))
    found = set()
    for type_ in s.alternatives.accelerator[w.alt_ptr[row] : w.alt_ptr[row + 1]].tolist():
        for site in (x for x in allowed if x >= 0 and sites.reachable[x] and not sites.drained[x]):
            there = (s.nodes.site == site) & ((s.nodes.accelerator == type_) | (type_ < 0)) & (type_ >= 0 or not w.devices[row])
            nodes = np.flatnonzero(there).tolist()
            if sum(fitting(empty[:, n], needed(s, row)) for n in nodes) >= w.workers[row]:
                found |= {n for n in nodes if s.nodes.usable[n]}
    return sorted(found)
