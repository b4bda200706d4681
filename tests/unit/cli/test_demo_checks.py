"""The demo's checks, fed with the answers of a farm on which one promise at a time is broken; and what it then exits with."""

from __future__ import annotations

import importlib.util
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.cli.app import call
from dure.cli.demo.checks import checks, owed_nano
from dure.cli.demo.failure import DemoFailure
from dure.cli.demo.story import CORES, ELEMENTS, MIN_RUN_MS, Told
from dure.cli.exits import Exit
from dure.errors import LinkError
from dure.model.codec import to_plain
from dure.model.event import GENESIS, Event, Head, head_bytes, seal
from dure.model.money import NANO

Farm = dict[str, Any]
Break = Callable[[Farm], None]
command = import_module("dure.cli.commands.demo")

KEY = Ed25519PrivateKey.generate()
PUBLIC_KEY = KEY.public_key().public_bytes_raw().hex()
SWEEP = [f"wl_s{n}" for n in range(ELEMENTS)]
RUN_MS, LOST_MS, INTERVAL_MS = 4_000, 700, 1_000


def chain() -> tuple[Event, ...]:
    told = [Event(id=f"ev{n}", at_ms=n, actor="a", kind="workload.submitted", subject="wl", data={"n": n}) for n in range(5)]
    return seal(0, GENESIS, told)


def head(of: Event) -> Head:
    signature = KEY.sign(head_bytes(of.seq, of.hash, 7, 1)).hex()
    return Head(seq=of.seq, hash=of.hash, at_ms=7, incarnation=1, signature=signature, key=PUBLIC_KEY)


def trial(outcome: str, **more: Any) -> Farm:
    seen = {"run_ms": RUN_MS, "ended_ms": 10_000, "checkpoint_ms": 0}
    money = {"held": 900, "settled": 40, "charge_rest_nano": 0, "refunded": 0, "refund_rest_nano": 0}
    return {"outcome": outcome, "evidence": seen, "workers": [{"node": "n"}], **money, **more}


def job_line(**more: int) -> Farm:
    line = {"held": 1800, "pending": 0, "settled": 80, "released": 1720, "refunded": 7, "net": 73, "carried_nano": 0}
    return {**line, "energy_mwh": 900, **more}


def farm() -> Farm:
    """What is asked, and what a farm answers that kept every promise."""
    preempted = trial("preempted", refunded=7)
    preempted["evidence"]["checkpoint_ms"] = 10_000 - LOST_MS
    spec = {"name": "train", "checkpoint_interval_ms": INTERVAL_MS}
    gang_lines = {worker: {"weights": "w", "same": True} for worker in range(2)}
    events = chain()
    return {
        "workload": {
            "wl_train": {"id": "wl_train", "state": "succeeded", "quoted_won": 900, "spec": spec},
            "wl_urgent": {"id": "wl_urgent", "state": "succeeded"},
            "wl_changed": {"id": "wl_changed", "state": "succeeded", "reason": {}},
        },
        "attempts": {"wl_train": [preempted, trial("succeeded")], "wl_gang": [trial("succeeded", workers=[{}, {}])]},
        "array": {"states": {"succeeded": ELEMENTS, "failed": 0}},
        "results": {
            ("wl_train", 0): {"accuracy": 0.97},
            **{(id, 0): {"index": n} for n, id in enumerate(SWEEP)},
            **{("wl_gang", worker): line for worker, line in gang_lines.items()},
        },
        "statement": {
            "jobs": [job_line()], "totals": [job_line()], "findings": [],
            "awards": [{"granted": 500, "refunded": 7, "spent": 80, "expired": 0, "pending": 0, "available": 427}],
        },
        "accounts": [{"currency": "KRW", "balance": 5}, {"currency": "KRW", "balance": -5}, {"currency": "ACS", "balance": 0}],
        "ledger": {"findings": []},
        "audit": {"ok": True},
        "events": [to_plain(event) for event in events],
        "head": to_plain(head(events[-1])),
        "farm": {"public_key": PUBLIC_KEY, "attempts": {"ended": 25, "running": 0}},
        "told": Told(
            ids={"train": "wl_train", "urgent": "wl_urgent", "array": "ar", "gang": "wl_gang", "changed": "wl_changed"},
            sweep=list(SWEEP), quote={"hold": {"KRW": 900}}, train_lines=["resumed from epoch 31"],
            why={"why": {"reasons": [{"kind": "node_too_small_cores"}], "change": {"cores_milli": CORES * 1000}}},
        ),
    }  # fmt: skip


@dataclass
class Answers:
    """A client of that farm."""

    farm: Farm

    def workload(self, id: str) -> Farm:
        return dict(self.farm["workload"][id])

    def workloads(self, **where: object) -> Iterator[Farm]:
        return iter(self.farm["workload"].values())

    def attempts(self, id: str) -> list[Farm]:
        return list(self.farm["attempts"][id])

    def array(self, id: str) -> Farm:
        return dict(self.farm["array"])

    def logs(self, id: str, *, worker: int = 0) -> Iterator[SimpleNamespace]:
        line = self.farm["results"].get((id, worker))
        yield SimpleNamespace(data=b"epoch 1\n" + (f"result {json.dumps(line)}\n".encode() if line else b""))

    def statement(self, project: str) -> Farm:
        return dict(self.farm["statement"])

    def accounts(self) -> list[Farm]:
        return list(self.farm["accounts"])

    def verify_ledger(self) -> Farm:
        return dict(self.farm["ledger"])

    def verify_audit(self) -> Farm:
        return dict(self.farm["audit"])

    def events(self) -> list[Farm]:
        return list(self.farm["events"])

    def audit_head(self) -> Farm:
        return dict(self.farm["head"])


def story(of: Farm) -> Any:
    client = Answers(of)
    admin: Any = SimpleNamespace(**{n: getattr(client, n) for n in dir(client) if not n.startswith("_") and n != "farm"})
    admin.farm = lambda: of["farm"]
    return SimpleNamespace(told=of["told"], tenant=client, rescue=client, admin=admin)


def broken(of: Farm) -> list[str]:
    return [check.key.removeprefix("demo.check.") for check in checks(story(of), of["statement"]) if not check.kept]


def put(*path: Any, to: Any) -> Break:
    """Answer something else there."""

    def change(of: Farm) -> None:
        *way, last = path
        for step in way:
            of = of[step]
        of[last] = to

    return change


def told(**fields: Any) -> Break:
    return lambda of: of.update(told=replace(of["told"], **fields))


def why(kind: str = "node_too_small_cores", **change: int) -> Break:
    return told(why={"why": {"reasons": [{"kind": kind}], "change": change or {"cores_milli": CORES * 1000}}})


def forged(of: Farm) -> None:
    of["head"]["signature"] = "ab" * 64


def rewritten(of: Farm) -> None:
    of["events"][2]["data"] = {"n": 9}


def rewritten_at_the_end(of: Farm) -> None:
    """Beyond what a head stands for."""
    of["head"] = to_plain(head(chain()[-2]))
    of["events"][-1]["data"] = {"n": 9}


def shortened(of: Farm) -> None:
    del of["events"][-1]


EVIDENCE = ("attempts", "wl_train", 0, "evidence")
LINE, TOTAL, AWARD = ("statement", "jobs", 0), ("statement", "totals", 0), ("statement", "awards", 0)
BROKEN: list[tuple[str, Break]] = [
    ("trained", put("workload", "wl_train", "state", to="cancelled")),
    ("trained", put("results", ("wl_train", 0), to={"accuracy": 0.9})),
    ("trained", put("results", ("wl_train", 0), to=None)),
    ("urgent", put("workload", "wl_urgent", "state", to="cancelled")),
    ("preempted", put("attempts", "wl_train", 1, "outcome", to="failed")),
    ("preempted", put("attempts", "wl_train", 0, "outcome", to="lost")),
    ("resumed", told(train_lines=["epoch 1", "not resumed from anything"])),
    ("refund", put("attempts", "wl_train", 0, "refunded", to=0)),
    ("refund", put("attempts", "wl_train", 0, "refunded", to=6)),
    ("refund", put("attempts", "wl_train", 0, "refunded", to=40)),
    ("refund", put("attempts", "wl_train", 0, "refund_rest_nano", to=1)),
    ("refund", put(*EVIDENCE, "checkpoint_ms", to=10_000)),
    ("refund", put(*EVIDENCE, "checkpoint_ms", to=9_000)),
    ("quote", told(quote={"hold": {"KRW": 901}})),
    ("quote", put("workload", "wl_train", "quoted_won", to=899)),
    ("quote", put("attempts", "wl_train", 0, "held", to=901)),
    ("array", put("array", "states", to={"succeeded": ELEMENTS - 1, "failed": 1})),
    ("elements", put("results", (SWEEP[3], 0), to={"index": 4})),
    ("elements", put("results", (SWEEP[3], 0), to=None)),
    ("gang", put("attempts", "wl_gang", 0, "outcome", to="failed")),
    ("gang", put("attempts", "wl_gang", 0, "workers", to=[{}])),
    ("gang", put("results", ("wl_gang", 1), to={"weights": "other", "same": True})),
    ("gang", put("results", ("wl_gang", 1), to={"weights": "w", "same": False})),
    ("gang", put("results", ("wl_gang", 1), to=None)),
    ("why", why("waits_cores")),
    ("why", why(cores_milli=CORES * 1000 - 1)),
    ("changed", put("workload", "wl_changed", "state", to="cancelled")),
    ("adds_up", put("statement", "findings", to=[{"kind": "not_closed"}])),
    ("no_negative", put(*TOTAL, "refunded", to=-1)),
    ("no_negative", put(*TOTAL, "carried_nano", to=-74 * NANO)),
    ("closed", put(*LINE, "released", to=1719)),
    ("closed", put(*LINE, "pending", to=1)),
    ("award", put(*AWARD, "spent", to=79)),
    ("award", put(*TOTAL, "net", to=72)),
    ("energy", put(*LINE, "energy_mwh", to=0)),
    ("zero", put("accounts", 1, "balance", to=-4)),
    ("zero", put("accounts", 2, "balance", to=1)),
    ("books", put("ledger", "findings", to=[{"kind": "unbalanced"}])),
    ("audit", put("audit", "ok", to=False)),
    ("audit", put("events", to=[])),
    ("audit", put("head", to={})),
    ("audit", forged),
    ("audit", rewritten),
    ("audit", rewritten_at_the_end),
    ("audit", shortened),
    ("audit", put("farm", "public_key", to=Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex())),
    ("idle", put("farm", "attempts", to={"ended": 24, "running": 1})),
    ("no_failure", put("workload", "wl_other", to={"id": "wl_other", "state": "failed"})),
]  # fmt: skip


def test_a_farm_that_kept_every_promise_passes_every_check() -> None:
    assert broken(farm()) == []


def test_every_check_is_seen_to_fail() -> None:
    assert {c.key.removeprefix("demo.check.") for c in checks(story(farm()), farm()["statement"])} == {key for key, _ in BROKEN}


@pytest.mark.parametrize(("key", "change"), BROKEN, ids=[f"{n}-{key}" for n, (key, _) in enumerate(BROKEN)])
def test_a_promise_that_was_broken_is_named_and_no_other(key: str, change: Break) -> None:
    of = deepcopy(farm())
    change(of)
    assert broken(of) == [key]


@pytest.mark.parametrize(
    ("checkpoint_ms", "run_ms", "lost_ms"),
    [
        (9_300, 4_000, 700),  # since the last checkpoint
        (5_000, 8_000, INTERVAL_MS),  # the declared interval at most
        (10_500, 4_000, 0),  # saved after it had ended, by the site's clock
        (9_300, 500, 500),  # it has not run longer than that
        (0, 4_000, MIN_RUN_MS),  # none was seen: the guaranteed run
        (0, 300, 300),
        (0, 0, 0),  # it never ran
    ],
)
def test_what_is_owed_is_the_price_of_what_was_lost(checkpoint_ms: int, run_ms: int, lost_ms: int) -> None:
    seen = {"checkpoint_ms": checkpoint_ms, "run_ms": run_ms, "ended_ms": 10_000}
    attempt = {"evidence": seen, "settled": run_ms, "charge_rest_nano": 0}  # a won a millisecond
    assert owed_nano(INTERVAL_MS, attempt) == lost_ms * NANO


# -- the exit -------------------------------------------------------------------------------------------------------------


class QuietFarm:
    """A farm that is there at once, and whose processes may stay behind."""

    url, folder = "http://127.0.0.1:1", "/nowhere"

    def __init__(self, left: list[str]) -> None:
        self._left = left

    def start(self) -> None: ...

    def stop(self) -> list[str]:
        return self._left


def run_demo(
    of: Farm, patch: pytest.MonkeyPatch, *, left: list[str] | None = None, fault: BaseException | None = None, within: str = "180"
) -> int:
    """`dure demo`, on a farm that answers so."""

    def act() -> None:
        if fault is not None:
            raise fault

    acts = dict.fromkeys(("found", "submit", "preempt", "change", "close"), lambda: None)
    told_story = SimpleNamespace(**{**vars(story(of)), **acts, "finish": act})
    installed = importlib.util.find_spec
    patch.setattr(importlib.util, "find_spec", lambda name, *more: object() if name == "sklearn" else installed(name, *more))
    patch.setattr(command, "DemoFarm", lambda *_: QuietFarm(left or []))
    patch.setattr(command, "Story", lambda *_: told_story)
    for part in ("_tell_why", "_tell_bill"):  # what they print rests on far more than what is checked
        patch.setattr(command, part, lambda *_: None)
    return call(["demo", "--json", "--within", within], {"LANG": "C"}, lambda run: pytest.fail("it has a farm of its own"))


def test_an_interrupted_demo_is_cleaned_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cleaned: list[str] = []
    monkeypatch.setattr(QuietFarm, "stop", lambda self: cleaned.append("all") or [])
    assert run_demo(farm(), monkeypatch, fault=KeyboardInterrupt()) == Exit.INTERRUPTED
    assert cleaned == ["all"]
    assert capsys.readouterr().out == ""


def test_a_signal_that_comes_while_the_demo_cleans_up_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuietFarm, "stop", lambda self: signal.raise_signal(signal.SIGTERM) or [])
    assert run_demo(farm(), monkeypatch) == Exit.INTERRUPTED


def said(capsys: pytest.CaptureFixture[str]) -> Mapping[str, Any]:
    return dict(json.loads(capsys.readouterr().out))


def test_a_demo_that_kept_every_promise_succeeds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo(farm(), monkeypatch) == Exit.OK
    document = said(capsys)
    assert (document["ok"], document["failed"], document["left"]) == (True, [], [])


def test_a_demo_fails_if_anything_differs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    of = farm()
    of["ledger"]["findings"] = [{"kind": "unbalanced"}]
    assert run_demo(of, monkeypatch) == Exit.REFUSED
    document = said(capsys)
    assert (document["ok"], document["failed"]) == (False, ["demo.check.books"])


@pytest.mark.parametrize("fault", [DemoFailure("demo.fail.train", reason="x"), LinkError("gone")], ids=lambda v: type(v).__name__)
def test_a_demo_whose_story_broke_off_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: Exception
) -> None:
    assert run_demo(farm(), monkeypatch, fault=fault) == Exit.REFUSED
    assert said(capsys)["failed"] == [getattr(fault, "key", "LinkError")]


def test_a_demo_that_leaves_a_process_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo(farm(), monkeypatch, left=["python train.py"]) == Exit.REFUSED
    assert said(capsys)["left"] == ["python train.py"]


def test_a_demo_that_took_too_long_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter((100.0, 110.5))  # as it began, and as it ended
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    assert run_demo(farm(), monkeypatch, within="10") == Exit.REFUSED
    document = said(capsys)
    assert (document["ok"], document["seconds"], document["failed"]) == (False, 10.5, [])
