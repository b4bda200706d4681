"""Operators say what is known of a site, the policy how much it counts, and everybody sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dure.cli.exits import Exit
from tests.builders.served_plane import served_plane
from tests.unit.cli.test_commands import HANGUL, Shell
from tests.unit.cli.test_policy import put


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    environ = {"DURE_DATA": str(tmp_path / "data"), "LANG": "C", "COLUMNS": "140"}
    with served_plane(tmp_path / "plane") as served:
        yield Shell(served, capsys, tmp_path, environ)


def test_what_is_known_of_a_site_is_set_shown_and_taken_back(shell: Shell) -> None:
    assert shell.run("site", "traits", "pohang").count("not known") == 2
    said = shell.run("site", "traits", "pohang", "--carbon", "320", "--power-price", "118.5", "--dataset", "kcc")
    assert [part in said for part in ("noted", "320 g/kWh", "118.5 won/kWh", "kcc")] == [True] * 4
    row = shell.json("site", "traits", "pohang", "--dataset", "kcc", "--dataset", "weather")
    assert (row["carbon_g_kwh"], row["power_krw_mwh"], row["datasets"]) == (320, 118_500, ["kcc", "weather"])
    assert shell.json("site", "traits", "pohang", "--no-datasets", "--carbon", "-1")["datasets"] == []
    assert "not known" in shell.run("site", "traits", "pohang")
    shell.run("site", "traits", "pohang", "--no-datasets", "--dataset", "kcc", expect=Exit.USAGE)
    shell.run("site", "traits", "pohang", "--carbon", "5", who="alice", expect=Exit.REFUSED)
    assert HANGUL.search(shell.run("site", "traits", "pohang", "--lang", "ko"))


def test_measured_speeds_are_put_by_the_line_and_shown(shell: Shell) -> None:
    said = put(shell, "speeds: [{accelerator: h100, milli: 1000}, {accelerator: a100, milli: 450}]")
    assert "speeds.a100.milli: none -> 450" in said
    assert "h100 1, a100 0.45" in shell.run("policy", "show")
    put(shell, "speeds: [{accelerator: a100, milli: null}]")
    assert shell.json("policy", "show")["speeds"] == [{"accelerator": "h100", "milli": 1000}]
    assert "speeds.1.milli" in put(shell, "speeds: [{accelerator: a100, milli: 100001}]", expect=Exit.REFUSED)


def test_preferences_are_put_by_the_line_and_shown(shell: Shell) -> None:
    assert "data: weight 1000" in shell.run("policy", "show")
    said = put(shell, "preferences: [{taste: carbon, weight: 300, most: 450}]")
    assert "preferences.carbon.weight: none -> 300" in said and "preferences.carbon.most: none -> 450" in said
    shown = shell.run("policy", "show")
    assert "carbon: weight 300, at most 450" in shown and "data: weight 1000" in shown
    put(shell, "preferences: [{taste: data, weight: null}]")
    assert [p["taste"] for p in shell.json("policy", "show")["preferences"]] == ["carbon"]
    assert "preferences.1.taste" in put(shell, "preferences: [{taste: green, weight: 1}]", expect=Exit.REFUSED)
    assert "preferences.1.weight" in put(shell, "preferences: [{taste: data, weight: 1001}]", expect=Exit.REFUSED)


def test_a_job_asks_for_a_share_and_for_its_data_on_the_command_line(shell: Shell) -> None:
    made = shell.json("submit", "-p", "alpha", "--devices", "0.25", "--dataset", "kcc", "--", "true")
    row = shell.json("show", made["ids"][0])
    assert (row["spec"]["demand"]["devices"], row["spec"]["demand"]["share_milli"]) == (0, 250)
    assert row["spec"]["datasets"] == ["kcc"]
    due = shell.json("submit", "-p", "alpha", "--deadline", "2030-01-01", "--", "true")
    assert (
        shell.json("show", due["ids"][0])["spec"]["deadline_ms"] == 1_893_510_000_000
    )  # the day is in: until 2030-01-02 in Korea
    assert "too early" in shell.run("submit", "-p", "alpha", "--deadline", "2020-01-01", "--", "true", expect=Exit.REFUSED)
    assert "0.25 device(s)" in shell.run("show", made["ids"][0])
    for wrong in ("1.5", "0.0001"):
        said = shell.run("submit", "-p", "alpha", "--devices", wrong, "--", "true", expect=Exit.REFUSED)
        assert "whole devices, or a share of one" in said
    again = shell.json("resubmit", made["ids"][0], "--set", "resources.devices=2")
    assert shell.json("show", again["ids"][0])["spec"]["demand"]["share_milli"] == 0
