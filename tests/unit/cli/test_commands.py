"""Every command against a real plane in this process: words, tables, JSON, exit codes, both languages."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from dure.cli.app import call
from dure.cli.exits import Exit
from dure.cli.run import Run
from dure.client import DureClient
from tests.builders.served_plane import Served, served_plane

HANGUL = re.compile("[가-힣]")


@dataclass
class Shell:
    """A terminal of somebody who has a token."""

    served: Served
    capture: pytest.CaptureFixture[str]
    folder: Path
    environ: Mapping[str, str]

    def run(self, *words: str, who: str = "admin", expect: int = Exit.OK) -> str:
        """What the command said on stdout; its exit code must be the expected one."""

        def connect(run: Run) -> DureClient:
            return self.served.client(who, lang=run.texts.lang)

        code = call(list(words), self.environ, connect)
        said = self.capture.readouterr()
        assert code == expect, said.out + said.err
        return said.out if code in (Exit.OK, Exit.JOB_FAILED, Exit.FAULTY) or "--json" in words else said.err

    def json(self, *words: str, who: str = "admin", expect: int = Exit.OK) -> Any:
        at = words.index("--") if "--" in words else len(words)
        return json.loads(self.run(*words[:at], "--json", *words[at:], who=who, expect=expect))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_plane(tmp_path_factory.mktemp("cli")) as made:
        made.plane.join()
        made.plane.controller.start()
        yield made
        made.plane.controller.stop()


@pytest.fixture
def shell(served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    environ = {"DURE_DATA": str(tmp_path / "data"), "DURE_PROJECT": "alpha", "LANG": "C", "COLUMNS": "80"}
    return Shell(served, capsys, tmp_path, environ)


def test_a_command_brings_its_script_and_says_so(shell: Shell) -> None:
    (shell.folder / "train.py").write_text("print('hi')")
    answer = shell.json("submit", "--cores", "0.5", "--limit", "5m", "-e", "SEED=1", "--", "python", "train.py", who="alice")
    assert len(answer["ids"]) == 1
    row = shell.json("show", answer["ids"][0], who="alice")
    assert row["spec"]["name"] == "train"
    assert row["spec"]["command"] == ["python", "train.py"]
    assert row["spec"]["env"] == {"SEED": "1"}
    assert row["spec"]["demand"]["cores_milli"] == 500
    assert len(row["spec"]["bundle"]) == 64


def test_a_job_file_is_submitted_with_its_code_and_options_win(shell: Shell) -> None:
    (shell.folder / "code").mkdir()
    (shell.folder / "code" / "x.py").write_text("1")
    (shell.folder / "job.yaml").write_text("name: sweep\ncommand: python x.py\ncode: code\narray: 3\nlimit: 1h\n")
    answer = shell.json("submit", "job.yaml", "--limit", "5m", "--set", "resources.memory=64MiB", who="alice")
    assert len(answer["ids"]) == 3
    assert answer["limit_ms"] == 300_000
    assert shell.json("show", answer["ids"][0], who="alice")["spec"]["demand"]["memory_mib"] == 64
    assert "3 elements" in shell.run("submit", "job.yaml", who="alice")
    assert len(shell.json("jobs", "--array", answer["array_id"], who="alice")["items"]) == 3
    assert shell.json("cancel", answer["array_id"], who="alice")["elements"] == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\ncommand: [a]\nmemory: 1GiB\n", "line 3"),
        ("name: x\ncommand: [a]\nresources:\n  cores: -1\n", "line 4"),
        ("name: Bad Name\ncommand: [a]\n", "line 1"),
        ("name: x\nname: y\n", "line 2: name stands twice"),
        ("name: [\n", "not YAML"),
    ],
)
def test_what_is_wrong_with_a_job_file_is_told_with_its_line(shell: Shell, text: str, said: str) -> None:
    (shell.folder / "job.yaml").write_text(text)
    code = Exit.USAGE if "twice" in said or "YAML" in said else Exit.REFUSED
    assert said in shell.run("submit", "job.yaml", who="alice", expect=code)
    assert "error" in shell.json("submit", "job.yaml", who="alice", expect=code)


@pytest.mark.parametrize(
    "words",
    [
        ["submit"],
        ["submit", "nowhere.yaml"],
        ["submit", "a.yaml", "more"],
        ["submit", "-e", "NOVALUE", "--", "true"],
        ["submit", "--set", "=1", "--", "true"],
        ["submit", "--array", "x", "--", "true"],
        ["jobs", "--bogus"],
        ["bogus"],
        ["why"],
        ["ledger", "nonsense"],
        ["node", "drain", "no-slash"],
        ["actor", "erase", "x"],
        ["attempt", "attest-lost", "x"],
        ["jobs", "--url", "ftp://x"],
    ],
)
def test_a_wrong_command_line_exits_with_2_and_one_json_document(shell: Shell, words: list[str]) -> None:
    document = shell.json(*words, expect=Exit.USAGE)
    assert set(document) == {"error"}
    assert document["error"]["detail"]


@pytest.mark.parametrize("limit", ["0s", "1ms", "999ms"])
@pytest.mark.parametrize("words", [["submit"], ["quote"]])
def test_a_limit_that_is_too_short_is_refused_in_the_same_words_at_every_door(shell: Shell, words: list[str], limit: str) -> None:
    error = shell.json(*words, "--limit", limit, "--", "true", who="alice", expect=Exit.REFUSED)["error"]
    assert error["reason"]["facts"] == {"field": "limit", "problem": "too_small", "limit_ms": 1000}
    assert "at least 1s" in error["detail"].replace("1 s", "1s")


def test_refusals_say_why_in_both_languages_and_carry_the_reason(shell: Shell) -> None:
    assert "wl_missing" in shell.run("show", "wl_missing", expect=Exit.REFUSED)
    assert HANGUL.search(shell.run("show", "wl_missing", "--lang", "ko", expect=Exit.REFUSED))
    error = shell.json("show", "wl_missing", expect=Exit.REFUSED)["error"]
    assert (error["status"], error["reason"]["kind"]) == (404, "not_found")
    assert shell.json("site", "drain", "pohang", who="alice", expect=Exit.REFUSED)["error"]["status"] == 403


def test_a_plane_that_does_not_answer_is_told_from_one_that_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    environ = {"DURE_DATA": str(tmp_path), "DURE_URL": "http://127.0.0.1:9"}
    assert call(["jobs"], environ) == Exit.UNREACHABLE
    assert "http://127.0.0.1:9" in capsys.readouterr().err
    assert call(["jobs", "--json"], environ) == Exit.UNREACHABLE
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "unreachable"


def test_a_waiting_job_is_explained_and_its_smallest_change_can_be_pasted(shell: Shell) -> None:
    id = shell.json("submit", "--cores", "64", "--limit", "5m", "--", "true", who="alice")["ids"][0]
    told = shell.run("why", id, who="alice")
    assert "64 cores" in told
    assert "smallest change" in told
    (pasted,) = [line.split() for line in told.splitlines() if line.strip().startswith("dure resubmit")]
    assert HANGUL.search(shell.run("why", id, "--lang", "ko", who="alice"))
    assert shell.json("why", id, who="alice")["why"]["change"]
    answer = shell.json(*pasted[1:], who="alice")
    assert answer["cancelled"] == id
    assert shell.json("show", id, who="alice")["state"] == "cancelled"
    demand = shell.json("show", answer["ids"][0], who="alice")["spec"]["demand"]
    assert demand["cores_milli"] <= 4000
    assert "Cancel it first" in shell.run("resubmit", answer["ids"][0], who="alice", expect=Exit.REFUSED)
    big = shell.json("submit", "--cores", "64", "--limit", "5m", "--", "true", who="alice")["ids"][0]
    assert "waits already" in shell.run("resubmit", big, who="alice", expect=Exit.USAGE)


def test_a_quote_says_how_much_and_when(shell: Shell) -> None:
    told = shell.run("quote", "--cores", "2", "--limit", "2h", "--array", "3", "--", "true", who="alice")
    assert "won" in told
    assert "3 elements" in told
    quote = shell.json("quote", "--cores", "2", "--limit", "2h", "--", "true", who="alice")
    assert quote["hold"]["KRW"] > 0


def test_tables_fit_80_columns_and_say_states_in_words(shell: Shell) -> None:
    shell.run("submit", "--cores", "64", "--limit", "5m", "--name", "a-job-with-a-rather-long-name", "--", "true", who="alice")
    for words in (
        ["jobs"],
        ["site", "list"],
        ["ledger"],
        ["audit", "log"],
        ["ledger", "transfers"],
        ["award", "list"],
        ["policy", "show"],
        ["actor", "list"],
        ["token", "list"],
        ["settings"],
    ):
        for lang in ("en", "ko"):
            told = shell.run(*words, "--lang", lang)
            sentences = [
                line for line in told.splitlines() if line.endswith(".") and "  " not in line
            ]  # the terminal folds these
            folder = str(shell.folder)  # a path is never broken, and this one may be long
            lines = [line for line in told.splitlines() if line not in sentences and folder not in line]
            assert max(cell_len(line) for line in lines) <= 80, told
            assert "\x1b" not in told
    assert "waiting" in shell.run("jobs")
    assert "대기" in shell.run("jobs", "--lang", "ko")


def test_an_officer_reads_the_bill_without_reading_the_workloads(shell: Shell) -> None:
    assert "Everything adds up." in shell.run("ledger", "-p", "alpha", who="officer")
    assert shell.run("jobs", "-p", "alpha", who="officer", expect=Exit.REFUSED)


def test_an_officer_sets_up_a_programme_from_nothing(shell: Shell) -> None:
    shell.run("organisation", "create", "foundry", "--kind", "sme", who="officer")
    shell.run("project", "create", "castings", "-o", "foundry", who="officer")
    shell.run(
        "programme", "create", "call-1", "--budget", "5000000", "--starts", "2026-01-01", "--ends", "2030-12-31", who="officer"
    )
    told = shell.run(
        "award",
        "create",
        "call-1",
        "castings",
        "--amount",
        "1000000",
        "--starts",
        "2026-01-01",
        "--expires",
        "2030-12-31",
        who="officer",
    )
    assert "1,000,000 won" in told
    assert shell.json("programme", "show", "call-1", who="officer")["available"] == 4_000_000
    shell.run("programme", "fund", "call-1", "--amount", "1", who="officer")
    award = shell.json("award", "list", "-p", "castings", who="officer")["items"][0]
    assert "castings" in shell.run("award", "show", award["id"], who="officer")
    assert "call-1" in shell.run("programme", "list", who="officer")
    assert "castings" in shell.run("project", "list", who="officer")
    assert "foundry" in shell.run("organisation", "list", who="officer")
    assert "foundry" in shell.run("project", "show", "castings", who="officer")


def test_people_get_roles_and_tokens_and_lose_them(shell: Shell) -> None:
    actor = shell.json("actor", "create", "Kim", "--email", "kim@example.org", "--role", "member:beta")["id"]
    shell.run("actor", "grant", actor, "member:alpha")
    assert "alpha" in shell.run("actor", "show", actor)
    shell.run("actor", "revoke", actor, "member:alpha")
    shell.run("project", "add", "alpha", "--actor", actor)
    shell.run("project", "remove", "alpha", "--actor", actor)
    token = shell.json("token", "create", "--actor", actor, "--label", "laptop")
    assert token["token"].startswith("dure_")
    assert "laptop" in shell.run("token", "list", "--actor", actor)
    (listed,) = shell.json("token", "list", "--actor", actor)["items"]
    assert listed["made_with"] == token["made_with"] == shell.served.plane.tokens["admin"].split("_")[1]
    shell.run("token", "revoke", token["id"])
    shell.run("actor", "disable", actor)
    shell.run("actor", "erase", actor, "--yes")
    assert "Kim" not in shell.run("actor", "list")


def test_an_operator_drains_and_opens_sites_nodes_and_the_farm(shell: Shell) -> None:
    shell.run("site", "drain", "pohang")
    assert "drained" in shell.run("site", "list")
    shell.run("site", "undrain", "pohang")
    node = shell.json("node", "list")["items"][0]["id"]
    shell.run("node", "drain", node)
    assert "drained" in shell.run("node", "list")
    assert "1, of which 1 drained or down" in shell.run("status")
    shell.run("node", "undrain", node)
    assert "of which" not in shell.run("status")
    shell.run("farm", "drain")
    assert "draining" in shell.run("status")
    shell.run("farm", "undrain")
    assert "open" in shell.run("status")
    assert shell.json("site", "add", "ulsan", "--region", "KR-31")["token"].startswith("dure_")
    assert "KR-31" in shell.run("site", "show", "ulsan")
    assert shell.json("quarantine", "list") == {"items": []}


def test_what_was_attested_lost_is_listed_for_as_long_as_it_holds_its_place(shell: Shell) -> None:
    (shell.folder / "farm").mkdir()
    with served_plane(shell.folder / "farm") as served:
        at = replace(shell, served=served)
        _, attempt, _ = served.plane.run_one()
        at.run("attempt", "attest-lost", attempt, "--yes", "--force")
        assert [q["id"] for q in at.json("quarantine", "list")["items"]] == [attempt]
        assert attempt in at.run("site", "show", "pohang")
        assert at.json("quarantine", "stop", attempt)["stopping"] is True
        assert "force" in at.run("quarantine", "dismiss", attempt, expect=Exit.REFUSED)
        at.run("quarantine", "dismiss", attempt, "--force")
        assert at.json("quarantine", "list") == {"items": []}
        assert attempt not in at.run("site", "show", "pohang")


def test_books_and_chain_are_proved(shell: Shell) -> None:
    assert "hold" in shell.run("ledger", "verify")
    assert shell.json("ledger", "verify")["findings"] == []
    assert shell.json("ledger")["findings"] == []
    assert shell.json("ledger", "transfers")["items"]
    proof = shell.json("audit", "verify")
    assert proof["ok"]
    assert proof["events"] > 0
    assert "no chain" not in shell.run("audit", "verify")
    shell.run("audit", "verify", "--key", "00" * 32, expect=Exit.FAULTY)


def test_a_policy_that_was_shown_can_be_put_in_force_again(shell: Shell) -> None:
    policy = shell.json("policy", "show")
    (shell.folder / "policy.json").write_text(json.dumps({**policy, "min_run_ms": 5_000}))
    assert shell.json("policy", "set", "policy.json")["version"] == policy["version"] + 1
    assert shell.json("policy", "show")["min_run_ms"] == 5_000
    (shell.folder / "bad.json").write_text("[1]")
    shell.run("policy", "set", "bad.json", expect=Exit.USAGE)


def test_commands_without_a_plane_work_without_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    environ = {"DURE_DATA": str(tmp_path / "d"), "DURE_TOKEN": "dure_secret"}
    for words in (["version"], ["settings"], ["settings", "--page"], ["openapi"], ["down"], ["migrate"]):
        assert call(words, environ) == Exit.OK, words
        said = capsys.readouterr().out
        assert said
        assert "dure_secret" not in said
    assert call(["down", "--jobs"], environ) == Exit.REFUSED


def test_help_is_in_the_language_of_the_locale(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["--help"], {"LANG": "ko_KR.UTF-8"}) == Exit.OK
    assert HANGUL.search(capsys.readouterr().out)
    assert call(["submit", "--help", "--lang=ko"], {"LANG": "C"}) == Exit.OK
    assert HANGUL.search(capsys.readouterr().out)
    assert call(["submit", "--help"], {"LANG": "C"}) == Exit.OK
    assert not HANGUL.search(capsys.readouterr().out)


def test_a_project_that_is_not_named_is_the_only_one(shell: Shell) -> None:
    shell.environ = {k: v for k, v in shell.environ.items() if k != "DURE_PROJECT"}
    assert shell.json("submit", "--limit", "5m", "--", "true", who="alice")["ids"]
    assert "--project" in shell.run("submit", "--limit", "5m", "--", "true", expect=Exit.USAGE)


def test_common_options_stand_before_or_behind_the_command(shell: Shell) -> None:
    for words in (["--lang", "ko", "jobs", "--state", "cancelled"], ["jobs", "--state", "cancelled", "--lang=ko"]):
        assert HANGUL.search(shell.run(*words, "-p", "beta"))
    assert json.loads(shell.run("--json", "project", "list")) == json.loads(shell.run("project", "--json", "list"))


def test_a_thing_may_be_named_by_its_name_when_only_one_has_it(shell: Shell) -> None:
    shell.run("organisation", "create", "named-org", "--name", "한성정밀공업")
    shell.run("project", "create", "named-project", "--name", "강판 결함 검출", "-o", "한성정밀공업")
    assert shell.json("project", "show", "강판 결함 검출")["id"] == "named-project"
    assert shell.json("jobs", "-p", "강판 결함 검출") == {"items": []}
    id = shell.json("submit", "--name", "only-one", "--cores", "64", "--limit", "5m", "--", "true", who="alice")["ids"][0]
    assert shell.json("show", "only-one", who="alice")["id"] == id
    assert "64 cores" in shell.run("why", "only-one", who="alice")
    assert shell.json("cancel", "only-one", who="alice")["items"][0]["id"] == id


def test_a_name_that_several_have_lists_them_and_one_that_none_has_lists_the_nearest(shell: Shell) -> None:
    ids = [shell.json("submit", "--name", "twice", "--limit", "5m", "--", "true", who="alice")["ids"][0] for _ in range(2)]
    told = shell.run("show", "twice", who="alice", expect=Exit.USAGE)
    assert all(id in told for id in ids)
    told = shell.run("show", "twise", who="alice", expect=Exit.REFUSED)
    assert ids[1] in told
    assert shell.json("show", ids[0][:-1], who="alice", expect=Exit.REFUSED)["error"]["near"]
    assert shell.json("show", "twice/why", who="alice", expect=Exit.REFUSED)["error"]["reason"]["kind"] == "not_found"
    for words in (["jobs", "-p", "alphaa"], ["award", "list", "--programme", "nothing"], ["ledger", "-p", "없는 과제"]):
        assert shell.json(*words, expect=Exit.REFUSED)["error"]["status"] == 404


def test_cancelling_again_changes_nothing_and_says_so(shell: Shell) -> None:
    id = shell.json("submit", "--cores", "64", "--limit", "5m", "--", "true", who="alice")["ids"][0]
    assert "Cancelled: 1" in shell.run("cancel", id, who="alice")
    for _ in range(2):
        assert "already cancelled" in shell.run("cancel", id, who="alice")
    assert "이미 취소" in shell.run("cancel", id, "--lang", "ko", who="alice")
    assert [row["state"] for row in shell.json("cancel", id, who="alice")["items"]] == ["cancelled"]


def test_an_array_is_shown_listed_explained_and_submitted_again_as_one(shell: Shell) -> None:
    words = ["submit", "--array", "3", "--cores", "64", "--limit", "5m", "--name", "swept", "--", "true"]
    array = shell.json(*words, who="alice")["array_id"]
    listed = next(line for line in shell.run("jobs", who="alice").splitlines() if "swept × 3" in line)
    element = shell.json("jobs", "--array", array, who="alice")["items"][0]
    told = listed.partition("waiting")[2].strip()  # they wait for the same; the rest of it is folded to the next line
    assert told and element["reason"]["text"]["title"].startswith(told)
    told = shell.run("show", "swept", who="alice")
    assert array in told
    assert "3 waiting" in told
    assert "64 cores" in shell.run("why", array, who="alice")
    assert f"{array}.00000" in shell.run("logs", array, who="alice", expect=Exit.USAGE)
    assert "dure resubmit " + array in shell.run("resubmit", f"{array}.00001", who="alice", expect=Exit.REFUSED)
    again = shell.json("resubmit", array, "--memory", "64MiB", who="alice")
    assert (len(again["ids"]), again["cancelled"]) == (3, array)
    assert shell.json("show", array, who="alice")["states"]["cancelled"] == 3


def test_a_job_that_ended_is_submitted_again_with_changes(shell: Shell) -> None:
    words = ["submit", "--cores", "64", "--limit", "5m", "--checkpoint", "60s", "-e", "A=1", "--", "true"]
    id = shell.json(*words, who="alice")["ids"][0]
    shell.run("cancel", id, who="alice")
    assert f"dure resubmit {id}" in shell.run("why", id, who="alice")
    answer = shell.json("resubmit", id, "--cores", "0.5", "--memory", "96MiB", "-e", "B=2", who="alice")
    assert answer["origin"] == id
    old, new = (shell.json("show", one, who="alice")["spec"] for one in (id, answer["ids"][0]))
    assert new["demand"] == {**old["demand"], "cores_milli": 500, "memory_mib": 96}
    assert new["env"] == {"A": "1", "B": "2"}
    assert {k: v for k, v in new.items() if k not in ("demand", "env")} == {
        k: v for k, v in old.items() if k not in ("demand", "env")
    }


def test_a_script_that_is_given_as_a_job_file_gets_a_hint(shell: Shell) -> None:
    (shell.folder / "train.py").write_text("print(1)")
    assert "dure submit -- python train.py" in shell.run("submit", "train.py", who="alice", expect=Exit.USAGE)
    assert shell.json("submit", "--", "true", "train.py", who="alice")["ids"]


def test_what_is_wrong_is_said_without_names_of_classes_and_in_both_languages(shell: Shell, tmp_path: Path) -> None:
    for lang in ("en", "ko"):
        for words, code in (
            (["jobs", "--state", "foo"], Exit.USAGE),
            (["simulate", "nofile"], Exit.USAGE),
            (["policy", "set", "nofile"], Exit.USAGE),
            (["openapi", "--out", "nowhere/at/all"], Exit.REFUSED),
            (["restore", "nofile", "--data", str(tmp_path / "new")], Exit.REFUSED),
            (["submit", "--cores", "x", "--", "true"], Exit.USAGE),
            (["jobs", "--limit", "0"], Exit.USAGE),
            (["jobs", "more"], Exit.USAGE),
            (["why"], Exit.USAGE),
            (["jbos"], Exit.USAGE),
            (["award", "frobnicate"], Exit.USAGE),
            (["submit", "--follow", "--array", "2", "--", "true"], Exit.USAGE),
        ):
            told = shell.run("--lang", lang, *words, expect=code)
            assert not re.search(r"[A-Z][a-z]+Error|Traceback|known: ,|\bnone\b", told), told
            assert bool(HANGUL.search(told)) == (lang == "ko"), told
    assert "jobs" in shell.run("jbos", expect=Exit.USAGE)


def test_a_log_that_is_empty_or_cannot_be_is_said(shell: Shell) -> None:
    id = shell.json("submit", "--cores", "64", "--limit", "5m", "--", "true", who="alice")["ids"][0]
    shell.run("logs", id, "--worker", "3", who="alice", expect=Exit.USAGE)
    assert shell.json("logs", id, who="alice")["text"] == ""


def test_what_others_typed_does_not_steer_the_terminal(shell: Shell) -> None:
    id = shell.json("submit", "--", "printf", "a\x1b]52;c;eA==\x07\x9b2A\u202e나", who="alice")["ids"][0]
    told = shell.run("show", id, who="alice")
    assert r"a\x1b]52;c;eA==\x07\x9b2A\u202e나" in "".join(line.strip() for line in told.splitlines())
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(told)


def test_every_fault_of_a_job_file_is_told_with_its_line(shell: Shell) -> None:
    text = "name: Bad Name\ncommand: [a]\nlimt: 1h\nresources:\n  memory: 5\nretries: -1\n"
    (shell.folder / "job.yaml").write_text(text)
    said = shell.run("submit", "job.yaml", who="alice", expect=Exit.REFUSED)
    assert all(f"line {n}" in said for n in (1, 3, 5, 6)) and len(said.splitlines()) == 4
    error = shell.json("submit", "job.yaml", who="alice", expect=Exit.REFUSED)["error"]
    assert sorted(error["lines"]) == [1, 3, 5, 6] and len(error["reasons"]) == 4
    options = ("--limit", "9999d", "--set", "grace=11m", "--", "true")
    assert len(shell.run("submit", *options, who="alice", expect=Exit.REFUSED).splitlines()) > 1


def test_a_quote_can_be_made_again_from_what_it_shows(shell: Shell) -> None:
    job = ("--cores", "1", "--memory", "512MiB", "--limit", "10m", "--", "true")
    answer = shell.json("quote", *job, who="alice")
    assert (answer["preemptible_permille"], answer["grace_ms"], answer["price_permille"]) == (800, 10_000, 1000)
    prices = {p["resource"]: p["nano"] for p in shell.json("policy", "show", who="alice")["prices"] if p["currency"] == "KRW"}
    nano = (prices["core"] + prices["memory_gib"] / 2) * (answer["limit_ms"] + answer["grace_ms"]) / 1000
    assert answer["hold"]["KRW"] == math.ceil(nano * answer["preemptible_permille"] / 1000 / 10**9)
    said = shell.run("quote", *job, who="alice")
    assert "0.8 times the price" in said and "grace of 10 s" in said.replace("10s", "10 s")
    assert "0.8배" in shell.run("quote", "--lang", "ko", *job, who="alice")
    assert "times the price" not in shell.run("quote", "--set", "preemptible=false", *job, who="alice")
    id = shell.json("submit", *job, who="alice")["ids"][0]
    assert "of grace at the price of preemptible work" in " ".join(shell.run("show", id, who="alice").split())


def test_an_amount_with_commas_is_told_how_to_be_written(shell: Shell) -> None:
    words = ("award", "create", "voucher", "alpha", "--amount", "1,000,000", "--expires", "2027-01-01")
    assert "--amount: write 1000000, without commas." in shell.run(*words, expect=Exit.USAGE)
    assert "쉼표 없이 1000000으로" in shell.run(*words, "--lang", "ko", expect=Exit.USAGE)


def test_one_core_is_not_cores(shell: Shell) -> None:
    id = shell.json("submit", "--cores", "1", "--", "true", who="alice")["ids"][0]
    assert "1 core, " in shell.run("show", id, who="alice") and "1코어, " in shell.run("show", id, "--lang", "ko", who="alice")
