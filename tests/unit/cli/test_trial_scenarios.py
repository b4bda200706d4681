"""`dure simulate story.md --policy …`: policies compared on what a scenario submits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dure.cli.exits import Exit
from dure.simulator.report import read_parquet
from tests.unit.cli.trialshell import Shell

pytestmark = pytest.mark.timeout(1800)  # whoever comes first compiles

STORY = """# Two labs
```scenario
pool    north 1 nodes x 8 h100
price   h100 3_600 won per GPU hour
tenant  heavy budget 10_000_000 won
tenant  light budget 10_000_000 won
09:00   submit h1 heavy gpus 8 for 2h runs 2h
09:10   submit h2 heavy gpus 8 for 1h runs 1h
09:20   submit l1 light gpus 8 for 1h runs 1h
```
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "story.md").write_text(STORY)
    (tmp_path / "two.md").write_text(STORY + STORY)
    return Shell(tmp_path, capsys)


def test_policies_are_compared_on_a_scenario_as_on_a_trace(shell: Shell) -> None:
    """By fair share the lab that has used nothing goes first, by order of submission the other one; in both ways of running."""
    shell.run("story.md", "--policy", "own", "--policy", "fifo", "--out", "out")
    starts = {name: read_parquet(shell.folder / "out" / f"{name}.parquet").start_ms.tolist() for name in ("own", "fifo")}
    hour = 3_600_000
    assert starts == {"own": [9 * hour, 12 * hour, 11 * hour], "fifo": [9 * hour, 11 * hour, 12 * hour]}
    shell.run("story.md", "--whole-plane", "--out", "plane")
    assert read_parquet(shell.folder / "plane" / "own.parquet").start_ms.tolist() == starts["own"]
    assert (shell.folder / "out" / "report.html").is_file()


def test_the_scenarios_own_policy_is_compared_where_none_is_named(shell: Shell) -> None:
    document = json.loads(shell.run("two.md", "--scenario", "2", "--by", "tenant", "--json")[0])
    assert list(document["measures"]["charged_krw"]) == ["own"] and document["jobs"] == 3
    assert [group["key"] for group in document["groups"]["tenant"]["own"]] == ["heavy", "light"]


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["two.md", "--policy", "own"], "--scenario N"),
        (["story.md", "--policy", "own", "--every", "5"], "--every"),
        (["story.md", "--policy", "own", "--fleet", "philly"], "--fleet"),
        (["story.md", "--policy", "own", "--update"], "--update"),
        (["story.md", "--fleet", "philly"], "--policy"),
        (["story.md", "--policy", "nobody"], "own"),
        (["none.md", "--policy", "own"], "none.md"),
        (["words.md", "--policy", "own"], "words.md"),
        (["drained.md", "--policy", "own"], "line 10"),
        (["jobs.csv", "--fleet", "philly", "--scenario", "1"], "--scenario"),
        (["story.md", "--policy", "srtf", "--whole-plane"], "srtf"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(shell: Shell, typed: list[str], says: str, lang: str) -> None:
    (shell.folder / "words.md").write_text("# Nothing is told here\n")
    (shell.folder / "drained.md").write_text(STORY.replace("```\n", "09:30 drain north\n```\n").replace("```scenario\n", "", 0))
    (shell.folder / "jobs.csv").write_text("submit_s,duration_s,gpus\n0,1,1\n")
    out, err = shell.run(*typed, "--lang", lang, expect=Exit.USAGE)
    assert out == "" and says in err and "Traceback" not in err
