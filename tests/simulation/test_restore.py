"""After a restore nothing is launched again that a site already has: it is billed, or set aside for an operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dure.backends.fake import Script
from dure.controller import WhyAnswer, verify_audit, verify_store_books
from dure.controller.commands.sites import attest_lost, resolve_quarantine, stop_quarantined
from dure.model.chain import AuditProof, ChainProver
from dure.model.event import RESTORED, Event, Head
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Plane
from dure.model.site import Quarantine
from dure.ports import Tx
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.sql import SqlStore
from dure.store.sql.transport import backup, restore
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Teller]:
    made = World(now_ms=NOW_MS, policy=POLICY, store=SqlStore.open(f"sqlite:///{tmp_path}/a.db"))
    made.add_site("north", [node("n1")])
    teller = Teller(made)
    begin(teller)
    yield teller
    made.store.close()


def _restore(world: World, tmp_path: Path, saved: Path) -> None:
    """The plane comes back from its backup; the site and its agent never noticed."""
    world.store.close()
    url = f"sqlite:///{tmp_path}/b.db"
    restore(saved, url, now_ms=world.clock.ms, key_of=lambda plane: lambda body: "")  # the world's signature
    world.store = SqlStore.open(url)
    world.restart_controller()


def test_work_placed_after_the_backup_is_set_aside_and_not_run_twice(tell: Teller, tmp_path: Path) -> None:
    world = tell.world
    world.sites["north"].driver.script("job", Script(run_ms=10 * MINUTE_MS))
    id = tell.submit(spec("job"))
    saved = backup(f"sqlite:///{tmp_path}/a.db", tmp_path / "saved.jsonl.gz", now_ms=NOW_MS)
    world.settle()
    assert world.workload(id).state == "running"
    _restore(world, tmp_path, saved)
    assert world.workload(id).state == "waiting"
    world.advance(NOW_MS + 30 * MINUTE_MS)
    plane = world.store.read(lambda r: r.get(Plane, "plane"))
    assert plane is not None
    assert plane.incarnation == 2
    rows = world.store.read(lambda r: r.find(Quarantine))
    assert [(q.workload, q.resolved, q.observation["phase"]) for q in rows] == [(id, "", "ended")]
    assert (world.workload(id).state, world.attempts(id)) == ("waiting", [])
    why = world.controller.why(id)
    assert why.reason.kind == ReasonKind.WAITS_QUARANTINE
    deed = world.deed()
    world.store.transact(lambda tx: resolve_quarantine(tx, deed, attempt=rows[0].id))
    world.settle()
    world.advance(NOW_MS + 60 * MINUTE_MS)
    assert world.workload(id).state == "succeeded"
    assert world.store.read(verify_store_books).findings == ()
    assert world.store.read(verify_audit).fault is None


def test_work_that_ended_after_the_backup_is_billed_from_its_evidence(tell: Teller, tmp_path: Path) -> None:
    world = tell.world
    world.sites["north"].driver.script("job", Script(run_ms=10 * MINUTE_MS))
    id = tell.submit(spec("job"))
    world.settle()
    saved = backup(f"sqlite:///{tmp_path}/a.db", tmp_path / "saved.jsonl.gz", now_ms=NOW_MS)
    world.advance(NOW_MS + 20 * MINUTE_MS)
    before = world.attempts(id)
    _restore(world, tmp_path, saved)
    assert world.workload(id).state == "running"
    world.advance(NOW_MS + 21 * MINUTE_MS)
    after = world.attempts(id)
    assert world.workload(id).state == "succeeded"
    assert [(a.id, a.settled, a.outcome) for a in after] == [(a.id, a.settled, a.outcome) for a in before]
    assert world.store.read(verify_store_books).findings == ()


def test_work_that_the_site_knows_nothing_of_is_shown_to_an_operator_and_runs_again_once_attested(
    tell: Teller, tmp_path: Path
) -> None:
    world = tell.world
    world.sites["north"].driver.script("job", Script(run_ms=10 * MINUTE_MS))
    id = tell.submit(spec("job"))
    world.settle()
    saved = backup(f"sqlite:///{tmp_path}/a.db", tmp_path / "saved.jsonl.gz", now_ms=NOW_MS)
    _restore(world, tmp_path, saved)
    world.replace_site("north", [node("n1")])  # a new machine: backend and journal are empty
    world.advance(NOW_MS + 20 * MINUTE_MS)
    lost = world.attempts(id)[0]
    rows = world.store.read(lambda r: r.find(Quarantine))
    assert [(q.id, q.observation) for q in rows] == [(lost.id, {"phase": "unaccounted"})]
    why = world.controller.why(id)
    assert isinstance(why, WhyAnswer)
    assert why.reason.kind == ReasonKind.UNACCOUNTED
    deed = world.deed()
    world.store.transact(lambda tx: attest_lost(tx, deed, attempt=lost.id))
    world.sites["north"].driver.script("job", Script(run_ms=10 * MINUTE_MS))
    world.advance(NOW_MS + 60 * MINUTE_MS)
    assert world.workload(id).state == "succeeded"
    assert world.store.read(lambda r: r.find(Quarantine))[0].resolved == "attested"
    assert world.store.read(verify_store_books).findings == ()


def _witnessed(world: World) -> Head:
    """The head that was signed last: what an agent's poll puts into its journal, a second later at most."""
    plane = world.store.read(lambda r: r.get(Plane, "plane"))
    assert plane is not None
    return plane.head


def _proved(world: World, heads: list[Head]) -> AuditProof:
    prover = ChainProver(heads, signed=lambda body, signature: signature == "")
    prover.take(sorted((e for e in world.store.read(lambda r: r.find(Event)) if e.seq), key=lambda e: e.seq))
    return prover.proof()


def test_what_a_restore_dropped_is_told_by_it_and_everything_else_is_still_proved(tell: Teller, tmp_path: Path) -> None:
    world = tell.world
    tell.submit(spec("early"))
    world.settle()
    saved = backup(f"sqlite:///{tmp_path}/a.db", tmp_path / "saved.jsonl.gz", now_ms=NOW_MS)
    heads = [_witnessed(world)]
    kept = heads[0].seq
    tell.submit(spec("late"))
    world.advance(NOW_MS + 5 * MINUTE_MS)
    heads.append(_witnessed(world))
    assert _proved(world, heads).breaks == ()
    _restore(world, tmp_path, saved)
    tell.submit(spec("later"))
    world.advance(NOW_MS + 30 * MINUTE_MS)
    heads.append(_witnessed(world))
    proof = _proved(world, heads)
    assert (proof.fault, proof.heads, proof.incarnation) == (None, 2, 2)
    assert [(b.incarnation, b.after_seq, b.witnessed_seq) for b in proof.breaks] == [(2, kept, heads[1].seq)]
    assert world.store.read(verify_audit).fault is None
    told = world.store.read(lambda r: r.find(Event, {"kind": RESTORED}))
    assert [(e.seq, e.data["incarnation"], e.data["after_seq"]) for e in told] == [(kept + 1, 2, kept)]


def test_whoever_changes_what_the_restored_plane_sealed_is_found_behind_the_known_break(tell: Teller, tmp_path: Path) -> None:
    world = tell.world
    saved = backup(f"sqlite:///{tmp_path}/a.db", tmp_path / "saved.jsonl.gz", now_ms=NOW_MS)
    tell.submit(spec("late"))
    world.settle()
    heads = [_witnessed(world)]
    _restore(world, tmp_path, saved)
    tell.submit(spec("later"))
    world.settle()
    heads.append(_witnessed(world))
    at = heads[1].seq - 1

    def alter(tx: Tx) -> str:
        event = tx.find(Event, {"seq": at})[0]
        tx.update(replace(event, actor="nobody"))
        return event.id

    altered = world.store.transact(alter)
    fault = _proved(world, heads).fault
    assert fault is not None and (fault.seq, fault.event, fault.fault) == (at, altered, "altered")
    assert world.store.read(verify_audit).fault == fault


def _forgotten(tell: Teller, tmp_path: Path) -> str:
    """Something that runs on all devices there are, and of which the restored plane knows nothing but what the site tells."""
    world = tell.world
    world.sites["north"].driver.script("job", Script(run_ms=10 * MINUTE_MS))
    id = tell.submit(spec("job", devices=4))
    saved = backup(f"sqlite:///{tmp_path}/a.db", tmp_path / "saved.jsonl.gz", now_ms=NOW_MS)
    world.settle()
    assert world.workload(id).state == "running"
    _restore(world, tmp_path, saved)
    world.settle()
    return id


def test_devices_on_which_forgotten_work_still_runs_are_given_to_nobody_until_it_has_ended(tell: Teller, tmp_path: Path) -> None:
    world = tell.world
    _forgotten(tell, tmp_path)
    world.sites["north"].driver.script("other", Script(run_ms=MINUTE_MS))
    other = tell.submit(spec("other"))
    world.advance(NOW_MS + 5 * MINUTE_MS)
    assert world.workload(other).state == "waiting"
    why = world.controller.why(other)
    assert isinstance(why, WhyAnswer)
    assert why.reason.kind == ReasonKind.WAITS_DEVICES
    (row,) = world.store.read(lambda r: r.find(Quarantine))
    assert (row.observation["phase"], row.observation["cores_milli"]) == ("running", 1000)
    world.advance(NOW_MS + 30 * MINUTE_MS)
    assert world.workload(other).state == "succeeded"


def test_forgotten_work_is_dismissed_while_it_runs_only_by_force_and_can_be_stopped(tell: Teller, tmp_path: Path) -> None:
    world = tell.world
    _forgotten(tell, tmp_path)
    (row,) = world.store.read(lambda r: r.find(Quarantine))
    deed = world.deed()
    refused = world.store.transact(lambda tx: resolve_quarantine(tx, deed, attempt=row.id))
    assert refused == Reason.of(ReasonKind.STILL_RUNS, attempt=row.id, site="north")
    world.store.transact(lambda tx: stop_quarantined(tx, deed, attempt=row.id))
    world.advance(NOW_MS + 2 * MINUTE_MS)
    (ended,) = world.store.read(lambda r: r.find(Quarantine))
    assert (ended.observation["phase"], ended.stopping) == ("ended", False)
    settled = world.store.transact(lambda tx: resolve_quarantine(tx, deed, attempt=row.id))
    assert isinstance(settled, Quarantine) and settled.resolved == "dismissed"
