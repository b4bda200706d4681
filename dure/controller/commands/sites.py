"""Sites and nodes as their operators see them."""

from __future__ import annotations

from dataclasses import replace

from dure.controller.commands.agents import UNACCOUNTED, settle_quarantine
from dure.controller.commands.resurfaced import order_stop
from dure.controller.deed import Deed, record, touch
from dure.controller.lifecycle import end_attempt, free_claim, preempt, stays_stopped, withdraw_claim
from dure.controller.rules import bad, exists, not_found, plane_of, policy_of
from dure.model.reason import Reason, ReasonKind
from dure.model.records import Plane
from dure.model.site import Node, Quarantine, Site
from dure.model.workload import Attempt, AttemptState, Outcome
from dure.ports import Tx

ATTESTED = "attested_lost"  # `Evidence.detail` of what an operator stated


def create_site(
    tx: Tx,
    deed: Deed,
    *,
    id: str,
    name: str = "",
    region: str = "",
    jurisdiction: str = "KR",
    owner_kind: str = "public",
    pue_permille: int = 1300,
) -> Site | Reason:
    if tx.get(Site, id) is not None:
        return exists("site", id)
    if not 1000 <= pue_permille <= 5000:  # below 1 contradicts physics, above 5 is a slip of the pen
        return (
            bad("pue_permille", "too_small", limit=1000) if pue_permille < 1000 else bad("pue_permille", "too_large", limit=5000)
        )
    site = Site(id=id, name=name, region=region, jurisdiction=jurisdiction, owner_kind=owner_kind, pue_permille=pue_permille)
    tx.insert(site)
    record(tx, deed, "site.created", id, site=id, data={"region": region}, touched=touch(site))
    return site


def drain_site(tx: Tx, deed: Deed, *, site: str, drained: bool) -> Site | Reason:
    """Start nothing more at a site (or again). What runs there runs on."""
    row = tx.get(Site, site)
    if row is None:
        return not_found("site", site)
    if row.drained == drained:
        return row
    changed: Site = tx.update(replace(row, drained=drained))
    record(tx, deed, "site.drained" if drained else "site.undrained", site, site=site, touched=touch(changed))
    return changed


def drain_node(tx: Tx, deed: Deed, *, node: str, drained: bool) -> Node | Reason:
    row = tx.get(Node, node)
    if row is None:
        return not_found("node", node)
    if row.drained == drained:
        return row
    changed: Node = tx.update(replace(row, drained=drained))
    kind = "node.drained" if drained else "node.undrained"
    record(tx, deed, kind, node, site=row.site, touched=touch(changed))
    return changed


def drain_farm(tx: Tx, deed: Deed, *, draining: bool) -> Plane:
    """Start nothing more anywhere (or again)."""
    plane = plane_of(tx)
    if plane.draining == draining:
        return plane
    changed: Plane = tx.update(replace(plane, draining=draining))
    record(tx, deed, "farm.drained" if draining else "farm.undrained", "plane", touched=touch(changed))
    return changed


def stop_attempt(tx: Tx, deed: Deed, *, attempt: str) -> Attempt | Reason:
    """An operator preempts one attempt: it is stopped, refunded by the rule, and its workload waits again.

    Again changes nothing, whether it is still stopping or has been stopped; ALREADY_ENDED of one that ended otherwise."""
    row = tx.get(Attempt, attempt)
    if row is None:
        return not_found("attempt", attempt)
    if row.state == AttemptState.ENDED and row.stop_cause != Outcome.PREEMPTED and row.outcome != Outcome.WITHDRAWN:
        return Reason.of(ReasonKind.ALREADY_ENDED, what="attempt", id=attempt, state=row.outcome.value)
    if row.state == AttemptState.CLAIMED:  # nothing of it was launched
        return withdraw_claim(tx, deed, row)
    if row.state == AttemptState.STOPPING and row.move.attempt:  # it was to go on elsewhere
        return stays_stopped(tx, deed, row, by="operator")
    if row.state not in (AttemptState.LAUNCHING, AttemptState.RUNNING):
        return row
    return preempt(tx, deed, row, by="operator")


def attest_lost(tx: Tx, deed: Deed, *, attempt: str, force: bool = False) -> Attempt | Reason:
    """An operator states that an attempt is dead for certain, so that its workload may run again.

    This is the only way to give up an attempt at a site that does not answer: a lost link proves nothing. SITE_REACHABLE of one
    at a site that does, and that can therefore be stopped, unless `force`. Should it live all the same, its site is told to stop
    it with the next word, and its place is nobody's until the site has told of its end. Stated again, it changes nothing;
    ALREADY_ENDED of an attempt that ended otherwise."""
    row = tx.get(Attempt, attempt)
    if row is None:
        return not_found("attempt", attempt)
    if row.state == AttemptState.ENDED and row.evidence.detail == ATTESTED:
        return row
    if row.state == AttemptState.ENDED:
        return Reason.of(ReasonKind.ALREADY_ENDED, what="attempt", id=attempt, state=row.outcome.value)
    if not force and _is_reachable(tx, deed, row):
        return Reason.of(ReasonKind.SITE_REACHABLE, attempt=attempt, site=row.site)
    settle_quarantine(tx, deed, attempt, "attested")
    evidence = replace(row.evidence, detail=ATTESTED)
    if row.state == AttemptState.CLAIMED:  # nothing of it was launched
        return end_attempt(tx, deed, row, Outcome.WITHDRAWN, evidence)
    order_stop(tx, deed, row, forced=force)
    return end_attempt(tx, deed, row, Outcome.LOST, evidence)


def _is_reachable(tx: Tx, deed: Deed, attempt: Attempt) -> bool:
    """Whether its site can be asked to stop it. A site that has said itself that it knows nothing of it cannot."""
    aside = tx.get(Quarantine, attempt.id)
    if aside is not None and not aside.resolved and aside.observation.get("phase") == UNACCOUNTED:
        return False
    site = tx.get(Site, attempt.site)
    silent_ms = deed.now_ms - site.last_seen_ms if site is not None else 0
    return site is not None and site.agent_epoch > 0 and silent_ms <= policy_of(tx).site_silent_ms


def resolve_quarantine(tx: Tx, deed: Deed, *, attempt: str, force: bool = False) -> Quarantine | Reason:
    """An operator has looked at an attempt that the plane did not know, and dismisses it.

    Its place is given to others from then on, so STILL_RUNS of one whose end its site has not told of (also of one that was
    attested lost), unless `force`: the operator knows better. Dismissed again, it stays as it was."""
    row = tx.get(Quarantine, attempt)
    if row is not None and row.holds_place and not force:
        return Reason.of(ReasonKind.STILL_RUNS, attempt=attempt, site=row.site)
    settled = settle_quarantine(tx, deed, attempt, "dismissed")
    victim = tx.get(Attempt, attempt)
    if victim is not None and victim.beneficiary:
        free_claim(tx, deed, victim.beneficiary)
    return settled or not_found("quarantine", attempt)


def stop_quarantined(tx: Tx, deed: Deed, *, attempt: str) -> Quarantine | Reason:
    """Have the site stop an attempt that the plane does not know. It stays set aside: somebody still has to dismiss it.

    Again changes nothing, nor does it for one that is being stopped anyway, having been attested lost. ALREADY_ENDED of one that
    ended or was resolved; UNACCOUNTED of one that its site knows nothing of."""
    row = tx.get(Quarantine, attempt)
    if row is None:
        return not_found("quarantine", attempt)
    if row.stopping:
        return row
    phase = row.observation.get("phase", "")
    if not row.resolved and phase == UNACCOUNTED:
        return Reason.of(ReasonKind.UNACCOUNTED, attempt=attempt, site=row.site)
    if row.resolved or not row.may_run:
        return Reason.of(ReasonKind.ALREADY_ENDED, what="attempt", id=attempt, state=row.resolved or phase)
    changed: Quarantine = tx.update(replace(row, stopping=True))
    record(tx, deed, "quarantine.stopping", attempt, site=row.site, touched=touch(changed))
    return changed
