"""A job of seconds costs less than a won: the statement and the job say what it cost, and that it is carried."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dure.cli.app import call
from dure.cli.exits import Exit
from dure.cli.run import Run
from dure.client import DureClient
from dure.model.money import NANO, nano_text
from tests.builders.served_plane import Served, served_plane

RUN_MS = 9_000
Say = Callable[..., str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_plane(tmp_path_factory.mktemp("small")) as made:
        yield made


@pytest.fixture(scope="module")
def workload(served: Served) -> str:
    plane = served.plane
    workload, attempt, epoch = plane.run_one()
    (row,) = plane.get("alice", f"/workloads/{workload}/attempts")["items"]
    plane.clock.shift_ms = RUN_MS
    evidence = {"started_ms": 1, "ended_ms": 1 + RUN_MS, "run_ms": RUN_MS, "exit_code": 0}
    plane.report(epoch, attempt, row["epoch"], workload, "ended", outcome="succeeded", evidence=evidence)
    return workload


@pytest.fixture
def say(served: Served, workload: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Say:
    def run(*words: str) -> str:
        def connect(run: Run) -> DureClient:
            return served.client("alice", lang=run.texts.lang)

        environ = {"DURE_DATA": str(tmp_path), "DURE_PROJECT": "alpha", "LANG": "C"}
        assert call(list(words), environ, connect) == Exit.OK
        return capsys.readouterr().out

    return run


def test_the_statement_says_what_is_carried_in_both_languages(say: Say) -> None:
    answer = json.loads(say("ledger", "--json"))
    (line,), (rest,) = answer["jobs"], answer["remainders"]
    assert (line["settled"], line["net"], answer["findings"]) == (0, 0, [])
    assert 0 < line["carried_nano"] == rest["nano"] < NANO
    assert (rest["site"], rest["currency"]) == ("pohang", "KRW")
    cost = nano_text(rest["nano"])
    assert f"At pohang {cost} won is carried to the next settlement" in say("ledger")
    assert f"pohang에서 쓴 {cost}원은 아직 한 단위가 되지 않아 다음 정산으로 이월됩니다." in say("ledger", "--lang", "ko")
    told = say("ledger")
    assert "Cost" in told and nano_text(rest["nano"], 3) in told


def test_a_job_says_what_it_cost_though_nothing_was_settled(say: Say, workload: str) -> None:
    (rest,) = json.loads(say("ledger", "--json"))["remainders"]
    assert f"{nano_text(rest['nano'])} won" in say("show", workload)
