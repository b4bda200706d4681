"""Each incarnation's part of a chain is held against its heads; what a restore dropped is known, all else is a fault."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.model.chain import AuditProof, ChainProver, believed, restored_bytes
from dure.model.event import GENESIS, RESTORED, Event, Head, seal

Chain = tuple[Event, ...]
ABSENT = "absent"


def grown(chain: Chain, count: int, tag: str = "e") -> Chain:
    """The chain with so many more events."""
    fresh = [Event(id=f"{tag}{n}", at_ms=n, actor="a", kind="k.d", subject="s", data={"tag": tag}) for n in range(count)]
    return (*chain, *seal(len(chain), last(chain), fresh))


def sign(body: bytes) -> str:
    return hashlib.sha256(b"the plane's key" + body).hexdigest()


def signed(body: bytes, signature: str) -> bool:
    return signature == sign(body)


def restored(chain: Chain, incarnation: int, /, **lies: object) -> Chain:
    """The chain with what a restore says of itself."""
    signature = sign(restored_bytes(incarnation, len(chain), last(chain), 0))
    told_of = {"incarnation": incarnation, "after_seq": len(chain), "after_hash": last(chain), "signature": signature}
    data = {k: v for k, v in (told_of | lies).items() if v != ABSENT}
    told = Event(id=f"restored{incarnation}", at_ms=0, actor="restore", kind=RESTORED, subject="plane", data=data)
    return (*chain, *seal(len(chain), last(chain), [told]))


def last(chain: Chain) -> str:
    return chain[-1].hash if chain else GENESIS


def head(chain: Chain, seq: int, incarnation: int = 1) -> Head:
    return Head(seq=seq, hash=last(chain[:seq]), at_ms=0, incarnation=incarnation, signature="s", key="k")


def proof(chain: Sequence[Event], *heads: Head) -> AuditProof:
    prover = ChainProver(heads, signed=signed)
    prover.take(chain)
    return prover.proof()


def fault(of: AuditProof) -> tuple[int, str, str] | None:
    return (of.fault.seq, of.fault.event, of.fault.fault) if of.fault else None


BEFORE = grown((), 10)  # what the first incarnation sealed, of which a backup held 6
AFTER = grown(restored(BEFORE[:6], 2), 5, "f")  # what the restored plane made of it: 1..6, the restore, 8..12


def test_a_chain_that_was_never_restored_is_proved_by_its_heads() -> None:
    found = proof(BEFORE, head(BEFORE, 0), head(BEFORE, 3), head(BEFORE, 10))
    assert (found.events, found.heads, found.last_seq, found.last_hash) == (10, 3, 10, last(BEFORE))
    assert (found.fault, found.breaks, found.incarnation) == (None, (), 1)


def test_what_a_restore_dropped_is_told_once_and_is_no_fault() -> None:
    found = proof(AFTER, head(BEFORE, 5), head(BEFORE, 7), head(BEFORE, 9), head(AFTER, 7, 2), head(AFTER, 12, 2))
    assert (found.fault, found.heads, found.incarnation) == (None, 3, 2)
    (known,) = found.breaks
    assert (known.severity, known.incarnation, known.event) == ("known_break", 2, "restored2")
    assert (known.after_seq, known.witnessed_seq, known.heads) == (6, 9, 2)


def test_a_dropped_head_beyond_the_end_of_the_chain_is_a_known_break_too() -> None:
    found = proof(AFTER[:7], head(BEFORE, 10))
    assert found.fault is None and [b.witnessed_seq for b in found.breaks] == [10]


def test_a_restore_that_dropped_nothing_witnessed_is_no_break() -> None:
    assert proof(AFTER, head(BEFORE, 6), head(AFTER, 12, 2)).breaks == ()


def test_each_restore_has_its_own_break() -> None:
    third = grown(restored(AFTER[:9], 3), 2, "g")
    found = proof(third, head(BEFORE, 8), head(AFTER, 11, 2), head(third, 12, 3))
    assert found.fault is None
    assert [(b.incarnation, b.after_seq, b.witnessed_seq) for b in found.breaks] == [(2, 6, 8), (3, 9, 11)]


def test_an_incarnation_that_was_replaced_as_a_whole_is_a_known_break() -> None:
    """Restored once from 6, then again, from an older backup, over that: nothing of incarnation 2 is in the chain."""
    third = grown(restored(BEFORE[:4], 3), 9, "g")
    found = proof(third, head(AFTER, 3, 2), head(AFTER, 8, 2), head(AFTER, 10, 2), head(BEFORE, 4))
    assert (found.fault, found.heads) == (None, 2)
    assert [(b.incarnation, b.after_seq, b.witnessed_seq) for b in found.breaks] == [(3, 4, 10)]


def test_a_part_that_a_restore_kept_must_still_agree() -> None:
    other = grown((), 10, "x")
    assert fault(proof(AFTER, head(other, 6), head(BEFORE, 9))) == (6, "e5", "head_mismatch")
    assert fault(proof(AFTER, head(other, 0), replace(head(other, 4), seq=0))) == (0, "", "head_mismatch")


def test_the_present_incarnation_may_have_lost_nothing() -> None:
    assert fault(proof(AFTER[:10], head(AFTER, 12, 2), head(BEFORE, 9))) == (12, "", "head_beyond_end")
    forked = grown(restored(BEFORE[:6], 2), 5, "x")
    assert fault(proof(AFTER, head(forked, 9, 2))) == (9, "f1", "head_mismatch")


def test_a_head_of_an_incarnation_that_the_chain_does_not_reach_is_a_fault() -> None:
    """The database went back without `dure restore`."""
    assert fault(proof(BEFORE, head(AFTER, 9, 2))) == (9, "e8", "head_mismatch")


def test_two_heads_of_one_number_are_a_fault_even_among_what_was_dropped() -> None:
    other = grown((), 10, "x")
    found = proof(AFTER, head(BEFORE, 9), head(other, 9))
    assert fault(found) == (9, "", "head_fork") and len(found.breaks) == 1


@pytest.mark.parametrize(
    "lie", [{"after_seq": 5}, {"after_hash": "0" * 64}, {"incarnation": 1}, {"incarnation": None}, {"incarnation": "2"}]
)
def test_a_restore_that_tells_of_itself_what_is_not_so_is_the_fault(lie: dict[str, object]) -> None:
    chain = grown(restored(BEFORE[:6], 2, **lie), 3)
    assert fault(proof(chain, head(BEFORE, 9))) == (7, chain[6].id, "bad_restore")


@pytest.mark.parametrize(
    "signature",
    [
        ABSENT, "", None, 7, "f" * 64,
        sign(restored_bytes(3, 6, last(BEFORE[:6]), 0)),  # of another incarnation
        sign(restored_bytes(2, 5, last(BEFORE[:6]), 0)), sign(restored_bytes(2, 6, last(BEFORE[:5]), 0)),  # from elsewhere
        sign(restored_bytes(2, 6, last(BEFORE[:6]), 1)),  # at another time
    ],
)  # fmt: skip
def test_a_restore_that_the_planes_key_did_not_sign_excuses_nothing(signature: object) -> None:
    """Otherwise whoever can write to the database removes what heads witnessed, and calls it a restore."""
    chain = grown(restored(BEFORE[:6], 2, signature=signature), 3, "f")
    found = proof(chain, head(BEFORE, 9), head(BEFORE, 4))
    assert fault(found) == (7, "restored2", "bad_restore") and found.breaks == ()


def test_behind_a_fault_nothing_is_judged_but_what_stands_before_it_is() -> None:
    broken = (*AFTER[:9], replace(AFTER[9], actor="other"), *AFTER[10:])
    assert fault(proof(broken, head(AFTER, 12, 2), head(BEFORE, 9))) == (10, AFTER[9].id, "altered")
    other = grown((), 10, "x")
    assert fault(proof(broken, head(other, 4))) == (4, "e3", "head_mismatch")
    third = restored(BEFORE[:4], 3)
    cut = (*third[:3], replace(third[3], actor="other"), third[4])
    assert fault(proof(cut, head(grown((), 3, "x"), 3, 2))) == (4, "e3", "altered")


def test_a_part_of_a_chain_is_proved_from_where_it_begins() -> None:
    prover = ChainProver(signed=signed, seq=6, hash=BEFORE[5].hash)
    assert prover.take(AFTER[6:]) and (prover.seq, prover.incarnation) == (12, 2)
    wrong = ChainProver(signed=signed, seq=6, hash=BEFORE[4].hash)
    assert not wrong.take(AFTER[6:]) and not wrong.take(AFTER[6:])
    assert wrong.fault is not None and wrong.fault.seq == 7


@given(st.data())
def test_any_history_of_restores_proves_itself_and_any_changed_event_is_found(data: st.DataObject) -> None:
    chain, heads, incarnation = grown((), data.draw(st.integers(1, 6))), list[Head](), 1
    heads.append(head(chain, len(chain)))
    for _ in range(data.draw(st.integers(0, 4))):
        incarnation += data.draw(st.integers(1, 2))
        kept = data.draw(st.integers(1, len(chain)))
        chain = grown(restored(chain[:kept], incarnation), data.draw(st.integers(0, 5)), f"i{incarnation}-")
        heads.append(head(chain, len(chain), incarnation))
    found = proof(chain, *heads)
    assert found.fault is None and found.incarnation == incarnation
    at = data.draw(st.integers(0, len(chain) - 1))
    changed = (*chain[:at], replace(chain[at], subject="other"), *chain[at + 1 :])
    assert fault(proof(changed, *heads)) == (at + 1, chain[at].id, "altered")
    rewritten = (*chain[:at], *seal(at, last(chain[:at]), [replace(e, seq=0, hash="") for e in changed[at:]]))
    assert proof(rewritten, *heads).fault is not None


def test_without_a_key_any_signature_of_a_restore_is_taken_for_one() -> None:
    assert believed(restored_bytes(2, 7, GENESIS, 1), "anything")
