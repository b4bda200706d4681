"""A job that is submitted once more goes on from what it had saved: real processes, real files, and traps in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dure.backends.local import inherit
from dure.model.workload import Outcome
from dure.ports import LaunchOrder

SAVES: dict[str, Any] = {"checkpoint_interval_ms": 1000}
# Counts on from what is saved, tells where it began, and runs until its limit.
COUNTS = """
f=$DURE_CHECKPOINT_DIR/count; n=$(cat $f 2>/dev/null || echo 0); echo "from $n."
while [ $n -lt GOAL ]; do n=$((n+1)); echo $n > $f.new; mv $f.new $f; done; echo "at $n."; AFTER
"""


def counting(goal: int, after: str = "exec sleep 60") -> str:
    return COUNTS.replace("GOAL", str(goal)).replace("AFTER", after)


def saved_by(local: Any, script: str = "echo 5 > $DURE_CHECKPOINT_DIR/count; exit 1", **more: Any) -> LaunchOrder:
    order: LaunchOrder = local.shell(script, workload="w_old", **{**SAVES, **more})
    local.driver.launch(order)
    local.ended(order.attempt)
    return order


def again(local: Any, script: str = counting(8, "exit 0"), *, workload: str = "w_new", **changes: Any) -> LaunchOrder:
    order: LaunchOrder = local.shell(script, workload=workload, **{**SAVES, **changes.pop("spec", {})})
    return replace(order, **{"origin": "w_old", **changes})


def what_it_says(local: Any, order: LaunchOrder) -> str:
    local.driver.launch(order)
    local.ended(order.attempt)
    return str(local.log(order.attempt))


def test_what_hit_its_limit_goes_on_from_its_count_with_a_longer_one(local: Any) -> None:
    old = local.shell(counting(5), workload="w_old", limit_ms=1500, **SAVES)
    local.driver.launch(old)
    assert local.ended(old.attempt).outcome is Outcome.TIMED_OUT
    assert local.log(old.attempt).split("\n")[:2] == ["from 0.", "at 5."]
    assert what_it_says(local, again(local)) == "from 5.\nat 8.\n"
    counts = [(local.workload_folder(w) / "checkpoint" / "count").read_text() for w in ("w_old", "w_new")]
    assert counts == ["5\n", "8\n"]  # the old one stays as it was
    assert not (local.workload_folder("w_new") / "inherited.new").exists()


def test_its_next_try_goes_on_from_its_own_and_never_begins_with_the_origins_again(local: Any) -> None:
    saved_by(local)
    assert what_it_says(local, again(local, counting(8, "rm $f; exit 1"))) == "from 5.\nat 8.\n"
    assert what_it_says(local, again(local)) == "from 0.\nat 8.\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": ""},
        {"origin": "w_gone"},
        {"origin": "../w_old"},
        {"project": "prj_stranger"},
        {"spec": {"checkpoint_interval_ms": 0}},
    ],
)
def test_without_a_right_to_it_or_a_use_for_it_a_job_begins_with_nothing(local: Any, changes: dict[str, Any]) -> None:
    saved_by(local)
    assert what_it_says(local, again(local, **changes)) == "from 0.\nat 8.\n"


@pytest.mark.parametrize("bound", ["bytes_max", "entries_max", "ms_max"])
def test_what_cannot_be_had_whole_is_done_without(local: Any, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    saved_by(local, "for n in 1 2 3; do echo 5 > $DURE_CHECKPOINT_DIR/$n; done; echo 5 > $DURE_CHECKPOINT_DIR/count; exit 1")
    if bound == "bytes_max":
        local.with_settings(keep_bytes_max=5)
    else:
        name = {"entries_max": "INHERIT_ENTRIES_MAX", "ms_max": "INHERIT_MS_MAX"}[bound]
        monkeypatch.setattr(f"dure.backends.local.orders.{name}", 3 if bound == "entries_max" else 0)
    assert what_it_says(local, again(local)) == "from 0.\nat 8.\n"
    assert not (local.workload_folder("w_new") / "inherited.new").exists()


def test_links_are_not_followed_and_none_that_leads_outside_is_copied(local: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    plants = (
        f"cd $DURE_CHECKPOINT_DIR; mkdir -p a/b; echo 5 > a/b/count; ln -s a/b/count last; ln -s {tmp_path}/secret s1; "
        f"ln -s ../../secret a/s2; ln -s {tmp_path} s3; ln -s ../b/count a/b/near; mkfifo pipe; touch -d @1000 a/b/count; exit 1"
    )
    saved_by(local, plants)
    said = what_it_says(local, again(local, "cd $DURE_CHECKPOINT_DIR; find . | sort; cat last; stat -c %Y a/b/count"))
    assert said.split() == [".", "./a", "./a/b", "./a/b/count", "./a/b/near", "./last", "5", "1000"]


def test_a_copy_that_a_crash_cut_short_is_made_anew(local: Any) -> None:
    saved_by(local)
    left = local.workload_folder("w_new") / "inherited.new"
    left.mkdir(parents=True)
    (left / "count").write_text("3\n")
    assert what_it_says(local, again(local)) == "from 5.\nat 8.\n"


def test_what_was_swept_while_it_was_copied_is_not_taken(tmp_path: Path) -> None:
    old, new, fresh = (tmp_path / name for name in ("old", "new", "fresh"))
    for folder in (old, new, fresh):
        folder.mkdir()
    source = os.open(old, os.O_RDONLY)
    put: Callable[[], bool] = lambda: inherit.end(str(fresh), str(new), str(old), source, whole=True)  # noqa: E731
    try:
        (fresh / "count").touch()
        old.rename(tmp_path / "trash")
        assert not put() and not fresh.exists() and list(new.iterdir()) == []
        (tmp_path / "trash").rename(old)
        fresh.mkdir()
        (fresh / "count").touch()
        assert put() and [p.name for p in new.iterdir()] == ["count"]
        fresh.mkdir()
        assert not put() and [p.name for p in new.iterdir()] == ["count"]  # never over what is saved
    finally:
        os.close(source)
