"""Quotas are changed a line at a time like prices, and seen with what is in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dure.cli.exits import Exit
from tests.builders.served_plane import served_plane
from tests.unit.cli.test_commands import HANGUL, Shell
from tests.unit.cli.test_policy import put

QUOTAS = """
quotas:
- {of: "organisation:uni", resource: core, nominal_milli: 2500}
- {of: "project:alpha", resource: "device:h100", nominal_milli: 8000, lend_max_milli: 0}
"""


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    environ = {"DURE_DATA": str(tmp_path / "data"), "LANG": "C", "COLUMNS": "140"}
    with served_plane(tmp_path / "plane") as served:
        yield Shell(served, capsys, tmp_path, environ)


def test_one_quota_is_put_changed_and_taken_out_and_the_others_stay(shell: Shell) -> None:
    said = put(shell, QUOTAS)
    assert "quotas.organisation:uni.core.nominal_milli: none -> 2.5" in said
    assert "quotas.project:alpha.device:h100.lend_max_milli: none -> 0" in said
    put(shell, 'quotas: [{of: "project:alpha", resource: "device:h100", borrow_max_milli: 4000}]')
    rows = {q["of"]: q for q in shell.json("policy", "show")["quotas"]}
    assert len(rows) == 2
    assert (rows["project:alpha"]["nominal_milli"], rows["project:alpha"]["borrow_max_milli"]) == (8000, 4000)
    shown = shell.run("policy", "show")
    assert "organisation uni" in shown and "2.5" in shown and "device:h100" in shown
    said = put(shell, 'quotas: [{of: "organisation:uni", resource: core, nominal_milli: null}]')
    assert "quotas.organisation:uni.core.nominal_milli: 2.5 -> none" in said
    assert [q["of"] for q in shell.json("policy", "show")["quotas"]] == ["project:alpha"]
    assert "of" in put(shell, "quotas: {core: 5}", expect=Exit.USAGE)
    assert "no project alfa" in put(
        shell, 'quotas: [{of: "project:alfa", resource: core, nominal_milli: 1}]', expect=Exit.REFUSED
    )


def test_what_is_in_use_stands_beside_what_there_is(shell: Shell) -> None:
    shell.served.plane.controller.step()
    assert "No quota" in shell.run("quota")
    shell.served.plane.run_one()
    put(shell, QUOTAS)
    shell.served.plane.controller.step()
    table = shell.run("quota")
    uni, alpha = (next(line for line in table.splitlines() if name in line and "core" in line) for name in ("uni", "alpha"))
    assert uni.split()[2:] == ["core", "2.5", "1", "0", "0", "1.5"]
    assert alpha.split()[3:] == ["0", "1", "1", "0", "1.5"]
    assert "whole farm" in table
    mine = shell.run("quota", who="alice")
    assert "project alpha" in mine and "whole farm" not in mine and "organisation" not in mine
    assert "organisation uni" in shell.run("quota", "-p", "alpha")
    assert HANGUL.search(shell.run("quota", "--lang", "ko")) and "과제 alpha" in shell.run("quota", "--lang", "ko")
    assert shell.json("quota")["policy_version"] == 2
