"""Emptying a farm, at the moments that a real one reaches by chance only."""

from __future__ import annotations

from typing import Any

import pytest

from dure.cli.commands.draining import Drained, drain
from dure.errors import ApiError
from dure.model.reason import Reason, ReasonKind


class Farm:
    """A farm of one site whose attempts end when they are stopped, or did so just before. Also the run that drains it."""

    def __init__(self, refusal: ReasonKind | None) -> None:
        self.client: Any = self
        self.refusal = refusal
        self.live: list[dict[str, Any]] = [{"id": "at_1", "workload": "wl_1"}, {"id": "at_2", "workload": "wl_2", "resolved": ""}]
        self.told: list[str] = []

    def note(self, key: str, **facts: Any) -> None:
        self.told.append(key)

    def drain_farm(self) -> None:
        pass

    def sites(self) -> list[dict[str, Any]]:
        return [{"id": "north"}]

    def site(self, id: str) -> dict[str, Any]:
        of_ours = [a for a in self.live if "resolved" not in a]
        return {"id": id, "attempts": of_ours, "quarantined": [a for a in self.live if "resolved" in a]}

    def stop_attempt(self, id: str) -> None:
        self.live = [a for a in self.live if a["id"] != id]
        if self.refusal is not None:
            raise ApiError(409, {"reason": {"kind": Reason.of(self.refusal, what="attempt", id=id, state="ended").kind.value}})

    stop_quarantined = stop_attempt


def test_what_does_not_end_in_time_is_stopped_and_only_known_work_waits_again() -> None:
    run: Any = Farm(None)
    assert drain(run, 0) == Drained(preempted=("wl_1",), quarantined=("at_2",))
    assert run.told == ["down.draining", "down.preempting", "down.stopping"]


def test_what_has_ended_meanwhile_needs_no_stop() -> None:
    run: Any = Farm(ReasonKind.ALREADY_ENDED)
    assert drain(run, 0) == Drained()
    assert run.told == ["down.draining"]


def test_what_is_being_stopped_already_is_only_waited_for() -> None:
    """Such as an attempt that was attested lost and lives: nobody has to be told to look after it."""
    run: Any = Farm(None)
    run.live = [{"id": "at_3", "workload": "wl_3", "resolved": "", "stopping": True}]
    looks = iter([run.live, run.live, []])
    run.site = lambda id: {"id": id, "attempts": [], "quarantined": next(looks)}
    assert drain(run, 0) == Drained()
    assert run.told == ["down.draining"]


def test_any_other_refusal_is_told() -> None:
    run: Any = Farm(ReasonKind.UNACCOUNTED)
    with pytest.raises(ApiError):
        drain(run, 0)
