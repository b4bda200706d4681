"""Threads beside the event loop, in lanes, so that what is slow holds up nothing but its like."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from dure.errors import StoreError

T = TypeVar("T")
WAITING_MAX = 1_000  # for a thread of one lane; beyond it callers are asked to come back


class Lane(StrEnum):
    """Who waits for whom."""

    PEOPLE = "read"  # ordinary reads
    AGENTS = "agent"  # the sites' agents, and the tokens of everybody
    QUESTIONS = "question"  # what looks at the whole plane
    BODIES = "body"  # making sense of long bodies


class Lanes:
    """A pool of threads a lane. Used on the event loop."""

    def __init__(self, threads: Mapping[Lane, int]) -> None:
        self._pools = {lane: ThreadPoolExecutor(n, thread_name_prefix=f"dure-api-{lane.value}") for lane, n in threads.items()}
        self._waiting = dict.fromkeys(threads, 0)

    async def run(self, lane: Lane, fn: Callable[[], T]) -> T:
        """Run anything that blocks. Raises StoreError when too many wait for that lane already."""
        if self._waiting[lane] >= WAITING_MAX:
            raise StoreError(f"too many wait for a thread of the lane {lane.value}")
        self._waiting[lane] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pools[lane], fn)
        finally:
            self._waiting[lane] -= 1

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class _Line:
    """The questions of one actor: one runs, the others stand in line."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    standing: int = 0


class Questions:
    """One running question an actor: with two threads, whoever asks waits for at most one question of anybody else."""

    def __init__(self, lanes: Lanes, per_actor_max: int) -> None:
        self._lanes = lanes
        self._most = per_actor_max
        self._lines: dict[str, _Line] = {}

    def full(self, actor: str) -> bool:
        """Whether `actor` has asked so much already that it had better come back."""
        line = self._lines.get(actor)
        return line is not None and line.standing >= self._most

    async def ask(self, actor: str, fn: Callable[[], T]) -> T:
        """Run `fn` when the earlier questions of the same actor are answered."""
        line = self._lines.setdefault(actor, _Line())
        line.standing += 1
        try:
            async with line.turn:
                return await self._lanes.run(Lane.QUESTIONS, fn)
        finally:
            line.standing -= 1
            if not line.standing:
                del self._lines[actor]
