from __future__ import annotations

import re

import pytest

from dure.controller.openings import UNPAID
from dure.model.reason import Reason, ReasonKind
from dure.model.reason_texts import REASON_TEXTS, Helper
from dure.model.reason_words import DETAILS, FAULTS, NOUNS, PROBLEMS, ROLES, STATES
from dure.model.render import (
    Text,
    bytes_words,
    cores_words,
    count_words,
    duration_words,
    fact_text,
    language,
    memory_words,
    money_words,
    particle,
    power_words,
    render,
    tenant_words,
)
from dure.model.tenancy import Role
from dure.model.workload import Outcome, WorkloadState
from dure.scheduler.plan import WAIT_CODES

HANGUL = re.compile("[가-힣]")
SAMPLE = {
    "wanted_mw": 7_150_000, "free_mw": 350_500, "from_ms": 1_798_725_600_000,
    "ahead": 3, "until_ms": 1_798_729_200_000, "wanted_milli": 64_000, "largest_milli": 1500, "wanted_mib": 65_536,
    "free_milli": 500, "wanted_share_milli": 250, "free_share_milli": 125, "taste": "carbon",
    "deadline_ms": 1_798_725_600_000, "free_mib": 256, "free": 3,
    "largest_mib": 512, "wanted": 8, "largest": 4, "workers": 16, "workers_fit_empty": 8, "workers_fit_now": 2,
    "workers_fit_usable": 1, "workers_fit_block": 3, "yielding": 1, "reclaimed": 2, "reclaimed_by": "steel",
    "moved": 2, "moved_to": "north/n1",
    "supposition": "farm open", "wrong": "damaged",
    "for_workload": "job_1", "hold": 160_000, "held": 70, "available": 5000, "based_on": 7, "version": 8,
    "currency": "KRW", "victims": 1, "exit_code": 3,
    "detail": "no_such_command", "signal": 9, "limit_ms": 3_900_000, "by": "job_2", "on": "job_3", "field": "workers",
    "problem": "too_small", "known": ["name", "command"], "nearest": "name", "limit_bytes": 1 << 20, "action": "policy.write",
    "roles": ["admin"], "what": "workload", "id": "job_4", "method": "PUT", "key": "k-1", "state": "succeeded",
    "limit": 10, "asked": 20, "epoch": 3, "current": 12_345, "protocol": 9, "oldest": 1, "newest": 2,
    "opens": "award_1", "starts_ms": 1_798_729_200_000, "account": "award:a1",
    "reference": "ref_1", "attempt": "att_1", "used_mib": 700, "site": "pohang",
    "available_milli": 2500, "resource": "device:h100", "quota_of": "project:steel",
    "asked_bytes": 3 << 30, "count": 4, "kept_ms": 2_592_000_000, "free_bytes": 1 << 29, "reserve_bytes": 1 << 30,
}  # fmt: skip


@pytest.mark.parametrize("kind", ReasonKind)
def test_every_reason_speaks_both_languages_with_its_facts_and_without(kind: ReasonKind) -> None:
    text = REASON_TEXTS[kind]
    for facts in ({name: SAMPLE[name] for name in text.facts}, {}):
        english, korean = render(Reason(kind, facts), "en"), render(Reason(kind, facts), "ko")
        for said in (english, korean):
            assert said.title and said.detail and said.remedy
            assert not re.search(r"[{}\[\]|]", f"{said}"), said
        assert not HANGUL.search(f"{english}") and HANGUL.search(korean.title) and HANGUL.search(korean.detail)
        assert ("‹" in f"{english}") == (not facts and bool(_needed(text.en.detail + text.en.remedy)))


def _needed(template: str) -> list[str]:
    return re.findall(r"\{\w+", re.sub(r"\[[^\]]*\]", "", template))


@pytest.mark.parametrize("kind", ReasonKind)
def test_templates_use_the_facts_that_they_declare(kind: ReasonKind) -> None:
    text = REASON_TEXTS[kind]
    for words in (text.en, text.ko):
        used = set(re.findall(r"\{(\w+)", f"{words.title} {words.detail} {words.remedy}"))
        assert used <= {*text.facts, "remedy", "allowed"}
        assert set(text.facts) - {"currency"} <= used, (kind, words)
    assert 0 <= text.tier <= 3 and (text.tier == 3) == (text.helper == Helper.NOBODY)


def test_reasons_of_waiting_declare_the_facts_of_the_plan() -> None:
    declared = {kind: REASON_TEXTS[kind].facts for kind, _ in WAIT_CODES}
    assert dict(WAIT_CODES) == {kind: declared[kind][: len(names)] for kind, names in WAIT_CODES}
    # of money that comes later: the answer to `why` adds it, plans know of none
    besides = {kind: declared[kind][len(names) :] for kind, names in WAIT_CODES if len(declared[kind]) > len(names)}
    assert besides == dict.fromkeys(UNPAID, ("opens", "starts_ms", "until_ms"))


def test_a_reason_reads_as_a_sentence() -> None:
    short = Reason.of(ReasonKind.FUNDS_SHORT, hold=160_000, available=5000, currency="KRW")
    assert render(short, "en") == Text(
        "Not enough money",
        "160,000 won has to be held for it, but 5,000 won is left on the awards that may pay.",
        "Ask for a shorter limit or less, or have the award topped up.",
    )
    assert render(short, "ko_KR.UTF-8").detail == "160,000원을 예약해야 하지만 쓸 수 있는 바우처에 5,000원이 남아 있습니다."
    reserved = Reason.of(ReasonKind.WAITS_RESERVED, for_workload="job_7", until_ms=1_798_729_200_000)
    assert render(reserved, "ko").detail == "자리가 있지만 2027-01-01 00:00 KST까지 시작할 job_7을 위해 비워 두었습니다."
    assert str(render(Reason(ReasonKind.KEY_MISSING))).startswith("No Idempotency-Key: Every write")


def test_a_wrong_field_says_what_is_wrong_and_what_would_be_right() -> None:
    def said(lang: str = "en", **facts: object) -> str:
        return render(Reason.of(ReasonKind.BAD_FIELD, **facts), lang).detail

    assert said(field="workers", problem="too_small", limit=1) == "workers: too small; at least 1."
    assert said("ko", field="workers", problem="too_small", limit=1) == "workers 항목: 너무 작습니다 (최소 1)."
    assert said(field="limit", problem="too_large", limit_ms=14 * 86_400_000) == "limit: too large; at most 14 d."
    assert said(field="priority", problem="unknown_value", value="max", allowed=["low", "high"]) == (
        "priority: unknown value max; known: low, high."
    )
    assert said(field="expires", problem="too_late", limit=1_798_729_200_000) == (
        "expires: too late; not after 2027-01-01 00:00 KST."
    )
    assert said(field="devices", problem="wrong_type", expected="integer") == "devices: wrong type; expected: whole number."
    assert said(field="name", problem="starts with a digit") == "name: starts with a digit."
    own = render(Reason.of(ReasonKind.BAD_FIELD, field="a", problem="empty", remedy="Name it."))
    assert own.remedy == "Name it." and render(Reason.of(ReasonKind.BAD_FIELD, field="a", problem="empty")).remedy


def test_optional_stretches_go_when_their_facts_are_not_there() -> None:
    ended = ReasonKind.ENDED_EXIT_CODE
    assert render(Reason.of(ended, exit_code=1, detail="")).detail == "The command ended with exit code 1."
    assert render(Reason.of(ended, exit_code=1, detail="memory_limit")).detail == (
        "The command ended with exit code 1: it used more memory than it asked for."
    )
    assert render(Reason.of(ReasonKind.ENDED_PREEMPTED, by="x7"), "ko").detail.startswith("x7을 위해 자리를")
    assert render(Reason.of(ReasonKind.BODY_TOO_LARGE, bytes_max=1536)).detail == "The request is larger than 1.5 KiB."


@pytest.mark.parametrize("lang", ["ko", "en", "", "fr"])
@pytest.mark.parametrize(
    "value",
    [None, True, -5, 10**40, -(10**40), 10**5000, 1.5, float("nan"), "", "{id}[x]", [], ["a", 1, None], {"b", "a"},
     {"k": [10**5000]}, object(), "x" * 10_000, list(range(1000)), 1 << 62],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_nothing_that_a_fact_may_hold_breaks_the_words(value: object, lang: str) -> None:
    for kind in ReasonKind:
        said = render(Reason(kind, dict.fromkeys((*SAMPLE, "remedy", "allowed", "value", "needs"), value)), lang)
        assert said.title and len(str(said)) < 5000


def test_facts_are_not_read_as_templates() -> None:
    said = render(Reason.of(ReasonKind.NOT_FOUND, what="[{id}]", id="{what}"))
    assert said.detail == "There is no [{id}] {what} that you may see."


@pytest.mark.parametrize(
    ("facts", "name", "en", "ko"),
    [
        ({"until_ms": 1 << 62}, "until_ms", "an unknown time", "알 수 없는 때"),
        ({"limit": 60_000, "what": "limit_ms"}, "limit", "1 min", "1분"),
        ({"limit": 2048, "field": "memory_mib"}, "limit", "2 GiB", "2 GiB"),
        ({"limit": 2048}, "limit", "2,048", "2,048"),
        ({"asked": 3600, "currency": "ACS"}, "asked", "3,600 accelerator-seconds", "3,600 가속기초"),
        ({"amount": 5, "currency": "USD"}, "amount", "5 USD", "5 USD"),
        ({"current": 12_345}, "current", "12345", "12345"),
        ({"signal": 15}, "signal", "SIGTERM (15)", "SIGTERM (15)"),
        ({"signal": 64}, "signal", "64", "64"),
        ({"roles": ["admin", "officer"]}, "roles", "admin, programme officer", "관리자, 사업 담당자"),
        ({"roles": []}, "roles", "–", "–"),
        ({"known": {"b", "a"}}, "known", "a, b", "a, b"),
        ({"what": "award"}, "what", "award", "바우처"),
        ({"what": "teapot"}, "what", "teapot", "teapot"),
        ({}, "limit", "‹limit›", "‹limit›"),
        ({"share": 0.25}, "share", "0.25", "0.25"),
        ({"known": list(range(60))}, "known", None, None),
    ],
)
def test_a_fact_is_shown_in_its_unit(facts: dict[str, object], name: str, en: str | None, ko: str | None) -> None:
    if en is None:
        assert fact_text(name, facts, "en").endswith("49, …")
        return
    assert (fact_text(name, facts, "en"), fact_text(name, facts, "ko")) == (en, ko)


def test_durations_show_their_two_largest_units() -> None:
    cases = {0: "0 ms", 999: "999 ms", 1000: "1 s", 61_000: "1 min 1 s", 3_900_000: "1 h 5 min", 3_605_000: "1 h",
             90_061_000: "1 d 1 h", -61_000: "-1 min 1 s"}  # fmt: skip
    assert {ms: duration_words(ms, "en") for ms in cases} == cases
    assert [duration_words(ms, "ko") for ms in (5, 3_900_000, 90_061_000)] == ["5밀리초", "1시간 5분", "1일 1시간"]


def test_quantities_are_short_and_exact_to_two_decimals() -> None:
    cores = {1000: "1 core", 1500: "1.5 cores", 250: "0.25 cores", 64_000: "64 cores", 0: "0 cores"}
    assert {milli: cores_words(milli, "en") for milli in cores} == cores
    assert cores_words(1500, "ko") == "1.5코어"
    assert [power_words(mw) for mw in (0, 500, 350_500, 7_150_000, 10**9, -(10**6))] == [
        "0 W", "0.5 W", "350.5 W", "7.15 kW", "1 MW", "-1 kW",
    ]  # fmt: skip
    assert [memory_words(m) for m in (512, 1024, 1536, 65_536, -2048)] == ["512 MiB", "1 GiB", "1.5 GiB", "64 GiB", "-2 GiB"]
    assert [bytes_words(b) for b in (0, 1023, 1024, 5 << 20, 3 << 29)] == ["0 B", "1,023 B", "1 KiB", "5 MiB", "1.5 GiB"]
    assert money_words(1_234_000, "KRW", "ko") == "1,234,000원"
    assert [count_words(n) for n in (1234, 10**30, -(10**30))] == ["1,234", "> 10^30", "< -10^30"]


@pytest.mark.parametrize(
    ("word", "object_", "by"),
    [("책", "을", "으로"), ("바우처", "를", "로"), ("물", "을", "로"), ("1", "을", "로"), ("2", "를", "로"), ("3", "을", "으로"),
     ("10", "을", "으로"), ("1.5코어", "를", "로"), ("64 GiB", "를", "로"), ("URL", "을", "로"), ("KST", "를", "로"),
     ("VM", "을", "으로"), ("main", "을", "으로"), ("node", "를", "로"), ("model", "을", "로"), ("5,000원", "을", "으로"),
     ("(책)", "을", "으로"), ("job", "을(를)", "으로(로)"), ("…", "을(를)", "으로(로)"), ("", "을(를)", "으로(로)"),
     ("é", "을(를)", "으로(로)")],
)  # fmt: skip
def test_korean_particles_follow_the_last_sound(word: str, object_: str, by: str) -> None:
    assert (particle(word, "을/를"), particle(word, "으로/로")) == (object_, by)


def test_the_language_is_that_of_the_locale() -> None:
    assert [language(x) for x in ("ko", "ko_KR.UTF-8", "KO", "en_US", "C", "")] == ["ko", "ko", "ko", "en", "en", "en"]


def test_every_word_that_the_plane_itself_uses_has_a_translation() -> None:
    assert {r.value for r in Role} <= set(ROLES)
    assert {s.value for s in WorkloadState} | {o.value for o in Outcome if o} <= set(STATES)
    for pairs in (PROBLEMS, FAULTS, NOUNS, STATES, ROLES, DETAILS):
        assert all(en and HANGUL.search(ko) and not HANGUL.search(en) for en, ko in pairs.values())


def test_an_unknown_field_is_named_without_a_guessed_particle() -> None:
    assert render(Reason(ReasonKind.UNKNOWN_FIELD, {"field": "limt"}), "ko").detail.startswith("limt: ")


def test_a_quota_is_told_in_units_of_its_resource_and_by_whose_it_is() -> None:
    def said(lang: str, **facts: object) -> str:
        return render(Reason.of(ReasonKind.QUOTA_REACHED, **facts), lang).detail

    facts = {"wanted_milli": 8000, "available_milli": 500, "resource": "device:h100", "quota_of": "project:steel"}
    assert said("en", **facts) == (
        "It needs 8 h100, but quotas leave 0.5 h100 to its project now; the limit that is reached is that of project steel."
    )
    assert "h100 8개가 필요하지만" in said("ko", **facts) and said("ko", **facts).endswith(
        "h100 0.5개입니다. 한도에 이른 곳: 과제 steel."
    )
    whole = {**facts, "resource": "core", "quota_of": "*"}
    assert "8 cores" in said("en", **whole) and said("en", **whole).endswith("that of the whole farm.")
    assert "8코어가" in said("ko", **whole) and said("ko", **whole).endswith("농장 전체.")
    titles = [render(Reason.of(ReasonKind.QUOTA_REACHED, resource=resource), "en").title for resource in ("core", "device:h100")]
    assert titles == ["Quota of cores reached", "Quota of h100 reached"]
    assert tenant_words("organisation:north", "ko") == "기관 north" and tenant_words("team:x", "en") == "team x"


def test_a_wrong_quota_says_what_would_be_right() -> None:
    def said(lang: str, **facts: object) -> str:
        return render(Reason.of(ReasonKind.BAD_FIELD, field="quotas.of", **facts), lang).detail

    assert said("en", problem="no_such_tenant", tenant="project:stel") == (
        "quotas.of: there is no project stel; make it first, or correct its id."
    )
    assert "과제 stel이 없습니다" in said("ko", problem="no_such_tenant", tenant="project:stel")
    assert "the same thing twice: project:steel core" in said("en", problem="duplicate", value="project:steel core")
