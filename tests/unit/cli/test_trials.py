"""A trace on a fleet under several policies, from the command line: the table, the files, and every refusal with its remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dure.cli.commands import simulate
from dure.cli.exits import Exit
from dure.cli.texts import CATALOGUES
from dure.simulator.report import read_parquet
from dure.simulator.report.texts import TEXTS
from dure.simulator.report.words import words as words_of
from dure.simulator.traces import FLEETS
from dure.simulator.traces.faults import FaultKind
from dure.simulator.trial import POLICIES
from tests.unit.cli.trialshell import FLEET, HEADER, JOBS, Shell

SCENARIO = Path(__file__).parents[2] / "scenarios" / "drain.md"


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_table_names_every_policy_and_measure_in_both_languages(shell: Shell, lang: str) -> None:
    out, err = shell.compare("--policy", "fifo", "--policy", "easy", "--lang", lang)
    heading, *lines = out.splitlines()
    words = words_of(lang)
    assert heading.split() == [words.say("table.measure"), "fifo", "easy"]
    measures = shell.json("--policy", "fifo", "--policy", "easy")["measures"]
    for line, (key, values) in zip(lines, measures.items(), strict=False):
        label, fifo, easy = re.split(r"  +", line.strip())
        assert label == words.label(key) and set(values) == {"fifo", "easy"} and fifo and easy
    assert lines[len(measures) :] == [{"en": "Waiting and completion are of all 3 jobs.",
                                       "ko": "대기와 완료 시간은 작업 3개 모두에 대한 것입니다."}[lang]]  # fmt: skip
    compiles = [CATALOGUES[lang][key] for key in ("up.compiles", "trial.compiles")]  # told where that takes a while
    told = [line.split(":")[0] for line in err.splitlines() if line not in compiles]
    assert told[:2] == ["fifo", "easy"]


def test_policies_differ_as_they_should_and_the_json_document_says_it_in_numbers(shell: Shell) -> None:
    answer = shell.json("--policy", "fifo", "--policy", "easy", "--policy", "srtf", "--policy", "fifo")
    assert (answer["jobs"], answer["compared"]) == (3, 3)
    assert list(answer["measures"]["jobs"]) == ["fifo", "easy", "srtf"], "a policy named twice runs once"
    # fifo: wide waits 599 s, short waits until wide ends; easy: short passes, as it ends before wide could begin
    # srtf: wide takes the place of long, short that of wide beside which long goes on, and wide that of long once more
    assert answer["measures"]["wait.longest"] == {"fifo": 698.0, "easy": 599.0, "srtf": 100.0}
    assert answer["measures"]["queueing.mean"]["srtf"] == (100 + 50 + 0) / 3
    assert answer["measures"]["preemptions"] == {"fifo": 0, "easy": 0, "srtf": 3}
    assert answer["notes"]["fifo"]["depth"] == "0" and answer["notes"]["easy"]["depth"] == "all"


def test_without_a_policy_the_default_one_runs(shell: Shell) -> None:
    assert list(shell.json()["notes"]) == ["default"]


def test_every_policy_runs_and_help_names_them_all(shell: Shell) -> None:
    asked = [word for name in POLICIES for word in ("--policy", name)]
    assert shell.json(*asked)["measures"]["jobs.unfinished"] == dict.fromkeys(POLICIES, 0)
    helped = "".join(shell.run("--help")[0].replace("│", "").split())
    assert [name for name in (*POLICIES, *FLEETS) if name not in helped] == []


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_out_gets_a_report_and_a_file_for_each_policy(shell: Shell, lang: str) -> None:
    out, _ = shell.compare("--policy", "fifo", "--policy", "easy", "--out", "deep/out", "--lang", lang)
    folder = shell.folder / "deep" / "out"
    assert sorted(path.name for path in folder.iterdir()) == ["easy.parquet", "fifo.parquet", "report.html"]
    assert "report.html" in out.splitlines()[-1]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f'lang="{lang}"' in page and "small" in page and "jobs.csv" in page
    said = {"en": ("whenever a job arrives or ends", "easy: all", "the fleet has none"),
            "ko": ("작업이 도착하거나 끝날 때마다", "easy: 모두", "플릿에 없음")}  # fmt: skip
    assert [words for words in said[lang] if words not in page] == []
    run = read_parquet(folder / "easy.parquet")
    assert (run.policy, run.trace, run.fleet.name, run.start_ms.tolist()) == ("easy", "jobs.csv", "small", [1000, 601_000, 3000])


def test_no_label_of_a_note_is_left_a_key(shell: Shell) -> None:
    """Whatever a run tells of itself has words in both languages."""
    shell.write("a,a,1,600,0.5,,,\nb,b,2,100,12,,,60\nc,a,-3,50,1,,,\nd,a,1,,1,,,\ne,a,9,5,1,,,\n")
    shell.compare("--whole-shares", "--skip-bad", "--jobs", "2", "--out", "out")
    notes = read_parquet(shell.folder / "out" / "default.parquet").notes
    assert notes["skipped.negative"] == "1" and notes["skipped.no_run_time"] == "1" and notes["taken"] == "2 / 3"
    assert {"assumed.whole_shares", "assumed.equal_workers", "assumed.limit_unknown", "assumed.longer_than_limit"} <= set(notes)
    assert [key for key in notes if f"note.{key}" not in TEXTS] == []
    assert {"note.seed", "note.trace_source", "note.left_out", *(f"note.skipped.{kind}" for kind in FaultKind)} - {*TEXTS} == {
        "note.skipped.unreadable"  # of a file, and never passed over
    }


def test_every_assumption_is_told_with_its_count_and_option(shell: Shell) -> None:
    shell.write("a,a,1,600,0.5,,,\nb,b,2,700,12,,,60\nc,a,3,50,1,1,1,60\n")
    _, err = shell.compare("--whole-shares", "--limit-days", "2.5")
    assert "Jobs that ask for a part of a device: 1. They got a whole one." in err
    assert "Jobs that name no wall time: 1. They were given 2.5 days (--limit-days)." in err
    assert "Jobs longer than their wall time, named or given: 1." in err
    assert "how many cores they need: 2." in err and "how much memory they need: 2." in err
    _, learned = shell.compare("--whole-shares", "--learned-limits")
    assert "Jobs that name no wall time: 1. Theirs are by what ended before, else 7 days." in learned
    _, exact = shell.compare("--whole-shares", "--exact-limits")
    assert "wall time" not in exact


def test_a_broken_row_is_named_with_its_remedy_and_nothing_is_written(shell: Shell) -> None:
    shell.write(JOBS + "bad,a,-5,1,1,1,1,\n")
    said = shell.refused("--out", "out", "--policy", "fifo")
    assert said == (
        "jobs.csv, line 5: submit_s: -5 is negative. Leave it empty if it is unknown. Or pass over such rows with --skip-bad.\n"
    )
    assert not (shell.folder / "out").exists()


def test_rows_that_are_passed_over_are_counted_and_the_first_are_shown(shell: Shell) -> None:
    shell.write(JOBS + "bad,a,-5,1,1,1,1,\nworse,a,x,1,1,1,1,\n")
    out, err = shell.compare("--skip-bad")
    assert "Rows passed over: 2. The first:" in err and "line 5: submit_s" in err and "line 6: submit_s" in err
    assert "skip" not in err, "no advice to do what was done"
    assert "all 3 jobs" in out


@pytest.mark.parametrize("way", [(), ("--whole-plane",)])
def test_a_job_of_a_queue_that_is_no_site_is_refused_passed_over_or_let_run_anywhere(shell: Shell, way: tuple[str, ...]) -> None:
    header = HEADER.replace("\n", ",queue\n")
    rows = "a,a,1,600,8,1,1,900,seoul\nb,b,2,100,8,1,1,200,seoul\nc,a,3,50,4,1,1,60,busan\nd,a,4,50,4,1,1,60,busan\n"
    shell.write(rows, header=header)
    said = shell.refused("--out", "out", "--jobs", "2", *way)  # whichever are taken
    assert said.startswith("jobs.csv, job c: queue: 'busan' has the name of no site") and "2 of 4 jobs" in said
    assert "The fleet has the sites seoul." in said and "--ignore-queues" in said and "--skip-bad" in said
    assert not (shell.folder / "out").exists()
    out, err = shell.compare("--skip-bad", *way)
    assert "all 2 jobs" in out and "whose queue has the name of no site: 2." in err and "job c: queue" in err
    assert "skip" not in err.partition("job c:")[2].partition("\n")[0], "no advice to do what was done"
    assert "2 jobs run at the site of their queue alone." in err
    assert shell.json("--skip-bad", *way)["notes"]["default"]["skipped.unknown_queue"] == "2"
    out, err = shell.compare("--ignore-queues", *way)
    assert "all 4 jobs" in out and "(--ignore-queues): 4 jobs run at any site." in err
    shell.write(rows.replace("seoul", "ulsan"), header=header)
    assert "No queue has the name of a site: 4 jobs run at any" in shell.compare(*way)[1]


def test_jobs_of_unknown_run_time_are_refused_or_passed_over(shell: Shell) -> None:
    shell.write(JOBS + "open,a,9,,1,1,1,\n")
    said = shell.refused("--out", "out")
    assert "job open: duration_s is unknown" in said and "--skip-bad" in said and not (shell.folder / "out").exists()
    out, err = shell.compare("--skip-bad")
    assert "run time is unknown: 1." in err and "all 3 jobs" in out
    shell.write("open,a,9,,1,1,1,\n")
    assert "no job is left" in shell.refused("--skip-bad")


@pytest.mark.parametrize("content", ["", HEADER, HEADER + "\n"])
def test_an_empty_trace_is_refused_in_words(shell: Shell, content: str) -> None:
    (shell.folder / "empty.csv").write_text(content)
    said = shell.refused("--out", "out", trace="empty.csv")
    assert said.startswith("empty.csv: ") and "complete" in said and not (shell.folder / "out").exists()


def test_parts_of_devices_sit_together_unless_they_are_taken_whole(shell: Shell) -> None:
    shell.write("".join(f"{name},a,1,10,0.5,1,1,60\n" for name in "abcdefghijklmnopq"))
    assert shell.json()["measures"]["wait.longest"] == {"default": 10.0}, "eight devices take sixteen halves"
    out, err = shell.compare("--whole-shares")
    assert "all 17 jobs" in out and "Jobs that ask for a part of a device: 17." in err
    assert shell.json("--whole-shares")["measures"]["wait.longest"] == {"default": 20.0}


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        (["jobs.csv", "--fleet", "FLEET.toml", "--policy", "best"], "best-effort-fifo"),
        (["jobs.csv", "--fleet", "kr"], "kr-15000"),
        (["jobs.csv", "--fleet", "."], "kr-15000"),
        (["national"], "--fleet kr-15000"),
        (["jobs.csv", "--policy", "fifo"], "--fleet kr-15000"),
        (["jobs.csv"], "--fleet"),
        (["nowhere.csv", "--fleet", "FLEET.toml"], "nowhere.csv"),
        (["story.md", "--fleet", "FLEET.toml"], " --fleet"),
        (["story.md", "--policy", "fifo", "--out", "out", "--update"], " --update"),
        (["story.md", "--every", "0"], "`every 60 seconds`"),  # also where it is what would be without it
        (
            ["story.md", "--every", "10", "--whole-plane", "--jobs", "3", "--skip-bad"],
            "--every, --jobs, --skip-bad",
        ),
        (["jobs.csv", "--fleet", "FLEET.toml", "--seed", "2", "--update"], " --update, --seed"),
        (["national", "--fleet", "FLEET.toml", "--skip-bad", "--format", "csv"], " --format, --skip-bad"),
        (["national", "--fleet", "cpus.toml"], "cpus.toml"),
        (["jobs.csv", "--fleet", "FLEET.toml", "--format", "nonsense"], "csv"),
        (["jobs.csv", "--fleet", "FLEET.toml", "--every", "-1"], "--every"),
        (["jobs.csv", "--fleet", "FLEET.toml", "--every", "inf"], "--every"),
        (["jobs.csv", "--fleet", "FLEET.toml", "--limit-days", "0"], "--limit-days"),
        (["jobs.csv", "--fleet", "FLEET.toml", "--limit-days", "1e400"], "--limit-days"),
        (["jobs.csv", "--fleet", "FLEET.toml", "--out", "jobs.csv"], "--out"),
        (["national", "--fleet", "kr-15000", "--load", "0"], "--load"),
        (["national", "--fleet", "kr-15000", "--load", "1e400"], "--load"),
        (["national", "--fleet", "kr-15000", "--load", "nan"], "--load"),
        (["jobs.csv", "--fleet", "FLEET.toml", "--load", "0.5"], "national"),
        (["story.md", "--load", "0.5"], "national"),
    ],
)
def test_what_is_wrong_with_the_command_line_exits_with_2_and_a_remedy(
    shell: Shell, typed: list[str], remedy: str, lang: str
) -> None:
    (shell.folder / "story.md").write_text("```scenario\n```\n")
    (shell.folder / "cpus.toml").write_text(FLEET.replace('accelerator = "h200"\ndevices = 4\n', ""))
    out, err = shell.run(*typed, "--lang", lang, expect=Exit.USAGE)
    assert out == "" and remedy in err and "Traceback" not in err
    document = json.loads(shell.run(*typed, "--json", expect=Exit.USAGE)[0])
    assert document["error"]["detail"]


def test_a_folder_that_cannot_be_made_is_told_before_anything_runs(shell: Shell) -> None:
    _, err = shell.compare("--out", "jobs.csv/out", expect=Exit.REFUSED)
    assert "jobs.csv/out" in err and "default:" not in err


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_missing_extra_is_told_with_what_installs_it(shell: Shell, monkeypatch: pytest.MonkeyPatch, lang: str) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    monkeypatch.setattr(simulate, "import_module", missing)
    said = shell.refused("--lang", lang)
    assert "numba" in said and "pip install 'dure[simulate]'" in said


def test_a_scenario_is_still_told_as_before(shell: Shell) -> None:
    (shell.folder / "story.md").write_text(SCENARIO.read_text(encoding="utf-8"), encoding="utf-8")
    assert "the plane answers as the page says" in shell.run("story.md", "--lang", "en")[0]
    assert "the plane answers as the page says" in shell.run("story.md", "--update")[0]


def test_a_made_workload_is_the_same_for_a_seed_and_another_for_another(shell: Shell) -> None:
    typed = ["national", "--fleet", "kr-15000", "--jobs", "40", "--load", "0.02", "--whole-shares"]
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        shell.run(*typed, "--seed", seed, "--out", folder)
    a, b, c = ((shell.folder / name / "default.parquet").read_bytes() for name in "abc")
    assert a == b != c
    run = read_parquet(shell.folder / "a" / "default.parquet")
    assert (run.trace, run.notes["seed"], run.notes["load"]) == ("national", "1", "0.02")
    assert len(run) == 40 + int(run.notes["in_progress"]), "those in progress at the start come on top"
    assert run.notes["cadence"] == "60 s", "unless it is said; of a trace it is every event"
    shell.run(*typed, "--every", "0", "--out", "d")
    assert read_parquet(shell.folder / "d" / "default.parquet").notes["cadence"] == "every event"


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_the_same_command_writes_the_same_bytes(shell: Shell, policy: str) -> None:
    for folder in ("once", "again"):
        shell.compare("--policy", policy, "--out", folder)
    once, again = ((shell.folder / name) for name in ("once", "again"))
    for name in (f"{policy}.parquet", "report.html"):
        assert (once / name).read_bytes() == (again / name).read_bytes()


def test_with_a_cadence_jobs_start_at_its_multiples_only(shell: Shell) -> None:
    shell.compare("--every", "60", "--policy", "easy", "--out", "out")
    run = read_parquet(shell.folder / "out" / "easy.parquet")
    assert run.notes["cadence"] == "60 s" and run.start_ms.tolist() == [60_000, 660_000, 60_000]


def test_only_the_first_jobs_run_where_so_many_are_asked_for(shell: Shell) -> None:
    assert shell.json("--jobs", "2")["jobs"] == 2
    assert shell.json("--jobs", "2")["notes"]["default"]["taken"] == "2 / 3"
    assert "taken" not in shell.json("--jobs", "3")["notes"]["default"]


def test_jobs_that_no_place_takes_are_told_and_hold_up_nobody(shell: Shell) -> None:
    shell.write("huge,a,0,10,400,1,1,60\nsmall,a,1,10,1,1,1,60\n")
    out, err = shell.compare("--policy", "fifo", "--policy", "easy")
    assert "fifo: jobs that never started: 1." in err and "easy: jobs that never started: 1." in err
    assert "of the 1 of 2 jobs" in out


def test_a_fleet_on_which_nobody_waits_is_called_large(shell: Shell) -> None:
    shell.write("one,a,0,10,1,1,1,60\n")
    assert "Nobody waited" in shell.compare()[1]
    shell.write(JOBS)
    assert "Nobody waited" not in shell.compare()[1]


def test_the_guide_names_every_policy_option_and_assumption() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "simulate.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \|", guide[guide.index("### Policies") : guide.index("### What is assumed")], re.MULTILINE)
    assert rows == list(POLICIES)
    default = POLICIES["default"]
    assert f"up to {default.depth:,} tries behind the first of at most {default.promises} promises" in guide
    assert f"the first {POLICIES['conservative'].promises} in line" in guide and f"{simulate.JOBS:,} are made" in guide


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_through_the_whole_plane_it_decides_alike_and_says_what_was_proved(shell: Shell, lang: str) -> None:
    both = [shell.json("--policy", "default", "--policy", "fifo", *way)["measures"] for way in ((), ("--whole-plane",))]
    assert both[0].pop("fragmentation")["default"] == 0, "which is looked at between the steps of a trial alone"
    assert both[0] == both[1] and both[0]["charged_krw"]["default"] > 0
    _, err = shell.compare("--whole-plane", "--policy", "default", "--lang", lang, "--out", "out")
    assert {"en": "the chain and the books hold", "ko": "체인과 장부가 맞습니다"}[lang] in err
    page = (shell.folder / "out" / "report.html").read_text(encoding="utf-8")
    assert {"en": "the whole plane", "ko": "제어면 전체"}[lang] in page
    assert shell.json("--whole-plane")["notes"]["default"]["way"] == "whole plane"


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_what_the_plane_refuses_is_counted(shell: Shell, lang: str) -> None:
    shell.write("odd,a,1,600,4,1,1,900,gaudi\n", header=HEADER.replace("\n", ",gpu_type\n"))
    _, err = shell.compare("--whole-plane", "--lang", lang)
    assert {"en": "jobs that the plane refused: 1", "ko": "제어면이 거절한 작업: 1개"}[lang] in err


def test_a_policy_that_no_plane_has_is_refused_with_those_that_it_has(shell: Shell) -> None:
    said = shell.refused("--whole-plane", "--policy", "default", "--policy", "srtf")
    assert "No plane orders work as srtf does" in said and "least-waste, fifo, best-effort-fifo, easy, conservative;" in said
