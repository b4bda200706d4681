"""Who does something, when, and the trace that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dure.model.codec import to_plain
from dure.model.event import Event, digest
from dure.model.tenancy import Credential
from dure.model.workload import Evidence
from dure.ports import Entropy, Tx

CONTROLLER = "controller"  # the actor of what time asks for


def _nobody() -> None:
    return None


def _none(project: str) -> int:
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """The circumstances of a command: actor, moment, a source of ids, whom to wake once it is durable, how many of a project's
    workloads wait, as the controller last saw it, and the credential that the actor showed ("": none, on the plane's machine)."""

    actor: str
    now_ms: int
    entropy: Entropy
    notify: Callable[[], None] = _nobody
    waiting: Callable[[str], int] = _none
    credential: str = ""

    def new_id(self, prefix: str) -> str:
        return self.entropy.new_id(prefix, self.now_ms)


def touch(*records: Any) -> tuple[str, ...]:
    """Names of records for `Event.touched`: followers read them again."""
    return tuple(f"{type(r).__name__}:{r.id}" for r in records)


def record(
    tx: Tx,
    deed: Deed,
    kind: str,
    subject: str,
    *,
    project: str = "",
    site: str = "",
    data: Mapping[str, Any] | None = None,
    touched: Sequence[str] = (),
) -> Event:
    """Append an event, unsealed, in the transaction of what it tells of; wake whoever follows once it is durable."""
    event = Event(
        id=deed.new_id("ev"),
        at_ms=deed.now_ms,
        actor=deed.actor,
        kind=kind,
        subject=subject,
        project=project,
        site=site,
        data=dict(data or {}),
        touched=tuple(touched),
    )
    tx.insert(event)
    tx.after_commit(deed.notify)
    return event


def record_digest(row: Any) -> str:
    """What a record says that never changes after it was made: for the event that tells of its making, so that the chain
    seals prices, dates and eligibility too. What does change (version, expired, withdrawn) is left out."""
    plain = to_plain(row)
    return digest({k: v for k, v in plain.items() if k not in ("version", "expired", "withdrawn")} | {"kind": type(row).__name__})


def fingerprint(credential: Credential) -> str:
    """By which a credential's event tells whether its secret is still the same: not the stored digest itself, which is for the
    door alone."""
    return digest(["dure-credential", credential.id, credential.digest])


_NO_EVIDENCE = to_plain(Evidence())


def evidence_digest(evidence: Evidence) -> str:
    """All that a site can show for an attempt, but what is not there to show: a member that is added later changes nothing."""
    return digest({name: value for name, value in to_plain(evidence).items() if value != _NO_EVIDENCE[name]})
