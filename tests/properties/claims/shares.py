"""What projects had, by hand: the tree of shares, what a plan charges, and a world that goes on after a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dure.model.policy import Policy
from dure.scheduler import Plan, Snapshot
from dure.scheduler.snapshot import DEPENDENCY_MET, RUNNING
from tests.builders.world import World

WHOLE = 1000  # thousandths of a device
NORMAL = Policy().class_of("normal")
NEAR = 1e-9  # sums of floats in another order


def rate(s: Snapshot, row: int, kind: int) -> float:
    """Normalised cores of a waiting workload on a type of accelerator, -1 for none."""
    w = s.pending
    devices = int(w.devices[row]) + int(w.share_milli[row]) / WHOLE
    return float(int(w.workers[row]) * (int(w.cores_milli[row]) / 1000 + devices * s.core_rate[kind]))


def started(s: Snapshot, p: Plan) -> Iterator[tuple[int, float]]:
    """(row, what its project is charged) of all that start, in the order of their turns."""
    for i, row in enumerate(p.start_pending.tolist()):
        kind = int(s.alternatives.accelerator[p.start_alternative[i]])
        yield row, rate(s, row, kind) * int(s.pending.limit_ms[row]) / 1000


def promised(s: Snapshot, p: Plan) -> Iterator[tuple[int, float]]:
    """Likewise of those that are promised a moment, at most: on the dearest of their types."""
    w = s.pending
    for row in p.reserve_pending.tolist():
        kinds = s.alternatives.accelerator[w.alt_ptr[row] : w.alt_ptr[row + 1]].tolist()
        yield row, max(rate(s, row, kind) for kind in kinds) * int(w.limit_ms[row]) / 1000


def path(s: Snapshot, project: int) -> list[int]:
    """From the root down to the leaf of a project."""
    way = [int(s.projects.share[project])]
    while way[-1] != 0:
        way.append(int(s.shares.parent[way[-1]]))
    return way[::-1]


class Uses:
    """Use by share, with all below it."""

    def __init__(self, s: Snapshot) -> None:
        self.s, self.use = s, [0.0] * len(s.shares.ids)
        for project, leaf in enumerate(s.projects.share.tolist()):
            self.charge(project, float(s.shares.use[leaf]))

    def charge(self, project: int, amount: float) -> None:
        for share in path(self.s, project):
            self.use[share] += amount

    def level(self, share: int) -> float:
        weight = int(self.s.shares.weight[share])
        return self.use[share] / weight if weight > 0 else float("inf")


def siblings(s: Snapshot, one: int, other: int) -> tuple[int, int]:
    """The shares above two projects, or their own, that are compared with each other: children of the same share."""
    return next((a, b) for a, b in zip(path(s, one), path(s, other), strict=False) if a != b)


# -- a world that goes on ---------------------------------------------------------------------------------------------------


def calm(world: World) -> None:
    """Everybody who runs goes on to a limit that is still to come; nobody makes room for anybody; all are of one class and wait
    for nothing but their turn; sites and nodes are there."""
    world.draining = False
    world.attempts = [a for a in world.attempts if not a["id"].startswith("claim")]
    for attempt in world.attempts:
        attempt.update(state=RUNNING, beneficiary="", yields=False)
        attempt["ends_ms"] = max(attempt["ends_ms"], world.now_ms + 1000)
    for waiting in world.waiting:
        waiting["class"] = NORMAL
        waiting.update(eligible_ms=world.now_ms - 1, dependency=DEPENDENCY_MET)
    for site in world.sites.values():
        site.update(reachable=True, drained=False)
    for node in world.nodes:
        node["usable"] = True


def go_on(world: World, s: Snapshot, p: Plan, seconds: int, stays: Callable[[str], bool] = lambda id: True) -> None:
    """What the plan starts runs; so much later, whoever has reached a limit is gone, and of the others who does not stay. What
    ran is counted as use, as the plane counts it: for as long as it has run."""
    for i, row in enumerate(p.start_pending.tolist()):
        seats = range(p.start_worker_ptr[i], p.start_worker_ptr[i + 1])
        id = s.pending.ids[row]
        asked = next(w for w in world.waiting if w["id"] == id)
        world.waiting.remove(asked)
        kind = int(s.alternatives.accelerator[p.start_alternative[i]])
        world.attempt(id, [(s.nodes.ids[p.start_node[k]], int(p.start_mask[k])) for k in seats], project=asked["project"],
                      memory=asked["memory"], share=asked["share"], started=0, ends=asked["limit_ms"] / 1000)  # fmt: skip
        world.attempts[-1].update(cores_milli=asked["cores_milli"], rate=rate(s, row, kind))
    until = world.now_ms + 1000 * seconds
    for attempt in world.attempts:
        ran = max(0, min(until, attempt["ends_ms"]) - world.now_ms)
        world.projects[attempt["project"]]["use"] += attempt.get("rate", 0.0) * ran / 1000
    world.now_ms = until
    world.attempts = [a for a in world.attempts if a["ends_ms"] > until and stays(a["id"])]
    for node in world.nodes:
        node["closed"] = [(begin, end) for begin, end in node["closed"] if end > until]
    for site in world.sites.values():
        past = [step for step in site["power"] if step[0] <= until]
        site["power"] = past[-1:] + [step for step in site["power"] if step[0] > until]
