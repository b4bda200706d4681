"""Sealing: the leader gives the events of the last moments their numbers and their place in the hash chain."""

from __future__ import annotations

from dataclasses import replace

from dure.controller.rules import plane_of
from dure.model.event import Event, seal
from dure.ports import Store, Tx

SEALED_AT_ONCE = 500  # events in one transaction, so that none grows without bound


def seal_events(store: Store, epoch: int) -> int:
    """Seal everything that is unsealed; how many there were. Raises StaleLeader when another controller leads."""
    total = 0
    while True:
        sealed = store.transact(_seal_some, fence=epoch)
        total += sealed
        if sealed < SEALED_AT_ONCE:
            return total


def _seal_some(tx: Tx) -> int:
    # by id: ids sort by time, and within one process exactly in the order in which they were made
    fresh = tx.find(Event, {"seq": 0}, limit=SEALED_AT_ONCE)
    if not fresh:
        return 0
    plane = plane_of(tx)
    sealed = seal(plane.sealed_seq, plane.sealed_hash, fresh)
    for before, after in zip(fresh, sealed, strict=True):
        tx.update(replace(after, version=before.version))
    tx.update(replace(plane, sealed_seq=sealed[-1].seq, sealed_hash=sealed[-1].hash))
    return len(sealed)
