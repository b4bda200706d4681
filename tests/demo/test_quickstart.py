"""From nothing to a first job with what `dure up --detach` and `dure quickstart` say, and nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.farms import RealFarm, eventually, real_farm

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[RealFarm]:
    with real_farm(tmp_path, DURE_PROJECT="") as made:
        yield made


def test_a_newcomer_runs_the_first_job_with_the_commands_that_quickstart_prints(farm: RealFarm) -> None:
    farm.json("up", "--detach", "--port", "0")
    assert farm.json("status")["nodes"] == 1, "up --detach returned before a job could run"
    printed = farm.dure("quickstart")
    assert printed.returncode == 0, printed.stderr
    commands = [shlex.split(line)[1:] for line in printed.stdout.splitlines()[-3:]]
    assert [words[0] for words in commands] == ["submit", "jobs", "why"]
    for words in commands:
        done = farm.dure(*words)
        assert done.returncode == 0, done.stderr
        assert "hello" in done.stdout or words[0] == "submit"
    eventually(lambda: farm.json("show", "hello")["state"] == "succeeded", "the first job succeeds", farm)
    assert farm.dure("logs", "hello").stdout == "hello\n"
    row = farm.json("show", "hello")
    assert row["project"] == "quickstart"
    assert farm.json("actor", "show", row["owner"])["name"] == "quickstart"
    farm.json("down", "--jobs")


def test_quickstart_again_makes_nothing_new(farm: RealFarm) -> None:
    farm.json("up", "--detach", "--port", "0")
    first, second = farm.json("quickstart"), farm.json("quickstart")
    assert all(step["made"] for step in first["steps"])
    assert not any(step["made"] for step in second["steps"])
    assert [step["id"] for step in first["steps"][:5]] == [step["id"] for step in second["steps"][:5]]
    assert Path(first["token_file"]).stat().st_mode & 0o777 == 0o600
    assert len(farm.json("award", "list")["items"]) == 1
    assert [t["label"] for t in farm.json("token", "list", "--actor", "quickstart")["items"]] == ["quickstart"]
    refused = farm.dure("project", "create", "other", "-o", "quickstart", "--token", Path(first["token_file"]).read_text())
    assert refused.returncode == 1, "the tenant of quickstart may do what an administrator may"
    farm.json("down")


def test_quickstart_without_a_farm_says_how_to_start_one(farm: RealFarm) -> None:
    refused = farm.dure("quickstart")
    assert refused.returncode == 1
    assert "dure up --detach" in refused.stderr
