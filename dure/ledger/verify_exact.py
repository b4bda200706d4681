"""Proof of what lies between exact charges and whole units: that nothing was rounded away, and nothing billed twice.

Three tellers are held against each other: the attempts (exact charge and refund), the transfers (whole units posted), and the
event chain (every end in its order). Shares no code with `settle_exact`. Findings come in one order: attempts by id, ends by
remainder and number, remainders by id.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from dure.ledger.verify import AttemptMoney, Finding
from dure.model.funding import Remainder, Transfer, TransferKind
from dure.model.money import NANO

_SIGN = {TransferKind.SETTLE: 1, TransferKind.REFUND: -1}


class EndTold(NamedTuple):
    """What the event of an end tells of its money."""

    attempt: str
    settled: int
    refunded: int
    charge_rest_nano: int
    refund_rest_nano: int
    remainder: str
    number: int  # its place among the ends of that remainder, from 1; 0 when nothing was charged
    carry_nano: int  # what was carried after it


def verify_remainders(
    remainders: Iterable[Remainder], transfers: Iterable[Transfer], attempts: Iterable[AttemptMoney]
) -> tuple[Finding, ...]:
    """The net identity, for each remainder: posted × 10⁹ + carry = Σ exact charges − Σ exact refunds.

    charge_impossible: not 0 ≤ exact refund ≤ exact charge ≤ held, or of an attempt that lives. carry_out_of_bounds: a remainder
    that is not within one unit. carry_differs: the identity does not hold."""
    rows = sorted(attempts)
    found = [_impossible(row) for row in rows if not _possible(row)]
    of = {row.id: row.remainder for row in rows}
    due: Counter[str] = Counter()  # remainder → exact net charges less what was posted of them, in nano-units
    for row in rows:
        due[row.remainder] += row.charge_nano - row.refund_nano
    for transfer in transfers:
        if transfer.attempt in of and transfer.kind in _SIGN:
            due[of[transfer.attempt]] -= _SIGN[transfer.kind] * transfer.amount * NANO
    carried = {r.id: r.nano for r in remainders}
    found += [Finding("carry_out_of_bounds", id, {"nano": nano}) for id, nano in sorted(carried.items()) if not 0 <= nano < NANO]
    found += [
        Finding("carry_differs", id, {"stored": carried.get(id, 0), "recomputed": due[id]})
        for id in sorted(carried.keys() | due.keys())
        if carried.get(id, 0) != due[id]
    ]
    return tuple(found)


def _possible(row: AttemptMoney) -> bool:
    if row.live:
        return not (row.charge_nano or row.refund_nano)
    return 0 <= row.refund_nano <= row.charge_nano <= row.held * NANO


def _impossible(row: AttemptMoney) -> Finding:
    facts = {"held": row.held, "settled": row.settled, "charge_rest_nano": row.charge_rest_nano, "refunded": row.refunded,
             "refund_rest_nano": row.refund_rest_nano}  # fmt: skip
    return Finding("charge_impossible", row.id, facts)


def verify_ends(
    told: Iterable[EndTold], remainders: Iterable[Remainder], attempts: Iterable[AttemptMoney]
) -> tuple[Finding, ...]:
    """Attempts and remainders against what the event chain recorded of every end.

    What was told first of an attempt stands; told_twice: something else was told of it later.
    altered: an attempt's money is not what was recorded. unrecorded: charged, but no event tells of it. missing: recorded, but
    no longer stored. carry_broken: an end that does not go on from the one before it. remainder_altered: not as the last end
    left it."""
    ends: dict[str, EndTold] = {}
    again = [end for end in told if ends.setdefault(end.attempt, end) != end]
    rows = {row.id: row for row in attempts}
    found = [*_altered(ends, rows), *(Finding("told_twice", end.attempt, {"recorded": end[1:5]}) for end in again)]
    chains: defaultdict[str, list[EndTold]] = defaultdict(list)
    for end in ends.values():
        if end.number:
            chains[end.remainder].append(end)
    stored = {r.id: (r.nano, r.ends) for r in remainders}
    for id in sorted(chains.keys() | stored.keys()):
        chain = sorted(chains[id], key=lambda end: (end.number, end.attempt))
        found += _broken(chain)
        last = (chain[-1].carry_nano, chain[-1].number) if chain else (0, 0)
        if stored.get(id, (0, 0)) != last:
            found.append(Finding("remainder_altered", id, {"recorded": last, "stored": stored.get(id, (0, 0))}))
    return tuple(found)


def _altered(ends: Mapping[str, EndTold], rows: Mapping[str, AttemptMoney]) -> Iterator[Finding]:
    nothing = (0, 0, 0, 0)
    for id in sorted(ends.keys() | rows.keys()):
        recorded = ends[id][1:5] if id in ends else nothing
        row = rows.get(id)
        if row is None:
            yield Finding("missing", id, {"recorded": recorded})
            continue
        seen = (row.settled, row.refunded, row.charge_rest_nano, row.refund_rest_nano)
        if seen != recorded:
            yield Finding("altered" if id in ends else "unrecorded", id, {"recorded": recorded, "stored": seen})


def _broken(chain: Iterable[EndTold]) -> Iterator[Finding]:
    """The first end of a chain that does not follow from the one before it: what comes behind it cannot be judged."""
    number, carry_nano = 0, 0
    for end in chain:
        number, carry_nano = number + 1, carry_nano + end.charge_rest_nano - end.refund_rest_nano
        if (end.number, end.carry_nano) != (number, carry_nano) or not 0 <= carry_nano < NANO:
            facts = {"number": end.number, "expected": number, "carry_nano": end.carry_nano, "recomputed": carry_nano}
            yield Finding("carry_broken", end.attempt, facts)
            return
