"""What happens next, in words: who it happens to when that may be known, and when in any case."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dure.cli.texts import Texts
from dure.cli.why_words import HIDDEN, next_sentence, sentences, smallest_change_command
from dure.model.calendar import people_text

AT_MS = 1_800_000_000_000


def speaker(lang: str) -> Any:
    texts = Texts(lang)
    return SimpleNamespace(
        t=texts.say, texts=texts, when=people_text, reason=lambda plain: plain["kind"], money=lambda won: f"{won} won"
    )


def event(kind: str, subject: str, workload: str = "", victims: int = 0) -> dict[str, Any]:
    return {"kind": kind, "subject": subject, "workload": workload, "at_ms": AT_MS, "basis": "limit", "victims": victims}


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("kind", ["preemption", "victim_leaves"])
@pytest.mark.parametrize("victims", [1, 3])
def test_a_preemption_names_the_workload_and_counts_the_others(lang: str, kind: str, victims: int) -> None:
    told = next_sentence(speaker(lang), event(kind, "at-1", "wl-1", victims))
    assert "wl-1" in told and "at-1" not in told and people_text(AT_MS) in told
    assert ("2" in told.replace(people_text(AT_MS), "")) == (victims == 3)


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("kind", ["preemption", "victim_leaves", "attempt_ends", "promise_starts"])
def test_somebody_elses_work_is_told_without_an_id(lang: str, kind: str) -> None:
    told = next_sentence(speaker(lang), event(kind, HIDDEN, HIDDEN if kind != "promise_starts" else "", 1))
    assert HIDDEN not in told and people_text(AT_MS) in told
    assert {"en": "somebody else's work", "ko": "다른 이용자의 작업"}[lang] in told


@pytest.mark.parametrize(("lang", "word"), [("en", "borrow"), ("ko", "빌려")])
@pytest.mark.parametrize("victims", [1, 3])
def test_who_makes_room_as_it_borrows_is_told_so(lang: str, word: str, victims: int) -> None:
    told = next_sentence(speaker(lang), {**event("preemption", "at-1", "wl-1", victims), "basis": "quota"})
    assert word in told and "wl-1" in told
    assert ("2" in told.replace(people_text(AT_MS), "")) == (victims == 3)


@pytest.mark.parametrize(("lang", "word"), [("en", "too late"), ("ko", "기한")])
def test_the_last_moment_for_a_deadline_is_told(lang: str, word: str) -> None:
    told = next_sentence(speaker(lang), event("deadline_passes", "wl-1"))
    assert word in told and people_text(AT_MS) in told


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_what_happens_to_ones_own_is_told_by_the_id_of_its_job(lang: str) -> None:
    """The id of an attempt is nothing that people know, or could ask about."""
    ends = next_sentence(speaker(lang), event("attempt_ends", "at-1", "wl-1"))
    assert "wl-1" in ends and "at-1" not in ends
    assert "wl-1" in next_sentence(speaker(lang), event("promise_starts", "wl-1"))


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize(
    ("change", "said", "pasted"),
    [
        ({"workers_min": 2}, ("change.workers_min", {"old": 3, "new": 2}), "--set workers_min=2"),
        ({"accelerators": ["npu"]}, ("change.accelerators", {"old": "h100, a100", "new": "npu"}),
         "--set 'resources.accelerators=[npu]' --set resources.speeds=null"),
    ],
)  # fmt: skip
def test_fewer_workers_and_other_types_are_changes_that_can_be_pasted(lang: str, change: Any, said: Any, pasted: str) -> None:
    names = ("all_sites", "accelerators", "limit_ms", "memory_mib", "cores_milli", "devices", "workers", "funds_won", "priority")
    why = {
        "reasons": [{"kind": "waits_devices"}], "sites": [], "promised_ms": 0, "change": {**dict.fromkeys(names, ""), **change},
        "no_change": None, "plans": 1, "stopped": False, "next_event": None,
    }  # fmt: skip
    demand = {"accelerators": ["h100", "a100"], "speeds": [{"accelerator": "a100", "milli": 450}]}
    spec = {"name": "job", "demand": demand, "workers": 4, "workers_min": 3}
    answer = {"workload": {"id": "wl-1", "state": "waiting", "spec": spec}, "why": why}
    assert Texts(lang).say(said[0], **said[1]) in "\n".join(sentences(speaker(lang), answer))
    assert smallest_change_command(speaker(lang), answer) == f"dure resubmit wl-1 {pasted}"


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_to_give_up_the_block_is_a_change_that_can_be_pasted(lang: str) -> None:
    plain = dict.fromkeys(
        ("all_sites", "accelerators", "limit_ms", "memory_mib", "cores_milli", "devices", "workers", "funds_won", "priority"), ""
    )
    why = {
        "reasons": [{"kind": "waits_block"}], "sites": [], "promised_ms": 0, "change": {**plain, "topology": "any"},
        "no_change": None, "plans": 1, "stopped": False, "next_event": None,
    }  # fmt: skip
    answer = {"workload": {"id": "wl-1", "state": "waiting", "spec": {"name": "job", "demand": {}}}, "why": why}
    assert Texts(lang).say("change.topology.any") in "\n".join(sentences(speaker(lang), answer))
    assert smallest_change_command(speaker(lang), answer) == "dure resubmit wl-1 --set topology=any"


@pytest.mark.parametrize("change", [None, {"all_sites": True}])
def test_a_search_that_was_cut_short_is_said(change: dict[str, Any] | None) -> None:
    plain = dict.fromkeys(
        ("accelerators", "limit_ms", "memory_mib", "cores_milli", "devices", "workers", "funds_won", "priority"), ""
    )
    why = {
        "reasons": [{"kind": "waits_cores"}], "sites": [], "promised_ms": 0, "change": change and {**plain, **change},
        "no_change": None if change else "search_ended", "plans": 50, "stopped": True, "next_event": None,
    }  # fmt: skip
    workload = {"id": "wl-1", "state": "waiting", "spec": {"name": "job", "demand": {}}}
    told = "\n".join(sentences(speaker("en"), {"workload": workload, "why": why}))
    assert f"The search stopped after 50 tries: no small{'er' if change else ''} change found so far." in told
