"""`dure why --what-if` and `dure snapshot`, as people use them: words, tables, JSON, both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from dure.cli.exits import Exit
from dure.scheduler import encode
from tests.builders.world import World
from tests.unit.cli.test_commands import HANGUL, Shell

LARGE = ("--cores", "4", "--limit", "1h", "--name", "large", "--", "true")


def full(shell: Shell) -> tuple[str, str]:
    """Bob's job has the only node, Alice's waits for it."""
    plane = shell.served.plane
    plane.join()
    plane.controller.step()
    runs = shell.json("submit", "-p", "beta", *LARGE, who="bob")["ids"][0]
    plane.controller.step()
    waits = shell.json("submit", *LARGE, who="alice")["ids"][0]
    plane.controller.step()
    return runs, waits


@pytest.fixture
def saved(still: Shell) -> Path:
    """A snapshot in which two of three wait for the same node; the urgent one asks more than its project has."""
    made = World().site("pohang", nodes=2, cores=8, devices=4, accelerator="h100").award("lab", 100)
    made.attempt("at_1", [("pohang/n0", 15)], workload="wl_runs", cores=8)
    made.pending("wl_low", cores=8, devices=4, priority="low").pending("wl_high", cores=8, devices=4, priority="high")
    made.pending("wl_dear", cores=8, devices=4, priority="urgent", hold=5000)
    file = still.folder / "farm.snapshot"
    file.write_bytes(encode(made.snapshot()))
    return file


# -- why --what-if --------------------------------------------------------------------------------------------------------


def test_now_and_then_stand_beside_each_other(still: Shell) -> None:
    _, waits = full(still)
    said = still.run("why", waits, "--what-if", "site pohang +1 nodes", "--what-if", "now +1m", who="alice")
    assert f"large ({waits}): waiting." in said
    assert "Supposed: site pohang +1 nodes; now +1m." in said
    assert re.search(r"Now: it waits, with a start promised by .* at pohang\.", said)
    assert "Then: it starts at pohang with the next step." in said


def test_work_is_named_as_everywhere_by_its_name_too(still: Shell) -> None:
    runs, waits = full(still)
    named = still.json("why", waits, "--what-if", "project  beta gone", "--what-if", "workload this cores 1", who="operator")
    assert named["suppositions"] == ["project beta gone", "workload this cores 1"] and named["then"]["starts"]
    other = still.json("submit", "--cores", "1", "--limit", "1h", "--name", "small", "--", "true", who="alice")["ids"][0]
    still.served.plane.controller.step()
    found = still.json("why", waits, "--what-if", "workload small gone", who="alice")
    assert found["suppositions"] == [f"workload {other} gone"]
    assert runs not in str(found)


def test_what_would_still_wait_says_why(still: Shell) -> None:
    _, waits = full(still)
    said = still.run("why", waits, "--what-if", "site pohang unreachable", who="alice")
    assert "Then: it still waits. None of the allowed sites" in said
    same = still.run("why", waits, "--what-if", "policy backfill_depth 7", who="alice")
    assert "Then: just the same." in same


def test_what_runs_is_not_planned(still: Shell) -> None:
    runs, _ = full(still)
    assert "It does not wait" in still.run("why", runs, "--what-if", "farm drained", who="bob")


def test_what_if_speaks_korean(still: Shell) -> None:
    _, waits = full(still)
    said = still.run("why", waits, "--lang", "ko", "--what-if", "site pohang +1 nodes", who="alice")
    assert "가정: site pohang +1 nodes." in said and "그때: 다음 단계에서 pohang에서 시작합니다." in said
    wrong = still.run("why", waits, "--lang", "ko", "--what-if", "site pohang mighty 60kW", who="alice", expect=Exit.REFUSED)
    assert "“mighty” 자리에 올 수 없는 말입니다" in wrong


def test_what_cannot_be_supposed_is_told_by_its_word(still: Shell) -> None:
    _, waits = full(still)
    wrong = still.run("why", waits, "--what-if", "site pohang mighty 60kW", who="alice", expect=Exit.REFUSED)
    assert "“mighty” cannot stand there" in wrong and "site SITE +COUNT nodes [TYPE]" in wrong
    facts = still.json("why", waits, "--what-if", "site pohang mighty 60kW", who="alice", expect=Exit.REFUSED)
    assert facts["error"]["reason"]["facts"]["token"] == "mighty"
    still.run("why", waits, "--what-if", "", who="alice", expect=Exit.USAGE)


def test_programs_get_both_worlds(still: Shell) -> None:
    _, waits = full(still)
    answer = still.json("why", waits, "--what-if", "site pohang +1 nodes", who="alice")
    assert (answer["now"]["starts"], answer["then"]["starts"]) == (False, True)


# -- snapshot save --------------------------------------------------------------------------------------------------------


def test_an_operator_saves_what_a_plan_can_be_made_of(still: Shell) -> None:
    _, waits = full(still)
    said = still.run("snapshot", "save", "now.snapshot", who="operator")
    assert "Sites: 1, nodes: 1, attempts: 1, waiting: 1." in said and "no names" in said
    assert (still.folder / "now.snapshot").stat().st_mode & 0o777 == 0o600
    assert not list(still.folder.glob("*.new"))
    planned = still.json("snapshot", "plan", "now.snapshot", "--workload", waits)
    asked = still.json("why", waits, who="alice")
    assert planned["saved"]["why"]["reasons"][0]["kind"] == asked["reason"]["kind"]
    assert planned["saved"]["promised_ms"] == asked["why"]["promised_ms"]


def test_a_file_that_is_there_is_not_written_over_unasked(still: Shell) -> None:
    full(still)
    (still.folder / "x").write_text("mine")
    assert "x is there already" in still.run("snapshot", "save", "x", who="operator", expect=Exit.REFUSED)
    assert (still.folder / "x").read_text() == "mine"
    assert still.json("snapshot", "save", "x", "--force", who="operator")["waiting"] == 1


def test_a_tenant_saves_nothing(still: Shell) -> None:
    full(still)
    still.run("snapshot", "save", "x", who="alice", expect=Exit.REFUSED)
    assert not (still.folder / "x").exists()


# -- snapshot plan --------------------------------------------------------------------------------------------------------


def plan(shell: Shell, *words: str) -> Any:
    return shell.json("snapshot", "plan", "farm.snapshot", *words)


def test_a_plan_is_told_in_numbers(still: Shell, saved: Path) -> None:
    said = still.run("snapshot", "plan", str(saved))
    assert "3 waiting" in said and "as saved" in said and "otherwise" not in said
    assert plan(still)["saved"] == {"starts": 1, "claims": 0, "waits": 2, "promised": 1, "victims": 0}


def test_another_policy_starts_another(still: Shell, saved: Path) -> None:
    (still.folder / "low.yaml").write_text("classes:\n- name: low\n  value: 999\n  preempts: false\n  price_permille: 800\n")
    (still.folder / "low.toml").write_text('[[classes]]\nname = "low"\nvalue = 999\n')
    for file in ("low.yaml", "low.toml"):
        assert plan(still, "--policy", file)["difference"] == {
            "both": [], "only_first": ["wl_high"], "only_second": ["wl_low"], "elsewhere": [],
        }  # fmt: skip
    said = still.run("snapshot", "plan", str(saved), "--policy", "low.yaml")
    assert "Start as saved, and not otherwise (1): wl_high" in said and "Start otherwise, and not as saved (1): wl_low" in said
    assert HANGUL.search(still.run("snapshot", "plan", str(saved), "--policy", "low.yaml", "--lang", "ko"))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_one_workload_is_told_one_way_and_then_the_other_in_lines_that_can_be_read(still: Shell, saved: Path, lang: str) -> None:
    (still.folder / "low.yaml").write_text("classes:\n- {name: low, value: 999}\n")
    said = still.run("snapshot", "plan", str(saved), "--policy", "low.yaml", "--workload", "wl_low", "--lang", lang)
    assert max(map(cell_len, said.splitlines())) <= 100
    if lang == "en":
        before, after = said.split("otherwise\n")
        assert "as saved\n" in before and re.search(r"outcome +waits", before) and re.search(r"outcome +starts", after)
        assert "It needs 1 × 4 accelerators" in " ".join(before.split()) and re.search(r"site +pohang", after)
        assert "why" not in after and "promised" not in after
    found = plan(still, "--policy", "low.yaml", "--workload", "wl_low")
    assert (found["saved"]["starts"], found["other"]["starts"]) == (False, True)


def test_fields_and_suppositions_change_the_other_side(still: Shell, saved: Path) -> None:
    found = plan(still, "--policy", "reservations_max=0", "--policy", "min_run_ms=2m", "--what-if", "site pohang +1 nodes")
    assert (found["saved"]["promised"], found["other"]["promised"], found["other"]["starts"]) == (1, 0, 2)
    gone = plan(still, "--what-if", "workload this gone", "--workload", "wl_low")
    assert gone["other"] is None
    assert "is gone" in still.run("snapshot", "plan", str(saved), "--what-if", "workload this gone", "--workload", "wl_low")
    richer = plan(
        still, "--what-if", "project lab funds +9000won", "--what-if", "workload wl_dear limit 2h", "--workload", "wl_dear"
    )
    assert richer["saved"]["reason"]["kind"] == "funds_short" and richer["other"]["reason"] != richer["saved"]["reason"]


def test_prices_of_another_policy_are_rated_anew(still: Shell, saved: Path) -> None:
    free = [{"resource": resource, "currency": "KRW", "nano": 0} for resource in ("core", "memory_gib", "device:*")]
    (still.folder / "free.json").write_text(json.dumps({"prices": free}))
    found = plan(still, "--policy", "free.json", "--workload", "wl_dear")
    assert found["saved"]["reason"]["kind"] == "funds_short" and found["other"]["reason"] is None


def test_what_would_be_the_same_is_said_to_be(still: Shell, saved: Path) -> None:
    assert "Both start the same" in still.run("snapshot", "plan", str(saved), "--policy", "backfill_depth=999")
    said = still.run("snapshot", "plan", str(saved), "--policy", "backfill_depth=999", "--workload", "wl_low")
    assert "Nothing about it would be different." in said


def test_a_field_whose_effect_is_in_the_snapshot_is_named(
    still: Shell, saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []
    monkeypatch.setattr("dure.cli.console.Console.note", lambda self, text, style="": noted.append(text))
    still.run("snapshot", "plan", str(saved), "--policy", "half_life_ms=1d")
    assert noted == ["The policy's half_life_ms changes nothing here: the snapshot was taken with its effect already in it."]


def test_many_differences_are_cut_for_people_and_whole_for_programs(still: Shell) -> None:
    made = World().site("s", nodes=25, cores=8)
    for i in range(25):
        made.pending(f"wl_{i:02}", cores=8)
    (still.folder / "many").write_bytes(encode(made.snapshot()))
    said = still.run("snapshot", "plan", "many", "--what-if", "farm drained")
    assert "(25): wl_00, " in said and "wl_19, and 5 more" in said
    assert len(still.json("snapshot", "plan", "many", "--what-if", "farm drained")["difference"]["only_first"]) == 25


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--policy", "nosuch_field=3"), "nosuch_field"), (("--policy", "reservations_max=-1"), "reservations_max"),
        (("--policy", "reservations_max=many"), "reservations_max"), (("--policy", "nosuch.yaml"), "nosuch.yaml"),
        (("--policy", "bad.yaml"), "bad.yaml"), (("--policy", "list.yaml"), "list.yaml"),
        (("--policy", "items.yaml"), "items.yaml"),
        (("--what-if", "site nowhere open"), "nowhere"), (("--what-if", "weather fine"), "weather"),
        (("--policy", "bad.toml"), "bad.toml"),
    ],
)  # fmt: skip
def test_bad_words_are_refused_by_their_name(still: Shell, saved: Path, words: tuple[str, ...], said: str) -> None:
    for name, text in (
        ("bad.yaml", "a: [\n"),
        ("list.yaml", "- 1\n"),
        ("items.yaml", "classes: [3]\n"),
        ("bad.toml", "a = = 1\n"),
    ):
        (still.folder / name).write_text(text)
    assert said in still.run("snapshot", "plan", str(saved), *words, expect=Exit.USAGE)
    assert still.json("snapshot", "plan", str(saved), *words, expect=Exit.USAGE)["error"]["kind"]


def test_who_is_not_waiting_in_it_is_told_apart_from_who_is_not_there(still: Shell, saved: Path) -> None:
    assert "had its place already" in still.run("snapshot", "plan", str(saved), "--workload", "wl_runs", expect=Exit.REFUSED)
    assert "not among the 3" in still.run("snapshot", "plan", str(saved), "--workload", "wl_x", expect=Exit.REFUSED)


def test_a_file_that_is_no_snapshot_is_refused(still: Shell, saved: Path) -> None:
    (still.folder / "x").write_bytes(b"hello")
    assert "it holds no snapshot" in still.run("snapshot", "plan", "x", expect=Exit.USAGE)
    (still.folder / "y").write_bytes(saved.read_bytes()[:-20])
    assert "손상되었거나" in still.run("snapshot", "plan", "y", "--lang", "ko", expect=Exit.USAGE)
    assert "nosuch" in still.run("snapshot", "plan", "nosuch", expect=Exit.REFUSED)
