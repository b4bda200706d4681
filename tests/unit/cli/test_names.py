"""What a name means when several have it, and what is said where an id is needed."""

from __future__ import annotations

from dure.cli.exits import Exit
from tests.builders.api_plane import JOB
from tests.unit.cli.test_commands import Shell

NAME = JOB["name"]


def test_a_name_means_the_one_that_goes_on_then_the_newest_and_never_one_of_two_that_go_on(still: Shell) -> None:
    plane = still.served.plane
    first = plane.submit()["ids"][0]
    still.run("cancel", first, who="alice")
    second = plane.post("alice", f"/workloads/{first}/resubmit", {})["ids"][0]
    assert still.json("show", NAME, who="alice")["id"] == second
    assert second in still.run("cancel", NAME, who="alice")
    assert still.json("show", NAME, who="alice")["id"] == second, "both have ended: the newest"
    third, fourth = plane.submit()["ids"][0], plane.submit()["ids"][0]
    said = still.run("show", NAME, who="alice", expect=Exit.USAGE)
    assert third in said and fourth in said and first not in said and second not in said


def test_an_array_goes_on_for_as_long_as_one_of_its_elements_does(still: Shell) -> None:
    array = still.served.plane.submit(array=2)
    still.served.plane.post("alice", f"/workloads/{array['ids'][1]}/cancel")
    assert still.json("show", NAME, who="alice")["id"] == array["array_id"]
    other = still.served.plane.submit()["ids"][0]
    assert array["array_id"] in still.run("show", NAME, who="alice", expect=Exit.USAGE)
    still.run("cancel", array["array_id"], who="alice")
    assert still.json("show", NAME, who="alice")["id"] == other


def test_a_dependency_by_name_is_told_the_id(still: Shell) -> None:
    id = still.served.plane.submit()["ids"][0]
    words = ("submit", "--set", f"depends_on=[{NAME}]", "--", "true")
    said = still.run(*words, who="alice", expect=Exit.REFUSED)
    assert "An id is needed" in said and id in said and "nearest" not in said
    assert still.json(*words, who="alice", expect=Exit.REFUSED)["error"]["near"] == [id]
