"""What the journal has acknowledged is there after any death, and no two agents ever share one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from dure.agent import attempts, journal
from dure.agent.attempts import Known
from dure.agent.journal import Journal, read_heads
from dure.errors import ConfigError, StoreError
from dure.model.event import Head
from dure.model.link import AttemptReport
from dure.model.workload import Evidence, Outcome
from tests.unit.agent.fakes import launch, stop

HOUR_MS = journal.HOUR_MS


def known(name: str) -> Known:
    return attempts.launched(launch(name))


def ended(name: str) -> Known:
    report = AttemptReport(
        attempt=name, epoch=1, workload="w", phase="ended", outcome=Outcome.FAILED, evidence=Evidence(exit_code=3)
    )
    return replace(known(name), report=report, stop=stop(name))


def head(seq: int, at_ms: int = 0, hash_: str = "h", incarnation: int = 1) -> Head:
    return Head(seq=seq, hash=hash_, at_ms=at_ms, incarnation=incarnation, signature="s", key="k")


def names(rows: Iterable[Known]) -> set[str]:
    return {k.attempt for k in rows}


def test_what_was_put_comes_back_the_same(tmp_path: Path) -> None:
    book = Journal.open(tmp_path)
    book.put([known("a"), ended("b")], 5, head(1))
    book.close()
    again = Journal.open(tmp_path)
    assert again.open_rows() == [known("a"), ended("b")]
    assert again.get("b") == ended("b") and again.get("c") is None
    assert again.heads() == [head(1)]
    again.close()


def test_settled_attempts_are_no_longer_open_but_known(tmp_path: Path) -> None:
    book = Journal.in_memory()
    for moment, name in enumerate("abc"):
        book.put([ended(name)], moment)
        book.settle([ended(name)], moment)
    assert book.open_rows() == []
    assert [k.attempt for k in book.settled(2)] == ["c", "b"]
    assert book.get("a") == ended("a")


def test_what_is_old_or_beyond_the_newest_may_be_forgotten_and_then_pruned() -> None:
    book = Journal.in_memory()
    for moment, name in enumerate("abcd"):
        book.settle([ended(name)], moment)
    assert book.forgettable(0, 3, 10) == ["a"]
    assert book.forgettable(2, 10, 10) == ["a", "b"]
    assert book.forgettable(9, 10, 1) == ["a"]
    book.mark_forgotten(["a", "b", "c"])
    assert book.forgettable(9, 10, 10) == ["d"]
    book.prune(1, 1)
    assert names(k for n in "abcd" if (k := book.get(n))) == {
        "c",
        "d",
    }  # b is beyond the newest forgotten one, d is not forgotten


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    book = Journal.open(tmp_path)
    book.put([known("a")], 1)
    with pytest.raises(OverflowError):
        book.put([known("b"), known("c")], 1, head(1 << 70))
    assert names(book.open_rows()) == {"a"}
    book.close()
    with pytest.raises(StoreError):
        book.put([known("d")], 1)
    with pytest.raises(StoreError):
        book.open_rows()


# -- heads


def test_of_old_heads_one_an_hour_is_kept_and_every_contradiction() -> None:
    book = Journal.in_memory()
    total = journal.HEADS_NEWEST + 256
    for seq in range(1, total + 1):
        book.put((), 0, head(seq, at_ms=seq * HOUR_MS // 10))
        if seq == 15:
            book.put((), 0, head(seq, at_ms=seq * HOUR_MS // 10, hash_="forged"))
    for seq in range(total + 1, total + 128):
        book.put((), 0, head(seq, at_ms=seq * HOUR_MS // 10))
    kept = [h.seq for h in book.heads()]
    assert kept[-journal.HEADS_NEWEST :] == list(range(kept[-1] - journal.HEADS_NEWEST + 1, kept[-1] + 1))
    old = [seq for seq in kept if seq <= 100]
    assert old == sorted([9, 15, 15, 19, 29, 39, 49, 59, 69, 79, 89, 99])


def test_heads_can_be_read_while_the_agent_writes(tmp_path: Path) -> None:
    book = Journal.open(tmp_path)
    book.put((), 0, head(1))
    assert read_heads(tmp_path) == [head(1)]
    book.put((), 0, head(1))  # the same again
    book.put((), 0, head(2))
    assert read_heads(tmp_path) == [head(1), head(2)]
    book.close()
    with pytest.raises(ConfigError, match="holds no agent's journal"):
        read_heads(tmp_path / "elsewhere")


# -- one agent a folder


def test_a_second_agent_is_told_which_process_has_the_folder(tmp_path: Path) -> None:
    first = Journal.open(tmp_path)
    with pytest.raises(ConfigError, match=rf"process id {os.getpid()};"):
        Journal.open(tmp_path)
    first.close()
    Journal.open(tmp_path).close()


def test_a_job_that_outlives_its_agent_does_not_keep_the_folder(tmp_path: Path) -> None:
    first = Journal.open(tmp_path)
    job = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    first.close()
    Journal.open(tmp_path).close()
    job.communicate(b"\n")


# -- damage


def test_a_journal_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    book = Journal.open(tmp_path)
    with book._writing() as db:
        db.execute(f"PRAGMA user_version = {journal.FORMAT + 1}")
    book.close()
    with pytest.raises(ConfigError, match="install a newer"):
        Journal.open(tmp_path)


def test_a_damaged_journal_names_the_remedy_and_frees_the_folder(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database at all" * 1000)
    with pytest.raises(StoreError, match="move it away"):
        Journal.open(tmp_path)
    (tmp_path / "journal.db").unlink()
    Journal.open(tmp_path).close()


def torn(tmp_path: Path, commits: int) -> tuple[Path, list[int]]:
    """A journal as a power cut finds it, and how long its write-ahead log was after each commit."""
    live = tmp_path / "live"
    book = Journal.open(live)
    sizes = []
    for n in range(commits):
        book.put([known(f"a{n}")], n)
        sizes.append((live / "journal.db-wal").stat().st_size)
    cold = tmp_path / "cold"
    shutil.copytree(live, cold)
    book.close()
    return cold, sizes


def check_cut(cold: Path, scratch: Path, wal: bytes, size: int, sizes: list[int]) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    shutil.copy(cold / "journal.db", scratch)
    (scratch / "journal.db-wal").write_bytes(wal[:size])
    book = Journal.open(scratch)
    found = [k.attempt for k in book.open_rows()]
    book.close()
    acknowledged = sum(s <= size for s in sizes)
    assert found == [f"a{n}" for n in range(len(found))], "a hole"
    assert len(found) >= acknowledged, f"cut at {size}: an acknowledged write is lost"


def test_a_log_cut_at_any_frame_loses_no_acknowledged_write(tmp_path: Path) -> None:
    cold, sizes = torn(tmp_path, 6)
    wal = (cold / "journal.db-wal").read_bytes()
    frame, header = 4096 + 24, 32
    edges = {edge + d for edge in range(header, len(wal) + 1, frame) for d in (-1, 0, 1)}
    for size in sorted({0, 1, 31, *edges, *range(0, len(wal), 1009)}):
        if size <= len(wal):
            check_cut(cold, tmp_path / "scratch", wal, size, sizes)


def test_a_log_cut_at_any_byte_where_a_commit_begins_or_ends_loses_no_acknowledged_write(tmp_path: Path) -> None:
    """Frames carry checksums: within one, any byte is like any other, and the test above looks at some of those."""
    cold, sizes = torn(tmp_path, 2)
    wal = (cold / "journal.db-wal").read_bytes()
    for edge in sizes:
        for size in range(edge - 64, min(edge + 64, len(wal)) + 1):
            check_cut(cold, tmp_path / "scratch", wal, size, sizes)


WRITER = """
import itertools, sys
from pathlib import Path
from dure.agent.attempts import Known
from dure.agent.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
for n in itertools.count(int(sys.argv[2])):
    journal.put([Known(attempt=f"a{n:06d}", fence=n)], n)
    print(n, flush=True)
"""


def test_a_writer_killed_in_the_middle_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    first = 0
    for round_ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(first)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(20 + 37 * round_)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
        writer.stdout.close()
        writer.wait()
        book = Journal.open(tmp_path)
        found = names(book.open_rows())
        book.close()
        assert {f"a{n:06d}" for n in range(acknowledged[-1] + 1)} <= found
        first = len(found)
        assert found == {f"a{n:06d}" for n in range(first)}
