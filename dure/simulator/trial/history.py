"""How long jobs will run, going by those that ended before they came: what a plane could honestly know.

The expected run time is the mean of the last two like it (Tsafrir, Etsion, Feitelson: Backfilling using system-generated
predictions rather than user runtime estimates, TPDS 2007). What is like a job: jobs of its user and size, else of its user, else
of its tenant or queue, else any."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator

import numpy as np
from numpy.typing import NDArray

from dure.simulator.traces.trace import Trace

I64 = NDArray[np.int64]

KEPT = 5  # run times of each kind
MEAN_OF = 2
MARGIN = 2  # a learned wall time is so many times the longest of those kept
LEAST_MS = 600_000  # and at least this


class History:
    """Run times of what has ended, by kind."""

    def __init__(self, trace: Trace) -> None:
        self._tenant = trace.owners[0].tolist()
        self._user, self._size = trace.user.tolist(), trace.devices_milli.tolist()
        self._ran: dict[Hashable, deque[int]] = {}

    def kinds(self, job: int) -> Iterator[Hashable]:
        """From what is most like it to what is least."""
        user, tenant = self._user[job], self._tenant[job]
        if user >= 0:
            yield user, self._size[job]
            yield (user,)
        yield "tenant", tenant, self._size[job]
        yield "tenant", tenant
        yield "any"

    def learn(self, job: int, ran_ms: int) -> None:
        for kind in self.kinds(job):
            self._ran.setdefault(kind, deque(maxlen=KEPT)).append(ran_ms)

    def _like(self, job: int) -> list[int]:
        return next((list(self._ran[kind]) for kind in self.kinds(job) if kind in self._ran), [])

    def expected_ms(self, job: int, unknown_ms: int) -> int:
        """What it will take, most likely. unknown_ms: where nothing has ended yet."""
        last = self._like(job)[-MEAN_OF:]
        return sum(last) // len(last) if last else unknown_ms

    def limit_ms(self, job: int, unknown_ms: int) -> int:
        """A wall time that most like it keep."""
        like = self._like(job)
        return max(LEAST_MS, MARGIN * max(like)) if like else unknown_ms
