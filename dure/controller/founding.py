"""The first moment of a plane: its own row, its first rules, its first administrator."""

from __future__ import annotations

from dataclasses import replace

from dure.controller.commands.tenancy import create_actor
from dure.controller.deed import Deed, record, record_digest, touch
from dure.errors import require
from dure.model.policy import Policy
from dure.model.records import Plane
from dure.model.tenancy import Actor, Role
from dure.ports import Tx


def found(tx: Tx, deed: Deed, *, policy: Policy, public_key: str) -> None:
    """Found a plane in an empty store, with an administrator; nothing when it was founded before. No token is made here: one that
    nobody keeps would count as an administrator who can come back.

    public_key: Ed25519, hex; of the key that signs the heads of the event chain."""
    if tx.get(Plane, "plane") is not None:
        return
    plane = Plane(public_key=public_key, created_ms=deed.now_ms)
    first = replace(policy, id="policy:1", version=1, created_ms=deed.now_ms)
    tx.insert(plane)
    tx.insert(first)
    record(
        tx, deed, "plane.founded", "plane", data={"key": public_key, "digest": record_digest(first)}, touched=touch(plane, first)
    )
    admin = create_actor(tx, deed, name="", kind="service", grants=[(Role.ADMIN, "*")])
    require(isinstance(admin, Actor), f"the first administrator could not be made: {admin}")
