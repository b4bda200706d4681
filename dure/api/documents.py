"""Records as answers: plain dictionaries with the names of the model, money beside its currency, moments in ms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from dure.api.problems import reason_document
from dure.api.veil import Veil
from dure.controller import QuoteAnswer, WhatIfAnswer, WhyAnswer, so_far
from dure.controller.commands.funding import expiry_id
from dure.controller.commands.tenancy import NewToken
from dure.controller.commands.workloads import Submitted
from dure.ledger import award_account, programme_account
from dure.model.codec import field_names, to_plain
from dure.model.envelope import ahead, since, watts_at
from dure.model.funding import Account, Award, Programme, Transfer
from dure.model.policy import WHOLE_FARM, Policy, policy_changes, policy_id
from dure.model.reason import Reason
from dure.model.records import Bundle, WaitNote
from dure.model.site import Node, Quarantine, Site
from dure.model.tenancy import Actor, Credential, Grant, Person, Project
from dure.model.workload import TERMINAL, Attempt, AttemptState, Workload
from dure.ports import Reader

Plain = dict[str, Any]
Sees = Callable[[str], bool]  # of `Quota.of`: whether the caller may see that tenant


def plain(record: Any) -> Plain:
    """A record that needs nothing added."""
    return dict(to_plain(record))


def page(items: Iterable[Plain], next: str = "") -> Plain:
    return {"items": list(items), "next": next}


def worded(value: Any, lang: str, veil: Veil) -> Any:
    """A JSON-able value in which every Reason has its words."""
    if isinstance(value, Reason):
        return reason_document(veil.reason(value), lang)
    if isinstance(value, Workload):
        return workload_document(value, None, lang, veil)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: worded(getattr(value, name), lang, veil) for name in field_names(type(value))}
    if isinstance(value, Mapping):
        return {str(k): worded(v, lang, veil) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [worded(v, lang, veil) for v in value]
    return to_plain(value)


# -- tenancy ----------------------------------------------------------------------------------------------------------


def project_document(project: Project, members: Iterable[Grant] = ()) -> Plain:
    return {**plain(project), "members": [plain(m) for m in members]}


def actor_document(actor: Actor, person: Person | None, grants: Iterable[Grant] = ()) -> Plain:
    """person: None once erased; then nothing names anybody."""
    name, email = (person.name, person.email) if person else ("", "")
    return {**plain(actor), "name": name, "email": email, "grants": [plain(g) for g in grants]}


def credential_document(credential: Credential) -> Plain:
    document = plain(credential)
    del document["digest"], document["version"]
    return document


def new_token_document(new: NewToken) -> Plain:
    """Without the secret: this is what is kept for repeated requests. The route adds it to the first answer."""
    return {**credential_document(new.credential), "token": ""}


# -- money ------------------------------------------------------------------------------------------------------------


def programme_document(programme: Programme, account: Account | None) -> Plain:
    return {**plain(programme), "available": _balance(account)}


def programme_documents(reader: Reader, rows: Iterable[Programme]) -> list[Plain]:
    rows = list(rows)
    accounts = reader.get_many(Account, [programme_account(p.id) for p in rows])
    return [programme_document(p, accounts.get(programme_account(p.id))) for p in rows]


def standing(award: Award, now_ms: int) -> str:
    """Whether it may pay now, by its moments alone: "open", "later", "ended"."""
    if award.expired or award.expires_ms <= now_ms:
        return "ended"
    return "later" if award.starts_ms > now_ms else "open"


def award_document(award: Award, account: Account | None, now_ms: int, lapsed: int = 0) -> Plain:
    """lapsed: what went back to the programme when the award expired."""
    told = {**plain(award), "standing": standing(award, now_ms)}
    if account is None:
        return {**told, "available": 0, "held": 0, "spent": 0, "refunded": 0, "lapsed": 0}
    return {
        **told,
        "available": _balance(account) - account.debits_pending,
        "held": account.debits_pending,
        "spent": account.debits_posted - award.withdrawn - lapsed,
        "refunded": account.credits_posted - award.amount,
        "lapsed": lapsed,
    }


def award_documents(reader: Reader, rows: Iterable[Award], now_ms: int) -> list[Plain]:
    rows = list(rows)
    accounts = reader.get_many(Account, [award_account(a.id) for a in rows])
    gone = reader.get_many(Transfer, [expiry_id(a.id) for a in rows if a.expired])
    lapsed = {id: transfer.amount for id, transfer in gone.items()}
    return [award_document(a, accounts.get(award_account(a.id)), now_ms, lapsed.get(expiry_id(a.id), 0)) for a in rows]


def award_lines(lines: Iterable[Mapping[str, Any]], awards: Iterable[Award], now_ms: int) -> list[Plain]:
    """A statement's lines of awards, each with what its award may pay for: a sum alone does not say that it may not be used."""
    rules = {award_account(a.id): a for a in awards}
    return [{**line, **_rules(rules[line["account"]], now_ms)} for line in lines]


def _rules(award: Award, now_ms: int) -> Plain:
    told = plain(award)
    return {name: told[name] for name in ("starts_ms", "expires_ms", "sites", "accelerators")} | {
        "standing": standing(award, now_ms)
    }


# -- the rules --------------------------------------------------------------------------------------------------------


def policy_document(policy: Policy, before: Policy | None, sees: Sees = lambda of: True) -> Plain:
    """A version of the rules, with what it changed. sees: whose quotas are told."""
    told = replace(policy, quotas=tuple(q for q in policy.quotas if sees(q.of)))
    changes = policy_changes(before, policy) if before else ()
    return {**plain(told), "changes": [to_plain(c) for c in changes if sees(_whose(c.field))]}


def _whose(field: str) -> str:
    """The tenant of a quota that a change is about; the whole farm of any other."""
    what, _, rest = field.partition(".")
    return rest.partition(".")[0] if what == "quotas" else WHOLE_FARM


def policy_documents(reader: Reader, versions: Iterable[int], sees: Sees) -> list[Plain]:
    """Those of these versions that there are, in this order."""
    versions = list(versions)
    rows = reader.get_many(Policy, {policy_id(n) for v in versions for n in (v, v - 1)})
    found = [(rows[policy_id(v)], rows.get(policy_id(v - 1))) for v in versions if policy_id(v) in rows]
    return [policy_document(*pair, sees) for pair in found]


def account_document(account: Account) -> Plain:
    return {**plain(account), "balance": _balance(account)}


def _balance(account: Account | None) -> int:
    return 0 if account is None else account.credits_posted - account.debits_posted


# -- work -------------------------------------------------------------------------------------------------------------


def submitted_document(submitted: Submitted) -> Plain:
    return {
        "ids": list(submitted.ids),
        "array_id": submitted.array_id,
        "quoted_won": submitted.quoted_won,
        "limit_ms": submitted.spec.limit_ms,
    }


def why_document(answer: WhyAnswer, lang: str, veil: Veil) -> Plain:
    """Why it is where it is. change: the smallest change that would start it, as members of a job; {} when there is none."""
    document: Plain = {**worded(answer, lang, veil), "change": answer.change}
    inner = document["why"]
    if inner and inner["next_event"]:
        inner["next_event"] = veil.next_event(inner["next_event"])
    return document


def what_if_document(answer: WhatIfAnswer, lang: str, veil: Veil) -> Plain:
    """now, then: what the plan holds for it, and would. why, change, hold, hold_then: then, as `why_document` tells them now."""
    told = worded(answer, lang, veil)
    del told["answer"]
    then = why_document(answer.answer, lang, veil) if answer.answer else {}
    return {**told, **{name: then.get(name) for name in ("why", "change", "hold", "hold_then")}}


def quote_document(answer: QuoteAnswer, lang: str, veil: Veil) -> Plain:
    """hold: currency → the most that one element can cost on any accelerator that it accepts, -1 where it cannot be paid so."""
    most: dict[str, int] = {}
    for by_currency in answer.hold.values():
        for currency, amount in by_currency.items():
            most[currency] = max(amount, most.get(currency, -1))
    return {**worded(answer, lang, veil), "hold": most, "hold_by_accelerator": to_plain(answer.hold)}


def workload_document(workload: Workload, note: WaitNote | None = None, lang: str = "en", veil: Veil | None = None) -> Plain:
    """A workload with the reason why it waits (of `note`) or how it ended, in words."""
    document = plain(workload)
    waits = note is not None and workload.state not in TERMINAL and not workload.attempt
    told: Mapping[str, Any] = note.reason if waits and note is not None else workload.reason
    reason = Reason.from_json(told) if told else None
    if reason and veil:
        reason = veil.reason(reason)
    document["reason"] = reason_document(reason, lang) if reason else {}
    document["promised_ms"] = note.promised_ms if waits and note is not None else 0
    return document


def workload_documents(reader: Reader, rows: Iterable[Workload], lang: str, veil: Veil) -> list[Plain]:
    rows = list(rows)
    notes = reader.get_many(WaitNote, [w.id for w in rows if w.state not in TERMINAL])
    return [workload_document(w, notes.get(w.id), lang, veil) for w in rows]


def attempt_document(reader: Reader, attempt: Attempt, workload: Workload, now_ms: int, veil: Veil) -> Plain:
    """A try; so_far: what one that still runs has used until now, None for any other."""
    used = so_far(reader, attempt, workload, now_ms)
    return {**veil.attempt(plain(attempt)), "so_far": plain(used) if used else None}


def bundle_document(bundle: Bundle) -> Plain:
    return {"project": bundle.project, "sha256": bundle.sha256, "size": bundle.size}


# -- sites ------------------------------------------------------------------------------------------------------------


def site_record(site: Site, now_ms: int) -> Plain:
    """A site without steps of power and windows of maintenance that are over."""
    return plain(dataclasses.replace(site, power=since(site.power, now_ms), maintenance=ahead(site.maintenance, now_ms)))


def site_document(
    site: Site,
    nodes: Iterable[Node],
    attempts: Iterable[Attempt],
    strange: Iterable[Quarantine],
    now_ms: int,
    silent_max_ms: int,
) -> Plain:
    """A site with what stands and lives there, and how much of it is in use."""
    nodes, attempts, strange = list(nodes), list(attempts), list(strange)
    silent_ms = max(0, now_ms - site.last_seen_ms)
    return {
        **site_record(site, now_ms),
        "power_watts": watts_at(site.power, now_ms),
        "silent_ms": silent_ms,
        "reachable": site.agent_epoch > 0 and silent_ms <= silent_max_ms,
        "nodes": [plain(n) for n in nodes],
        "attempts": [plain(a) for a in attempts],
        "quarantined": [plain(q) for q in strange],
        "use": _use(nodes, attempts, strange),
    }


def _use(nodes: Iterable[Node], attempts: Iterable[Attempt], strange: Iterable[Quarantine]) -> dict[str, int]:
    """What waits for an operator and may still run is in use like anything else."""
    up = [n for n in nodes if n.up]
    live = [a for a in attempts if a.state != AttemptState.ENDED]
    others = [q.observation.get("workers") or [] for q in strange]
    return {
        "nodes_up": len(up),
        "cores_milli": sum(n.cores_milli for n in up),
        "memory_mib": sum(n.memory_mib for n in up),
        "devices": sum(n.devices for n in up),
        "attempts": len(live) + len(others),
        "workers": sum(len(a.workers) for a in live) + sum(map(len, others)),
        "devices_used": sum(len(w.devices) for a in live for w in a.workers)
        + sum(len(w.get("devices") or ()) for workers in others for w in workers),
    }
