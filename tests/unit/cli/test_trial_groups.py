"""Traces from the command line: tables by tenant and by size, options of a reader, and what is told of what was left out."""

from __future__ import annotations

import json
import re

import pytest

from dure.cli.exits import Exit
from dure.simulator.report.words import words as words_of
from tests.unit.cli.trialshell import FLEET, HEADER, Shell


def test_the_document_has_the_groups_by_tenant_and_by_size_whatever_is_printed(shell: Shell) -> None:
    groups = shell.json("--policy", "fifo", "--policy", "easy")["groups"]
    assert [[g["key"] for g in groups["tenant"][policy]] for policy in ("fifo", "easy")] == [["a", "b"]] * 2
    assert [g["key"] for g in groups["size"]["fifo"]] == ["2-7", "8"]
    assert [g["queueing"]["mean"] for g in groups["size"]["fifo"]] == [349.0, 599.0], "short behind wide, long not at all"
    assert [g["queueing"]["mean"] for g in groups["size"]["easy"]] == [0.0, 599.0]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_groups_are_printed_by_policy_where_they_are_asked_for(shell: Shell, lang: str) -> None:
    plain, _ = shell.compare("--policy", "fifo", "--policy", "easy", "--lang", lang)
    out, _ = shell.compare("--policy", "fifo", "--policy", "easy", "--by", "size", "--by", "tenant", "--lang", lang)
    assert out.startswith(plain)
    sizes, tenants = (
        [re.split(r"  +", row.strip()) for row in each.splitlines()] for each in out[len(plain) :].strip().split("\n\n")
    )
    words = words_of(lang)
    assert sizes[0][:2] == [words.known("by.size.devices"), words.known("policy")] and tenants[0][0] == words.known("by.tenant")
    assert [row[:3] for row in sizes[1:]] == [["2–7", "fifo", "2"], ["2–7", "easy", "2"], ["8", "fifo", "1"], ["8", "easy", "1"]]
    assert [row[:2] for row in tenants[1:]] == [["a", "fifo"], ["a", "easy"], ["b", "fifo"], ["b", "easy"]]
    assert sizes[1][4] == words.value(349.0, "s")
    shell.write("".join(f"j{n},t{n:02d},1,600,1,1,1,900\n" for n in range(30)))
    out, err = shell.compare("--by", "tenant", "--lang", lang)
    assert len(re.findall(r"\nt\d\d", out)) == 20 and "--json" in err and "10" in err


READ = [
    ("variant", "form", "NAME=VALUE"), ("speed=2", "unknown", "variant"), ("variant=", "empty", "variant"),
    ("devices_per_node=0", "number", "1"), ("devices_per_node=four", "number", "1"), ("cores_milli_per_device=-3", "number", "0"),
    ("allocated=yes", "format", "sacct"), ("swf_processor=device", "format", "variant"), ("philly_span=perhaps", "word", "yes"),
    ("variant=openb", "", "variant"),
]  # fmt: skip


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(("typed", "what", "remedy"), READ)
def test_what_a_reader_is_not_told_so_is_refused_with_what_it_takes(
    shell: Shell, typed: str, what: str, remedy: str, lang: str
) -> None:  # fmt: skip
    said = shell.refused("--read", typed, "--lang", lang)
    assert remedy in said and typed.partition("=")[0] in said
    document = json.loads(shell.compare("--read", typed, "--json", expect=Exit.USAGE)[0])
    assert not what or document["error"]["kind"] == f"trial.read.{what}"


def test_an_option_of_a_reader_changes_what_is_read(shell: Shell) -> None:
    assert "trial.read.twice" in shell.compare("--read", "queues=a", "--read", "queues=b", "--json", expect=Exit.USAGE)[0]
    shell.write("wide,b,2,100,6,,1,200\n")
    told = shell.json("--read", "devices_per_node=4", "--read", "cores_milli_per_device=500")["notes"]["default"]
    assert "assumed.cores_unknown" not in told and told["assumed.equal_workers"] == "1"
    (shell.folder / "log.swf").write_text(
        "1 0 5 100 4 90 -1 4 600 -1 1 3 1 1 0 1 -1 -1\n2 5 5 9 4 90 -1 4 600 -1 5 3 1 1 0 1 -1 -1\n"
    )
    as_cores, as_devices = (
        json.loads(shell.compare(*typed, "--json", trace="log.swf")[0])["groups"]["size"]["default"]
        for typed in ((), ("--read", "swf_processor=device"))
    )
    assert [g["key"] for g in as_cores] == ["none"] and [g["key"] for g in as_devices] == ["2-7"]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_records_that_are_left_out_and_idle_nodes_of_unknown_draw_are_told(shell: Shell, lang: str) -> None:
    shell.write("a,a,1,600,1,1,1,900,x\n", header=HEADER.replace("\n", ",colour\n"))
    _, err = shell.compare("--lang", lang)
    assert {"en": "cells of the column colour: 1.", "ko": "colour 열의 값 1개."}[lang] in err
    assert {"en": "(idle_watts): 2.", "ko": "노드 2개의 유휴 전력(idle_watts)"}[lang] in err
    assert shell.json()["notes"]["default"]["assumed.idle_unknown"] == "2"
    (shell.folder / "FLEET.toml").write_text(FLEET + "idle_watts = 900\n")
    assert "idle_unknown" not in str(shell.json()["notes"]) and "energy" in shell.json()["measures"]
    kind = '[[accelerator]]\nid = "new"\n'
    (shell.folder / "FLEET.toml").write_text(FLEET.replace('"h200"\ndev', '"new"\ndev').replace("[[site]]", kind + "[[site]]"))
    assert "node_watts" in shell.compare("--lang", lang)[1] and "energy" not in shell.json()["measures"]


def test_one_job_is_no_jobs(shell: Shell) -> None:
    shell.write("one,a,0,10,1,1,1,60\n")
    out, err = shell.compare()
    assert "Waiting and completion are of the 1 job.\n" in out and "default: 1 job …" in err


def test_the_first_line_that_is_bad_is_the_one_that_is_told(shell: Shell) -> None:
    """Whichever fault is looked for first."""
    shell.write("a,a,-5,1,1,1,1,\nb,a,x,1,1,1,1,\n")
    assert shell.refused().startswith("jobs.csv, line 2: submit_s: -5 is negative")
    shell.write("ok,a,1,1,1,1,1,\na,a,-5,1,1,1,1,\nb,a,x,1,1,1,1,\n")
    _, err = shell.compare("--skip-bad")
    assert err.index("line 3:") < err.index("line 4:")
    shell.write("a,a,-5,1,1,1,1,\n")
    said = shell.refused("--skip-bad")
    assert "Every row was passed over. The first: jobs.csv, line 2" in said and "skip" not in said


def test_a_fleet_is_told_wrong_in_its_own_units(shell: Shell) -> None:
    (shell.folder / "FLEET.toml").write_text(FLEET.replace('name = "seoul"', 'name = "seoul"\npue = 0.5\npower_kw = -2.5'))
    said = shell.refused()
    assert "pue: 0.5 is less than 1." in said and "power_kw: -2.5 is negative." in said and "500" not in said
