"""Ctrl-C ends the looking, not the job, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dure.cli.app import call
from dure.cli.exits import Exit
from dure.client import DureClient
from tests.unit.cli.test_commands import Shell


def pressed(*words: Any, **more: Any) -> Iterator[Any]:
    raise KeyboardInterrupt
    yield


@pytest.mark.parametrize("words", [("submit", "--follow", "--", "true"), ("logs", "-f"), ("resubmit", "--follow")])
def test_who_stops_looking_is_told_that_the_job_goes_on_and_how_to_end_it(
    still: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    plane = still.served.plane
    monkeypatch.setattr(DureClient, "logs", pressed)
    monkeypatch.setattr("dure.cli.commands.jobs.follow", pressed)
    id = "" if words[0] == "submit" else plane.submit()["ids"][0]
    if words[0] == "resubmit":
        still.run("cancel", id, who="alice")
    line = [words[0], id, *words[1:]] if id else list(words)
    assert call(line, still.environ, lambda run: still.served.client("alice")) == Exit.INTERRUPTED
    said = still.capture.readouterr().err
    newest = plane.get("alice", "/workloads", newest=True)["items"][0]
    assert f"dure cancel {newest['id']}" in said and "billed" in said
    assert newest["state"] == "waiting" and not newest["cancel_asked_ms"]


def test_of_a_job_that_has_ended_nothing_is_said(still: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    id = still.served.plane.submit()["ids"][0]
    still.run("cancel", id, who="alice")
    monkeypatch.setattr(DureClient, "logs", pressed)
    assert call(["logs", "-f", id], still.environ, lambda run: still.served.client("alice")) == Exit.INTERRUPTED
    assert still.capture.readouterr().err == ""


class Held(DureClient):
    """A client whose pool was interrupted with its lock taken: to close it would wait for ever."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")

    def farm(self) -> dict[str, Any]:
        raise KeyboardInterrupt

    def close(self) -> None:
        raise AssertionError("closing waits for the lock that the interrupted line holds")


def test_an_interrupted_command_closes_nothing_on_its_way_out() -> None:
    assert call(["status"], {"LANG": "C"}, lambda run: Held()) == Exit.INTERRUPTED
