"""The Driver on which nothing runs, with hooks for what goes wrong in the world."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dure
from dure.backends.fake.script import FOREVER_MS, Record, Script, fate, has_ended, next_change_ms, progress_ms
from dure.errors import BackendError
from dure.model.workload import Outcome
from dure.ports import Clock, LaunchOrder, Observation

ONE_NODE: tuple[Mapping[str, Any], ...] = (
    {
        "name": "node",
        "pool": "default",
        "block": "",
        "cores_milli": 2000,
        "memory_mib": 4096,
        "accelerator": "",
        "devices": 0,
        "core_mw": 6000,
        "device_mw": 0,
        "idle_mw": 0,
        "shares": False,
        "up": True,
    },
)


class FakeDriver:
    """Driver, LogReader and Forgetter. Deterministic: what it answers follows from its calls and the clock.

    nodes: as `inventory` gives them. durations: milliseconds of work by workload id or spec name; scripts: the same for whole
    Scripts, and looked at first; default: for what neither names. saved: work in checkpoints of forgotten attempts, by project
    and workload; several drivers with one of these have common storage."""

    def __init__(
        self,
        clock: Clock,
        nodes: Sequence[Mapping[str, Any]] = ONE_NODE,
        *,
        durations: Mapping[str, int] | None = None,
        scripts: Mapping[str, Script] | None = None,
        default: Script = Script(),
        saved: dict[tuple[str, str], int] | None = None,
    ) -> None:
        self._clock = clock
        self._nodes = {str(n["name"]): dict(n) for n in nodes}
        self._durations = dict(durations or {})
        self._scripts = dict(scripts or {})
        self._default = default
        self._records: dict[str, Record] = {}
        self._of: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)  # project, workload → its attempts in `_records`
        self._due: list[tuple[int, str]] = []  # a heap: when attempts change their phase, and what has since turned out otherwise
        self._changed: dict[str, None] = {}  # did so by themselves, and nobody has asked since
        self._forgotten: set[str] = set()
        self._saved = saved if saved is not None else {}
        self._rejections: deque[str] = deque()
        self._lost_requests: Counter[str] = Counter()
        self._lost_replies: Counter[str] = Counter()
        self.unreachable = False  # every verb raises BackendError, and has no effect

    # -- the five verbs -------------------------------------------------------------------------------------------------

    def describe(self) -> Mapping[str, Any]:
        with self._called("describe"):
            return {
                "name": "fake",
                "version": dure.__version__,
                "authority": "exact",
                "isolation": "none: nothing runs",
                "isolation_why": "nothing runs",
                "limits": {"wall": "enforced by the clock"},
            }

    def inventory(self) -> Sequence[Mapping[str, Any]]:
        with self._called("inventory"):
            return [dict(n) for n in self._nodes.values()]

    def launch(self, order: LaunchOrder) -> Observation:
        with self._called("launch"):
            if order.attempt in self._forgotten:
                record = Record(order=order, script=Script(), launched_ms=self._clock.now_ms(), rejected="forgotten")
                return fate(record, record.launched_ms)
            if order.attempt not in self._records:
                self._keep(self._record(order))
                self._of[order.project, order.workload][order.attempt] = None
            return fate(self._records[order.attempt], self._clock.now_ms())

    def stop(self, attempt: str, cause: Outcome, grace_ms: int) -> None:
        with self._called("stop"):
            record = self._records.get(attempt)
            if record is None or record.stop_cause is not Outcome.NONE:
                return
            now_ms = self._clock.now_ms()
            if not has_ended(record, now_ms):
                self._keep(replace(record, stop_ms=now_ms, stop_cause=cause, stop_grace_ms=max(0, grace_ms)))

    def observe(self, attempts: Collection[str] | None = None) -> Sequence[Observation]:
        with self._called("observe"):
            now_ms = self._clock.now_ms()
            names = sorted(self._records) if attempts is None else attempts
            return [fate(self._records[a], now_ms) for a in names if a in self._records]

    # -- besides ----------------------------------------------------------------------------------------------------------

    def read_log(self, attempt: str, worker: int, offset: int, size: int) -> bytes:
        with self._called("read_log"):
            record = self._records.get(attempt)
            if record is None or not 0 <= worker < len(record.order.workers) or offset < 0:
                return b""
            ran = fate(record, self._clock.now_ms()).evidence.started_ms > 0
            return record.script.log[offset : offset + max(0, size)] if ran else b""

    def forget(self, attempt: str) -> None:
        with self._called("forget"):
            record = self._records.get(attempt)
            now_ms = self._clock.now_ms()
            if record is None or not has_ended(record, now_ms):
                return
            key = (record.order.project, record.order.workload)
            if saved_ms := progress_ms(record, now_ms):
                self._saved[key] = max(self._saved.get(key, 0), saved_ms)
            self._forgotten.add(attempt)
            self._changed.pop(attempt, None)
            del self._records[attempt]
            del self._of[key][attempt]
            if not self._of[key]:
                del self._of[key]

    # -- hooks ----------------------------------------------------------------------------------------------------------------

    def script(self, name: str, script: Script) -> None:
        """What launches of this workload id or spec name do from now on."""
        self._scripts[name] = script

    def reject_next(self, detail: str, count: int = 1) -> None:
        """The next `count` launches of new attempts are rejected."""
        self._rejections.extend([detail] * count)

    def lose_request(self, verb: str, count: int = 1) -> None:
        """The next calls of `verb` raise BackendError and have no effect."""
        self._lost_requests[verb] += count

    def lose_reply(self, verb: str, count: int = 1) -> None:
        """The next calls of `verb` take effect and then raise BackendError."""
        self._lost_replies[verb] += count

    def kill_node(self, name: str) -> None:
        """The node dies now, and every attempt on it is lost (a gang as a whole)."""
        self._nodes[name]["up"] = False
        now_ms = self._clock.now_ms()
        for record in tuple(self._records.values()):
            if name in map(node_name, record.order.workers) and record.died_ms == FOREVER_MS:
                self._keep(replace(record, died_ms=now_ms))

    def revive_node(self, name: str) -> None:
        """The node is back, empty."""
        self._nodes[name]["up"] = True

    def next_change_ms(self) -> int | None:
        """The next moment after now at which an attempt here changes its phase by itself; None when none will."""
        self._pass_by()
        return self._due[0][0] if self._due else None

    def changed(self) -> list[str]:
        """Attempts here that have changed their phase by themselves since this was last asked."""
        self._pass_by()
        changed, self._changed = list(self._changed), {}
        return changed

    def _keep(self, record: Record) -> None:
        self._records[record.order.attempt] = record
        self._await(record)

    def _await(self, record: Record) -> None:
        at_ms = next_change_ms(record, self._clock.now_ms())
        if at_ms is not None:
            heapq.heappush(self._due, (at_ms, record.order.attempt))

    def _pass_by(self) -> None:
        """Let the first that is due be one that is to come, and is still so."""
        now_ms = self._clock.now_ms()
        while self._due:
            at_ms, attempt = self._due[0]
            record = self._records.get(attempt)
            if record is not None and at_ms > now_ms and next_change_ms(record, now_ms) == at_ms:
                return
            heapq.heappop(self._due)
            if record is not None and at_ms <= now_ms:
                self._changed[attempt] = None
                self._await(record)

    @contextmanager
    def _called(self, verb: str) -> Iterator[None]:
        if self.unreachable or self._lost_requests[verb] > 0:
            self._lost_requests[verb] -= 0 if self.unreachable else 1
            raise BackendError(f"{verb}: the backend could not be reached")
        yield
        if self._lost_replies[verb] > 0:
            self._lost_replies[verb] -= 1
            raise BackendError(f"{verb}: the answer was lost")

    # -- launching ----------------------------------------------------------------------------------------------------------

    def _record(self, order: LaunchOrder) -> Record:
        script = self._script_of(order)
        rejected = self._fault_of(order) or script.reject
        if not rejected and self._rejections:
            rejected = self._rejections.popleft()
        now_ms = self._clock.now_ms()
        return Record(order=order, script=script, launched_ms=now_ms, saved_ms=self._saved_ms(order, now_ms), rejected=rejected)

    def _script_of(self, order: LaunchOrder) -> Script:
        names = (order.workload, order.spec.name)
        script = next((self._scripts[n] for n in names if n in self._scripts), None)
        if script is not None:
            return script
        run_ms = next((self._durations[n] for n in names if n in self._durations), self._default.run_ms)
        return replace(self._default, run_ms=run_ms)

    def _saved_ms(self, order: LaunchOrder, now_ms: int) -> int:
        names = {order.workload, order.origin} if order.spec.checkpoint_interval_ms else {order.workload}
        mine = [self._records[attempt] for name in names for attempt in self._of.get((order.project, name), ())]
        forgotten = [self._saved.get((order.project, name), 0) for name in names]
        return max([*forgotten, *(progress_ms(r, now_ms) for r in mine)])

    def _fault_of(self, order: LaunchOrder) -> str:
        nodes = [self._nodes.get(node_name(w)) for w in order.workers]
        checks = {
            "no_command": bool(order.spec.command),
            "no_limit": order.limit_ms > 0,
            "workers_mismatch": len(order.workers) == max(1, order.spec.workers),
            "unknown_node": all(n is not None for n in nodes),
            "node_down": all(n["up"] for n in nodes if n is not None),
            "unknown_device": all(
                0 <= d < n["devices"] for n, w in zip(nodes, order.workers, strict=True) if n is not None for d in w.devices
            ),
        }
        return next((word for word, fine in checks.items() if not fine), "")


def node_name(worker: Any) -> str:
    """A worker names its node as the plane does, "site/name"; the inventory has the name alone."""
    return str(worker.node).rpartition("/")[2]
