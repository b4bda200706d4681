"""The same request twice is one deed and one answer; another request under the same key is refused."""

from __future__ import annotations

from dure.controller.commands.idempotency import Answer, once, shortened
from dure.controller.commands.tenancy import create_organisation
from dure.model.reason import Reason, ReasonKind
from dure.model.tenancy import Organisation
from dure.ports import Tx
from dure.simulator.world import World
from dure.store.memory import MemoryStore


def _ask(world: World, actor: str, key: str, request: str, id: str) -> Answer | Reason:
    deed = world.deed(actor)

    def create(tx: Tx) -> Organisation | Reason:
        return create_organisation(tx, deed, id=id, name=id, kind="sme")

    return world.store.transact(
        lambda tx: once(tx, deed, key=key, request=request, status=201, command=create, encode=lambda o: {"id": o.id})
    )


def test_a_repeated_request_gets_the_first_answer_and_does_nothing() -> None:
    world = World(now_ms=1000, store=MemoryStore())
    first, second = _ask(world, "ann", "k", "r", "uni"), _ask(world, "ann", "k", "r", "uni")
    assert first == Answer(status=201, body={"id": "uni"})
    assert second == Answer(status=201, body={"id": "uni"}, repeated=True)
    assert world.store.read(lambda r: r.count(Organisation)) == 1


def test_another_request_under_the_same_key_is_refused() -> None:
    world = World(now_ms=1000, store=MemoryStore())
    _ask(world, "ann", "k", "r", "uni")
    answer = _ask(world, "ann", "k", "other", "firm")
    assert answer == Reason.of(ReasonKind.KEY_REUSED, key="k")
    assert world.store.read(lambda r: r.count(Organisation)) == 1


def test_keys_of_two_actors_are_apart() -> None:
    world = World(now_ms=1000, store=MemoryStore())
    _ask(world, "ann", "k", "r", "uni")
    assert isinstance(_ask(world, "bob", "k", "r", "firm"), Answer)


def test_a_refusal_is_not_kept_so_that_asking_again_is_asking_anew() -> None:
    world = World(now_ms=1000, store=MemoryStore())
    _ask(world, "ann", "k1", "r", "uni")
    refused = _ask(world, "ann", "k2", "r2", "uni")
    assert isinstance(refused, Reason)
    assert refused.kind == ReasonKind.ALREADY_EXISTS
    assert isinstance(_ask(world, "ann", "k2", "r3", "firm"), Answer)


def test_of_an_answer_that_is_too_long_the_short_members_are_kept_and_the_others_named() -> None:
    body = {"id": "a", "count": 3, "items": ["x" * 100] * 1000}
    assert shortened(body) == {"id": "a", "count": 3, "left_out": {"items": 1000}}
    assert shortened({"items": ["x"] * 1000}) == {"items": ["x"] * 1000}
