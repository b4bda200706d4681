"""Fewer workers, and types of different speed, from the command line."""

from __future__ import annotations

from dure.cli.exits import Exit
from tests.unit.cli.test_commands import Shell


def test_a_gang_that_can_run_with_fewer_is_submitted_and_shown(still: Shell) -> None:
    answer = still.json("submit", "--workers", "4", "--workers-min", "2", "--", "true", who="alice")
    assert still.json("show", answer["ids"][0], who="alice")["spec"]["workers_min"] == 2
    assert "2–4 worker(s)" in still.run("show", answer["ids"][0], who="alice")
    refused = still.run("submit", "--workers", "4", "--workers-min", "5", "--", "true", who="alice", expect=Exit.REFUSED)
    assert "workers_min" in refused and "at most 4" in refused


def test_a_job_says_how_fast_it_runs_on_a_type_and_is_quoted_for_each(still: Shell) -> None:
    types = ("--devices", "1", "--accelerator", "h100", "--accelerator", "a100", "--limit", "1h")
    words = (*types, "--set", "resources.speeds.a100=0.5", "--", "true")
    answer = still.json("submit", *words, who="alice")
    assert still.json("show", answer["ids"][0], who="alice")["spec"]["demand"]["speeds"] == [
        {"accelerator": "a100", "milli": 500}
    ]
    assert "h100, a100 (0.5×)" in still.run("show", answer["ids"][0], who="alice")
    still.served.plane.controller.step()
    quoted = still.json("quote", *words, who="alice")
    assert quoted["limit_ms_by_accelerator"] == {"h100": 3_600_000, "a100": 7_200_000}
    said = still.run("quote", *words, who="alice")
    assert "on h100, for its whole limit of 1 h" in said and "on a100, for its whole limit of 2 h" in said
    (still.folder / "job.yaml").write_text(
        "name: x\ncommand: [a]\nresources: {devices: 1, accelerators: [h100], speeds: {a100: 0.5}}\n"
    )
    assert "resources.speeds: unknown value a100" in still.run("submit", "job.yaml", who="alice", expect=Exit.REFUSED)
