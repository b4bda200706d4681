"""What an order asks for, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dure.agent import attempts
from dure.agent.attempts import Known, Stage, Verdict, verdict
from dure.model.link import AttemptReport
from dure.model.workload import Evidence, Outcome
from dure.ports import Observation
from tests.unit.agent.fakes import launch, stop

ORDERED = attempts.launched(launch("a", epoch=5))
RUNNING = replace(ORDERED, report=AttemptReport(attempt="a", epoch=5, workload="w", phase="running"))
OVER = replace(ORDERED, report=AttemptReport(attempt="a", epoch=5, workload="w", phase="ended", outcome=Outcome.FAILED))
TOMB = attempts.tombstone(stop("a", epoch=5))
STOPPING = attempts.stopping(RUNNING, stop("a", epoch=5))


@pytest.mark.parametrize(
    ("known", "stage", "epoch", "word"),
    [
        (None, Stage.KNOWN, 5, Verdict.LAUNCH),
        (ORDERED, Stage.QUEUED, 5, Verdict.WAIT),
        (ORDERED, Stage.ASKED, 5, Verdict.WAIT),
        (ORDERED, Stage.PARKED, 5, Verdict.LAUNCH),
        (attempts.stopping(ORDERED, stop("a", epoch=5)), Stage.PARKED, 5, Verdict.WAIT),
        (RUNNING, Stage.KNOWN, 5, Verdict.REPEAT),
        (RUNNING, Stage.KNOWN, 6, Verdict.REPEAT),
        (RUNNING, Stage.KNOWN, 4, Verdict.STALE),
        (OVER, Stage.KNOWN, 9, Verdict.REPEAT),
        (TOMB, Stage.KNOWN, 4, Verdict.STALE),
        (TOMB, Stage.KNOWN, 5, Verdict.REPEAT),
        (TOMB, Stage.KNOWN, 6, Verdict.LAUNCH),
    ],
)
def test_what_a_launch_asks_for(known: Known | None, stage: Stage, epoch: int, word: Verdict) -> None:
    assert verdict(launch("a", epoch=epoch), known, stage) is word


@pytest.mark.parametrize(
    ("known", "stage", "epoch", "word"),
    [
        (None, Stage.KNOWN, 5, Verdict.TOMBSTONE),
        (ORDERED, Stage.QUEUED, 5, Verdict.TOMBSTONE),
        (ORDERED, Stage.ASKED, 5, Verdict.STOP),
        (ORDERED, Stage.PARKED, 5, Verdict.STOP),
        (RUNNING, Stage.KNOWN, 5, Verdict.STOP),
        (RUNNING, Stage.KNOWN, 4, Verdict.STALE),
        (STOPPING, Stage.KNOWN, 5, Verdict.WAIT),
        (OVER, Stage.KNOWN, 5, Verdict.REPEAT),
        (TOMB, Stage.KNOWN, 5, Verdict.REPEAT),
    ],
)
def test_what_a_stop_asks_for(known: Known | None, stage: Stage, epoch: int, word: Verdict) -> None:
    assert verdict(stop("a", epoch=epoch), known, stage) is word


def test_a_stop_with_less_grace_is_a_new_stop() -> None:
    assert verdict(stop("a", epoch=5, grace_ms=0), STOPPING, Stage.KNOWN) is Verdict.STOP


def test_an_end_is_final() -> None:
    seen = Observation(attempt="a", epoch=5, workload="w", phase="ended", outcome=Outcome.SUCCEEDED)
    assert attempts.folded(OVER, seen) == OVER


def test_a_phase_that_nobody_knows_changes_nothing() -> None:
    assert attempts.folded(RUNNING, Observation(attempt="a", epoch=5, workload="w", phase="dreaming")) == RUNNING


def test_what_vanished_before_it_ran_has_no_end_in_time() -> None:
    report = AttemptReport(attempt="a", epoch=5, workload="w", phase="launching", evidence=Evidence())
    lost = attempts.vanished(replace(ORDERED, report=report)).report
    assert lost is not None and (lost.outcome, lost.evidence.ended_ms) == (Outcome.LOST, 0)
