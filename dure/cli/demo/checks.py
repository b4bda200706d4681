"""What the demo promised, held against what came of it. Every check names what it found when it fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dure.cli.demo.story import CORES, ELEMENTS, MIN_RUN_MS, PROJECT, Story
from dure.cli.demo.tailing import result_of
from dure.client.audit import prove
from dure.model.money import NANO, round_half_up


@dataclass(frozen=True, slots=True)
class Check:
    """key: the promise, as a key of the text catalogue; found: what was seen instead, "" when it was kept."""

    key: str
    kept: bool
    found: Any = ""


def checks(story: Story, statement: Mapping[str, Any]) -> Iterator[Check]:
    """Every promise, in the order in which the story makes them."""
    yield from _work(story)
    yield from _array_and_gang(story)
    yield from _change(story)
    yield from _money(story, statement)
    yield from _books(story)


def _work(story: Story) -> Iterator[Check]:
    ids, told = story.told.ids, story.told
    train, urgent = story.tenant.workload(ids["train"]), story.rescue.workload(ids["urgent"])
    tries = story.tenant.attempts(ids["train"])
    outcomes = [a["outcome"] for a in tries]
    result = result_of(story.tenant, ids["train"])
    yield Check("demo.check.trained", train["state"] == "succeeded" and bool(result and result["accuracy"] > 0.9), result)
    yield Check("demo.check.urgent", urgent["state"] == "succeeded", urgent["state"])
    yield Check("demo.check.preempted", outcomes == ["preempted", "succeeded"], outcomes)
    yield Check("demo.check.resumed", any(line.startswith("resumed from") for line in told.train_lines), told.train_lines[-3:])
    refund_nano = tries[0]["refunded"] * NANO + tries[0]["refund_rest_nano"]
    yield Check("demo.check.refund", refund_nano == owed_nano(train["spec"]["checkpoint_interval_ms"], tries[0]), tries[0])
    yield Check("demo.check.quote", told.quote["hold"]["KRW"] == train["quoted_won"] == tries[0]["held"], train["quoted_won"])


def owed_nano(interval_ms: int, attempt: Mapping[str, Any]) -> int:
    """What the evidence of a preempted attempt says that it gets back, in nano-won: its price for what ran since the last
    checkpoint, for the declared interval at most; without a checkpoint for the guaranteed minimum run at most."""
    seen = attempt["evidence"]
    saved = seen["checkpoint_ms"] and seen["ended_ms"]
    lost_ms = seen["ended_ms"] - seen["checkpoint_ms"] if saved else seen["run_ms"]
    most_ms = interval_ms if seen["checkpoint_ms"] else MIN_RUN_MS
    charge_nano = attempt["settled"] * NANO + attempt["charge_rest_nano"]
    lost_ms = max(0, min(lost_ms, most_ms, seen["run_ms"]))
    return round_half_up(charge_nano * lost_ms, seen["run_ms"]) if lost_ms else 0


def _array_and_gang(story: Story) -> Iterator[Check]:
    ids = story.told.ids
    states = story.tenant.array(ids["array"])["states"]
    yield Check("demo.check.array", states.get("succeeded") == ELEMENTS, states)
    results = [result_of(story.tenant, id) for id in story.told.sweep]
    seen = sorted(r["index"] for r in results if r)
    yield Check("demo.check.elements", seen == list(range(ELEMENTS)), seen)
    (attempt, *_), ranks = (
        story.tenant.attempts(ids["gang"]),
        [result_of(story.tenant, ids["gang"], worker) for worker in range(2)],
    )
    agreed = [r["weights"] for r in ranks if r and r["same"]]
    together = attempt["outcome"] == "succeeded" and len(attempt["workers"]) == 2 and len(agreed) == 2 and len(set(agreed)) == 1
    yield Check("demo.check.gang", together, {"attempt": attempt["outcome"], "ranks": ranks})


def _change(story: Story) -> Iterator[Check]:
    why, changed = story.told.why["why"], story.tenant.workload(story.told.ids["changed"])
    kinds = [reason["kind"] for reason in why["reasons"]]
    yield Check("demo.check.why", kinds[:1] == ["node_too_small_cores"] and why["change"]["cores_milli"] == CORES * 1000, why)
    yield Check("demo.check.changed", changed["state"] == "succeeded", changed["reason"])


def _money(story: Story, statement: Mapping[str, Any]) -> Iterator[Check]:
    jobs, totals, awards = statement["jobs"], statement["totals"], statement["awards"]
    numbers = [v for line in (*jobs, *totals, *awards) for k, v in line.items() if isinstance(v, int) and k != "carried_nano"]
    numbers += [line["net"] * NANO + line["carried_nano"] for line in (*jobs, *totals)]
    yield Check("demo.check.adds_up", not statement["findings"], statement["findings"])
    yield Check("demo.check.no_negative", all(number >= 0 for number in numbers), min(numbers))
    closed = all(line["held"] == line["settled"] + line["released"] and not line["pending"] for line in jobs)
    yield Check("demo.check.closed", closed, jobs)
    spent = sum(line["net"] for line in totals)
    balanced = all(a["granted"] + a["refunded"] == a["spent"] + a["expired"] + a["pending"] + a["available"] for a in awards)
    yield Check("demo.check.award", balanced and sum(a["granted"] - a["available"] for a in awards) == spent, {"spent": spent})
    yield Check("demo.check.energy", all(line["energy_mwh"] > 0 for line in jobs if line["settled"]), jobs)


def _books(story: Story) -> Iterator[Check]:
    accounts = list(story.admin.accounts())
    by_currency: dict[str, int] = {}
    for account in accounts:
        by_currency[account["currency"]] = by_currency.get(account["currency"], 0) + account["balance"]
    yield Check("demo.check.zero", not any(by_currency.values()), by_currency)
    books = story.admin.verify_ledger()
    yield Check("demo.check.books", not books["findings"], books["findings"][:1])
    proof = prove(story.admin, public_key=str(story.admin.farm()["public_key"]))
    chain = story.admin.verify_audit()
    kept = proof.fault is None and proof.events > 0 and proof.heads > 0 and chain["ok"]
    yield Check("demo.check.audit", kept, (proof, chain))
    live = [s for s, n in story.admin.farm()["attempts"].items() if n and s != "ended"]
    yield Check("demo.check.idle", not live, live)
    wanted = {w["id"] for w in story.tenant.workloads(project=PROJECT, limit=500) if w["state"] == "failed"}
    yield Check("demo.check.no_failure", not wanted, sorted(wanted))
