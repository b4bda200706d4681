"""Policies of files on a trace, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dure.simulator.report import read_parquet
from dure.simulator.traces import read_trace
from tests.unit.cli.trialshell import Shell

SHORT = """order = "shortest"
reservations_max = 1
backfill_depth = 0
[[prices]]
resource = "device:*"
nano = 500000000
"""
# All of them want the whole fleet; `long` came before `brief`, which names the shorter wall time.
LINE = "first,a,1,100,8,1,1,100\nlong,a,2,50,8,1,1,900\nbrief,b,3,80,8,1,1,90\n"


def starts(shell: Shell, name: str) -> list[int]:
    made: list[int] = read_parquet(shell.folder / "out" / f"{name}.parquet").start_ms.tolist()
    return made


def test_a_policy_file_is_a_policy_by_the_name_of_the_file(shell: Shell) -> None:
    shell.write(LINE)
    Path("short.toml").write_text(SHORT)
    Path("line.yaml").write_text("order: submitted\n")
    typed = ["--policy", "short.toml", "--policy", "line.yaml", "--policy", "fifo"]
    answer = shell.json(*typed)
    assert list(answer["notes"]) == ["short", "line", "fifo"]
    told = answer["notes"]["short"]
    assert (told["loop"], told["promises"], told["depth"]) == ("compiled", "1", "0") and "order = shortest" in told["rules"]
    shell.compare(*typed, "--out", "out")
    assert starts(shell, "short") == [1000, 181_000, 101_000] and starts(shell, "line") == starts(shell, "fifo")
    charged = answer["measures"]["charged_krw"]
    # eight devices for 230 s at half a won a second and device; what may be preempted pays 80 %
    permille = 800 if read_trace(Path("jobs.csv")).trace.preemptible.all() else 1000
    assert charged["short"] == 8 * 230 * permille // 2000 and charged["line"] > charged["short"]
    assert (answer["notes"]["short"]["prices"], answer["notes"]["line"]["prices"]) == ("of the policy", "ordinary")


def test_through_the_whole_plane_it_is_the_same(shell: Shell) -> None:
    shell.write(LINE)
    Path("short.toml").write_text(SHORT)
    both = [shell.json("--policy", "short.toml", *way)["measures"] for way in ((), ("--whole-plane",))]
    del both[0]["fragmentation"]
    assert both[0] == both[1]


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("reclaims = true", "dure snapshot plan"),
        ('[[quotas]]\nof = "*"\nresource = "core"\nnominal_milli = 5', "dure snapshot plan"),
        ("limit_ms_default = 60000", "--limit-days"),
        ('[[speeds]]\naccelerator = "h100"\nmilli = 900', "speeds.h100"),
        ("rejections_max = 1", "rejections_max"),
        ('order = "backwards"', "order"),
        ("colour = 3", "colour"),
        ("order = ", "mine.toml"),
        ("prices = 3", "prices"),
    ],
)
def test_what_a_trial_cannot_do_is_refused_by_name_with_what_to_do(shell: Shell, text: str, remedy: str, lang: str) -> None:
    Path("mine.toml").write_text(text)
    for way in ((), ("--whole-plane",)):
        assert remedy in shell.refused("--policy", "mine.toml", "--lang", lang, *way)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_names_of_files_may_not_be_taken(shell: Shell, lang: str) -> None:
    Path("easy.toml").write_text("moves = false")
    assert "easy.toml" in shell.refused("--policy", "easy.toml", "--lang", lang)
    Path("deep").mkdir()
    for name in ("mine.toml", "deep/mine.toml"):
        Path(name).write_text("moves = false")
    assert "mine" in shell.refused("--policy", "mine.toml", "--policy", "deep/mine.toml", "--lang", lang)
