"""What to do about a job that ended badly, as commands that can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dure.cli.run import Run
from dure.model.calendar import duration_text

GIB = 1024
NEW = "NEW_ID"  # in a command: what the one before it prints
OF_ITS_CODE = ("ended_exit_code", "ended_signal", "ended_rejected")  # ends that the same code would most likely come to again
ROOM = 1.25  # more than was seen when the limit was hit: a process is killed while it still grows


def after_the_end(run: Run, row: Mapping[str, Any]) -> None:
    """Tell the owner of a job that failed or was cancelled how to see why, and how to run it again."""
    if row["state"] not in ("failed", "cancelled"):
        return
    if row["attempts"]:
        run.say("again.logs", command=f"dure logs {row['id']}")
    kind = (row.get("reason") or {}).get("kind")
    if kind == "dependency_failed":
        _after_what_failed_before_it(run, row)
    elif kind in OF_ITS_CODE and row["spec"]["bundle"]:
        run.say("again.mended", command=again(row))
    else:
        run.say("again.submit", command=again(row))


def _after_what_failed_before_it(run: Run, row: Mapping[str, Any]) -> None:
    """The same again would wait for the same that failed: what it waits for has to be another."""
    on, wanted = str(row["reason"]["facts"].get("on", "")), list(row["spec"]["depends_on"])
    run.say("again.before", on=on, command=f"dure why {on}")
    run.say("again.then", command=again(row, [NEW if id == on else id for id in wanted]), new=NEW)
    run.say("again.without", command=again(row, [id for id in wanted if id != on]))


def again(row: Mapping[str, Any], depends_on: Sequence[str] | None = None) -> str:
    """`dure resubmit` with what the reason asks for. An element of an array goes again with all of it. depends_on: instead of
    what it depended on."""
    words = ["dure", "resubmit", row["array_id"] or row["id"]]
    if depends_on is not None:
        return " ".join([*words, "--set", shlex.quote(f"depends_on=[{','.join(depends_on)}]")])
    reason = row.get("reason") or {}
    facts = reason.get("facts") or {}
    if reason.get("kind") == "ended_memory":
        words += ["--memory", memory_after(row["spec"]["demand"]["memory_mib"], int(facts.get("used_mib") or 0))]
    if reason.get("kind") == "ended_timed_out":
        words += ["--limit", duration_text(2 * row["spec"]["limit_ms"])]
    if reason.get("kind") in OF_ITS_CODE and row["spec"]["bundle"]:
        words += ["--code", "."]
    return " ".join(words)


def memory_after(wanted_mib: int, used_mib: int) -> str:
    """The first doubling of what was asked for that leaves room above what was used."""
    size = 2 * max(wanted_mib, 1)
    while size < used_mib * ROOM:
        size *= 2
    return f"{size // GIB}GiB" if size % GIB == 0 else f"{size}MiB"
