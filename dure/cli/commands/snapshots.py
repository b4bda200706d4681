"""Snapshots: save what the plan is made from, and plan it again, elsewhere and otherwise."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dure.cli.commands.options import File, WhatIf, filled
from dure.cli.exits import Exit
from dure.cli.farm.compiling import compiled
from dure.cli.policyfiles import policy_said, refused
from dure.cli.run import Run
from dure.cli.twoplans import tell_one, tell_whole
from dure.controller.answers import PolicyRater
from dure.model.reason import Reason
from dure.scheduler import (
    Asker,
    Snapshot,
    class_of,
    decode,
    parse_suppositions,
    suppose,
    under_policy,
    without_effect,
)

NewFile = Annotated[Path, typer.Argument(help="arg.snapshot_target", metavar="FILE", dir_okay=False)]
Policies = Annotated[
    list[str] | None, typer.Option("--policy", help="opt.plan_policy", metavar="NAME|FILE|FIELD=VALUE", callback=filled)
]
OneWorkload = Annotated[str, typer.Option("--workload", help="opt.plan_workload", metavar="ID", callback=filled)]


@dataclass(frozen=True, slots=True)
class Otherwise:
    """The second of two worlds. changed: whether it is another one at all; idle: fields of its policy without effect."""

    snapshot: Snapshot
    changed: bool
    idle: tuple[str, ...] = ()


def snapshot_save(
    run: Run, file: NewFile, force: Annotated[bool, typer.Option("--force", help="opt.force_file")] = False
) -> None:
    if file.exists() and not force:
        raise run.refusal("snapshot.exists", Exit.REFUSED, file=str(file))
    data = run.client.snapshot()
    saved = _decoded(run, data)
    _keep(file, data)
    told = {
        "file": str(file), "bytes": len(data), "now_ms": saved.now_ms, "sealed_seq": saved.sealed_seq,
        "sites": len(saved.sites.ids), "nodes": len(saved.nodes.ids), "waiting": len(saved.pending.ids),
        "attempts": len(saved.attempts.ids),
    }  # fmt: skip
    run.console.document(told)
    run.say("snapshot.saved", when=run.when(saved.now_ms), **{name: told[name] for name in told if name != "now_ms"})
    run.say("snapshot.holds")


def snapshot_plan(run: Run, file: File, policy: Policies = None, workload: OneWorkload = "", what_if: WhatIf = None) -> None:
    saved = _decoded(run, file.read_bytes())
    other = _otherwise(run, saved, policy or [], what_if or [], workload)
    for name in other.idle:
        run.note("snapshot.idle", field=name)
    compiled(run)
    if workload:
        _require_waiting(run, saved, workload)
        tell_one(run, saved, other.snapshot if other.changed else None, workload)
    else:
        tell_whole(run, saved, other.snapshot if other.changed else None)


def _keep(file: Path, data: bytes) -> None:
    """Whole or not at all, and for nobody else to read: it tells of the work and money of all projects."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    fresh.replace(file)


def _decoded(run: Run, data: bytes) -> Snapshot:
    found = decode(data)
    if isinstance(found, Reason):
        raise refused(run, [found])
    return found


def _require_waiting(run: Run, saved: Snapshot, workload: str) -> None:
    if workload in saved.pending.ids:
        return
    key = "snapshot.placed" if workload in saved.attempts.workloads else "snapshot.no_such"
    raise run.refusal(key, Exit.REFUSED, id=workload, waiting=len(saved.pending.ids))


# -- the other world --------------------------------------------------------------------------------------------------------


def _otherwise(run: Run, saved: Snapshot, policies: list[str], what_if: list[str], this: str) -> Otherwise:
    """The saved snapshot under another policy, and under suppositions."""
    policy = saved.policy
    for words in policies:
        policy = policy_said(run, policy, words)
    other = under_policy(saved, policy, PolicyRater) if policies else saved
    said = parse_suppositions(what_if)
    found = said if isinstance(said, Reason) else suppose(other, said, _asker(other, this))
    if isinstance(found, Reason):
        raise refused(run, [found])
    return Otherwise(found, bool(policies or what_if), without_effect(saved.policy, policy))


def _asker(snapshot: Snapshot, this: str) -> Asker:
    """Whoever has the file may name all that is in it. A snapshot does not tell a limit's grace apart."""

    def rater(id: str, value: int) -> PolicyRater:
        found = class_of(snapshot.policy, value, preempts=False)
        return PolicyRater(snapshot.policy, found.name if found else "")

    return Asker(rater=rater, grace_ms=lambda id: 0, this=this)
