"""Who operates one site finds by name what runs there, and may end it."""

from __future__ import annotations

from dure.cli.exits import Exit
from tests.builders.api_plane import JOB
from tests.unit.cli.test_commands import Shell


def operator(still: Shell) -> None:
    plane = still.served.plane
    actor = plane.post("admin", "/actors", {"name": "local", "grants": [{"role": "operator", "scope": "pohang"}]})["id"]
    plane.tokens["local"] = plane.post("admin", f"/actors/{actor}/tokens", {"label": "local"})["token"]
    still.environ = {name: value for name, value in still.environ.items() if name != "DURE_PROJECT"}


def test_a_job_of_others_is_listed_shown_and_cancelled_by_its_name(still: Shell) -> None:
    operator(still)
    id, _, _ = still.served.plane.run_one()
    assert id in still.run("jobs", who="local")
    assert id in still.run("show", JOB["name"], who="local")
    assert "1" in still.run("cancel", JOB["name"], who="local")
    assert still.json("show", id, who="local")["cancel_asked_ms"]


def test_who_may_not_submit_it_again_is_not_told_to_cancel_it_first(still: Shell) -> None:
    operator(still)
    id, _, _ = still.served.plane.run_one()
    assert "dure cancel" in still.run("resubmit", id, who="alice", expect=Exit.REFUSED)
    assert "dure cancel" not in still.run("resubmit", id, "--cores", "2", who="local", expect=Exit.REFUSED)


def test_elements_of_an_array_that_run_there_stand_for_themselves(still: Shell) -> None:
    operator(still)
    still.served.plane.join()
    ids = still.served.plane.submit(array=2)["ids"]
    still.served.plane.controller.step()
    said = still.run("jobs", who="local")
    assert all(id in said for id in ids)


def test_what_is_set_aside_stands_under_a_heading_and_its_stop_promises_nothing_of_a_job(still: Shell) -> None:
    plane = still.served.plane
    plane.report(plane.join(), "at_ghost", 1, "wl_ghost", "running")
    lines = still.run("site", "show", "pohang").splitlines()
    heading = next(i for i, line in enumerate(lines) if line.startswith("Set aside"))
    assert [i for i, line in enumerate(lines) if "at_ghost" in line] == [heading + 2]
    said = still.run("quarantine", "stop", "at_ghost")
    assert "waits again" not in said and "dure quarantine dismiss at_ghost" in said
