"""After a restore nothing is launched again that a site already has: it is billed, or set aside for an operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from dure.backends.fake import Script
from dure.controller import WhyAnswer, verify_audit, verify_store_books
from dure.controller.commands.sites import attest_lost, resolve_quarantine
from dure.model.reason import ReasonKind
from dure.model.records import Plane
from dure.model.site import Quarantine
from dure.simulator.crash import Teller
from dure.simulator.world import World
from dure.store.sql import SqlStore
from dure.store.sql.transport import backup, restore
from tests.simulation.stories import MINUTE_MS, NOW_MS, POLICY, begin, node, spec


@pytest.fixture
def tell(tmp_path: Path) -> Teller:
    made = World(now_ms=NOW_MS, policy=POLICY, store=SqlStore.open(f"sqlite:///{tmp_path}/a.db"))
    made.add_site("north", [node("n1")])
    teller = Teller(made)
    begin(teller)
    return teller


def _restore(world: World, tmp_path: Path, saved: Path) -> None:
    """The plane comes back from its backup; the site and its agent never noticed."""
    world.store.close()
    url = f"sqlite:///{tmp_path}/b.db"
    restore(saved, url)
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
