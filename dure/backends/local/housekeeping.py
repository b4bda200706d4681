"""Carrying out what `retention` decides: crash-safe, a little at a time, and never in the way of a launch.

A workload's folder goes before the attempts that name it, and an attempt's tombstone is written before its folder goes: whatever
moment a crash picks, the next sweep finds what is left, nothing runs twice, and who asks for a log is told what became of it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from dure.backends.local import files, retention
from dure.backends.local.retention import Drop, Kept, Rule, Scale
from dure.backends.local.settings import LocalSettings
from dure.backends.local.trash import Trash
from dure.model.workload import Outcome
from dure.ports import LaunchOrder, Observation

SLICE_NS = 20_000_000  # of one sweep for each of its three slow parts: a launch that waits for it is not noticed
FORGOTTEN_MAX = 10_000  # tombstones kept: far more than orders that can still be on their way
SCRATCH = ("tmp", "shm")  # what goes with its attempt's end

Billed = Callable[[Collection[str]], Collection[str]]


class Housekeeping:
    """Safe from several threads. Raises nothing but what is said."""

    def __init__(self, settings: LocalSettings) -> None:
        self._root = settings.root
        self._rule = Rule(
            keep_ms=settings.keep_ms,
            resumable_ms=settings.keep_resumable_ms,
            bytes_max=settings.keep_bytes_max,
            attempts_max=settings.keep_attempts_max,
        )
        self._trash = Trash(settings.root / "trash")
        self._ended: dict[str, Kept] = {}  # ends do not change, so they are read once
        self._sizes: dict[tuple[str, ...], int] = {}  # by all that belongs together; changes with its attempts
        self._scale: tuple[tuple[str, ...], Scale] | None = None  # being measured
        self._lock = threading.Lock()
        self._preparing: Counter[str] = Counter()  # workloads and attempts whose places are being made
        self._touched: set[str] = set()  # the same, since the sweep began

    # -- launches, which a sweep must not get in the way of -------------------------------------------------------------

    @contextlib.contextmanager
    def preparing(self, order: LaunchOrder) -> Iterator[None]:
        """While its places are made and until its attempt is visible: no sweep takes them for leftovers."""
        names = (order.workload, order.attempt)
        with self._lock:
            self._preparing.update(names)
            self._touched.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._preparing.subtract(names)
                self._preparing += Counter()  # drops what is zero

    def _put(self, path: Path, name: str) -> bool:
        """Into the trash, unless a launch has come for it. False when it has."""
        with self._lock:
            if name in self._touched or name in self._preparing:
                return False
            self._trash.put(path)
            return True

    # -- one attempt ------------------------------------------------------------------------------------------------------

    def bury(self, attempt: str, text: str = "") -> None:
        """Leave a tombstone, so that a late order cannot run it again, then drop the attempt's folders. text: what a reader of
        its log is told. Raises OSError."""
        files.write_record(str(self._root / "forgotten" / attempt), {"text": text})
        for folder in ("attempts", *SCRATCH):
            self._trash.put(self._root / folder / attempt)
        self._ended.pop(attempt, None)

    def is_buried(self, attempt: str) -> bool:
        return (self._root / "forgotten" / attempt).exists()

    def epitaph(self, attempt: str) -> bytes:
        """What is said to who asks for its log; b"" when it was never swept."""
        record = files.read_record(str(self._root / "forgotten" / attempt)) or {}
        return str(record.get("text", "")).encode()

    def empty_trash(self, *, for_ns: int = SLICE_NS) -> bool:
        return self._trash.empty(time.monotonic_ns() + for_ns)

    # -- the sweep ----------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """To be called before the attempts are listed for `sweep`: what is launched from then on is left alone."""
        with self._lock:
            self._touched.clear()

    def sweep(self, seen: Mapping[str, Observation], billed: Billed, now_ms: int) -> tuple[list[str], bool]:
        """Drop what the rule says: the attempts dropped, and whether there is more to do. seen: every attempt on disk. Raises
        OSError; what was dropped until then is gone."""
        self._clear_scratch(seen)
        self._clear_orphans({o.workload for o in seen.values()}, now_ms)
        kept = self._kept(seen, billed)
        measured = self._measure(kept) if self._rule.bytes_max else True
        gone, all_gone = self._drop(retention.drops(kept, self._by_workload(kept), self._rule, now_ms), now_ms)
        return gone, not (self.empty_trash() and measured and all_gone)

    def _clear_scratch(self, seen: Mapping[str, Observation]) -> None:
        for folder in SCRATCH:
            with contextlib.suppress(FileNotFoundError):
                names = [e.name for e in os.scandir(self._root / folder) if not e.name.startswith(".")]
                for name in names:
                    if name not in seen or seen[name].phase == "ended":
                        self._put(self._root / folder / name, name)

    def _clear_orphans(self, known: set[str], now_ms: int) -> None:
        """Folders of workloads of which no attempt is left: from a launch that failed, or from an older release."""
        bound_ms = max(self._rule.keep_ms, self._rule.resumable_ms)
        with contextlib.suppress(FileNotFoundError):
            entries = [e for e in os.scandir(self._root / "workloads") if not e.name.startswith(".") and e.name not in known]
            for entry in entries if self._rule.keep_ms else ():
                if now_ms - entry.stat(follow_symlinks=False).st_mtime_ns // 1_000_000 >= bound_ms:
                    self._put(Path(entry.path), entry.name)

    def _kept(self, seen: Mapping[str, Observation], billed: Billed) -> list[Kept]:
        for attempt, observation in seen.items():
            if observation.phase == "ended" and attempt not in self._ended:
                self._ended[attempt] = self._read(attempt, observation)
        asked = [a for a in seen if a in self._ended and not self._ended[a].billed]
        for attempt in billed(asked) if asked else ():
            self._ended[attempt] = replace(self._ended[attempt], billed=True)
        return [self._ended.get(a) or Kept(attempt=a, workload=o.workload, project="") for a, o in seen.items()]

    def _read(self, attempt: str, seen: Observation) -> Kept:
        folder = self._root / "attempts" / attempt
        order = files.read_record(str(folder / "order.json")) or {}
        again = seen.outcome in retention.RUNS_AGAIN or (seen.outcome is Outcome.FAILED and order.get("retries", 0) > 0)
        return Kept(
            attempt=attempt,
            workload=seen.workload,
            project=str(order.get("project", "")),
            ended_ms=(folder / "exit").stat().st_mtime_ns // 1_000_000,
            resumable=again,
        )

    # -- sizes ----------------------------------------------------------------------------------------------------------------

    def _measure(self, kept: Iterable[Kept]) -> bool:
        """Go on measuring what has ended: True when all of it is measured."""
        until_ns = time.monotonic_ns() + SLICE_NS
        wanted = {key for key in self._keys(kept).values() if key}
        self._sizes = {key: size for key, size in self._sizes.items() if key in wanted}
        begun = self._scale
        if begun is not None and begun[0] in wanted and not self._weigh(*begun, until_ns):
            return False
        return all(self._weigh(key, self._scale_of(key), until_ns) for key in sorted(wanted - self._sizes.keys()))

    def _weigh(self, key: tuple[str, ...], scale: Scale, until_ns: int) -> bool:
        """Measure one until that moment; what is not done is gone on with the next time."""
        done = scale.go_on(until_ns)
        self._scale = None if done else (key, scale)
        if done:
            self._sizes[key] = scale.bytes
        return done

    def _scale_of(self, key: tuple[str, ...]) -> Scale:
        return Scale([str(self._root / "workloads" / key[0]), *(str(self._root / "attempts" / a) for a in key[1:])])

    def _keys(self, kept: Iterable[Kept]) -> dict[str, tuple[str, ...]]:
        """Workload -> itself and its attempts, () while one of them lives."""
        keys: dict[str, tuple[str, ...]] = {}
        for one in sorted(kept, key=lambda k: k.attempt):
            before = keys.get(one.workload, (one.workload,))
            keys[one.workload] = (*before, one.attempt) if before and one.ended_ms is not None else ()
        return keys

    def _by_workload(self, kept: Iterable[Kept]) -> dict[str, int]:
        return {workload: self._sizes.get(key, 0) for workload, key in self._keys(kept).items()}

    # -- dropping ---------------------------------------------------------------------------------------------------------------

    def _drop(self, drops: Iterable[Drop], now_ms: int) -> tuple[list[str], bool]:
        gone: list[str] = []
        until_ns = time.monotonic_ns() + SLICE_NS
        for drop in drops:
            if gone and time.monotonic_ns() >= until_ns:
                return gone, False
            if drop.whole and not self._put(self._root / "workloads" / drop.workload, drop.workload):
                continue  # it runs again this moment
            for attempt in drop.attempts:
                self.bury(attempt, retention.notice(drop.why, self._rule, self._ended[attempt].ended_ms or 0, now_ms))
                gone.append(attempt)
        return gone, True

    def sweep_tombstones(self) -> None:
        """Keep the newest FORGOTTEN_MAX. Raises OSError."""
        tombs = sorted((self._root / "forgotten").iterdir(), key=lambda p: p.stat().st_mtime_ns)
        for tomb in tombs[: max(0, len(tombs) - FORGOTTEN_MAX)]:
            tomb.unlink(missing_ok=True)
