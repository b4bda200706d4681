"""Kernels and people mean the same by a number."""

from __future__ import annotations

from dure.model.reason import ReasonKind
from dure.scheduler.kernels import waits
from dure.scheduler.plan import CAPACITY, WAIT_CODES

NAMED = {
    "TURN": ReasonKind.WAITS_FOR_TURN, "DEPENDENCY": ReasonKind.WAITS_DEPENDENCY, "PAUSE": ReasonKind.WAITS_PAUSE,
    "DRAINING": ReasonKind.WAITS_DRAINING, "NOT_ALLOWED": ReasonKind.NO_SITE_ALLOWED,
    "UNREACHABLE": ReasonKind.NO_SITE_REACHABLE, "DRAINED": ReasonKind.SITES_DRAINED,
    "NO_TYPE": ReasonKind.NO_SUCH_ACCELERATOR, "TOO_FEW_CORES": ReasonKind.NODE_TOO_SMALL_CORES,
    "TOO_LITTLE_MEMORY": ReasonKind.NODE_TOO_SMALL_MEMORY, "TOO_FEW_DEVICES": ReasonKind.NODE_TOO_SMALL_DEVICES,
    "SITE_TOO_SMALL": ReasonKind.SITE_TOO_SMALL, "NODES_OUT": ReasonKind.NODES_OUT, "CORES": ReasonKind.WAITS_CORES,
    "MEMORY": ReasonKind.WAITS_MEMORY, "DEVICES": ReasonKind.WAITS_DEVICES, "RESERVED": ReasonKind.WAITS_RESERVED,
    "FUNDS_SHORT": ReasonKind.FUNDS_SHORT, "NO_AWARD": ReasonKind.NO_AWARD, "VICTIMS": ReasonKind.WAITS_VICTIMS,
    "POWER": ReasonKind.POWER_SHORT, "MAINTENANCE": ReasonKind.MAINTENANCE,
    "QUOTA": ReasonKind.QUOTA_REACHED, "UNDIVIDED": ReasonKind.DEVICES_UNDIVIDED, "SHARES": ReasonKind.WAITS_SHARE,
    "RULED_OUT": ReasonKind.RULED_OUT, "TOO_LATE": ReasonKind.TOO_LATE,
    "BLOCK_TOO_SMALL": ReasonKind.BLOCK_TOO_SMALL, "NO_BLOCK": ReasonKind.WAITS_BLOCK,
}  # fmt: skip


def test_every_code_of_the_kernels_is_the_reason_of_its_name() -> None:
    assert {WAIT_CODES[getattr(waits, name)][0]: name for name in NAMED} == {kind: name for name, kind in NAMED.items()}
    assert len(NAMED) == len(WAIT_CODES)


def test_what_is_too_much_in_use_stands_side_by_side() -> None:
    assert tuple(WAIT_CODES[code][0] for code in (waits.CORES, waits.MEMORY, waits.DEVICES, waits.SHARES)) == CAPACITY


def test_there_is_a_column_for_every_fact() -> None:
    assert max(len(names) for _, names in WAIT_CODES) == waits.FACTS
