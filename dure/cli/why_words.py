"""An answer to "why?" as plain sentences, and its smallest change as a command that can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from dure.cli.run import Run

Plain = Mapping[str, Any]

HIDDEN = "…"  # what the plane says instead of an id that is not the caller's to know
ATTEMPTS = ("attempt_ends", "preemption", "victim_leaves")  # told by the workload: its owner knows it by that id


def sentences(run: Run, answer: Plain) -> Iterator[str]:
    """Where it stands, what each site says, what was promised, what would start it, what happens next."""
    workload, why = answer["workload"], answer.get("why")
    name = workload["spec"]["name"]
    yield run.t("why.stands", id=workload["id"], name=name, state=run.texts.word("state", workload["state"]))
    reasons = list(why["reasons"]) if why else []
    yield from (run.reason(reason) for reason in reasons or [answer["reason"]])
    if why is not None:
        yield from _beyond_reasons(run, answer)


def _beyond_reasons(run: Run, answer: Plain) -> Iterator[str]:
    """What else there is to say of a workload that a plan is about."""
    workload, why = answer["workload"], answer["why"]
    reasons = list(why["reasons"])
    if len(why["sites"]) > 1 or not reasons:
        for site, reason in map(_site, why["sites"]):
            yield run.t("why.site", site=site, text=run.reason(reason))
    if why["promised_ms"]:
        yield run.t("why.promised", when=run.when(why["promised_ms"]))
    if why.get("estimate"):  # a plane of an older version knows none
        about = why["estimate"]
        yield run.t(f"why.estimate.{about['basis']}", when=run.when(about["at_ms"]), ahead=about["ahead"])
    if why["change"]:
        changes = run.t("word.and").join(_changes(run, workload, why["change"]))
        site = why.get("change_site")  # of a plane of an older version it is not known
        yield run.t("why.change.at", change=changes, site=site) if site else run.t("why.change", change=changes)
        if why["change"]["priority"]:
            yield from _dearer(run, answer)
        if why.get("stopped"):
            yield run.t("why.search_stopped", plans=why["plans"])
    elif why["no_change"]:
        yield run.t(f"why.{why['no_change']}", plans=why.get("plans", 0))
    if why["next_event"]:
        yield next_sentence(run, why["next_event"])


def what_if_sentences(run: Run, answer: Plain) -> Iterator[str]:
    """How it stands now, how it would stand, and what would be said of it then."""
    workload, now, then = answer["workload"], answer["now"], answer["then"]
    name = workload["spec"]["name"]
    yield run.t("why.stands", id=workload["id"], name=name, state=run.texts.word("state", workload["state"]))
    yield run.t("whatif.supposed", said="; ".join(answer["suppositions"]))
    if now is None or then is None:
        yield run.t("whatif.at_rest", text=run.reason(answer["reason"]))
        return
    yield run.t("whatif.now", text=_outcome(run, now))
    same = run.t("whatif.same")
    yield run.t("whatif.then", text=same if now == then else _outcome(run, then, still=not now["starts"]))
    if not then["starts"] and answer["why"]:
        more = [run.reason(reason) for reason in answer["why"]["reasons"][1:]]
        more += _beyond_reasons(run, {**answer, "why": {**answer["why"], "promised_ms": 0}})
        yield from [run.t("whatif.were_so"), *more] if more else []


def _outcome(run: Run, seen: Plain, *, still: bool = False) -> str:
    """It starts, starts once others have left, or (still) waits, and why."""
    if seen["starts"]:
        return run.t("whatif.claims" if seen["claims"] else "whatif.starts", site=seen["site"])
    text = run.reason(seen["reason"])
    if seen["promised_ms"]:
        key = "whatif.still_promised" if still else "whatif.promised"
        return run.t(key, when=run.when(seen["promised_ms"]), site=seen["site"], text=text)
    return run.t("whatif.still" if still else "whatif.waits", text=text)


def _dearer(run: Run, answer: Plain) -> Iterator[str]:
    """Another class has another price: what would be held with it, in each currency that can pay."""
    now, then = answer.get("hold", {}), answer.get("hold_then", {})
    for currency, new in then.items():
        old = now.get(currency, -1)
        if min(old, new) >= 0 and new != old:
            yield run.t("why.hold_then", old=run.money(old, currency), new=run.money(new, currency))


def next_sentence(run: Run, event: Plain) -> str:
    """What happens next, to whom and when. Who may not see whose work it is learns only when."""
    kind, when = event["kind"], run.when(event["at_ms"])
    named = event["workload"] if kind in ATTEMPTS else event["subject"]
    hidden = named in ("", HIDDEN)
    if hidden and kind == "attempt_ends":
        return run.t("why.next.others", when=when)
    more = event.get("victims", 0) - 1
    basis = event.get("basis")
    key = f"why.next.{kind}.{basis}" if kind == "preemption" and basis in ("yields", "quota", "move") else f"why.next.{kind}"
    return run.t(f"{key}.more" if more > 0 else key, subject=run.t("why.somebody") if hidden else named, when=when, more=more)


def _site(entry: Any) -> tuple[str, Plain]:
    return (entry["site"], entry["reason"]) if isinstance(entry, Mapping) else (entry[0], entry[1])


def changed_fields(workload: Plain, change: Plain) -> dict[str, Any]:
    """The change as fields of a job, by their dotted names. Money is not one of them."""
    found: dict[str, Any] = {}
    if change["all_sites"]:
        found["sites"] = []
    if change.get("topology"):
        found["topology"] = change["topology"]
    if change["accelerators"]:
        found["resources.accelerators"] = list(change["accelerators"])
        if workload["spec"]["demand"].get("speeds"):  # they are of types that it does not name any more
            found["resources.speeds"] = None
    if change["limit_ms"]:  # of the plan: it counts the grace period in
        found["limit"] = f"{change['limit_ms'] - workload['spec']['grace_ms']}ms"
    if change["memory_mib"]:
        found["resources.memory"] = f"{change['memory_mib']}MiB"
    if change["cores_milli"]:
        found["resources.cores"] = change["cores_milli"] / 1000
    for field in ("devices", "workers"):
        if change[field]:
            found[f"resources.{field}" if field == "devices" else field] = change[field]
    if change.get("workers_min"):  # of a plane of an older version it is not known
        found["workers_min"] = change["workers_min"]
    if change.get("share_milli"):
        found["resources.devices"] = change["share_milli"] / 1000
    if change["priority"]:
        found["priority"] = change["priority"]
    return found


def _changes(run: Run, workload: Plain, change: Plain) -> Iterator[str]:
    """Each changed field with its present and its new value, in words."""
    spec, demand = workload["spec"], workload["spec"]["demand"]
    if change["all_sites"]:
        yield run.t("change.all_sites")
    if change.get("topology"):  # of a plane of an older version it is not known
        yield run.t(f"change.topology.{change['topology']}")
    if change["accelerators"]:
        yield run.t("change.accelerators", old=", ".join(demand["accelerators"]), new=", ".join(change["accelerators"]))
    if change["limit_ms"]:
        yield run.t(
            "change.limit",
            old=run.texts.duration(spec["limit_ms"]),
            new=run.texts.duration(change["limit_ms"] - spec["grace_ms"]),
        )
    if change["memory_mib"]:
        yield run.t("change.memory", old=demand["memory_mib"], new=change["memory_mib"])
    if change["cores_milli"]:
        yield run.t("change.cores", old=demand["cores_milli"] / 1000, new=change["cores_milli"] / 1000)
    if change["devices"]:
        yield run.t("change.devices", old=demand["devices"], new=change["devices"])
    if change.get("share_milli"):
        yield run.t("change.share", old=demand["share_milli"] / 1000, new=change["share_milli"] / 1000)
    if change["workers"]:
        yield run.t("change.workers", old=spec["workers"], new=change["workers"])
    if change.get("workers_min"):
        yield run.t("change.workers_min", old=spec.get("workers_min") or spec["workers"], new=change["workers_min"])
    if change["funds_won"]:
        yield run.t("change.funds", amount=run.money(change["funds_won"]))
    if change.get("project"):
        yield run.t("change.project", old=workload["project"], new=change["project"])
    if change["priority"]:
        yield run.t("change.priority", old=spec["priority"], new=change["priority"])


def smallest_change_command(run: Run, answer: Plain) -> str:
    """`dure resubmit` with the smallest change, "" when there is none that the owner of the job could make."""
    why = answer.get("why")
    if not why or not why["change"] or why["change"]["funds_won"]:
        return ""
    fields = changed_fields(answer["workload"], why["change"])
    words = [f"--set {shlex.quote(f'{field}={_word(value)}')}" for field, value in fields.items()]
    to = ["--to", shlex.quote(why["change"]["project"])] if why["change"].get("project") else []
    return " ".join(["dure", "resubmit", answer["workload"]["id"], *words, *to])


def _word(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(value) + "]"
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)
