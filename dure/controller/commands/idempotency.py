"""The same request, sent twice, is done once: the answer is kept in the transaction of the deed itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dure.controller.deed import Deed
from dure.model.event import canonical
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Idempotency
from dure.ports import Tx

V = TypeVar("V")

KEPT_BYTES_MAX = 64 << 10  # of one answer: whoever repeats a request with ever new keys fills no disk
MEMBER_BYTES_MAX = 1 << 10  # what a member may measure that stays in a shortened answer
LEFT_OUT = "left_out"

KEPT_MS = 48 * 3_600_000  # answers are kept this long: a client that retries later than two days is a new request


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: Mapping[str, Any]
    repeated: bool = False


def once(
    tx: Tx,
    deed: Deed,
    *,
    key: str,
    request: str,
    status: int,
    command: Callable[[Tx], V | Reason],
    encode: Callable[[V], dict[str, Any]],
) -> Answer | Reason:
    """Run `command` unless the same actor already sent the same request under the same key.

    request: digest of method, path and body. A refusal is not kept: nothing was done, so asking again is asking anew. Of an
    answer longer than `KEPT_BYTES_MAX` the long members are not kept, see `shortened`."""
    row_id = f"{deed.actor}:{key}"
    known = tx.get(Idempotency, row_id)
    if known is not None:
        if known.request != request:
            return Reason.of(ReasonKind.KEY_REUSED, key=key)
        return Answer(status=known.status, body=known.answer, repeated=True)
    value = command(tx)
    if isinstance(value, Reason):
        return value
    body = encode(value)
    tx.insert(Idempotency(id=row_id, request=request, status=status, answer=shortened(body), at_ms=deed.now_ms))
    return Answer(status=status, body=body)


def shortened(body: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an answer: all of it, or when that is too long its short members, and `left_out`: of each long one how
    many items it had."""
    if len(canonical(body)) <= KEPT_BYTES_MAX:
        return body
    short = {name: value for name, value in body.items() if len(canonical(value)) <= MEMBER_BYTES_MAX}
    missing = {name: len(value) for name, value in body.items() if name not in short}  # only texts, lists and objects are long
    return {**short, LEFT_OUT: missing}
