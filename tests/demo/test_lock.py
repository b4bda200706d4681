"""Who runs a farm is told by what the kernel says, and by no clock that somebody may set."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from dure.cli.farm import lock


def test_the_holder_is_seen_until_it_lets_go(tmp_path: Path) -> None:
    assert lock.running(tmp_path) is None
    with lock.held(tmp_path) as farm:
        assert lock.running(tmp_path) == farm
        assert lock.process(farm).pid == os.getpid()  # type: ignore[union-attr]
    assert lock.running(tmp_path) is None


def test_a_pid_that_was_used_again_is_not_the_farm(tmp_path: Path) -> None:
    with lock.held(tmp_path) as farm:
        lock.write(tmp_path, replace(farm, start_ticks=farm.start_ticks - 1))
        assert lock.running(tmp_path) is None


def test_a_machine_whose_clock_was_set_knows_its_farm(tmp_path: Path) -> None:
    with lock.held(tmp_path) as farm:
        lock.write(tmp_path, replace(farm, started_ms=farm.started_ms - 3_600_000))
        assert lock.running(tmp_path) is not None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"pid": 1})])
def test_a_note_that_cannot_be_read_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / lock.NOTE).write_text(text)
    assert lock.running(tmp_path) is None


def test_the_second_holder_is_told_of_the_first(tmp_path: Path) -> None:
    with lock.held(tmp_path) as farm, pytest.raises(lock.Held) as refused, lock.held(tmp_path):
        pass
    assert refused.value.farm == farm
