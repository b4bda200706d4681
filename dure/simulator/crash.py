"""Kill the controller at every write of a small story, start another one, and compare how the story ends.

One planted double bill is met about once in a hundred random crashes, and at every bill by this search: small and exhaustive
for money (see docs/decisions). A crash is told to whoever called: a person or an agent gets no answer and asks again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from dure.controller.commands import workloads
from dure.controller.commands.idempotency import Answer, once
from dure.controller.verify import verify_audit, verify_store_books
from dure.errors import DureError, require
from dure.model.funding import Remainder
from dure.model.reason import Reason
from dure.model.workload import Attempt, Workload, WorkloadSpec
from dure.ports import Reader, Search, Store, Tx
from dure.simulator.world import Crashed, World
from dure.store.memory import MemoryStore

T = TypeVar("T")
Tell = Callable[["Teller"], None]  # a story: what people do, and how time passes


class CrashingStore:
    """A store whose process dies at one chosen write: before it took effect, or after it did."""

    def __init__(self, inner: MemoryStore, at: int = 0, *, after: bool = False) -> None:
        self._inner = inner
        self._at, self._after = at, after
        self.writes = 0
        self.crashes = 0

    def transact(self, fn: Callable[[Tx], T], *, fence: int | None = None) -> T:
        self.writes += 1
        mine = self.writes == self._at
        if mine and not self._after:
            self._die()
        value = self._inner.transact(fn, fence=fence)
        if mine:
            self._die()
        return value

    def _die(self) -> None:
        self.crashes += 1
        self._inner.lose_lead()  # the lock of a dead process is free
        raise Crashed(f"at write {self.writes}, {'after' if self._after else 'before'} it took effect")

    def submit(self, fn: Callable[[Tx], T], *, fence: int | None = None) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(self.transact(fn, fence=fence))
        return future

    def read(self, fn: Callable[[Reader], T]) -> T:
        return self._inner.read(fn)

    def look(self, searches: Sequence[Search]) -> list[list[Any]]:
        return self._inner.look(searches)

    def try_lead(self) -> int | None:
        return self._inner.try_lead()

    def leads(self) -> bool:
        return self._inner.leads()

    def close(self) -> None:
        self._inner.close()


class Teller:
    """What a story acts with: people who ask again, with the same key, until they are answered."""

    def __init__(self, world: World, first_key: int = 0) -> None:
        self.world = world
        self._keys = first_key

    def ask(self, command: Callable[..., Any], **arguments: Any) -> Any:
        """Run a command as the API does. The answer's body; a refusal is a mistake of the story."""
        self._keys += 1
        key = f"key-{self._keys}"
        for _ in range(3):
            try:
                return self._once(key, command, arguments)
            except Crashed:
                self.world.restart_controller()
        raise DureError("a story is killed once, not three times")

    def submit(self, spec: WorkloadSpec, array: int = 0, project: str = "lab") -> str:
        """Submit; the id of the workload or array."""
        made = self.ask(workloads.submit, project=project, spec=spec, array=array)
        return str(made["array_id"] or made["ids"][0])

    def _once(self, key: str, command: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        deed = self.world.deed()

        def run(tx: Tx) -> Answer | Reason:
            return once(
                tx, deed, key=key, request=key, status=201,
                command=lambda inner: command(inner, deed, **arguments), encode=_encode,
            )  # fmt: skip

        answer = self.world.store.transact(run)
        require(not isinstance(answer, Reason), f"{command.__name__} was refused: {answer}")
        assert isinstance(answer, Answer)  # as just required; for the type checker
        return dict(answer.body)


def _encode(value: Any) -> dict[str, Any]:
    """Ids are what a story needs of an answer."""
    if hasattr(value, "ids"):
        return {"ids": list(value.ids), "array_id": value.array_id}
    return {"id": value.id} if hasattr(value, "id") else {}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ended: for each workload its state, and for each of its attempts the outcome and the money; what is carried."""

    workloads: dict[str, tuple[str, tuple[tuple[str, int, int], ...]]]
    faults: tuple[str, ...]
    carried: tuple[tuple[str, int], ...] = ()  # remainder and nano-units


@dataclass(frozen=True, slots=True)
class CrashReport:
    """failures: one sentence for every crash point after which the story ended otherwise, or the books did not hold."""

    writes: int
    runs: int
    ending: Ending
    failures: tuple[str, ...]


def crash_points(open_world: Callable[[Store], World], story: Tell, *, every: int = 1, first: int = 0) -> CrashReport:
    """Tell `story` once undisturbed, then once for each write and each side of it with a crash there.

    open_world: makes the world on the given store (its own writes are not crash points). every: only each
    n-th point, from the `first` (counted from 0) on."""
    calm, writes, founding = _tell(open_world, story, 0, after=False)
    failures, runs = [], 0
    for at in range(founding + 1 + first, writes + 1, every):
        for after in (False, True):
            ending, _, _ = _tell(open_world, story, at, after=after)
            runs += 1
            if ending != calm:
                failures.append(f"write {at}, {'after' if after else 'before'}: {_difference(calm, ending)}")
    return CrashReport(writes=writes - founding, runs=runs, ending=calm, failures=tuple(failures))


def _tell(open_world: Callable[[Store], World], story: Tell, at: int, *, after: bool) -> tuple[Ending, int, int]:
    store = CrashingStore(MemoryStore(), at, after=after)
    world = open_world(store)
    founding = store.writes
    try:
        story(Teller(world))
    except DureError as fault:
        return Ending({}, (f"{type(fault).__name__}: {fault}",)), store.writes, founding
    return ending_of(world), store.writes, founding


def ending_of(world: World) -> Ending:
    """States and money by the name of the workload (ids differ from run to run), and whatever does not hold."""
    rows = world.store.read(lambda r: r.find(Workload))
    attempts = world.store.read(lambda r: r.find(Attempt))
    audit, books = world.store.read(verify_audit), world.store.read(verify_store_books)
    faults = [f"audit: {audit.fault}"] if audit.fault else []
    faults += [f"audit: {f.kind} {f.subject} {dict(f.facts)}" for f in audit.findings]
    faults += [f"books: {f.kind} {f.subject} {dict(f.facts)}" for f in books.findings]
    told = {
        f"{w.spec.name}.{w.array_index}": (
            w.state.value,
            tuple((a.outcome.value, a.settled, a.refunded) for a in attempts if a.workload == w.id),
        )
        for w in rows
    }
    carried = tuple((r.id, r.nano) for r in world.store.read(lambda r: r.find(Remainder)))
    return Ending(dict(sorted(told.items())), tuple(faults), carried)


def _difference(calm: Ending, other: Ending) -> str:
    if other.faults:
        return "; ".join(other.faults[:3])
    names = sorted(calm.workloads.keys() | other.workloads.keys())
    wrong = [n for n in names if calm.workloads.get(n) != other.workloads.get(n)]
    told = [f"{n}: {other.workloads.get(n)} instead of {calm.workloads.get(n)}" for n in wrong[:3]]
    if other.carried != calm.carried:
        told.append(f"carried: {other.carried} instead of {calm.carried}")
    return "; ".join(told)
