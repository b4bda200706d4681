"""The outside world, as the rest of Dure sees it: Clock, Entropy, Store (with its transactions) and Driver."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, runtime_checkable

from dure.model.workload import Evidence, Outcome, Worker, WorkloadSpec

R = TypeVar("R")
T = TypeVar("T")


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""


class Entropy(Protocol):
    def new_id(self, prefix: str, now_ms: int) -> str:
        """`prefix_` and 26 characters (ULID) that sort by time, never handed out twice."""

    def secret(self, n_bytes: int) -> str:
        """URL-safe text with `n_bytes` of randomness, fit for a credential."""


Where = Mapping[str, Any]  # field → value; a collection (list, tuple, set, frozenset) means "any of these"
EVERYTHING: Where = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Search:
    """What `Reader.find` looks for, sorted by id. limit 0: all."""

    kind: type[Any]
    where: Where = field(default_factory=lambda: EVERYTHING)
    limit: int = 0


class Reader(Protocol):
    """A consistent view of what is stored. Records are the frozen dataclasses of `dure.model`, found by class."""

    def get(self, kind: type[R], id: str) -> R | None: ...

    def get_many(self, kind: type[R], ids: Collection[str]) -> dict[str, R]:
        """Those that exist, by id."""

    def find(
        self,
        kind: type[R],
        where: Where = EVERYTHING,
        *,
        after: str = "",
        limit: int = 0,
        order: str = "id",
        descending: bool = False,
    ) -> list[R]:
        """Records whose fields equal `where`, sorted by (`order`, id).

        after: only what is behind it (before it when descending), for cursors: behind this id, or with another order behind the
        record of this id, whose field must not change; nothing is behind one that is not there. limit 0: all."""

    def count(self, kind: type[Any], where: Where = EVERYTHING) -> int: ...


class Tx(Reader, Protocol):
    """A transaction: all of it is durable when `transact` returns, or none."""

    def read_ahead(self, wanted: Mapping[type[Any], Collection[str]]) -> None:
        """Read records of these ids together, so that asking for each of them later costs nothing. Changes nothing else."""

    def insert(self, record: Any) -> None:
        """Raises DuplicateKey (at the latest on commit) when the id is taken."""

    def update(self, record: Any) -> Any:
        """Compare-and-set: store `record` where the stored version equals `record.version`; returns it with the version
        raised by one. Raises Conflict when the stored version differs or the record is gone."""

    def delete(self, kind: type[Any], id: str) -> None:
        """Nothing happens when it is absent."""

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run once the transaction is durable (never when it failed). Must not raise and must not block."""


class Store(Protocol):
    def transact(self, fn: Callable[[Tx], T], *, fence: int | None = None) -> T:
        """Run `fn` in one serialised transaction, commit, return its value. May call `fn` again (on Conflict), so `fn` has
        no effect but through its Tx. fence: the leader epoch under which this write is made; raises StaleLeader
        when Plane.leader_epoch has moved on."""

    def submit(self, fn: Callable[[Tx], T], *, fence: int | None = None) -> Future[T]:
        """The same, not waited for. Transactions submitted close together may share one commit (group commit)."""

    def read(self, fn: Callable[[Reader], T]) -> T:
        """Run `fn` on a consistent view that includes every transaction that had returned before."""

    def look(self, searches: Sequence[Search]) -> list[list[Any]]:
        """`find` for each of these, at one moment, and in one visit to the database where that can be: for who asks all day and
        is mostly told that there is nothing."""

    def try_lead(self) -> int | None:
        """Take (or keep) the lead: the new epoch when this call took it, else None when another process has it."""

    def leads(self) -> bool:
        """Whether the lead taken before is still held (the lock or its connection may be lost)."""

    def close(self) -> None: ...


# -- backends ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """Everything that a backend needs to run one attempt. Launching the same attempt again changes nothing."""

    attempt: str
    epoch: int
    workload: str
    project: str
    array_index: int
    spec: WorkloadSpec
    workers: tuple[Worker, ...]
    accelerator: str
    limit_ms: int
    bundle_path: str = ""  # local file with the code archive, "" when there is none
    env: Mapping[str, str] = field(default_factory=dict)  # DURE_* variables that the plane adds
    origin: str = ""  # ended workload of the same project from whose checkpoint it goes on, where that is here
    owner: str = ""  # actor whose work it is, for a backend that runs it as one of its own users; "": an older plane told none


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a backend sees of one attempt. phase: "launching", "running", "ended"; an attempt it never saw is not listed."""

    attempt: str
    epoch: int
    workload: str
    phase: str
    outcome: Outcome = Outcome.NONE
    evidence: Evidence = field(default_factory=Evidence)


@runtime_checkable
class Driver(Protocol):
    """A backend: five idempotent verbs. Raises BackendError when the backend cannot be reached."""

    def describe(self) -> Mapping[str, Any]:
        """name, version, authority ("exact" or "delegated"), isolation and limits that are enforced here."""

    def inventory(self) -> Sequence[Mapping[str, Any]]:
        """One mapping a node, with the members of model.site.Node but id, site, drained and version."""

    def launch(self, order: LaunchOrder) -> Observation:
        """Start the attempt, or say what became of it when it was launched before (also by an earlier process). What cannot be
        launched comes back as "ended" with outcome rejected and evidence.detail, never as an exception."""

    def stop(self, attempt: str, cause: Outcome, grace_ms: int) -> None:
        """Ask it to end: polite signal now, kill after `grace_ms`. An unknown or ended attempt is fine. The first cause wins."""

    def observe(self, attempts: Collection[str] | None = None) -> Sequence[Observation]:
        """What is seen of these attempts, or of all that the backend still remembers."""


@runtime_checkable
class LogReader(Protocol):
    """What a driver can do besides: hand out what an attempt printed."""

    def read_log(self, attempt: str, worker: int, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; b"" when there is nothing (yet)."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep dropped. more: there is more to drop, and another sweep is wanted soon."""

    attempts: tuple[str, ...] = ()
    more: bool = False


@runtime_checkable
class Sweeper(Protocol):
    """What a driver can do besides: keep what ended attempts leave within its own bounds of time and size."""

    def sweep(self, billed: Callable[[Collection[str]], Collection[str]], now_ms: int) -> Swept:
        """A short step, to be repeated. billed: those of some attempts whose end the plane has durably recorded; nothing else is
        ever dropped. Raises BackendError."""


@runtime_checkable
class Forgetter(Protocol):
    """What a driver can do besides: drop what it keeps of attempts that are settled."""

    def forget(self, attempt: str) -> None: ...
