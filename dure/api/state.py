"""What lives as long as the running API: the gate, the hub, the lanes of threads, the policy as last read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from dure.api.auth import Gate, Known
from dure.api.changes import Changes
from dure.api.lanes import Lane, Lanes, Questions
from dure.api.loghub import LogHub
from dure.api.services import PlaneServices
from dure.api.sse import Turnstile
from dure.controller.rules import policy_of
from dure.model.policy import Policy
from dure.ports import Reader, Tx

T = TypeVar("T")


class ApiState:
    """One per app. Everything here is used on the event loop, but for the functions that `read` and `write` run."""

    def __init__(self, services: PlaneServices) -> None:
        settings = services.settings
        self.services = services
        self.settings = settings
        self.clock = services.clock
        self.changes = Changes()
        self.gate = Gate(
            self._read_known, services.clock, keep_ms=settings.credential_cache_ms, most=settings.credential_cache_max
        )
        self.hub = LogHub(
            services.clock,
            buffer_max=settings.stream_buffer_bytes_max,
            room_wait_ms=settings.log_room_wait_ms,
            want_again_ms=settings.log_want_again_ms,
        )
        self.turnstile = Turnstile(settings.streams_max, settings.streams_per_actor_max)
        self.told_heads: dict[str, int] = {}  # site → number of the head that its agent was last told
        self.polls: dict[str, int] = {}  # site → how many polls its agent has begun: only the last is answered with orders
        self.noted_heard: dict[str, int] = {}  # site → when it was last written down that its agent spoke
        self._lanes = Lanes({
            Lane.PEOPLE: settings.read_threads,
            Lane.AGENTS: settings.agent_threads,
            Lane.QUESTIONS: settings.question_threads,
            Lane.BODIES: 2,
        })  # fmt: skip
        self.questions = Questions(self._lanes, settings.questions_per_actor_max)
        self._policy: Policy | None = None
        self._policy_read_ms = 0

    async def read(self, fn: Callable[[Reader], T], lane: Lane = Lane.PEOPLE) -> T:
        """Run `fn` on a consistent view, beside the event loop. Raises StoreError when too many wait already."""
        return await self.beside(lambda: self.services.store.read(fn), lane)

    async def beside(self, fn: Callable[[], T], lane: Lane = Lane.PEOPLE) -> T:
        """Run anything that blocks, beside the event loop."""
        return await self._lanes.run(lane, fn)

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in a transaction; returns once it is durable."""
        return await asyncio.wrap_future(self.services.store.submit(fn))

    async def policy(self) -> Policy:
        """The policy in force, at most `credential_cache_ms` old. For access decisions and what readers are told: commands read
        it themselves."""
        now_ms = self.clock.now_ms()
        if self._policy is None or not 0 <= now_ms - self._policy_read_ms <= self.settings.credential_cache_ms:
            self._policy = await self.read(policy_of)
            self._policy_read_ms = now_ms
        return self._policy

    def forget(self) -> None:
        """Drop what is remembered of credentials, grants and the policy: one of them was written."""
        self.gate.forget()
        self._policy = None

    def close(self) -> None:
        self.changes.close()
        self._lanes.close()

    async def _read_known(self, fn: Callable[[Reader], Known | None]) -> Known | None:
        return await self.read(fn, Lane.AGENTS)
