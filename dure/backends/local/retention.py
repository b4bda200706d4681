"""What is kept of ended attempts, and for how long: the rule (pure), and how large a thing is on disk.

The unit that is dropped is a workload's folder with all its attempts, or a single earlier attempt of a workload. Never dropped:
what runs, what the plane has not durably billed, and, before its own longer time, what may be run again from its checkpoint."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dure.model.workload import Outcome

DAY_MS = 24 * 3600 * 1000
BLOCK = 512  # st_blocks counts in these
LOOK_EVERY = 64  # entries between two looks at the clock
RUNS_AGAIN = (Outcome.PREEMPTED, Outcome.LOST, Outcome.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An attempt whose folder is there. ended_ms: None while it is alive. billed: the plane has recorded its end."""

    attempt: str
    workload: str
    project: str
    ended_ms: int | None = None
    billed: bool = False
    resumable: bool = False  # its workload may run again, from what it left


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Each bound: 0 for none. resumable_ms is never less than keep_ms."""

    keep_ms: int
    resumable_ms: int
    bytes_max: int
    attempts_max: int


@dataclass(frozen=True, slots=True)
class Drop:
    """attempts: their folders go. whole: the workload's own folder too. why: age, size or count."""

    workload: str
    attempts: tuple[str, ...]
    whole: bool
    why: str


def drops(kept: Sequence[Kept], sizes: Mapping[str, int], rule: Rule, now_ms: int) -> list[Drop]:
    """What has to go now. sizes: bytes of finished workloads; what is not measured yet counts nothing.

    1. what is too old; 2. while there are too many attempts, the oldest; 3. while finished work takes too much room, the oldest
    of the project that takes most of it: who fills the disk does not cost others their results."""
    groups = _groups(kept)
    found: list[Drop] = []
    for workload, group in groups.items():
        found += _too_old(workload, group, rule, now_ms)
    gone = {attempt for drop in found for attempt in drop.attempts}
    left = {w: rest for w, group in groups.items() if (rest := [k for k in group if k.attempt not in gone])}
    over = sum(map(len, left.values())) - rule.attempts_max if rule.attempts_max else 0
    for workload in sorted((w for w, g in left.items() if _is_finished(g)), key=lambda w: _end(left[w])):
        if over <= 0:
            break
        found.append(_whole(workload, left[workload], "count"))
        over -= len(left.pop(workload))
    return [*found, *_too_large(left, sizes, rule)]


def _groups(kept: Sequence[Kept]) -> dict[str, list[Kept]]:
    groups: dict[str, list[Kept]] = {}
    for one in kept:
        groups.setdefault(one.workload, []).append(one)
    for group in groups.values():
        group.sort(key=lambda k: (k.ended_ms is None, k.ended_ms or 0, k.attempt))  # the newest last, the living behind it
    return groups


def _end(group: Sequence[Kept]) -> int:
    return group[-1].ended_ms or 0


def _is_over(group: Sequence[Kept]) -> bool:
    return all(k.ended_ms is not None and k.billed for k in group)


def _is_finished(group: Sequence[Kept]) -> bool:
    return _is_over(group) and not group[-1].resumable


def _too_old(workload: str, group: Sequence[Kept], rule: Rule, now_ms: int) -> Iterator[Drop]:
    if not rule.keep_ms:
        return
    bound = max(rule.keep_ms, rule.resumable_ms) if group[-1].resumable else rule.keep_ms
    if _is_over(group) and now_ms - _end(group) >= bound:
        yield _whole(workload, group, "age")
        return
    old = [k for k in group[:-1] if k.ended_ms is not None and k.billed and now_ms - k.ended_ms >= rule.keep_ms]
    if old:
        yield Drop(workload, tuple(k.attempt for k in old), False, "age")


def _too_large(groups: Mapping[str, Sequence[Kept]], sizes: Mapping[str, int], rule: Rule) -> Iterator[Drop]:
    over = {w: sizes.get(w, 0) for w, g in groups.items() if all(k.ended_ms is not None for k in g)}
    total = sum(over.values())
    by_project: dict[str, list[str]] = {}
    for workload in sorted((w for w in over if _is_finished(groups[w])), key=lambda w: _end(groups[w]), reverse=True):
        by_project.setdefault(groups[workload][-1].project, []).append(workload)
    weight = {p: sum(over[w] for w in ws) for p, ws in by_project.items()}
    while rule.bytes_max and total > rule.bytes_max and any(weight.values()):
        project = max(weight, key=lambda p: (weight[p], p))
        workload = by_project[project].pop()
        weight[project] -= over[workload]
        total -= over[workload]
        yield _whole(workload, groups[workload], "size")


def _whole(workload: str, group: Sequence[Kept], why: str) -> Drop:
    return Drop(workload, tuple(k.attempt for k in group), True, why)


class Scale:
    """Bytes that folders take on disk, measured a little at a time."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.bytes = 0
        self._steps = self._walk(list(folders))

    def go_on(self, until_ns: int) -> bool:
        """Until that moment of the monotonic clock: True when all is measured.

        Links are not followed; a file of several names counts once in all. What lies too deep for a path is not counted: that
        can only make its project look smaller, and it goes by its age."""
        return all(time.monotonic_ns() < until_ns for _ in self._steps)

    def _walk(self, waiting: list[str]) -> Iterator[None]:
        count = 0
        while waiting:
            yield
            with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    if count % LOOK_EVERY == 0:
                        yield
                    about = entry.stat(follow_symlinks=False)
                    is_folder = entry.is_dir(follow_symlinks=False)
                    waiting += [entry.path] if is_folder else []
                    self.bytes += about.st_blocks * BLOCK // (1 if is_folder else max(1, about.st_nlink))


def notice(why: str, rule: Rule, ended_ms: int, now_ms: int) -> str:
    """What somebody reads who asks for a log that is gone. Times in UTC."""
    days = rule.keep_ms // DAY_MS
    gib = rule.bytes_max >> 30
    because = {
        "age": f"logs are kept for {days} day{'s' if days != 1 else ''} after the end",
        "size": f"finished work may take {gib} GiB of this machine's disk, and its project took most of it",
        "count": f"{rule.attempts_max} attempts are kept on this machine",
    }[why]
    return f"[dure: this log is gone. It ended {_day(ended_ms)} and was swept on {_day(now_ms)}: {because}]\n"


def _day(ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ms // 1000))
