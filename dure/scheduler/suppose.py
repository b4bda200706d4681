"""What if: a snapshot as it would be under suppositions, about which `plan` and `why` are then asked as about any other.

`FORMS` is the table of what can be supposed: how it is said, what it means, and the function that does it. A column that plans
read is made supposable by one entry here. Suppositions are applied in the order in which they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from dure.model.policy import Quota
from dure.model.reason import Reason
from dure.model.workload import LIMIT_MS_MIN
from dure.scheduler.attempts import latest_ends, owners, projects_of
from dure.scheduler.change import Change, Rater, apply_change
from dure.scheduler.quotas import CORE, DEVICE, MILLI, quotas_of
from dure.scheduler.rows import row_of_waiting, with_column, with_nodes, without_attempts, without_pending
from dure.scheduler.snapshot import Bool, Nodes, Snapshot, freeze
from dure.scheduler.suppositions import Supposition, parse_all, refused

NODES_MAX = 4096  # that one supposition adds
DEVICES_MAX = 64  # of a worker: a node has no more
CORES_MILLI_MAX, MEMORY_MIB_MAX = 10_000_000, 1 << 30  # of a worker
KNOWN_MAX = 20  # names that a refusal lists
# The whole numbers of a policy that planning reads, with their bounds (0 and 1: no and yes); any other changes nothing about a
# plan.
PLANNED: MappingProxyType[str, tuple[int, int]] = MappingProxyType({
    "backfill_depth": (0, 100_000), "min_run_ms": (0, 400 * 86_400_000), "moves": (0, 1), "reclaims": (0, 1),
    "reservations_max": (0, 256),
})  # fmt: skip
THIS = "this"
DEMANDS = MappingProxyType({
    "workers": "workers", "workers_min": "workers_min", "devices": "devices", "cores": "cores_milli", "memory": "memory_mib",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who supposes, and what no snapshot knows. projects: those whose work and money may be named (what is another's is answered
    as though it were not there); None: all. rater: as in `apply_change`, for a workload whose class has this value. grace_ms: of
    a workload. this: the workload that is asked about, which may be called so."""

    rater: Callable[[str, int], Rater]
    grace_ms: Callable[[str], int]
    projects: frozenset[str] | None = None
    this: str = ""

    def workload(self, said: Supposition) -> str:
        word = said.word("WORKLOAD")
        return self.this if word == THIS and self.this else word

    def names(self, project: str) -> bool:
        return self.projects is None or project in self.projects


Apply = Callable[[Snapshot, Supposition, Asker], Snapshot | Reason]


@dataclass(frozen=True, slots=True)
class Form:
    """usage: how it is said; see `suppositions`. en, ko: what it means."""

    usage: str
    apply: Apply
    en: str
    ko: str


def suppose(snapshot: Snapshot, suppositions: Sequence[Supposition], asker: Asker) -> Snapshot | Reason:
    """The snapshot as it would be, or why one of them cannot be supposed. What is passed in stays as it is."""
    for supposition in suppositions:
        found = _APPLY[supposition.usage](snapshot, supposition, asker)
        if isinstance(found, Reason):
            return found
        snapshot = found
    return freeze(snapshot)


def parse_suppositions(texts: Sequence[str]) -> tuple[Supposition, ...] | Reason:
    """What is supposed by these texts, or what is wrong with the first that cannot be read."""
    return parse_all(texts, USAGES)


def is_about(supposition: Supposition, workload: str) -> bool:
    """Whether it is about this workload itself, so that what it asks for may be another thing than what it was submitted with."""
    return supposition.word("WORKLOAD") in (workload, THIS)


# -- sites and nodes ------------------------------------------------------------------------------------------------------


def _farm(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    return replace(s, draining=said.word("") == "drained")


def _site_state(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    site, state = said.word("SITE"), said.word("")
    if site not in s.sites.ids:
        return _unknown(said, "site", site, s.sites.ids)
    name, value = ("drained", state == "drained") if state in ("drained", "open") else ("reachable", state == "reachable")
    return with_column(s, "sites", name, s.sites.ids.index(site), value)


def _power(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    """From now on, whatever its envelope says."""
    site = said.word("SITE")
    if site not in s.sites.ids:
        return _unknown(said, "site", site, s.sites.ids)
    steps = [[s.now_ms, MILLI * said.number("WATTS")]] if "WATTS" in said.values else []
    p, at = s.sites, s.sites.ids.index(site)
    first, last = int(p.power_ptr[at]), int(p.power_ptr[at + 1])
    ptr = p.power_ptr.copy()
    ptr[at + 1 :] += len(steps) - (last - first)
    since, mw = (
        np.concatenate([column[:first], np.array([step[i] for step in steps], np.int64), column[last:]])
        for i, column in enumerate((p.power_from_ms, p.power_mw))
    )
    return replace(s, sites=replace(p, power_ptr=ptr, power_from_ms=since, power_mw=mw))


def _never_closed(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    site, n = said.word("SITE"), s.nodes
    if site not in s.sites.ids:
        return _unknown(said, "site", site, s.sites.ids)
    length = np.where(n.site == s.sites.ids.index(site), 0, np.diff(n.closed_ptr))
    kept = np.repeat(n.site != s.sites.ids.index(site), np.diff(n.closed_ptr))
    ptr = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    windows = {"closed_from_ms": n.closed_from_ms[kept], "closed_until_ms": n.closed_until_ms[kept]}
    return replace(s, nodes=replace(n, closed_ptr=ptr, **windows))


def _more_nodes(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    site, count, accelerator = said.word("SITE"), said.number("+COUNT"), said.word("TYPE")
    if site not in s.sites.ids:
        return _unknown(said, "site", site, s.sites.ids)
    if not 1 <= count <= NODES_MAX:
        return refused(said.text, "beyond", f"+{count}", least=1, most=NODES_MAX)
    there = s.nodes.site == s.sites.ids.index(site)
    types = [s.accelerators[a] for a in np.unique(s.nodes.accelerator[there]).tolist() if a >= 0]
    if accelerator and accelerator not in types:
        return refused(said.text, "nothing_alike", accelerator, site=site, known=types)
    if accelerator:
        there &= s.nodes.accelerator == s.accelerators.index(accelerator)
    if not there.any():
        return refused(said.text, "nothing_alike", site, site=site)
    there = there & s.nodes.usable if (there & s.nodes.usable).any() else there
    like = _commonest(s.nodes, there)
    before = sum(id.startswith(f"{site}/~") for id in s.nodes.ids)
    ids = tuple(f"{site}/~{before + n:06}" for n in range(1, count + 1))  # behind every id that a node can have
    devices = int(s.nodes.device_mask[like]).bit_count()
    return with_nodes(s, like, ids, usable=True, device_mask=np.uint64((1 << devices) - 1))


def _commonest(nodes: Nodes, there: Bool) -> int:
    """Row of a node of the size of which the site has most; of the larger size, and the first of it, among equals."""
    sizes: dict[tuple[int, int, int, int], list[int]] = {}
    for row in np.flatnonzero(there).tolist():
        devices = int(nodes.device_mask[row]).bit_count()
        size = (devices, int(nodes.cores_milli[row]), int(nodes.memory_mib[row]), int(nodes.accelerator[row]))
        sizes.setdefault(size, []).append(row)
    return max(sizes.items(), key=lambda item: (len(item[1]), item[0]))[1][0]


def _node_state(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    node = said.word("NODE")
    if node not in s.nodes.ids:
        site = node.split("/")[0]
        return _unknown(said, "node", node, [id for id in s.nodes.ids if id.startswith(site)] or s.nodes.ids)
    row, state = s.nodes.ids.index(node), said.word("")
    found = with_column(s, "nodes", "usable", row, state in ("up", "open"))
    if state in ("drained", "open"):
        return found
    n = s.nodes  # what is down draws nothing, and nobody tells what it drew before: what nodes like it draw
    alike = (n.site == n.site[row]) & (n.accelerator == n.accelerator[row]) & (n.cores_milli == n.cores_milli[row])
    return with_column(found, "nodes", "idle_mw", row, int(n.idle_mw[alike].max()) if state == "up" else 0)


# -- work and money -------------------------------------------------------------------------------------------------------


def _workload_gone(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    workload = asker.workload(said)
    if not _knows(s, asker, workload):
        return _unknown(said, "workload", workload)
    placed = _among(s.attempts.workloads, workload)
    if said.word("") == "ended" and not placed.any():
        return refused(said.text, "not_placed", workload)
    s = without_attempts(s, placed)
    return s if said.word("") == "ended" else without_pending(s, _among(s.pending.ids, workload))


def _demand(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    """Ask for something else, within the bounds of what can be submitted."""
    bounds = {
        "workers": (1, s.policy.workers_max), "workers_min": (1, s.policy.workers_max), "devices": (1, DEVICES_MAX),
        "cores": (1, CORES_MILLI_MAX), "memory": (1, MEMORY_MIB_MAX), "limit": (LIMIT_MS_MIN, s.policy.limit_ms_max),
    }  # fmt: skip
    what = said.text.split()[2]
    value = next(v for v in said.values.values() if isinstance(v, int))
    least, most = bounds[what]
    if not least <= value <= most:
        unit = {"limit": "_ms", "cores": "_milli", "memory": "_mib"}.get(what, "")
        return refused(said.text, "beyond", said.text.split()[3], **{f"least{unit}": least, f"most{unit}": most})
    if what == "limit":
        return _changed(s, said, asker, Change(limit_ms=value + asker.grace_ms(asker.workload(said))))
    return _changed(s, said, asker, replace(Change(), **{DEMANDS[what]: value}))  # type: ignore[arg-type]


def _priority(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    name = said.word("CLASS")
    if s.policy.priority_class(name) is None:
        return _unknown(said, "class", name, [c.name for c in s.policy.classes])
    return _changed(s, said, asker, Change(priority=name))


def _accelerators(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    types = said.words("TYPES")
    strange = next((t for t in types if t not in s.accelerators), None)
    if strange is not None:
        return _unknown(said, "accelerator", strange, s.accelerators)
    return _changed(s, said, asker, Change(accelerators=types))


def _any_site(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    return _changed(s, said, asker, Change(all_sites=True))


def _topology(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    return _changed(s, said, asker, Change(topology=said.word("")))


def _changed(s: Snapshot, said: Supposition, asker: Asker, change: Change) -> Snapshot | Reason:
    workload = asker.workload(said)
    row = row_of_waiting(s.pending, workload)
    if not _knows(s, asker, workload):
        return _unknown(said, "workload", workload)
    if row is None:
        return refused(said.text, "not_waiting", workload)
    return apply_change(s, row, change, asker.rater(workload, int(s.pending.priority[row])))


def _project_gone(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    project = said.word("PROJECT")
    if project not in s.projects.ids or not asker.names(project):
        return _unknown(said, "project", project)
    number = s.projects.ids.index(project)
    return without_pending(without_attempts(s, projects_of(s.attempts) == number), s.pending.project == number)


def _more_won(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    """One more award that is good everywhere. Money that nobody waits to spend changes no plan."""
    project = said.word("PROJECT")
    if project not in s.projects.ids or not asker.names(project):
        return _unknown(said, "project", project)
    waiting = np.flatnonzero(s.pending.project == s.projects.ids.index(project)).tolist()
    return apply_change(s, waiting[0], Change(funds_won=said.number("+WON"))) if waiting else s


def _knows(s: Snapshot, asker: Asker, workload: str) -> bool:
    """Whether there is this workload, as far as the asker may know."""
    rows = [*s.pending.project[_among(s.pending.ids, workload)], *projects_of(s.attempts)[_among(s.attempts.workloads, workload)]]
    return bool(rows) and all(asker.projects is None or (row >= 0 and asker.names(s.projects.ids[row])) for row in rows)


def _among(ids: Sequence[str], id: str) -> Bool:
    return np.fromiter((i == id for i in ids), np.bool_, len(ids))


# -- rules and time -------------------------------------------------------------------------------------------------------


def _quota(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    project, type, most = said.word("PROJECT"), said.word("TYPE"), said.number("NUMBER")
    if project not in s.projects.ids or not asker.names(project):
        return _unknown(said, "project", project)
    if type != CORE and type not in s.accelerators:
        return refused(said.text, "nothing_alike", type, site="", known=[*s.accelerators, CORE])
    of, resource = f"project:{project}", CORE if type == CORE else DEVICE + type
    fresh = Quota(of=of, resource=resource, nominal_milli=0)
    own = next((q for q in s.policy.quotas if (q.of, q.resource) == (of, resource)), fresh)
    policy = replace(s.policy, quotas=(*s.policy.quotas, replace(own, nominal_milli=MILLI * most)))
    return replace(s, policy=policy, quotas=quotas_of(policy.quotas, s.shares, s.projects, s.accelerators, s.quotas.used))


def _policy(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    name, value = said.word("FIELD"), said.number("VALUE")
    if name not in PLANNED:
        return refused(said.text, "not_planned", name, known=list(PLANNED))
    least, most = PLANNED[name]
    if not least <= value <= most:
        unit = "_ms" if name.endswith("_ms") else ""
        return refused(said.text, "beyond", said.text.split()[2], **{f"least{unit}": least, f"most{unit}": most})
    changes: dict[str, int] = {name: bool(value) if isinstance(getattr(s.policy, name), bool) else value}
    return replace(s, policy=replace(s.policy, **changes))  # type: ignore[arg-type]


def _later(s: Snapshot, said: Supposition, asker: Asker) -> Snapshot | Reason:
    """Time passes: what has reached its limit is gone, but at a site that does not answer nobody would know. What is moved has
    its limit from when it has left on."""
    now_ms = s.now_ms + said.number("+TIME")
    ends, begun, moved = latest_ends(s), s.attempts.started_ms.copy(), s.attempts.follows >= 0
    begun[moved] = ends[s.attempts.follows[moved]]
    attempts = replace(s.attempts, started_ms=begun, ends_ms=np.where(moved, ends, s.attempts.ends_ms))
    s, heard = replace(s, attempts=attempts), np.ones(len(attempts.ids), np.bool_)
    owner = owners(s)
    np.logical_and.at(heard, owner, s.sites.reachable[s.nodes.site[attempts.worker_node]])
    return without_attempts(replace(s, now_ms=now_ms), (attempts.ends_ms <= now_ms) & heard)


def _unknown(said: Supposition, what: str, token: str, known: Sequence[str] = ()) -> Reason:
    """There is none of that name; which there are, where these are not secret and few enough to read."""
    return refused(said.text, "not_there", token, what=what, known=list(known) if len(known) <= KNOWN_MAX else [])


FORMS: tuple[Form, ...] = (
    Form("site SITE drained|open", _site_state,
         "Nothing new starts at the site, or starts there again.",
         "사이트에서 새 작업을 시작하지 않거나 다시 시작합니다."),
    Form("site SITE reachable|unreachable", _site_state,
         "The site answers, or does not.",
         "사이트와 연결되거나 끊깁니다."),
    Form("site SITE power WATTS", _power,
         "The site may draw so much from now on: 60kW, 1.5MW.", "사이트가 지금부터 그만큼의 전력을 쓸 수 있습니다: 60kW, 1.5MW."),
    Form("site SITE power none", _power,
         "Nothing limits what the site draws.", "사이트의 전력에 상한이 없습니다."),
    Form("site SITE maintenance none", _never_closed,
         "No maintenance is planned at the site.", "사이트에 예정된 점검이 없습니다."),
    Form("site SITE +COUNT nodes [TYPE]", _more_nodes,
         "The site has that many more empty nodes, like those of which it has most (with that accelerator).",
         "사이트에 (해당 가속기의) 가장 흔한 노드와 같은 빈 노드가 그만큼 더 있습니다."),
    Form("node NODE up|down|drained|open", _node_state,
         "The node may be used (up, open), or nothing new starts on it (down, drained).",
         "노드를 쓸 수 있거나(up, open) 새 작업을 시작하지 않습니다(down, drained)."),
    Form("farm drained|open", _farm,
         "Nothing new starts anywhere, or everywhere again.",
         "어디서도 새 작업을 시작하지 않거나 다시 시작합니다."),
    Form("workload WORKLOAD gone|ended", _workload_gone,
         "It no longer waits and its place is free (gone), or only what runs of it has ended just now (ended).",
         "더는 대기하지 않고 자리가 비거나(gone), 실행 중인 시도만 방금 끝났습니다(ended)."),
    Form("workload WORKLOAD limit TIME", _demand,
         "It asks for that limit.", "제한 시간을 그렇게 요청합니다."),
    Form("workload WORKLOAD workers|devices NUMBER", _demand,
         "It asks for so many workers, or devices for each.", "워커 수나 워커마다의 장치 수를 그렇게 요청합니다."),
    Form("workload WORKLOAD workers_min NUMBER", _demand,
         "It runs with so few workers, and gets as many of those that it asks for as there are.",
         "그만큼의 워커만으로도 실행하며, 요청한 수까지 있는 만큼 받습니다."),
    Form("workload WORKLOAD cores CORES", _demand,
         "It asks for so many cores for each worker.", "워커마다 코어를 그만큼 요청합니다."),
    Form("workload WORKLOAD memory MEMORY", _demand,
         "It asks for so much memory for each worker.", "워커마다 메모리를 그만큼 요청합니다."),
    Form("workload WORKLOAD priority CLASS", _priority,
         "It is of that priority class, at its price.", "그 우선순위와 그 가격으로 요청합니다."),
    Form("workload WORKLOAD accelerators TYPES", _accelerators,
         "It accepts these types (a,b: best first) instead of its own.", "가속기를 (a,b: 선호순) 그 종류로 받습니다."),
    Form("workload WORKLOAD sites any", _any_site,
         "It may run at every site.", "모든 사이트를 허용합니다."),
    Form("workload WORKLOAD topology any|block", _topology,
         "Its workers may sit anywhere at a site, or have to sit in one topology block.",
         "워커가 사이트 어디에나 앉거나, 한 토폴로지 블록에 앉아야 합니다."),
    Form("project PROJECT gone", _project_gone,
         "Nothing of the project waits or runs.", "과제의 작업이 하나도 대기하거나 실행되지 않습니다."),
    Form("project PROJECT funds +WON", _more_won,
         "The project has so much more won, good everywhere.", "과제에 어디서나 쓸 수 있는 원화가 그만큼 더 있습니다."),
    Form("project PROJECT quota TYPE NUMBER", _quota,
         "Of that accelerator, or of `core`, the project has a quota of so many of its own.",
         "그 가속기(또는 `core`)에 대한 과제 자신의 쿼터가 그만큼입니다."),
    Form("policy FIELD VALUE", _policy,
         "This whole number of the policy is another: backfill_depth, min_run_ms, moves and reclaims (0 or 1), reservations_max.",
         "정책의 정수 항목이 바뀝니다: backfill_depth, min_run_ms, moves와 reclaims(0 또는 1), reservations_max."),
    Form("now +TIME", _later,
         "So much time has passed, nothing has started, and what has reached its limit is gone.",
         "그만큼 시간이 지나, 새로 시작한 것은 없고 제한 시간이 다 된 것은 끝났습니다."),
)  # fmt: skip
USAGES: tuple[str, ...] = tuple(form.usage for form in FORMS)
_APPLY = MappingProxyType({form.usage: form.apply for form in FORMS})
