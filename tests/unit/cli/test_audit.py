"""`dure audit verify`: a known break is told and is no fault; a rewritten past is one, and the plane says so itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dure.agent.journal import Journal
from dure.cli.exits import Exit
from dure.config import load
from dure.model.chain import restored_bytes
from dure.model.event import RESTORED, Event, Head, seal
from dure.model.records import Plane
from dure.model.tenancy import Credential, Grant, Role
from dure.ports import Tx
from tests.builders.served_plane import Served, served_plane
from tests.unit.cli.test_commands import Shell


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_plane(tmp_path / "plane") as made:
        made.plane.controller.step()
        yield made


@pytest.fixture
def shell(served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    return Shell(served, capsys, tmp_path, {"DURE_DATA": str(tmp_path / "data"), "DURE_PROJECT": "alpha", "LANG": "C"})


def plane_row(served: Served) -> Plane:
    row = served.plane.store.read(lambda r: r.get(Plane, "plane"))
    assert row is not None
    return row


def witnessed(shell: Shell, *heads: Head) -> None:
    """Heads in the journal of the agent on this machine."""
    journal = Journal.open(load(shell.environ).agent_folder)
    for head in heads:
        journal.put((), 0, head)
    journal.close()


def later(served: Served, events: int, hash: str = "f" * 64) -> Head:
    """A head that the plane signed when it had so many more events."""
    row = plane_row(served)
    return served.plane.controller.sealer.signer.head(replace(row, sealed_seq=row.sealed_seq + events, sealed_hash=hash), 1)


def restore(served: Served, *, forged: bool = False) -> None:
    """forged: by somebody who can write to the database and has no key."""
    row = plane_row(served)
    body = restored_bytes(2, row.sealed_seq, row.sealed_hash, 1)
    signature = "ab" * 64 if forged else served.plane.controller.sealer.signer.sign(body)
    data = {"incarnation": 2, "after_seq": row.sealed_seq, "after_hash": row.sealed_hash, "signature": signature}
    told = Event(id="restored", at_ms=1, actor="restore", kind=RESTORED, subject="plane", data=data)
    (told,) = seal(row.sealed_seq, row.sealed_hash, [told])

    def fill(tx: Tx) -> None:
        tx.insert(told)
        tx.update(replace(row, incarnation=2, sealed_seq=told.seq, sealed_hash=told.hash))

    served.plane.store.transact(fill)
    served.plane.clock.shift_ms += 2_000
    served.plane.controller.step()


def test_what_a_restore_dropped_is_a_known_break_and_no_fault(served: Served, shell: Shell) -> None:
    kept = plane_row(served).sealed_seq
    witnessed(shell, plane_row(served).head, later(served, 3), later(served, 9))
    assert shell.json("audit", "verify", expect=Exit.FAULTY)["fault"]["fault"] == "head_beyond_end"
    restore(served)
    proof = shell.json("audit", "verify")
    assert (proof["ok"], proof["fault"], proof["plane_fault"], proof["incarnation"]) == (True, None, None, 2)
    assert proof["breaks"] == [
        {
            "severity": "known_break", "incarnation": 2, "event": "restored", "after_seq": kept, "witnessed_seq": kept + 9,
            "heads": 2,
        }
    ]  # fmt: skip
    said = shell.run("audit", "verify")
    assert said.count("Known break") == 1 and str(kept) in said and str(kept + 9) in said
    assert "알려진 단절" in shell.run("audit", "verify", "--lang", "ko")


def test_who_removed_events_without_the_key_cannot_call_it_a_restore(served: Served, shell: Shell) -> None:
    kept = plane_row(served).sealed_seq
    witnessed(shell, plane_row(served).head, later(served, 9))
    restore(served, forged=True)
    proof = shell.json("audit", "verify", expect=Exit.FAULTY)
    told = {"seq": kept + 1, "event": "restored", "fault": "bad_restore"}
    assert (proof["ok"], proof["fault"], proof["plane_fault"], proof["breaks"]) == (False, told, told, [])
    assert plane_row(served).head.seq == kept, "nor does the plane sign it"
    assert "restored" in shell.run("audit", "verify", expect=Exit.FAULTY)


def test_another_divergence_beside_a_known_break_is_a_fault_that_names_the_row(served: Served, shell: Shell) -> None:
    row = plane_row(served)
    forged = served.plane.controller.sealer.signer.head(replace(row, sealed_seq=4, sealed_hash="e" * 64), 1)
    witnessed(shell, later(served, 3), forged)
    restore(served)
    proof = shell.json("audit", "verify", expect=Exit.FAULTY)
    fourth = next(e["id"] for e in served.client("auditor").events() if e["seq"] == 4)
    assert proof["fault"] == {"seq": 4, "event": fourth, "fault": "head_mismatch"} and len(proof["breaks"]) == 1
    assert "known break" in shell.run("audit", "verify", expect=Exit.FAULTY).lower()


def test_a_plane_that_will_not_sign_says_so_everywhere(served: Served, shell: Shell) -> None:
    def rewrite(tx: Tx) -> None:
        events = sorted((e for e in tx.find(Event) if e.seq), key=lambda e: e.seq)
        forged = seal(1, events[0].hash, [replace(e, hash="", at_ms=e.at_ms - 1) for e in events[1:]])
        for old, new in zip(events[1:], forged, strict=True):
            tx.update(replace(new, version=old.version))
        tx.update(replace(plane_row(served), sealed_hash=forged[-1].hash))

    assert shell.json("audit", "verify")["ok"]
    served.plane.store.transact(rewrite)
    served.plane.submit()
    assert served.plane.controller.step() is None
    proof = shell.json("audit", "verify", expect=Exit.FAULTY)
    assert proof["plane_fault"]["fault"] == "head_mismatch" and proof["unsealed"] > 0
    said = shell.run("audit", "verify", expect=Exit.FAULTY)
    assert "contradicts its last signed head" in said and "nothing of them is lost" in said
    assert "contradict the last signed head" in shell.run("status")
    assert shell.json("status")["controller"]["contradiction"]["fault"] == "head_mismatch"
    assert served.client("auditor").healthz() == {"status": "ok", "chain": "contradicted"}


def test_a_role_that_no_event_tells_of_is_named_and_nobody_takes_it_for_proved(served: Served, shell: Shell) -> None:
    actor = served.plane.store.read(lambda r: r.find(Credential))[0].actor
    row = Grant(id=f"{actor}:auditor:*", actor=actor, role=Role.AUDITOR)
    assert shell.json("audit", "verify")["findings"] == []
    served.plane.store.transact(lambda tx: tx.insert(row))
    proof = shell.json("audit", "verify", expect=Exit.FAULTY)
    assert (proof["ok"], proof["fault"], proof["plane_fault"]) == (False, None, None)
    assert [(f["kind"], f["subject"]) for f in proof["findings"]] == [("unrecorded", row.id)]
    said = shell.run("audit", "verify", expect=Exit.FAULTY)
    assert row.id in said and "no event tells of it" in said and "The chain holds" not in said
    assert "이를 알리는 사건이 없습니다" in shell.run("audit", "verify", "--lang", "ko", expect=Exit.FAULTY)


def test_an_event_that_no_command_wrote_is_not_sealed_and_is_named(served: Served, shell: Shell) -> None:
    forged = Event(id="by_hand", at_ms=1, actor="controller", kind="site.returned", subject="s", data={"digest": "0" * 32})
    served.plane.store.transact(lambda tx: tx.insert(forged))
    served.plane.clock.shift_ms += 2_000
    assert served.plane.controller.step() is None
    proof = shell.json("audit", "verify", expect=Exit.FAULTY)
    assert (proof["plane_fault"]["event"], proof["plane_fault"]["fault"], proof["unsealed"]) == ("by_hand", "forged", 1)
    assert "by_hand" in shell.run("audit", "verify", expect=Exit.FAULTY)
    served.plane.store.transact(lambda tx: tx.delete(Event, "by_hand"))
    assert served.plane.controller.step() is not None
    assert shell.json("audit", "verify")["ok"]


def test_the_ledgers_proof_says_what_it_leaves_unproved(served: Served, shell: Shell) -> None:
    served.plane.controller.step()
    assert "not sealed yet" not in shell.run("ledger", "verify")
    served.client("admin").fund_programme("voucher", 5)
    answer = shell.json("ledger", "verify")
    assert (answer["ok"], answer["unsealed"], answer["unproved"]) == (True, 1, 1)
    assert "not sealed yet" in shell.run("ledger", "verify")
