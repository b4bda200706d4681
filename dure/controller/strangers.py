"""Places that attempts hold of which the plane knows nothing but what their site tells: set aside, never given away.

What a site says of them is believed as far as its own nodes go, and no farther."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dure.model.link import GRACE_MS
from dure.model.site import Node, Quarantine
from dure.scheduler.snapshot import FOREVER_MS


@dataclass(frozen=True, slots=True)
class Stranger:
    """One of them, in the terms of a snapshot. closes: nodes on which nobody can tell what it uses, so that nothing may start."""

    id: str
    workload: str
    project: str
    started_ms: int
    ends_ms: int
    cores_milli: int  # per worker
    memory_mib: int  # per worker
    workers: tuple[tuple[str, int], ...]  # node, devices as a mask
    closes: frozenset[str]


def strangers(rows: Iterable[Quarantine], nodes: Mapping[str, Node], taken: Mapping[str, int]) -> list[Stranger]:
    """By id. taken: devices that are held anyway, by node: a device is counted once, whoever says that it has it."""
    held, found = dict(taken), []
    by_site: dict[str, dict[str, Node]] = {}
    for row in sorted(rows, key=lambda q: q.id):
        if row.site not in by_site:
            by_site[row.site] = {id: n for id, n in nodes.items() if n.site == row.site}
        found.append(_stranger(row, by_site[row.site], held))
    return found


def _stranger(row: Quarantine, here: Mapping[str, Node], held: dict[str, int]) -> Stranger:
    seen = row.observation
    told = seen.get("workers") or []
    workers = tuple((w["node"], _newly(w, here[w["node"]], held)) for w in told if w["node"] in here)
    at = [here[node] for node, _ in workers]
    cores_milli, memory_mib = seen.get("cores_milli", 0), seen.get("memory_mib", 0)
    known = bool(told) and cores_milli > 0
    began_ms = seen.get("evidence", {}).get("started_ms", 0)
    started_ms = min(began_ms, row.seen_ms) if began_ms else row.seen_ms
    limit_ms = seen.get("limit_ms", 0)
    return Stranger(
        id=row.id,
        workload=seen.get("workload", ""),
        project=seen.get("project", ""),
        started_ms=started_ms,
        ends_ms=min(started_ms + limit_ms + GRACE_MS, int(FOREVER_MS)) if limit_ms else int(FOREVER_MS),
        cores_milli=min(cores_milli, max((n.cores_milli for n in at), default=0)) if known else 0,
        memory_mib=min(memory_mib, max((n.memory_mib for n in at), default=0)) if known else 0,
        workers=workers,
        closes=frozenset() if known else frozenset(node for node, _ in workers) if told else frozenset(here),
    )


def _newly(worker: Mapping[str, Any], node: Node, held: dict[str, int]) -> int:
    mask = 0
    for device in worker.get("devices", ()):
        if 0 <= device < node.devices:
            mask |= 1 << device
    mask &= ~held.get(node.id, 0)
    held[node.id] = held.get(node.id, 0) | mask
    return mask
