"""What if: each supposition means what its line in the table says, and nothing else changes."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import dure.scheduler
from dure.model.policy import Policy
from dure.model.reason import Reason, ReasonKind
from dure.model.render import render
from dure.scheduler import (
    FORMS,
    SUPPOSED_MAX,
    USAGES,
    Asker,
    Rater,
    Snapshot,
    Supposition,
    check,
    is_about,
    outlook,
    parse_suppositions,
    plan,
    suppose,
)
from dure.scheduler.compare import BAKED_IN
from dure.scheduler.snapshot import STOPPING
from dure.scheduler.suppose import PLANNED
from dure.scheduler.suppositions import TEXT_MAX
from tests.builders.world import HOUR_S, World

GRACE_MS = 30_000


def rater(workload: str, value: int) -> Rater:
    """A won a worker and minute, twice as many in class high."""

    def rate(
        accelerator: str, workers: int, cores_milli: int, memory_mib: int, devices: int, share_milli: int, limit_ms: int,
        preemptible: bool, priority: str,
    ) -> tuple[int, ...]:  # fmt: skip
        high = priority == "high" or (not priority and value == Policy().class_of("high").value)
        return (workers * (limit_ms // 60_000) * (2 if high else 1), -1)

    return rate


def asker(projects: frozenset[str] | None = None, this: str = "") -> Asker:
    return Asker(rater=rater, grace_ms=lambda workload: GRACE_MS, projects=projects, this=this)


def world() -> World:
    """Pohang is full of ant's work, seoul has no devices; bee waits for a whole node, cat for two."""
    made = World().site("pohang", nodes=1, cores=8, devices=4, accelerator="h100").site("seoul", nodes=1, cores=4)
    made.attempt("a1", [("pohang/n0", 15)], project="ant", cores=8, memory=1024, ends=2 * HOUR_S)
    made.award("bee", 100)
    made.pending("one", project="bee", cores=8, devices=4, hold=60)
    made.pending("two", project="cat", cores=8, devices=4, workers=2)
    return made


def supposed(s: Snapshot, *texts: str, who: Asker | None = None) -> Snapshot:
    found = parse_suppositions(texts)
    assert not isinstance(found, Reason), found
    then = suppose(s, found, who or asker())
    assert not isinstance(then, Reason), then
    assert check(then, plan(then)) == ()
    return then


def refusal(text: str, s: Snapshot | None = None, who: Asker | None = None) -> dict[str, object]:
    """The facts with which it is refused, said in both languages without a gap."""
    found = parse_suppositions([text])
    if not isinstance(found, Reason):
        then = suppose(s or world().snapshot(), found, who or asker())
        assert isinstance(then, Reason), text
        found = then
    assert found.kind == ReasonKind.BAD_SUPPOSITION
    for lang in ("en", "ko"):
        words = str(render(found, lang))
        assert "‹" not in words and "[" not in words.replace("[TYPE]", ""), words
    return dict(found.facts)


def starts(s: Snapshot, id: str) -> str:
    """Where it starts; "" when it waits."""
    seen = outlook(s, plan(s), s.pending.ids.index(id))
    return seen.site if seen.starts else ""


# -- the language ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_names_the_word_and_what_could_stand_there() -> None:
    facts = refusal("site pohang powerful 60kW")
    assert (facts["wrong"], facts["token"]) == ("word", "powerful")
    assert facts["allowed"] == [u for u in USAGES if u.startswith("site SITE ")]
    assert refusal("sight pohang drained") == {
        "supposition": "sight pohang drained", "wrong": "word", "token": "sight", "allowed": list(USAGES),
    }  # fmt: skip
    assert refusal("workload one limit soon")["allowed"] == ["workload WORKLOAD limit TIME"]
    assert refusal("farm open again")["token"] == "again"


def test_what_ends_too_early_says_so() -> None:
    assert (refusal("site pohang")["wrong"], refusal("site pohang")["token"]) == ("ends_early", "pohang")
    assert refusal("  ")["allowed"] == list(USAGES)
    assert refusal("site pohang +2")["allowed"] == ["site SITE +COUNT nodes [TYPE]"]


def test_suppositions_are_bounded_in_length_and_number() -> None:
    assert refusal("now " + " " * TEXT_MAX + "+1h")["wrong"] == "too_long"
    many = parse_suppositions(["farm open"] * (SUPPOSED_MAX + 1))
    assert isinstance(many, Reason) and many.facts["wrong"] == "too_many"
    wrong = parse_suppositions(["farm open", "farm", "nonsense"])
    assert isinstance(wrong, Reason) and wrong.facts["supposition"] == "farm"


def test_what_is_said_is_kept_single_spaced_as_frozen_data() -> None:
    found = parse_suppositions([" now   +1h30m "])
    assert found == (Supposition(text="now +1h30m", usage="now +TIME", values={"+TIME": 5_400_000}),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("project bee funds +1,000_000won", 1_000_000), ("project bee funds +5원", 5), ("workload one memory 1024KiB", 1),
        ("workload one memory 1KB", 1), ("workload one memory 2GiB", 2048), ("workload one memory 1TB", 1 << 20),
        ("workload one cores 1.5", 1500), ("workload one cores 2", 2000), ("workload one accelerators a,b,a", ("a", "b")),
        ("policy min_run_ms 2m", 120_000), ("policy min_run_ms 7", 7), ("now +250ms", 250),
    ],
)  # fmt: skip
def test_values_have_units(text: str, value: object) -> None:
    found = parse_suppositions([text])
    assert not isinstance(found, Reason) and value in found[0].values.values()


@pytest.mark.parametrize(
    "text",
    ["project bee funds +0won", "project bee funds +99999999999999999999won", "project bee funds 5won", "now 2h", "now +soon",
     "site pohang 3 nodes", "workload one memory 1", "workload one cores 1.2345", "workload one accelerators a,,b",
     "workload one devices two", "policy min_run_ms long"],
)  # fmt: skip
def test_values_without_their_form_are_no_values(text: str) -> None:
    assert refusal(text)["wrong"] == "word"


def test_the_table_says_each_form_once_and_in_both_languages() -> None:
    assert len(set(USAGES)) == len(FORMS)
    assert all(form.en.endswith(".") and re.search("[가-힣]", form.ko) for form in FORMS)


# -- sites and nodes ------------------------------------------------------------------------------------------------------


def test_a_site_may_be_drained_opened_silent_and_heard_again() -> None:
    s = world().site("busan", nodes=1, cores=8, devices=4, accelerator="h100").snapshot()
    assert starts(s, "one") == "busan"
    for closed, opened in (("drained", "open"), ("unreachable", "reachable")):
        then = supposed(s, f"site busan {closed}")
        assert starts(then, "one") == ""
        assert starts(supposed(then, f"site busan {opened}"), "one") == "busan"
    assert starts(s, "one") == "busan", "what was passed in stays as it is"


def test_a_site_may_have_more_nodes_like_its_own() -> None:
    s = world().snapshot()
    then = supposed(s, "site pohang +3 nodes")
    assert len(then.nodes.ids) == len(s.nodes.ids) + 3 and then.nodes.ids == tuple(sorted(then.nodes.ids))
    assert (starts(then, "one"), starts(then, "two")) == ("pohang", "pohang")
    assert supposed(then, "site pohang +2 nodes h100").nodes.ids[4:6] == ("pohang/~000004", "pohang/~000005")


def test_what_runs_behind_the_new_nodes_stays_where_it_is() -> None:
    made = world().attempt("b1", [("seoul/n0", 0)], project="ant", cores=4)
    s = made.snapshot()
    then = supposed(s, "site pohang +5 nodes")
    sat = [then.nodes.ids[n] for n in then.attempts.worker_node.tolist()]
    assert sat == [s.nodes.ids[n] for n in s.attempts.worker_node.tolist()] == ["pohang/n0", "seoul/n0"]


def test_new_nodes_are_of_the_commonest_size_in_use_and_whole() -> None:
    made = World().site("s").node("s/a", "s", cores=2).node("s/b", "s", cores=64, devices=8, accelerator="x", usable=False)
    made.node("s/c", "s", cores=64, devices=8, accelerator="x").pending("job", devices=8, cores=64)
    then = supposed(made.snapshot(), "site s +1 nodes")
    assert (then.nodes.cores_milli[-1], bool(then.nodes.usable[-1])) == (64_000, True)
    assert int(then.nodes.device_mask[-1]) == 255
    assert supposed(made.snapshot(), "site s +1 nodes x").nodes.accelerator[-1] == 0


def test_new_nodes_need_one_that_they_are_like() -> None:
    empty = World().site("s").pending("job").snapshot()
    assert refusal("site s +1 nodes", empty)["wrong"] == "nothing_alike"
    assert refusal("site seoul +1 nodes h100") == {
        "supposition": "site seoul +1 nodes h100", "wrong": "nothing_alike", "token": "h100", "site": "seoul", "known": [],
    }  # fmt: skip
    assert refusal("site pohang +0 nodes")["least"] == 1
    assert refusal("site pohang +4097 nodes")["most"] == 4096
    assert refusal("site nowhere +1 nodes")["known"] == ["pohang", "seoul"]
    assert refusal("site nowhere open")["what"] == "site"


def test_a_node_may_be_out_of_use_or_back() -> None:
    s = world().node("pohang/n1", "pohang", cores=8, devices=4, accelerator="h100", usable=False).snapshot()
    for out, back in (("down", "up"), ("drained", "open")):
        assert starts(supposed(s, f"node pohang/n1 {back}"), "one") == "pohang"
        assert starts(supposed(s, f"node pohang/n1 {back}", f"node pohang/n1 {out}"), "one") == ""
    assert refusal("node pohang/n9 up", s)["known"] == ["pohang/n0", "pohang/n1"]
    assert refusal("node x/n9 up", s)["known"] == ["pohang/n0", "pohang/n1", "seoul/n0"]


def test_what_there_is_too_much_of_is_not_listed() -> None:
    many = World().site("s", nodes=21).pending("job").snapshot()
    assert refusal("node s/x up", many)["known"] == []


def test_the_farm_may_be_drained_and_opened() -> None:
    s = world().site("busan", nodes=1, cores=8, devices=4, accelerator="h100").snapshot()
    assert starts(supposed(s, "farm drained"), "one") == ""
    assert starts(supposed(s, "farm drained", "farm open"), "one") == "busan"


# -- work and money -------------------------------------------------------------------------------------------------------


def test_work_may_be_gone_or_have_ended() -> None:
    s = world().snapshot()
    for text in ("workload w-a1 gone", "workload w-a1 ended", "project ant gone", "now +2h"):
        then = supposed(s, text)
        assert starts(then, "one") == "pohang" and then.attempts.ids == ()
    assert supposed(s, "workload one gone").pending.ids == ("two",)
    assert supposed(s, "project cat gone").pending.ids == ("one",)
    assert refusal("workload one ended")["wrong"] == "not_placed"
    assert refusal("workload nobodys gone")["what"] == "workload"
    assert refusal("project nobodys gone")["what"] == "project"


def test_whoever_made_room_for_what_is_gone_makes_room_for_nobody() -> None:
    made = World().site("s", nodes=3, cores=8).pending("job")
    made.attempt("a", [("s/n0", 0)], cores=8, state=STOPPING, ends=60).attempt("b", [("s/n2", 0)], cores=8)
    made.claim("c", [("s/n0", 0)], victims=["a"], cores=8)
    s = made.snapshot()
    assert supposed(s, "workload w-c gone").attempts.beneficiary.tolist() == [-1, -1]
    assert supposed(s, "workload w-b gone").attempts.beneficiary.tolist() == [1, -1]
    assert supposed(s, "workload w-a gone").attempts.ids == ("b", "c")


def test_what_waits_may_ask_for_something_else() -> None:
    s = world().snapshot()
    one = s.pending.ids.index("one")
    then = supposed(
        s, "workload one limit 2h", "workload one workers 3", "workload one devices 2", "workload one cores 0.5",
        "workload one memory 1GiB", "workload one priority high", "workload one accelerators h100", "workload one sites any",
    )  # fmt: skip
    p = then.pending
    assert p.limit_ms[one] == 2 * 3_600_000 + GRACE_MS
    assert [int(c[one]) for c in (p.workers, p.devices, p.cores_milli, p.memory_mib)] == [3, 2, 500, 1024]
    assert p.priority[one] == Policy().class_of("high").value
    assert then.alternatives.hold[p.alt_ptr[one]].tolist()[0] == 3 * 120 * 2, "at the price of its class, whatever came last"


def test_the_workload_in_question_may_be_called_this() -> None:
    s = world().snapshot()
    then = supposed(s, "workload this workers 5", who=asker(this="two"))
    assert then.pending.workers[s.pending.ids.index("two")] == 5
    said = parse_suppositions(["workload this workers 5", "workload two sites any", "workload one gone", "farm open"])
    assert not isinstance(said, Reason)
    assert [is_about(x, "two") for x in said] == [True, True, False, False]
    assert refusal("workload this workers 5")["what"] == "workload"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("workload one workers 0", "beyond"), ("workload one workers 16385", "beyond"), ("workload one devices 65", "beyond"),
        ("workload one limit 15d", "beyond"), ("workload one limit 10ms", "beyond"), ("workload one cores 10001", "beyond"),
        ("workload one memory 2000TiB", "beyond"), ("workload one priority best", "not_there"),
        ("workload one accelerators h100,abacus", "not_there"), ("workload w-a1 workers 2", "not_waiting"),
        ("workload nobodys sites any", "not_there"), ("project nobodys funds +1won", "not_there"),
        ("policy half_life_ms 1d", "not_planned"), ("policy reservations_max 10001", "beyond"),
        ("policy min_run_ms 500d", "beyond"),
    ],
)  # fmt: skip
def test_what_nobody_could_have_cannot_be_supposed(text: str, wrong: str) -> None:
    assert refusal(text)["wrong"] == wrong


def test_a_project_may_have_more_won() -> None:
    made = world().node("pohang/n1", "pohang", cores=8, devices=4, accelerator="h100")
    made.pending("dear", project="bee", cores=1, hold=500)
    s = made.snapshot()
    assert starts(s, "dear") == ""
    assert starts(supposed(s, "project bee funds +500won"), "dear") != ""
    assert supposed(s, "project ant funds +500won") == s, "nobody waits to spend it"


def test_work_and_money_of_others_are_as_though_they_were_not_there() -> None:
    s = world().snapshot()
    only_bee = asker(frozenset({"bee"}))
    for text in (
        "workload w-a1 gone",
        "workload two gone",
        "workload two workers 1",
        "project cat gone",
        "project cat funds +1won",
    ):
        mine = refusal(text, s, only_bee)
        none = refusal(text.replace("w-a1", "none").replace("two", "none").replace("cat", "none"), s, only_bee)
        assert {**mine, "supposition": "", "token": ""} == {**none, "supposition": "", "token": ""}
    assert supposed(s, "workload one gone", "project bee funds +5won", who=only_bee).pending.ids == ("two",)


def test_an_attempt_of_nobodys_project_is_named_by_nobody_but_who_sees_all() -> None:
    s = world().snapshot()
    strange = s.attempts.project.copy()
    strange[:] = -1
    s = Snapshot(**{f.name: getattr(s, f.name) for f in fields(s)} | {"attempts": _with_project(s, strange)})
    assert refusal("workload w-a1 gone", s, asker(frozenset({"ant", "bee", "cat"})))["wrong"] == "not_there"
    assert supposed(s, "workload w-a1 gone").attempts.ids == ()


def _with_project(s: Snapshot, project: object) -> object:
    return type(s.attempts)(**{f.name: getattr(s.attempts, f.name) for f in fields(s.attempts)} | {"project": project})


def test_what_a_site_may_draw_may_be_another_from_now_on() -> None:
    made = World().site("daegu", nodes=2, cores=8, power=[(-50, 4_000), (500, 9_000)]).site("jeju", nodes=1, cores=8, power=[])
    made.node("daegu/n9", "daegu", cores=8, core_mw=1_000).pending("job", cores=8, sites=["daegu"], limit=300)
    for node in made.nodes:
        node["core_mw"] = 1_000
    s = made.snapshot()
    assert [starts(s, "job"), starts(supposed(s, "site daegu power 8W"), "job")] == ["", "daegu"]
    assert starts(supposed(s, "site daegu power none"), "job") == "daegu"
    assert supposed(s, "site jeju power 1kW").sites.power_ptr.tolist() == [0, 2, 3]
    assert refusal("site ulsan power 1kW")["token"] == "ulsan"


def test_maintenance_may_be_off() -> None:
    made = World().site("daegu", nodes=0, cores=8).site("jeju", nodes=0, cores=8)
    for site in ("daegu", "jeju"):
        made.node(f"{site}/n", site, cores=8, closed=[(1, 9_000)])
    s = made.pending("job", cores=8, sites=["daegu"], limit=300).snapshot()
    assert [starts(s, "job"), starts(supposed(s, "site daegu maintenance none"), "job")] == ["", "daegu"]
    assert starts(supposed(s, "site jeju maintenance none"), "job") == ""
    assert refusal("site ulsan maintenance none")["token"] == "ulsan"


def test_a_project_may_have_another_quota() -> None:
    made = World().site("daegu", nodes=1, cores=8, devices=4, accelerator="h100")
    made.quota("project:ant", "device:h100", 1).pending("job", project="ant", devices=2, cores=1)
    s = made.snapshot()
    assert [starts(s, "job"), starts(supposed(s, "project ant quota h100 2"), "job")] == ["", "daegu"]
    assert starts(supposed(s, "project ant quota h100 2", "project ant quota core 0"), "job") == ""
    assert refusal("project ant quota b200 2", s)["token"] == "b200"
    assert refusal("project owl quota h100 2", s)["token"] == "owl"


# -- rules and time -------------------------------------------------------------------------------------------------------


def test_a_rule_that_planning_reads_may_be_another() -> None:
    s = world().snapshot()
    assert len(plan(s).reserve_pending) == 1
    assert len(plan(supposed(s, "policy reservations_max 0")).reserve_pending) == 0


def test_every_rule_is_one_that_planning_reads_or_is_known_not_to_be() -> None:
    told = {
        "classes", "prices", "quotas", "preferences", "order", "packing", "preemptible_permille", "id", "version",
        "created_ms", "written_by",
    }  # fmt: skip
    assert {f.name for f in fields(Policy)} == told | set(PLANNED) | set(BAKED_IN)
    assert len(told | set(PLANNED) | set(BAKED_IN)) == len(told) + len(PLANNED) + len(BAKED_IN)
    read = set()
    for path in Path(dure.scheduler.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Attribute, ast.Name)):
                holder = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
                read |= {node.attr} & {f.name for f in fields(Policy)} if holder == "policy" else set()
    assert set(PLANNED) <= read <= set(PLANNED) | {
        "classes", "workers_max", "limit_ms_max", "quotas", "preferences", "speeds", "order", "packing",
    }  # fmt: skip


def test_when_time_passes_what_reached_its_limit_is_gone_but_nobody_hears_of_it_from_a_silent_site() -> None:
    s = world().snapshot()
    assert supposed(s, "now +119m").attempts.ids == ("a1",)
    then = supposed(s, "now +2h")
    assert then.now_ms == s.now_ms + 2 * 3_600_000 and then.attempts.ids == ()
    assert supposed(s, "site pohang unreachable", "now +3h").attempts.ids == ("a1",)
    assert np.array_equal(then.pending.shape, s.pending.shape)
