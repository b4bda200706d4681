"""How the second program reads columns: the entries of a row, and when nothing may run on a node."""

from __future__ import annotations

from collections.abc import Iterator

from dure.scheduler.snapshot import Snapshot


def run(ptr: object, column: object, i: int) -> list[int]:
    """The entries of row `i`. ptr: CSR offsets into the column."""
    values: list[int] = column[ptr[i] : ptr[i + 1]].tolist()  # type: ignore[index]
    return values


def windows(s: Snapshot, node: int) -> Iterator[tuple[int, int]]:
    """From when until when nothing may run on a node."""
    n = s.nodes
    return zip(run(n.closed_ptr, n.closed_from_ms, node), run(n.closed_ptr, n.closed_until_ms, node), strict=True)
