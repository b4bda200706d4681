"""What to do about a job that ended badly, as commands that can be pasted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dure.cli.run import Run
from dure.model.calendar import duration_text

GIB = 1024
ROOM = 1.25  # more than was seen when the limit was hit: a process is killed while it still grows


def after_the_end(run: Run, row: Mapping[str, Any]) -> None:
    """Tell the owner of a job that failed or was cancelled how to see why, and how to run it again."""
    if row["state"] not in ("failed", "cancelled"):
        return
    if row["attempts"]:
        run.say("again.logs", command=f"dure logs {row['id']}")
    run.say("again.submit", command=again(row))


def again(row: Mapping[str, Any]) -> str:
    """`dure resubmit` with what the reason asks for. An element of an array goes again with all of it."""
    words = ["dure", "resubmit", row["array_id"] or row["id"]]
    reason = row.get("reason") or {}
    facts = reason.get("facts") or {}
    if reason.get("kind") == "ended_memory":
        words += ["--memory", memory_after(row["spec"]["demand"]["memory_mib"], int(facts.get("used_mib") or 0))]
    if reason.get("kind") == "ended_timed_out":
        words += ["--limit", duration_text(2 * row["spec"]["limit_ms"])]
    return " ".join(words)


def memory_after(wanted_mib: int, used_mib: int) -> str:
    """The first doubling of what was asked for that leaves room above what was used."""
    size = 2 * max(wanted_mib, 1)
    while size < used_mib * ROOM:
        size *= 2
    return f"{size // GIB}GiB" if size % GIB == 0 else f"{size}MiB"
