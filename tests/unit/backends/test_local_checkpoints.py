"""When work was last saved is what the kernel says, whatever a job does to its files."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dure.backends.local import checkpoints
from dure.backends.local.checkpoints import Checkpoints, newest_change_ms


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def changed_ms(path: Path) -> int:
    return path.stat().st_ctime_ns // 1_000_000


def newest(folder: Path) -> int:
    return newest_change_ms(str(folder), 1000, 10**10)[0]


def test_the_newest_file_counts_and_links_do_not(tmp_path: Path) -> None:
    assert newest_change_ms(str(tmp_path), 10, 10**10) == (0, True) == newest_change_ms(str(tmp_path / "nowhere"), 10, 10**10)
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to("/proc/self/stat")
    assert newest(tmp_path) == 0
    (tmp_path / "deep" / "new").touch()
    assert newest(tmp_path) == changed_ms(tmp_path / "deep" / "new")


@pytest.mark.parametrize("pretended_s", [1000, 9e9])
def test_a_job_that_sets_the_times_of_its_files_changes_nothing(tmp_path: Path, pretended_s: float) -> None:
    began_ms = now_ms() - 60_000
    file = tmp_path / "weights"
    file.touch()
    honest_ms = changed_ms(file)
    os.utime(file, (pretended_s, pretended_s))
    told_ms = Checkpoints(str(tmp_path)).last_look(began_ms, now_ms())
    assert honest_ms <= told_ms <= now_ms()


def test_what_was_there_at_the_start_was_saved_at_the_start(tmp_path: Path) -> None:
    """From an earlier attempt, or copied from an origin: the kernel dates the copy, its own times are older still."""
    file = tmp_path / "inherited"
    file.touch()
    os.utime(file, (1000, 1000))
    began_ms = changed_ms(file) + 5000
    assert Checkpoints(str(tmp_path)).last_look(began_ms, began_ms + 60_000) == began_ms


def test_nothing_is_believed_to_have_been_saved_later_than_now(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Checkpoints(str(tmp_path)).look(0, 5000) == 5000


def test_a_checkpoint_that_is_deleted_or_moved_away_was_saved_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "kept").touch()
    saved = Checkpoints(str(folder))
    seen_ms = saved.look(1, now_ms())
    assert seen_ms == changed_ms(folder / "kept")
    (folder / "kept").rename(tmp_path / "aside")
    assert saved.last_look(1, now_ms()) == seen_ms
    folder.rmdir()
    assert saved.last_look(1, now_ms()) == seen_ms


def test_old_content_that_is_moved_in_is_as_new_as_its_move(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (tmp_path / "file").touch()
    os.utime(tmp_path / "file", (1000, 1000))
    (tmp_path / "file").rename(folder / "file")
    assert newest(folder) >= now_ms() - 60_000


def test_files_in_which_the_newest_hides_gain_a_job_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr(checkpoints, "FILES_MAX", 5)
    monkeypatch.setattr(checkpoints, "LAST_FILES_MAX", 5)
    later_ms = now_ms() + 10_000_000
    assert Checkpoints(str(tmp_path)).look(1, later_ms) < later_ms
    assert Checkpoints(str(tmp_path)).last_look(1, later_ms) == later_ms


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_is_closed_to_the_farm_gains_a_job_nothing(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden").chmod(0)
    try:
        assert Checkpoints(str(tmp_path)).last_look(1, now_ms() + 5000) >= now_ms()
    finally:
        (tmp_path / "hidden").chmod(0o700)


def test_a_folder_that_became_something_else_gains_a_job_nothing(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").touch()
    later_ms = now_ms() + 10_000_000
    assert Checkpoints(str(tmp_path / "checkpoint")).last_look(1, later_ms) == later_ms


def test_a_look_is_bounded_within_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / str(number)).touch()
    looked = count_entries(monkeypatch)
    found_ms, whole = newest_change_ms(str(tmp_path), 5, 10**10)
    assert found_ms > 0 and not whole
    assert len(looked) <= 6  # one more is fetched before the bound is seen


def test_a_look_takes_no_longer_than_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / str(number)).touch()
    looked = count_entries(monkeypatch)
    moments = iter(range(0, 10**12, 20_000_000))  # each question of the time takes 20 ms
    monkeypatch.setattr(checkpoints.time, "monotonic_ns", lambda: next(moments))
    found_ms, whole = newest_change_ms(str(tmp_path), 1000, 50_000_000)
    assert found_ms > 0 and not whole
    assert len(looked) <= 3


def test_a_file_that_goes_while_it_is_looked_at_hides_none_of_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved aside and renamed, as most programs do it: listed under the one name, and gone from it when it is asked about."""
    for number in range(20):
        (tmp_path / f"{number}.tmp").touch()
    gone: list[str] = []

    def first_goes(entry: os.DirEntry[str]) -> None:
        if not gone:
            gone.append(entry.name)
            (tmp_path / entry.name).unlink()

    on_entry(monkeypatch, first_goes)
    found = newest_change_ms(str(tmp_path), 1000, 10**10)
    assert len(gone) == 1
    assert found == (max(changed_ms(path) for path in tmp_path.iterdir()), True)


def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, elsewhere = tmp_path / "checkpoint", tmp_path / "elsewhere"
    (folder / "deep").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "secret").touch()
    looked: list[str] = []

    def swap(entry: os.DirEntry[str]) -> None:
        looked.append(entry.name)
        if entry.name == "deep":
            (folder / "deep").rmdir()
            (folder / "deep").symlink_to(elsewhere)

    on_entry(monkeypatch, swap)
    assert newest_change_ms(str(folder), 1000, 10**10) == (0, False)
    assert looked == ["deep"]


def test_what_a_folder_is_looked_into_is_where_it_was_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder above it that becomes a link between two looks does not lead away either."""
    folder, elsewhere = tmp_path / "checkpoint", tmp_path / "elsewhere"
    (folder / "a" / "b").mkdir(parents=True)
    (elsewhere / "b").mkdir(parents=True)
    (folder / "a" / "b" / "own").touch()
    (elsewhere / "b" / "secret").touch()
    looked: list[str] = []

    def swap(entry: os.DirEntry[str]) -> None:
        looked.append(entry.name)
        if entry.name == "b":
            (folder / "a").rename(folder / "moved")
            (folder / "a").symlink_to(elsewhere)

    on_entry(monkeypatch, swap)
    assert newest_change_ms(str(folder), 1000, 10**10) == (changed_ms(folder / "moved" / "b" / "own"), True)
    assert looked == ["a", "b", "own"]


def test_folders_within_folders_without_end_gain_a_job_nothing(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(checkpoints.DEPTH_MAX + 2):
        deep = deep / "d"
        deep.mkdir()
    (deep / "new").touch()
    before = open_files()
    assert newest_change_ms(str(tmp_path), 1000, 10**10) == (0, False)
    assert open_files() <= before, "all that was opened is closed"


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def count_entries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    looked: list[str] = []
    on_entry(monkeypatch, lambda entry: looked.append(entry.name))
    return looked


def on_entry(monkeypatch: pytest.MonkeyPatch, act: Callable[[os.DirEntry[str]], object]) -> None:
    """Does something when an entry has been listed and is not yet asked about."""
    scan = os.scandir

    @contextlib.contextmanager
    def scandir(folder: int) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scan(folder) as entries:
            yield (entry for entry in entries if (act(entry), True))

    monkeypatch.setattr(checkpoints.os, "scandir", scandir)
