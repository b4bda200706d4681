"""Columns that a plan was based on cannot be written to, whoever made them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from dure.scheduler.change import only
from dure.scheduler.snapshot import Snapshot, freeze
from tests.builders.world import World


def _writable(snapshot: Snapshot) -> list[str]:
    groups = [(each.name, getattr(snapshot, each.name)) for each in fields(snapshot)]
    columns = [(name, getattr(group, each)) for name, group in groups for each in getattr(group, "__dataclass_fields__", ())]
    return [name for name, column in (*groups, *columns) if isinstance(column, np.ndarray) and column.flags.writeable]


def test_every_column_is_made_read_only_and_what_was_before_is_not_looked_at_again() -> None:
    before = World().site("s", 2, cores=64, devices=8, accelerator="h100").project("p").snapshot()
    assert _writable(freeze(before)) == []
    shares, rate = replace(before.shares, use=before.shares.use.copy()), before.core_rate.copy()
    after = replace(before, now_ms=before.now_ms + 1, shares=shares, core_rate=rate)
    assert _writable(after) == ["core_rate", "shares"]
    assert freeze(after, before) is after
    assert (_writable(after), after.nodes is before.nodes) == ([], True)


def test_a_workload_alone_is_frozen_as_the_whole_is() -> None:
    """Kernels are compiled for columns that may be written to, or that may not: for both, who asks why first waits a minute."""
    made = World().site("s1", nodes=1, devices=2, accelerator="x").award("lab", 9).pending("w1", devices=1, hold=5).snapshot()
    assert _writable(only(freeze(made), 0)) == []
