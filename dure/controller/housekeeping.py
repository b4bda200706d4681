"""What time asks for besides placement: awards end, dependencies fail, sites fall silent, the waiting are told why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, repeat
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dure.controller.commands import bundles
from dure.controller.commands.bundles import last_use_ms, remove_bundle
from dure.controller.commands.funding import expire_award
from dure.controller.commands.idempotency import KEPT_MS
from dure.controller.deed import Deed, record, touch
from dure.controller.lifecycle import move_workload
from dure.controller.mirror import Mirror, Waiting
from dure.controller.rates import shortest_ms
from dure.ledger import award_account
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Bundle, Idempotency, WaitNote
from dure.model.site import Site
from dure.model.workload import Workload, WorkloadState
from dure.ports import Reader, Store, Tx
from dure.scheduler import Plan, Snapshot, reason_of
from dure.scheduler.kernels.waits import FACTS

T = TypeVar("T")
I64 = NDArray[np.int64]

NEVER_TOLD = -1  # in place of a code

NOTES_AT_ONCE = 200  # waiting notes written in one step: the rest follows in the next ones
PRUNED_AT_ONCE = 100  # in one transaction, so that nobody waits long behind it; as many bodies are in memory
BUNDLES_AT_ONCE = 200  # code archives looked at in one step
PRUNE_ROUNDS = 200  # in one sweep: 20,000 a minute, more than come in
NOTE_EVERY_MS = 10_000  # a note whose numbers alone have changed is written again after this long at the earliest


def each(items: Iterable[T], do: Callable[[T], None]) -> None:
    for item in items:
        do(item)


def fail_late(store: Store, deed: Deed, mirror: Mirror, fence: int) -> int:
    """End the waiting workloads that could not be over by their deadlines any more, if they started now."""
    late = [id for id, latest_ms in mirror.latest.items() if latest_ms < deed.now_ms]
    if late:
        store.transact(lambda tx: each(late, lambda id: _fail(tx, deed, id, _too_late(mirror, id))), fence=fence)
    return len(late)


def _too_late(mirror: Mirror, id: str) -> Reason:
    spec = mirror.waiting[id].workload.spec
    return Reason.of(ReasonKind.TOO_LATE, deadline_ms=spec.deadline_ms, limit_ms=shortest_ms(mirror.policy, spec))


def fail_dependents(store: Store, deed: Deed, mirror: Mirror, fence: int) -> int:
    """End the waiting workloads that depend on something which will never succeed."""
    failed = mirror.doomed()
    if failed:
        store.transact(lambda tx: each(failed, lambda w: _fail(tx, deed, w.workload.id, _depends(w))), fence=fence)
    return len(failed)


def _depends(waiting: Waiting) -> Reason:
    return Reason.of(ReasonKind.DEPENDENCY_FAILED, on=waiting.failed_on)


def _fail(tx: Tx, deed: Deed, id: str, reason: Reason) -> None:
    """End a waiting workload that will never start; the event tells the facts that others are to be told by."""
    row = tx.get(Workload, id)
    if row is None or row.state != WorkloadState.WAITING:
        return
    failed = move_workload(tx, row, WorkloadState.FAILED, ended_ms=deed.now_ms, reason=reason.to_json())
    data = {"on": reason.facts["on"]} if "on" in reason.facts else {"deadline_ms": reason.facts["deadline_ms"]}
    record(tx, deed, "workload.failed", row.id, project=row.project, data=data, touched=touch(failed))


def expire_awards(store: Store, deed: Deed, mirror: Mirror, fence: int) -> int:
    """Close the awards whose last day is over and of which nothing is held any more."""
    if mirror.first_expiry_ms() > deed.now_ms:
        return 0
    due = [a.id for a in mirror.awards.values() if a.expires_ms <= deed.now_ms and not _held(mirror, a.id)]
    if due:
        store.transact(lambda tx: [expire_award(tx, deed, award=a) for a in due], fence=fence)
    return len(due)


def _held(mirror: Mirror, award: str) -> int:
    account = mirror.accounts.get(award_account(award))
    return account.debits_pending if account else 0


def tell_silence(store: Store, deed: Deed, silent: Iterable[str], returned: Iterable[str], fence: int) -> None:
    """Record that sites fell silent or came back. Unknown is not failed: nothing that runs there is touched."""
    changes = [(s, "site.unknown") for s in silent] + [(s, "site.returned") for s in returned]
    if changes:
        store.transact(lambda tx: each(changes, lambda c: _tell(tx, deed, *c)), fence=fence)


def _tell(tx: Tx, deed: Deed, site: str, kind: str) -> None:
    row = tx.get(Site, site)
    record(tx, deed, kind, site, site=site, data={"last_seen_ms": row.last_seen_ms if row else 0})


def prune_answers(store: Store, deed: Deed, fence: int) -> int:
    """Forget the answers to writes that nobody can be repeating any more.

    They are looked for outside of the writer, of which only their deletion takes time; when none is old, one row is read."""
    total, wanted = 0, 1
    for _ in range(PRUNE_ROUNDS):
        old = store.read(lambda reader, limit=wanted: _old_answers(reader, deed.now_ms - KEPT_MS, limit))  # type: ignore[misc]
        if old:
            store.transact(lambda tx, ids=old: each(ids, lambda id: tx.delete(Idempotency, id)), fence=fence)  # type: ignore[misc]
        total += len(old)
        if len(old) < wanted:
            break
        wanted = PRUNED_AT_ONCE
    return total


def _old_answers(reader: Reader, before_ms: int, limit: int) -> list[str]:
    return [row.id for row in reader.find(Idempotency, order="at_ms", limit=limit) if row.at_ms < before_ms]


def remove_bundles(store: Store, deed: Deed, mirror: Mirror, fence: int) -> int:
    """Forget the code archives that nothing has named for `bundles.KEPT_MS` and that nothing which waits or runs needs.

    The mirror may be a moment old: whatever was submitted since has noted its use, which `remove_bundle` heeds."""
    live = [*(w.workload for w in mirror.waiting.values()), *mirror.placed.values()]
    needed = {f"{w.project}:{w.spec.bundle}" for w in live if w.spec.bundle}
    removed, after = 0, ""
    while page := store.read(lambda reader, after=after: reader.find(Bundle, after=after, limit=BUNDLES_AT_ONCE)):  # type: ignore[misc]
        after = page[-1].id
        old = [b.id for b in page if deed.now_ms - last_use_ms(b) >= bundles.KEPT_MS and b.id not in needed]
        if old:
            removed += store.transact(
                lambda tx, ids=old: sum(remove_bundle(tx, deed, id=id) for id in ids),  # type: ignore[misc]
                fence=fence,
            )
    return removed


class NoteKeeper:
    """Writes why workloads wait, so that lists can show it: when the kind of reason changes, and the numbers now and then."""

    def __init__(self) -> None:
        self._ids: tuple[str, ...] = ()
        self._row: dict[str, int] = {}
        self._told, self._told_ms = _untold(0)  # by row of `_ids` and one more, of which nothing was told

    def due(self, snapshot: Snapshot, plan: Plan) -> list[WaitNote]:
        """The notes that this plan makes worth writing. A note that is put off is due again at the next plan."""
        now_ms, count = snapshot.now_ms, len(snapshot.pending.ids)
        told, told_ms = self._before(snapshot.pending.ids)
        tells, _ = _untold(count)
        tells[:count, 0], tells[:count, 2:] = plan.wait_code, plan.wait_facts
        tells[plan.reserve_pending, 1] = plan.reserve_ms
        waits, kind = tells[:, 0] >= 0, tells[:, 0] == told[:, 0]
        rows = np.flatnonzero(waits & ~(kind & (now_ms - told_ms < NOTE_EVERY_MS)))
        rows = rows[(tells[rows] != told[rows]).any(axis=1)]
        chosen, put_off = rows[:NOTES_AT_ONCE], rows[NOTES_AT_ONCE:]
        told[chosen], told_ms[chosen] = tells[chosen], now_ms
        told[put_off, 0] = told[~waits, 0] = NEVER_TOLD
        return [_note(snapshot, plan, row, int(tells[row, 1])) for row in chosen.tolist()]

    def _before(self, ids: tuple[str, ...]) -> tuple[I64, I64]:
        """What was told and when, by row of these."""
        if ids is not self._ids:
            rows = np.fromiter(chain(map(self._row.get, ids, repeat(-1)), (-1,)), np.int64, len(ids) + 1)
            self._told, self._told_ms = self._told[rows], self._told_ms[rows]
            self._ids, self._row = ids, dict(zip(ids, range(len(ids)), strict=True))
        return self._told, self._told_ms

    def write(self, store: Store, notes: list[WaitNote], fence: int) -> None:
        if notes:
            store.transact(lambda tx: _put_notes(tx, notes), fence=fence)


def _untold(count: int) -> tuple[I64, I64]:
    """By row: code, promised moment and facts of what was told; when."""
    told = np.zeros((count + 1, 2 + FACTS), np.int64)
    told[:, 0] = NEVER_TOLD
    return told, np.zeros(count + 1, np.int64)


def _note(snapshot: Snapshot, plan: Plan, row: int, promised_ms: int) -> WaitNote:
    reason = reason_of(snapshot, plan, row)
    project = snapshot.projects.ids[int(snapshot.pending.project[row])]
    plain = reason.to_json() if reason else {}
    return WaitNote(id=snapshot.pending.ids[row], project=project, reason=plain, promised_ms=promised_ms, at_ms=snapshot.now_ms)


def _put_notes(tx: Tx, notes: list[WaitNote]) -> None:
    ids = [n.id for n in notes]
    tx.read_ahead({Workload: ids, WaitNote: ids})  # what each is about to ask for
    each(notes, lambda note: _put_note(tx, note))


def _put_note(tx: Tx, note: WaitNote) -> None:
    workload = tx.get(Workload, note.id)
    if workload is None or workload.state != WorkloadState.WAITING:
        return  # it has moved on since the plan
    old = tx.get(WaitNote, note.id)
    if old is None:
        tx.insert(note)
    else:
        tx.update(WaitNote(id=note.id, project=note.project, reason=note.reason, promised_ms=note.promised_ms,
                           at_ms=note.at_ms, version=old.version))  # fmt: skip
