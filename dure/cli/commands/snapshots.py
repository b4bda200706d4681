"""Snapshots: save what the plan is made from, and plan it again, elsewhere and otherwise."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from dure.api.policyfile import GIVEN, policy_with
from dure.cli.commands.options import File, WhatIf, filled
from dure.cli.exits import Exit
from dure.cli.farm.compiling import compiled
from dure.cli.policies import BadItems, merged
from dure.cli.run import Refusal, Run
from dure.cli.twoplans import tell_one, tell_whole
from dure.client.plane import POLICY_READ_ONLY
from dure.controller.answers import PolicyRater
from dure.model.calendar import parse_duration
from dure.model.codec import to_plain
from dure.model.policy import NAMED, Policy
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
        raise _refused(run, [found])
    return found


def _refused(run: Run, reasons: list[Reason]) -> Refusal:
    text = "\n".join(run.reason(r.to_json()) for r in reasons)
    return Refusal(text, Exit.USAGE, {"kind": reasons[0].kind.value, "reasons": [r.to_json() for r in reasons], "detail": text})


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
        policy = _policy(run, policy, words)
    other = under_policy(saved, policy, PolicyRater) if policies else saved
    said = parse_suppositions(what_if)
    found = said if isinstance(said, Reason) else suppose(other, said, _asker(other, this))
    if isinstance(found, Reason):
        raise _refused(run, [found])
    return Otherwise(found, bool(policies or what_if), without_effect(saved.policy, policy))


def _asker(snapshot: Snapshot, this: str) -> Asker:
    """Whoever has the file may name all that is in it. A snapshot does not tell a limit's grace apart."""

    def rater(id: str, value: int) -> PolicyRater:
        found = class_of(snapshot.policy, value, preempts=False)
        return PolicyRater(snapshot.policy, found.name if found else "")

    return Asker(rater=rater, grace_ms=lambda id: 0, this=this)


def _policy(run: Run, policy: Policy, words: str) -> Policy:
    """The policy with one field, or with all that stands in a file, put in."""
    name, equals, value = words.partition("=")
    given: Mapping[str, Any]
    if equals and name.isidentifier():
        given = {name: _value(name, value)}
    else:
        given = NAMED.get(words) or _read(run, Path(words))
    try:
        whole = merged(to_plain(policy), {n: v for n, v in given.items() if n not in {*POLICY_READ_ONLY, *GIVEN}})
    except BadItems as wrong:
        problem = run.t("policy.bad_items", field=wrong.field, member=wrong.key)
        raise run.refusal("submit.unreadable", Exit.USAGE, file=words, problem=problem) from wrong
    made = policy_with(policy, {n: v for n, v in whole.items() if n not in GIVEN})
    if isinstance(made, list):
        raise _refused(run, made)
    return made


def _value(name: str, text: str) -> int | str:
    """A whole number, or of a time what people write for one; anything else is left to be refused by its name."""
    if text.removeprefix("-").isdecimal():
        return int(text)
    parsed = parse_duration(text) if name.endswith("_ms") else None
    return text if parsed is None else parsed


def _read(run: Run, file: Path) -> dict[str, Any]:
    """YAML, JSON or TOML."""
    try:
        text = file.read_text(encoding="utf-8")
        given: Any = tomllib.loads(text) if file.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, tomllib.TOMLDecodeError) as fault:
        raise run.refusal("submit.unreadable", Exit.USAGE, file=str(file), problem=run.problem(fault)) from fault
    if not isinstance(given, dict):
        raise run.refusal("submit.unreadable", Exit.USAGE, file=str(file), problem=run.t("policy.not_mapping"))
    return given
