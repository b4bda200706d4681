"""Who does something, when, and the trace that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from dure.model.codec import to_plain
from dure.model.event import Event, digest
from dure.model.funding import Award
from dure.model.policy import Policy, Price, PriorityClass
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
    workloads wait, as the controller last saw it, and the credential that the actor showed ("": none, on the plane's machine).

    made_by: who made that credential, where it opens some projects alone and so may be in another's hands; "" for any other."""

    actor: str
    now_ms: int
    entropy: Entropy
    notify: Callable[[], None] = _nobody
    waiting: Callable[[str], int] = _none
    credential: str = ""
    made_by: str = ""

    def new_id(self, prefix: str) -> str:
        return self.entropy.new_id(prefix, self.now_ms)

    def shown(self) -> dict[str, str]:
        """What an event tells of the credential besides its actor. Who made it for the actor has seen its secret, so the actor's
        id alone does not say who acted."""
        return {"credential": self.credential, "made_by": self.made_by} if self.made_by else {}


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
        data={**(data or {}), **deed.shown()},
        touched=tuple(touched),
    )
    tx.insert(event)
    tx.after_commit(deed.notify)
    return event


# Members of which a class told from the first on, in digests that stand in the chain for ever. One that is not named here came
# later and is told where it has not its default: so records that were made without it keep the digest that they had.
_FIRST: Mapping[type[Any], frozenset[str]] = {
    Policy: frozenset(
        {"id", "classes", "prices", "limit_ms_default", "limit_ms_max", "min_run_ms", "half_life_ms", "backfill_depth",
         "reservations_max", "preemptible_permille", "rejections_max", "retry_pause_ms", "array_max", "workers_max",
         "retries_max", "waiting_max", "site_silent_ms", "created_ms"}
    ),
    PriorityClass: frozenset({"name", "value", "preempts"}),
    Price: frozenset({"resource", "nano", "currency"}),
    Award: frozenset(
        {"id", "programme", "project", "currency", "amount", "starts_ms", "expires_ms", "sites", "accelerators", "awarded_by",
         "created_ms"}
    ),
}  # fmt: skip
_CHANGING = frozenset({"version", "expired", "withdrawn"})


def record_digest(row: Any) -> str:
    """What a record says that never changes after it was made: for the event that tells of its making, so that the chain
    seals prices, dates and eligibility too. What does change (version, expired, withdrawn) is left out."""
    return digest({name: value for name, value in _said(row).items() if name not in _CHANGING} | {"kind": type(row).__name__})


def _said(value: Any) -> Any:
    """As plain data, without members that came later and hold their default."""
    first = _FIRST.get(type(value))
    if isinstance(value, tuple):
        return [_said(item) for item in value]
    if first is None:
        return to_plain(value)
    told = ((f, getattr(value, f.name)) for f in fields(value))
    return {f.name: _said(held) for f, held in told if f.name in first or held != _default(f)}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def fingerprint(credential: Credential) -> str:
    """By which a credential's event tells whether its secret is still the same: not the stored digest itself, which is for the
    door alone."""
    return digest(["dure-credential", credential.id, credential.digest])


_NO_EVIDENCE = to_plain(Evidence())


def evidence_digest(evidence: Evidence) -> str:
    """All that a site can show for an attempt, but what is not there to show: a member that is added later changes nothing."""
    return digest({name: value for name, value in to_plain(evidence).items() if value != _NO_EVIDENCE[name]})
