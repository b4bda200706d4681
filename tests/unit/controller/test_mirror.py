"""What the mirror keeps of waiting work: dependencies looked at once, shapes forgotten, clocks that leap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from dure.backends.fake import Script
from dure.controller import mirror as module
from dure.controller.columns import SHAPES_KEPT
from dure.controller.commands import agents, workloads
from dure.controller.rules import plane_of
from dure.errors import StoreUnavailable
from dure.model.event import Event
from dure.model.link import Poll
from dure.model.reason import ReasonKind
from dure.model.records import Plane
from dure.model.site import Quarantine, Site
from dure.model.workload import Attempt, Workload
from dure.ports import Reader, Search
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.memory import MemoryStore
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec

A = TypeVar("A")


class CountingStore(MemoryStore):
    """Counts how often workloads are listed."""

    def __init__(self) -> None:
        super().__init__()
        self.lists = 0

    def read(self, fn: Callable[[Reader], A]) -> A:
        return super().read(lambda reader: fn(_Counting(reader, self)))  # type: ignore[arg-type]


class _Counting:
    def __init__(self, reader: Reader, store: CountingStore) -> None:
        self._reader, self._store = reader, store

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    def find(self, kind: type, where: object = None, **rest: object) -> object:
        self._store.lists += kind is Workload
        return self._reader.find(kind, where or {}, **rest)  # type: ignore[arg-type]


@pytest.fixture
def tell() -> Teller:
    world = World(now_ms=NOW_MS, policy=POLICY, store=CountingStore())
    world.add_site("north", [node("n1", devices=4)])
    world.sites["north"].driver.script("first", Script(run_ms=MINUTE_MS))
    teller = Teller(world)
    begin(teller)
    return teller


def test_an_array_that_waits_for_an_array_costs_one_look_and_starts_when_all_have_succeeded(tell: Teller) -> None:
    world = tell.world
    first = tell.submit(spec("first"), array=20)
    second = tell.submit(spec("second", depends_on=(first,)), array=20)
    world.settle()
    store = world.store
    assert isinstance(store, CountingStore)
    before = store.lists
    world.clock.ms += MINUTE_MS
    world.settle()
    assert store.lists - before < 25  # the world's own looks; not twenty for each of twenty
    states = world.store.read(lambda r: [w.state for w in workloads.find_workloads(r, second)])
    assert set(states) == {"waiting"}
    world.advance(NOW_MS + 6 * MINUTE_MS)
    done = world.store.read(lambda r: {w.state for w in workloads.find_workloads(r, first)})
    begun = world.store.read(lambda r: {w.state for w in workloads.find_workloads(r, second)})
    assert (done, "running" in begun) == ({"succeeded"}, True)


def test_shapes_that_nobody_has_any_more_are_forgotten(tell: Teller) -> None:
    world = tell.world
    world.sites["north"].link.down = True
    world.clock.ms += 2 * MINUTE_MS
    ids = [tell.submit(spec("job", limit_ms=MINUTE_MS + n)) for n in range(SHAPES_KEPT + 5)]
    world.controller.step()
    for id in ids[5:]:
        tell.ask(workloads.cancel, id=id)
    world.controller.step()
    memory = world.controller._memory
    assert memory is not None
    assert len(memory.columns._shape_types) <= 5
    assert len(memory.mirror.waiting) == 5


def test_what_this_process_has_sealed_is_not_read_again_and_what_it_has_not_is(tell: Teller) -> None:
    world = tell.world
    memory = world.controller._memory
    assert memory is not None
    mirror = memory.mirror
    tell.submit(spec("first"))
    world.controller.sealer.seal(world.store, world.controller.epoch, world.clock.ms, mirror.hear)
    sealed, looked = world.store.read(plane_of).sealed_seq, []

    def follow(reader: Reader) -> int:
        return mirror.follow(_Listening(reader, looked))  # type: ignore[arg-type]

    assert mirror.seq < sealed
    world.store.read(follow)
    assert (mirror.seq, Event in looked) == (sealed, False)
    tell.submit(spec("second"))
    heard: list[Event] = []
    world.controller.sealer.seal(world.store, world.controller.epoch, world.clock.ms, heard.extend)
    last = world.store.read(plane_of).sealed_seq
    for told in ([replace(heard[0], seq=last + 1)], heard[1:], [*heard, replace(heard[-1], seq=last + 1)]):
        mirror.seq = sealed
        looked.clear()
        mirror.hear(told)  # with a gap before it, or of more than is stored
        world.store.read(follow)
        assert (mirror.seq, Event in looked) == (last, True)
    assert len(mirror.waiting) + len(mirror.placed) == 2


def test_a_read_that_breaks_off_leaves_nobody_noted_by_half(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is followed again by the same mirror; whoever it was about may have gone by then."""
    world = tell.world
    world.sites["north"].link.down = True
    world.clock.ms += 2 * MINUTE_MS
    first, other = tell.submit(spec("first")), tell.submit(spec("other"))
    world.controller.step()
    memory = world.controller._memory
    assert memory is not None
    mirror, how_far = memory.mirror, module.how_far
    second = tell.submit(spec("second", depends_on=(other, first)))
    third = tell.submit(spec("third", depends_on=(first,)))
    world.controller.sealer.seal(world.store, world.controller.epoch, world.clock.ms, mirror.hear)

    def lost(reader: Reader, name: str) -> int:
        if name == first:
            raise StoreUnavailable("gone")
        return how_far(reader, name)

    with monkeypatch.context() as patched, pytest.raises(StoreUnavailable):
        patched.setattr(module, "how_far", lost)
        world.store.read(mirror.follow)
    tell.ask(workloads.cancel, id=second)
    tell.ask(workloads.cancel, id=first)
    world.controller.sealer.seal(world.store, world.controller.epoch, world.clock.ms, mirror.hear)
    world.store.read(mirror.follow)
    assert [w.workload.id for w in mirror.doomed()] == [third]
    assert sorted(mirror.waiting) == sorted([other, third])
    world.controller.step()
    assert sorted(mirror.waiting) == [other], "who waits for what will never succeed is told so, and forgotten"
    assert mirror.doomed() == []


def test_what_was_heard_is_followed_a_part_at_a_time(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """As what is read: after a time without a leader it may be much."""
    world, parts = tell.world, []
    mirror = world.controller._memory.mirror  # type: ignore[union-attr]
    monkeypatch.setattr(module, "FOLLOW_MAX", 2)
    for name in ("one", "two", "three"):
        tell.submit(spec(name))
    before, refresh = mirror.seq, mirror.refresh
    world.controller.sealer.seal(world.store, world.controller.epoch, world.clock.ms, mirror.hear)
    monkeypatch.setattr(mirror, "refresh", lambda reader, events: (parts.append(len(events)), refresh(reader, events)))
    looked: list[type] = []
    followed = world.store.read(lambda reader: mirror.follow(_Listening(reader, looked)))  # type: ignore[arg-type]
    assert followed == sum(parts) == mirror.seq - before >= 3
    assert (max(parts), Event in looked) == (2, False)


def test_a_poll_reads_no_more_than_it_can_tell_and_for_an_agent_that_was_replaced_nothing_else(
    tell: Teller,
) -> None:
    """Somebody may poll without pause, under an old epoch too, at a site where much is due."""
    store, looked, read = tell.world.store, [], []
    epoch = store.read(lambda reader: reader.get(Site, "north")).agent_epoch  # type: ignore[union-attr]
    tell.submit(spec("job"))
    tell.world.sites["north"].link.down = True
    tell.world.controller.step()

    class Listening:
        def look(self, searches: Sequence[Search]) -> list[list[Any]]:
            looked.extend(searches)
            return store.look(searches)

        def read(self, fn: Callable[[Reader], Any]) -> Any:
            read.append(fn)
            return store.read(fn)

    for known in (epoch, epoch - 1):
        poll = Poll(epoch=known, busy=("at_1:launch", "at_2:stop"))
        agents.polled(Listening(), site="north", poll=poll)  # type: ignore[arg-type]
    assert {s.limit for s in looked if s.kind in (Attempt, Quarantine)} == {agents.ORDERS_MAX + 2}
    assert [s.kind for s in looked] == 2 * [Site, Plane, Quarantine, Attempt, Attempt]
    assert len(read) == 1


class _Listening:
    """Notes of which classes records are searched."""

    def __init__(self, reader: Reader, looked: list[type]) -> None:
        self._reader, self._looked = reader, looked

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    def find(self, kind: type, where: object = None, **rest: object) -> object:
        self._looked.append(kind)
        return self._reader.find(kind, where or {}, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("leap_ms", [10 * 365 * 24 * 60 * MINUTE_MS, -60 * MINUTE_MS])
def test_a_site_that_was_last_heard_in_the_future_is_silent_until_it_speaks(tell: Teller, leap_ms: int) -> None:
    world = tell.world
    world.clock.ms += abs(leap_ms)
    world.settle()
    world.sites["north"].link.down = True
    world.clock.ms -= abs(leap_ms)
    id = tell.submit(spec("job"))
    world.controller.step()
    view = world.controller.view()
    assert view is not None
    assert view.snapshot.sites.reachable.tolist() == [False]
    why = world.controller.why(id)
    assert why.reason.kind in (ReasonKind.NO_SITE_REACHABLE, ReasonKind.NO_AWARD)
    world.sites["north"].link.down = False
    world.settle()
    view = world.controller.view()
    assert view is not None
    assert view.snapshot.sites.reachable.tolist() == [True]
