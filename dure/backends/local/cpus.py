"""Which CPUs an attempt may use: chosen so that whole cores are nobody else's while there are enough. Pure but for `allowed`.

A CPU is what the kernel numbers: on a machine with hyperthreads that is one thread, and a "core" of a job is one of those, as in
the node's inventory. Siblings and memory nodes are not looked at: the free CPUs with the lowest numbers are taken."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence

from dure.backends.local.settings import LocalSettings

CORE = 1000  # thousandths of a core


def choose(cpus: Collection[int], load: Mapping[int, int], cores_milli: int) -> dict[int, int]:
    """CPU -> thousandths of it that the attempt is counted for. cpus: what there is (not empty). load: what others take of each.

    Whole cores go to the CPUs that are least taken, so to free ones while there are enough. A fraction goes where fractions are
    already and it still fits, the fullest first, so that no free CPU is broken into without need; else to the least taken one.
    Never fewer than one CPU, never more than there are."""
    whole, part = divmod(max(1, cores_milli), CORE)
    by_load = sorted(cpus, key=lambda cpu: (load.get(cpu, 0), cpu))
    chosen = dict.fromkeys(by_load[:whole], CORE)
    rest = by_load[whole:]
    if part and rest:
        shared = [cpu for cpu in rest if 0 < load.get(cpu, 0) <= CORE - part]
        chosen[max(shared, key=lambda cpu: (load[cpu], -cpu)) if shared else rest[0]] = part
    return chosen


class Claims:
    """What the live attempts have of the machine's CPUs. Safe from several threads. What lasts is in each attempt's order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[str, Mapping[int, int]] = {}

    def take(self, attempt: str, cores_milli: int, cpus: Collection[int]) -> Sequence[tuple[int, int]]:
        """Choose for an attempt and count it until `release`: [(CPU, thousandths)] in order."""
        with self._lock:
            load: dict[int, int] = {}
            for other, claim in self._claims.items():
                for cpu, milli in claim.items() if other != attempt else ():
                    load[cpu] = load.get(cpu, 0) + milli
            self._claims[attempt] = choose(cpus, load, cores_milli)
            return sorted(self._claims[attempt].items())

    def adopt(self, attempt: str, claim: Iterable[Sequence[int]]) -> None:
        """Count what an attempt was given in an earlier life of the agent, or by another process."""
        with self._lock:
            self._claims[attempt] = {pair[0]: pair[1] for pair in claim}

    def release(self, attempt: str) -> None:
        with self._lock:
            self._claims.pop(attempt, None)


def pins(settings: LocalSettings, cpus: Collection[int]) -> bool:
    """Whether attempts are given CPUs of their own. Not where the operator declared more cores than there are: jobs then share
    what there is, and bound to one CPU they would wait for it while another stands idle."""
    return settings.cpu_affinity and settings.cores_milli <= CORE * len(cpus)


def allowed() -> frozenset[int]:
    """What this process may use: its own mask, within its cpuset."""
    return frozenset(os.sched_getaffinity(0))
