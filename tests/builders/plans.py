"""A plan made twice, by the kernels and by the plain program: it has to be the same, byte for byte."""

from __future__ import annotations

from dataclasses import fields

from dure.scheduler import Plan, Snapshot, plan
from tests.plain.cycle import plan as plain_plan


def both(snapshot: Snapshot) -> Plan:
    """The plan, once it is certain that there is only one."""
    made, plain = plan(snapshot), plain_plan(snapshot)
    assert made.wait_code.tolist() == plain.wait_code.tolist()
    assert made.wait_facts.tolist() == plain.wait_facts.tolist()
    assert columns_of(made) == columns_of(plain)
    return made


def columns_of(plan: Plan) -> dict[str, tuple[object, object, bytes]]:
    return {f.name: ((c := getattr(plan, f.name)).dtype, c.shape, c.tobytes()) for f in fields(Plan)}
