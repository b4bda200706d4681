"""Who runs a project, or one programme, does the whole of it at the command line, by names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dure.cli.app import call
from dure.cli.exits import Exit
from dure.cli.run import Run
from dure.client import DureClient
from tests.builders.api_plane import DAY_MS
from tests.builders.served_plane import Served, served_plane

Ask = Callable[..., Any]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with served_plane(tmp_path / "plane") as made:
        yield made


@pytest.fixture
def ask(served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Ask:
    """Run a command as somebody: what it said, or with `--json` the document."""

    def asked(who: str, line: str, expect: int = Exit.OK) -> Any:
        def connect(run: Run) -> DureClient:
            return served.client(who, lang=run.texts.lang)

        code = call(line.split(), {"DURE_DATA": str(tmp_path), "LANG": "C", "COLUMNS": "160"}, connect)
        said = capsys.readouterr()
        assert code == expect, said.out + said.err
        return json.loads(said.out) if "--json" in line else said.out + said.err

    return asked


def test_a_manager_takes_somebody_in_by_name(served: Served, ask: Ask) -> None:
    ask("manager", "actor create Zoe --role member:alpha")
    made = ask("manager", "token create --actor Zoe --label laptop --json")
    served.plane.tokens["Zoe"] = made["token"]
    assert ask("Zoe", "project list --json")["items"][0]["id"] == "alpha"
    listed = ask("manager", "token list --actor Zoe")
    assert "laptop" in listed and "alpha" in listed  # and how far it goes
    people = ask("manager", "actor list")
    assert "Zoe" in people and "bob" not in people
    ask("manager", "project remove alpha --actor Zoe")
    ask("manager", "project add alpha --actor Zoe")
    ask("manager", f"token revoke {made['id']}")


def test_what_a_manager_made_in_somebodys_name_is_listed_and_what_was_done_with_it_is_told(served: Served, ask: Ask) -> None:
    manager, alice = served.plane.actors["manager"], served.plane.actors["alice"]
    made = ask("manager", "token create --actor alice --label lent --json")
    served.plane.tokens["lent"] = made["token"]
    for who, whom in (("manager", manager), ("admin", "manager")):
        listed = ask(who, f"token list --made-by {whom}")
        assert "lent" in listed and alice[-6:] in listed
        assert [t["id"] for t in ask(who, f"token list --made-by {whom} --json")["items"]] == [made["id"]]
    assert "--made-by" in ask("admin", "token list --made-by manager --actor alice", Exit.USAGE)
    workload = served.plane.submit("lent")["ids"][0]
    served.plane.controller.step()
    said = ask("admin", f"audit log --subject {workload}")
    assert f"by {alice} with token {made['id']}, which {manager} made" in " ".join(said.split())
    assert "with token" not in ask("admin", f"audit log --subject {made['id']}")  # made by itself


@pytest.mark.parametrize("line", ["project remove alpha --actor {m}", "actor revoke {m} manager:alpha", "actor disable {m}"])
def test_whose_tokens_end_with_a_manager_is_said(served: Served, ask: Ask, line: str) -> None:
    actors = served.plane.actors
    ask("manager", f"token create --actor {actors['alice']} --label laptop")
    ask("manager", f"token create --actor {actors['manager']}")  # its own: that it ends needs no telling
    said = ask("admin", line.format(m=actors["manager"]))
    assert f"Tokens that they had made for others ended with that: 1, of {actors['alice']}." in " ".join(said.split())
    assert "had made" not in ask("admin", f"project remove alpha --actor {actors['alice']}")


def test_a_manager_who_gives_what_is_not_a_projects_role_hears_who_may(ask: Ask) -> None:
    ask("manager", "actor create Zoe --role member:alpha")
    said = ask("manager", "actor grant Zoe officer:voucher", expect=Exit.REFUSED)
    assert "admin" in said and "manager" not in said


def test_an_officer_of_a_programme_looks_at_what_it_funds(served: Served, ask: Ask) -> None:
    now_ms = served.plane.clock.now_ms()
    span = {"starts": now_ms - DAY_MS, "ends": now_ms + 90 * DAY_MS}
    served.plane.post("officer", "/programmes", {"id": "call", "name": "Call", "budget": 5000, **span})
    ask("admin", "actor create Nari --role officer:call")
    served.plane.tokens["Nari"] = ask("admin", "token create --actor Nari --json")["token"]
    assert "alpha" not in ask("Nari", "project list")
    award = {"programme": "call", "project": "alpha", "amount": 4000, "starts": now_ms - DAY_MS, "expires": now_ms + DAY_MS}
    served.plane.post("Nari", "/awards", award)
    assert "alpha" in ask("Nari", "project list")
    told = ask("Nari", "ledger --project alpha")
    assert "4,000" in told and "1,000,000" not in told and "not its jobs" in told
    assert len(ask("Nari", "ledger transfers --project alpha --json")["items"]) == 1
    assert "only administrator" in ask("admin", f"actor erase {served.plane.actors['admin']} --yes", Exit.REFUSED)
