"""A job that its project cannot pay for is sent to another of who submitted it, as `dure why` says."""

from __future__ import annotations

from dure.cli.exits import Exit
from tests.unit.cli.test_again import commands
from tests.unit.cli.test_commands import Shell


def poor(still: Shell, *job: str) -> str:
    """A job that waits in a project without money, in which alice is, as she is in another."""
    plane = still.served.plane
    plane.join()
    plane.controller.step()
    plane.post("admin", "/projects", {"id": "poor", "name": "poor", "organisation": "uni"})
    plane.post("admin", f"/actors/{plane.actors['alice']}/grants", {"role": "member", "scope": "poor"})
    id = str(still.json("submit", "--project", "poor", *job, who="alice")["ids"][0])
    plane.controller.step()
    return id


def test_why_names_the_project_and_what_it_prints_goes_there(still: Shell) -> None:
    id = poor(still, "--", "true")
    told = still.run("why", id, who="alice")
    assert "project alpha instead of poor" in told
    (pasted,) = [words for words in commands(told) if words[0] == "resubmit"]
    assert pasted == ["resubmit", id, "--to", "alpha"]
    assert "과제를 poor에서 alpha로" in still.run("why", id, "--lang", "ko", who="alice")
    answer = still.json(*pasted, who="alice")
    assert (answer["cancelled"], answer["origin"]) == (id, "")
    assert still.json("show", answer["ids"][0], who="alice")["project"] == "alpha"


def test_code_has_to_be_sent_along(still: Shell) -> None:
    (still.folder / "train.py").write_text("print()")
    id = poor(still, "--", "python", "train.py")
    assert "project poor's" in still.run("resubmit", id, "--to", "alpha", who="alice", expect=Exit.USAGE)
    answer = still.json("resubmit", id, "--to", "alpha", "--code", ".", who="alice")
    assert still.json("show", answer["ids"][0], who="alice")["project"] == "alpha"
