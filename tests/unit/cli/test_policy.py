"""Rules are changed a line at a time, seen before and after, and put back; awards are taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dure.cli.exits import Exit
from dure.cli.policies import BadItems, merged
from tests.builders.served_plane import served_plane
from tests.unit.cli.test_commands import Shell


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    environ = {"DURE_DATA": str(tmp_path / "data"), "DURE_PROJECT": "alpha", "LANG": "C", "COLUMNS": "120"}
    with served_plane(tmp_path / "plane") as served:
        yield Shell(served, capsys, tmp_path, environ)


def put(shell: Shell, text: str, *words: str, expect: int = Exit.OK) -> str:
    (shell.folder / "rules.yaml").write_text(text)
    return shell.run("policy", "set", "rules.yaml", *words, expect=expect)


def test_one_line_changes_one_thing_and_says_what(shell: Shell) -> None:
    before = shell.json("policy", "show")
    said = put(shell, "min_run_ms: 5000")
    assert "min_run_ms: 60000 -> 5000" in said and said.count("->") == 1
    after = shell.json("policy", "show")
    assert (after["prices"], after["classes"]) == (before["prices"], before["classes"])
    assert after["version"] == 2


def test_prices_and_classes_are_changed_by_item(shell: Shell) -> None:
    text = """
prices:
- {resource: "device:h100", nano: 2000000000}
- {resource: "device:a100", nano: null}
classes:
- {name: urgent, price_permille: 3000}
"""
    said = put(shell, text)
    assert "device:h100: 3,500.00 -> 7,200.00 KRW an hour" in said and "device:a100: 1,500.00 -> none KRW an hour" in said
    assert "classes.urgent.price_permille: 2000 -> 3000" in said
    assert said.count("->") == 3
    assert "3" in shell.run("policy", "show").split("urgent")[1].split("\n")[0]
    bad = put(shell, "prices: {core: 5}", expect=Exit.USAGE)
    assert "resource" in bad


def test_a_file_that_changes_nothing_writes_nothing(shell: Shell) -> None:
    assert "Nothing changes" in put(shell, "min_run_ms: 60000")
    assert shell.json("policy", "show")["version"] == 1


def test_a_farm_becomes_free_only_when_it_is_said(shell: Shell) -> None:
    text = json.dumps({"prices": [{**p, "nano": None} for p in shell.json("policy", "show")["prices"]]})
    assert "free" in put(shell, text, expect=Exit.REFUSED)
    assert "Nothing costs anything" in put(shell, text, "--free")


def test_an_older_policy_is_read_listed_and_put_back(shell: Shell) -> None:
    put(shell, "min_run_ms: 5000")
    assert shell.json("policy", "show", "--version", "1")["min_run_ms"] == 60_000
    listed = shell.run("policy", "list")
    assert "min_run_ms: 60000 -> 5000" in listed and "as founded" in listed
    assert "min_run_ms: 5000 -> 60000" in shell.run("policy", "set", "--from-version", "1")
    assert [p["version"] for p in shell.json("policy", "list")["items"]] == [3, 2, 1]
    shell.run("policy", "set", expect=Exit.USAGE)
    shell.run("policy", "set", "rules.yaml", "--from-version", "1", expect=Exit.USAGE)
    shell.run("policy", "show", "--version", "9", expect=Exit.REFUSED)


def test_a_file_of_an_older_policy_does_not_undo_what_somebody_else_changed(shell: Shell) -> None:
    mine = {**shell.json("policy", "show"), "min_run_ms": 5000}
    put(shell, "retries_max: 3")
    assert "policy 2 is in force" in put(shell, json.dumps(mine), expect=Exit.REFUSED)
    assert shell.json("policy", "show")["retries_max"] == 3


def test_an_award_is_taken_back_and_shown_as_such(shell: Shell) -> None:
    id = shell.json("award", "list")["items"][0]["id"]
    said = shell.run("award", "withdraw", id, "--amount", "400000", "--reason", "wrong_project", who="officer")
    assert "400,000" in said and "600,000" in said
    for words in (("award", "show", id), ("award", "list"), ("ledger",)):
        assert "400,000" in shell.run(*words), words
    assert "600,000" in shell.run("award", "withdraw", id, "--amount", "700000", who="officer", expect=Exit.REFUSED)
    shell.run("award", "withdraw", id, who="alice", expect=Exit.REFUSED)


@pytest.mark.parametrize("given", [{"prices": 5}, {"prices": [5]}, {"classes": [{"value": 3}]}, {"classes": {"urgent": 1}}])
def test_what_is_no_list_of_items_is_told(given: dict[str, Any]) -> None:
    with pytest.raises(BadItems):
        merged({"prices": [], "classes": []}, given)


def test_the_means_that_it_allows_are_told(shell: Shell, tmp_path: Path) -> None:
    said = shell.run("policy", "show")
    assert "nobody gives back what it borrows" in said and "Running work stays where it is" in said
    rules = tmp_path / "moves.yaml"
    rules.write_text("moves: true\nreclaims: true\n")
    assert "moves: False -> True" in shell.run("policy", "set", str(rules))
    said = shell.run("policy", "show", "--lang", "ko")
    assert "회수합니다(reclaims)" in said and "옮겨" in said
