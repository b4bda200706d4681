"""Records for tests: a plausible one of a class in a word, or one whose every field differs from its default."""

from __future__ import annotations

import dataclasses
import typing
from enum import StrEnum
from typing import Any, TypeVar

from dure.model.event import Event
from dure.model.funding import Account, Transfer, TransferKind
from dure.model.records import Idempotency
from dure.model.workload import Demand, Workload, WorkloadSpec

R = TypeVar("R")


def workload(id: str, *, project: str = "pr_1", **fields: Any) -> Workload:
    spec = WorkloadSpec(name=f"job {id}", command=("python", "train.py"), env={"SEED": "7"}, demand=Demand(devices=1))
    return Workload(**{"id": id, "project": project, "owner": "ac_1", "spec": spec} | fields)


def event(id: str, **fields: Any) -> Event:
    base = {"id": id, "at_ms": 1, "actor": "ac_1", "kind": "workload.submitted", "subject": "wl_1", "data": {"n": 1}}
    return Event(**base | fields)


def account(id: str, **fields: Any) -> Account:
    return Account(**{"id": id, "currency": "KRW"} | fields)


def transfer(id: str, **fields: Any) -> Transfer:
    base = {"id": id, "kind": TransferKind.HOLD, "debit": "award:1", "credit": "site:1", "amount": 5, "currency": "KRW"}
    return Transfer(**base | fields)


def idempotency(id: str, **fields: Any) -> Idempotency:
    return Idempotency(**{"id": id, "request": "ab" * 16, "status": 201, "answer": {"id": "wl_1"}} | fields)


def filled(kind: type[R], id: str) -> R:
    """A record in which no field has its default: what is lost on the way to a database and back shows."""
    values = _values(kind)
    return kind(**values | ({"id": id} if "id" in values else {}))


def _values(kind: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: _other_than_default(hints[f.name], f, number) for number, f in enumerate(dataclasses.fields(kind), 1)}


def _other_than_default(hint: Any, of: dataclasses.Field[Any], number: int) -> Any:
    value = _value(hint, of.name, number)
    return (not value if isinstance(value, bool) else value) if value == of.default else value


def _value(hint: Any, name: str, number: int) -> Any:
    if dataclasses.is_dataclass(hint):
        return typing.cast("type[Any]", hint)(**_values(typing.cast("type[Any]", hint)))
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return (_value(item, name, number), _value(item, name, number + 1))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return list(hint)[-1]
    simple = {str: f"{name} 값 {number}", int: 1000 + number, bool: True, float: number + 0.1, int | None: number}
    return simple.get(hint, {"열쇠": [number, "x", None, {"deep": True}]})
