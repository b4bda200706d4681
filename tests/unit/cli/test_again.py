"""What is printed to run a job again does run it again, and not into the same end."""

from __future__ import annotations

import shlex
from typing import Any

from dure.cli.app import call
from dure.cli.exits import Exit
from tests.unit.cli.test_commands import Shell


def end(still: Shell, outcome: str = "failed", **evidence: Any) -> str:
    """Have the one job that waits start, and end; its id."""
    plane = still.served.plane
    epoch = plane.join()
    plane.controller.step()
    (order,) = plane.post("agent", "/agent/poll", {"epoch": epoch})["orders"]
    plane.report(epoch, order["attempt"], order["epoch"], order["workload"], "running")
    told = {"run_ms": 10, "exit_code": 1, **evidence}
    plane.report(epoch, order["attempt"], order["epoch"], order["workload"], "ended", outcome=outcome, evidence=told)
    plane.controller.step()
    return str(order["workload"])


def commands(said: str) -> list[list[str]]:
    """The `dure …` commands that were printed, as a shell takes them apart."""
    return [shlex.split(line[line.index("dure ") :])[1:] for line in said.splitlines() if "dure " in line]


def failed_script(still: Shell) -> str:
    (still.folder / "train.py").write_text("import nothing_of_the_kind")
    still.run("submit", "--", "python", "train.py", who="alice")
    return end(still)


def test_after_an_error_of_a_script_the_printed_command_sends_the_mended_code(still: Shell) -> None:
    old = failed_script(still)
    said = still.run("why", old, who="alice")
    assert "same archive would run again" in said
    assert "같은 묶음이 다시" in still.run("why", old, "--lang", "ko", who="alice")
    (again,) = [words for words in commands(said) if words[0] == "resubmit"]
    assert again == ["resubmit", old, "--code", "."]
    (still.folder / "train.py").write_text("print('mended')")
    new = still.json(*again, who="alice")["ids"][0]
    before, after = (still.json("show", id, who="alice")["spec"] for id in (old, new))
    assert before.pop("bundle") != after.pop("bundle") and before == after
    assert still.json("show", new, who="alice")["origin"] == old


def test_without_mended_code_it_is_said_that_the_old_archive_runs_again(still: Shell) -> None:
    with_code, bare = failed_script(still), still.json("submit", "--", "true", who="alice")["ids"][0]
    still.run("cancel", bare, who="alice")
    assert "runs again as it was" in notes(still, "resubmit", with_code)
    assert "runs again as it was" not in notes(still, "resubmit", bare)


def test_a_folder_of_code_that_is_not_there_is_refused_before_anything_is_asked_for(still: Shell) -> None:
    old = failed_script(still)
    assert "nowhere" in still.run("resubmit", old, "--code", "nowhere", who="alice", expect=Exit.USAGE)
    assert len(still.json("jobs", who="alice")["items"]) == 1


def notes(still: Shell, *words: str) -> str:
    """What a command says beside its answer."""
    assert call([*words], still.environ, lambda run: still.served.client("alice", lang=run.texts.lang)) == Exit.OK
    return still.capture.readouterr().err


def test_after_a_dependency_failed_the_printed_commands_lead_to_a_job_that_waits_for_the_new_one(still: Shell) -> None:
    first = failed_script(still)
    still.run("submit", "--set", f"depends_on=[{first}]", "--", "true", who="alice")
    second = still.json("jobs", who="alice")["items"][0]["id"]
    still.served.plane.controller.step()
    said = still.run("why", second, who="alice")
    assert "depends on" in said
    look, then, without = [words for words in commands(said) if words[0] != "logs"]
    assert look == ["why", first]
    new = still.json("resubmit", first, "--code", ".", who="alice")["ids"][0]
    waits = still.json(*(word.replace("NEW_ID", new) for word in then), who="alice")["ids"][0]
    assert still.json("show", waits, who="alice")["spec"]["depends_on"] == [new]
    free = still.json(*without, who="alice")["ids"][0]
    assert still.json("show", free, who="alice")["spec"]["depends_on"] == []
