"""What quarantined attempts hold, by what their site tells of them: a place, whole nodes, or the whole site."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dure.controller.strangers import strangers
from dure.model.link import GRACE_MS
from dure.model.site import Node, Quarantine
from dure.scheduler.snapshot import FOREVER_MS

NODES = {n.id: n for n in (
    Node(id="n1", name="n1", site="north", cores_milli=8000, memory_mib=4096, devices=4),
    Node(id="n2", name="n2", site="north", cores_milli=8000, memory_mib=4096, devices=4),
    Node(id="s1", name="s1", site="south", cores_milli=8000, memory_mib=4096, devices=4),
)}  # fmt: skip


def told(**seen: Any) -> Quarantine:
    return Quarantine(id="at_1", site="north", workload="wl_1", observation={"phase": "running", **seen}, seen_ms=5000)


def worker(node: str, *devices: int) -> dict[str, Any]:
    return {"node": node, "devices": list(devices)}


def test_an_agent_that_tells_all_has_its_attempt_hold_just_that() -> None:
    seen = told(workers=[worker("n1", 0, 2)], cores_milli=2000, memory_mib=512, limit_ms=60_000, evidence={"started_ms": 1000})
    (held,) = strangers([seen], NODES, {})
    assert (held.workers, held.cores_milli, held.memory_mib) == ((("n1", 0b101),), 2000, 512)
    assert (held.started_ms, held.ends_ms, held.closes) == (1000, 61_000 + GRACE_MS, frozenset())


def test_an_older_agent_that_tells_only_where_closes_those_nodes() -> None:
    (held,) = strangers([told(workers=[worker("n2", 1)])], NODES, {})
    assert held.closes == {"n2"}
    assert (held.cores_milli, held.memory_mib, held.ends_ms) == (0, 0, int(FOREVER_MS))


def test_an_agent_that_tells_nothing_closes_its_site_and_no_other() -> None:
    (held,) = strangers([told()], NODES, {})
    assert held.closes == {"n1", "n2"}
    assert held.workers == ()


def test_a_site_can_say_nothing_of_the_nodes_of_another() -> None:
    seen = told(workers=[worker("s1", 0), worker("n1", 0)], cores_milli=10**9, memory_mib=10**9)
    (held,) = strangers([seen], NODES, {})
    assert held.workers == (("n1", 1),)
    assert (held.cores_milli, held.memory_mib) == (8000, 4096)


def test_a_device_is_counted_once_whoever_says_that_it_has_it() -> None:
    rows = [told(workers=[worker("n1", 0, 1, 9)], cores_milli=1000), told(workers=[worker("n1", 1, 2)], cores_milli=1000)]
    first, second = strangers([rows[0], replace(rows[1], id="at_2")], NODES, {"n1": 0b1})
    assert first.workers == (("n1", 0b10),)
    assert second.workers == (("n1", 0b100),)
