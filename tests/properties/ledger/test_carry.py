"""What is carried: however work is cut into attempts, exactly what it costs is posted, to the last whole unit."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dure.ledger import AttemptMoney, EndTold, Settlement, settle_exact, verify_ends, verify_remainders
from dure.model.funding import Remainder, Transfer, TransferKind
from dure.model.money import NANO, round_up
from tests.builders.worlds import examples

ordinary = examples(200)
HOME = "p/s/KRW"

carries = st.integers(0, NANO - 1)
# Around whole units is where a rounding goes wrong; the rest is of every size, up to what 64 bits could not hold.
near = st.builds(lambda whole, rest: max(0, whole * NANO + rest), st.integers(0, 4), st.integers(-3, 3))
charges = st.one_of(st.integers(0, 3 * NANO), near, st.integers(0, 10**25))


@dataclass(frozen=True)
class End:
    charge: int
    refund: int
    held: int


@st.composite
def ends(draw: st.DrawFn) -> End:
    """An exact charge, what is given back of it, and a hold that covers it: often to the last nano-unit."""
    charge = draw(charges)
    refund = draw(st.one_of(st.just(0), st.just(charge), st.integers(0, charge)))
    return End(charge, refund, round_up(charge, NANO) + draw(st.sampled_from((0, 0, 1, 100))))


def told(carry: int, deeds: list[End]) -> tuple[list[Settlement], int]:
    """All of them one after the other; what each posted, and what is carried at the end."""
    made = []
    for deed in deeds:
        made.append(settle_exact(carry, deed.charge, deed.refund, deed.held))
        carry = made[-1].carry_nano
    return made, carry


@ordinary
@given(carry=carries, deed=ends())
def test_what_an_end_posts_is_within_its_hold_and_what_is_carried_within_one_unit(carry: int, deed: End) -> None:
    made = settle_exact(carry, deed.charge, deed.refund, deed.held)
    assert 0 <= made.refunded <= made.settled <= deed.held
    assert 0 <= made.carry_nano < NANO
    assert (made.settled - made.refunded) * NANO + made.carry_nano == carry + deed.charge - deed.refund
    assert abs(made.settled * NANO - deed.charge) < NANO  # one unit more or less than it cost, at most
    assert abs(made.refunded * NANO - deed.refund) < NANO


@ordinary
@given(carry=carries, deeds=st.lists(ends(), max_size=12))
def test_many_small_settlements_are_one_big_one(carry: int, deeds: list[End]) -> None:
    made, left = told(carry, deeds)
    charge, refund = sum(d.charge for d in deeds), sum(d.refund for d in deeds)
    whole = settle_exact(carry, charge, refund, round_up(charge, NANO))
    assert sum(m.settled - m.refunded for m in made) == whole.settled - whole.refunded
    assert left == whole.carry_nano


@ordinary
@given(carry=carries, deeds=st.lists(ends(), max_size=8), data=st.data())
def test_the_order_of_ends_changes_neither_the_sum_nor_what_is_carried(carry: int, deeds: list[End], data: st.DataObject) -> None:
    other = data.draw(st.permutations(deeds))
    one, two = told(carry, deeds), told(carry, other)
    assert one[1] == two[1]
    assert sum(m.settled - m.refunded for m in one[0]) == sum(m.settled - m.refunded for m in two[0])


@ordinary
@given(pieces=st.integers(2, 400), charge=st.integers(1, 3 * NANO))
def test_a_job_that_is_cut_into_pieces_costs_what_it_costs_whole(pieces: int, charge: int) -> None:
    part = charge // pieces
    cut = [End(part, 0, round_up(part, NANO))] * (pieces - 1)
    rest = charge - part * (pieces - 1)
    made, left = told(0, [*cut, End(rest, 0, round_up(rest, NANO))])
    assert (sum(m.settled for m in made), left) == divmod(charge, NANO)


@ordinary
@given(carry=st.integers(-5 * NANO, 5 * NANO), deed=ends())
def test_not_even_a_damaged_carry_loses_anything(carry: int, deed: End) -> None:
    made = settle_exact(carry, deed.charge, deed.refund, deed.held)
    assert 0 <= made.refunded <= made.settled <= deed.held
    assert (made.settled - made.refunded) * NANO + made.carry_nano == carry + deed.charge - deed.refund


@ordinary
@given(deeds=st.lists(ends().filter(lambda d: d.charge > 0), min_size=1, max_size=8), data=st.data())
def test_the_proof_takes_what_was_settled_and_nothing_else(deeds: list[End], data: st.DataObject) -> None:
    made, left = told(0, deeds)
    rows = [
        AttemptMoney(
            f"a{n}", False, d.held, m.settled, m.refunded, HOME, d.charge - m.settled * NANO, d.refund - m.refunded * NANO
        )
        for n, (d, m) in enumerate(zip(deeds, made, strict=True))
    ]
    events = [
        EndTold(r.id, r.settled, r.refunded, r.charge_rest_nano, r.refund_rest_nano, HOME, n, m.carry_nano)
        for n, (r, m) in enumerate(zip(rows, made, strict=True), 1)
    ]
    kept = Remainder(id=HOME, project="p", site="s", currency="KRW", nano=left, ends=len(deeds))
    assert verify_ends(events, [kept], rows) == ()
    posted = [t for r in rows for t in (paid(r.id, TransferKind.SETTLE, r.settled), paid(r.id, TransferKind.REFUND, r.refunded))]
    assert verify_remainders([kept], posted, rows) == ()
    n = data.draw(st.integers(0, len(rows) - 1))
    rows[n] = rows[n]._replace(charge_rest_nano=rows[n].charge_rest_nano + 1)
    assert [(f.kind, f.subject) for f in verify_ends(events, [kept], rows)] == [("altered", f"a{n}")]
    assert ("carry_differs", HOME) in [(f.kind, f.subject) for f in verify_remainders([kept], posted, rows)]


def paid(attempt: str, kind: TransferKind, amount: int) -> Transfer:
    return Transfer(id=f"{kind}:{attempt}:0", kind=kind, debit="", credit="", amount=amount, currency="KRW", attempt=attempt)
