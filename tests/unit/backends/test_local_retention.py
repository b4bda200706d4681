"""What is kept of ended attempts and what goes: the rule, the scale, and a trash that no planted tree can hold up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.backends.local import retention, trash
from dure.backends.local.retention import DAY_MS, Drop, Kept, Rule, Scale
from dure.backends.local.trash import Trash
from tests.builders.worlds import examples

NOW = 1_800_000_000_000
RULE = Rule(keep_ms=7 * DAY_MS, resumable_ms=30 * DAY_MS, bytes_max=1000, attempts_max=100)
SECOND_NS = 1_000_000_000


def kept(
    attempt: str, days: float | None, *, workload: str = "", project: str = "p", billed: bool = True, again: bool = False
) -> Kept:
    ended = None if days is None else NOW - int(days * DAY_MS)
    return Kept(
        attempt=attempt, workload=workload or f"w_{attempt}", project=project, ended_ms=ended, billed=billed, resumable=again
    )


def gone(*some: Kept, rule: Rule = RULE, **sizes: int) -> list[Drop]:
    return retention.drops(some, sizes, rule, NOW)


def test_what_is_old_goes_with_its_workload() -> None:
    assert gone(kept("a", 7), kept("b", 6.9)) == [Drop("w_a", ("a",), True, "age")]


def test_what_is_alive_or_not_billed_stays_however_old() -> None:
    assert gone(kept("a", 90, billed=False), kept("b", None), kept("c", 90, workload="w_b")) == [
        Drop("w_b", ("c",), False, "age")
    ]


def test_what_may_run_again_keeps_its_folder_longer_but_not_its_early_logs() -> None:
    early, late = kept("a", 20, workload="w", again=True), kept("b", 10, workload="w", again=True)
    assert gone(early, late) == [Drop("w", ("a",), False, "age")]
    assert gone(kept("c", 29.9, again=True), w_c=10**9) == []
    assert gone(kept("c", 30, again=True)) == [Drop("w_c", ("c",), True, "age")]


def test_the_newest_attempt_says_whether_a_workload_may_run_again() -> None:
    assert gone(kept("a", 9, workload="w", again=True), kept("b", 8, workload="w")) == [Drop("w", ("a", "b"), True, "age")]


def test_too_much_costs_the_project_that_takes_most_its_oldest() -> None:
    small = kept("a", 5, project="small")
    large = [kept("b", 1, project="large"), kept("c", 2, project="large"), kept("d", 3, project="large")]
    sizes = {"w_a": 300, "w_b": 400, "w_c": 400, "w_d": 400}
    assert [d.workload for d in gone(small, *large, **sizes)] == ["w_d", "w_c"]
    assert {d.why for d in gone(small, *large, **sizes)} == {"size"}


def test_too_many_cost_the_oldest() -> None:
    some = [kept(f"a{n:03}", n / 100) for n in range(102)]
    assert [d.attempts for d in gone(*some)] == [("a101",), ("a100",)]


def test_zero_is_no_bound() -> None:
    never = Rule(keep_ms=0, resumable_ms=0, bytes_max=0, attempts_max=0)
    assert gone(kept("a", 4000), rule=never, w_a=1 << 60) == []


ATTEMPTS = st.lists(
    st.builds(
        kept,
        st.integers(0, 99).map("a{}".format),
        st.none() | st.floats(-5, 60),
        workload=st.sampled_from(["w1", "w2", "w3", "w4"]),
        project=st.sampled_from(["p1", "p2"]),
        billed=st.booleans(),
        again=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda k: k.attempt,
)
SIZES = st.dictionaries(st.sampled_from(["w1", "w2", "w3", "w4"]), st.integers(0, 2000))


@examples(100)
@given(ATTEMPTS, SIZES)
def test_nothing_goes_that_lives_is_not_billed_or_may_be_wanted(some: list[Kept], sizes: dict[str, int]) -> None:
    by_name = {k.attempt: k for k in some}
    dropped = retention.drops(some, sizes, RULE, NOW)
    names = [a for d in dropped for a in d.attempts]
    assert len(names) == len(set(names))
    for drop in dropped:
        group = [k for k in some if k.workload == drop.workload]
        mine = [by_name[a] for a in drop.attempts]
        assert all(k.ended_ms is not None and k.billed and k.workload == drop.workload for k in mine)
        if drop.whole:
            assert {k.attempt for k in group} <= set(names)
            newest = max(group, key=lambda k: (k.ended_ms or 0, k.attempt))
            assert not newest.resumable or NOW - (newest.ended_ms or 0) >= RULE.resumable_ms
        else:
            assert len(mine) < len(group)


def test_the_notice_says_when_and_why() -> None:
    text = retention.notice("age", RULE, 1_799_000_000_000, NOW)
    assert text == (
        "[dure: this log is gone. It ended 2027-01-03 18:13 UTC and was swept on 2027-01-15 08:00 UTC: "
        "logs are kept for 7 days after the end]\n"
    )
    assert "50 GiB" in retention.notice("size", Rule(keep_ms=0, resumable_ms=0, bytes_max=50 << 30, attempts_max=0), NOW, NOW)


# -- the scale ---------------------------------------------------------------------------------------------------------


def test_what_is_linked_to_is_not_weighed_and_a_file_of_two_names_once(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (1 << 20))
    folder = tmp_path / "w"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "one").write_bytes(b"x" * (64 << 10))
    (folder / "two").hardlink_to(folder / "in" / "one")
    (folder / "link").symlink_to(tmp_path)
    scale = Scale([str(folder), str(tmp_path / "missing")])
    assert scale.go_on(time.monotonic_ns() + 60 * SECOND_NS)
    assert 64 << 10 <= scale.bytes < 128 << 10


def test_weighing_is_interrupted_and_gone_on_with(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / str(number)).write_bytes(b"x")
    whole, parts = Scale([str(tmp_path)]), Scale([str(tmp_path)])
    assert whole.go_on(time.monotonic_ns() + 60 * SECOND_NS)
    steps = 0
    while not parts.go_on(0):
        steps += 1
    assert steps >= 3 and parts.bytes == whole.bytes > 0


# -- the trash ---------------------------------------------------------------------------------------------------------


def deep(folder: Path, depth: int) -> None:
    """A tree deeper than any path may be long, and than any recursion goes."""
    folder.mkdir()
    at = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 60, dir_fd=at)
        below = os.open("d" * 60, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def test_no_tree_is_too_deep_to_be_deleted(tmp_path: Path) -> None:
    deep(tmp_path / "w", 3000)
    bin_ = Trash(tmp_path / "trash")
    assert bin_.put(tmp_path / "w") and not (tmp_path / "w").exists()
    assert bin_.empty(time.monotonic_ns() + 60 * SECOND_NS)
    assert list((tmp_path / "trash").iterdir()) == []


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    folder = tmp_path / "w"
    (folder / "in").mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    (folder / "in" / "link").symlink_to("/")
    (folder / "in" / "file").hardlink_to(outside / "precious")
    (tmp_path / "alone").symlink_to(outside)
    bin_ = Trash(tmp_path / "trash")
    assert bin_.put(folder) and bin_.put(tmp_path / "alone")
    assert bin_.empty(time.monotonic_ns() + 60 * SECOND_NS)
    assert (outside / "precious").read_text() == "x" and list((tmp_path / "trash").iterdir()) == []


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (tmp_path / "w").symlink_to(outside)
    bin_ = Trash(tmp_path / "trash")
    bin_.put(tmp_path / "w")
    monkeypatch.setattr(trash, "_is_folder", lambda *_: True)  # what a look before the swap had said
    bin_.empty(time.monotonic_ns() + SECOND_NS)
    assert (outside / "precious").read_text() == "x"


def test_what_a_job_has_closed_is_deleted_too_and_what_will_not_go_holds_nothing_up(tmp_path: Path) -> None:
    shut = tmp_path / "w" / "shut"
    shut.mkdir(parents=True)
    (shut / "file").write_text("x")
    shut.chmod(0)
    bin_ = Trash(tmp_path / "trash")
    bin_.put(tmp_path / "w")
    assert bin_.empty(time.monotonic_ns() + 60 * SECOND_NS) and list((tmp_path / "trash").iterdir()) == []
    assert not bin_.put(tmp_path / "w")


def test_deleting_takes_no_longer_than_its_time_and_goes_on_later(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    for number in range(200):
        (tmp_path / "w" / str(number)).touch()
    bin_ = Trash(tmp_path / "trash")
    bin_.put(tmp_path / "w")
    assert not bin_.empty(0)
    assert len(list((tmp_path / "trash").iterdir())) == 1
    again = Trash(tmp_path / "trash")  # after a crash
    assert again.empty(time.monotonic_ns() + 60 * SECOND_NS) and list((tmp_path / "trash").iterdir()) == []
