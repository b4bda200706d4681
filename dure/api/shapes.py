"""What answers look like, for openapi.json. Answers themselves are built by `documents.py`; a test holds the two together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from dure.controller import QuotaUse, SoFar
from dure.model.funding import Account, Award, Programme
from dure.model.policy import Policy, PolicyChange
from dure.model.site import Node, Quarantine, Site
from dure.model.tenancy import Actor, Grant, Project
from dure.model.workload import Attempt, Workload

T = TypeVar("T")


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Page(Shape, Generic[T]):
    """`next` goes into `cursor` of the next request; it is "" behind the last page."""

    items: list[T]
    next: str


class TextShape(Shape):
    title: str
    detail: str
    remedy: str


class PlainReason(Shape):
    kind: str
    facts: dict[str, Any]


class ReasonShape(PlainReason):
    """Why something is not (yet) so, with words in the language of Accept-Language (en or ko)."""

    text: TextShape


class Problem(Shape):
    """RFC 9457. `reason` is the first of `reasons`."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    reason: PlainReason
    reasons: list[PlainReason]
    instance: str = ""


class MeShape(Shape):
    actor: str
    kind: str
    name: str
    grants: list[Grant]
    projects: list[str] | None = Field(description="ids of the visible projects; null: all")


class Members(Shape):
    items: list[Grant]


@dataclass(frozen=True, kw_only=True)
class ProjectShape(Project):
    members: tuple[Grant, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ActorShape(Actor):
    name: str = ""
    email: str = ""
    grants: tuple[Grant, ...] = ()


class CredentialShape(Shape):
    """A token as it is remembered: never its secret, nor a digest of it."""

    id: str
    actor: str
    label: str
    made_with: str = Field(description="the token with which it was made; empty: the plane made it, on its own machine")
    made_by: str = Field(description="the actor that made it")
    within: list[str] = Field(description="the projects beyond which it opens nothing; empty: no such bound")
    created_ms: int
    expires_ms: int
    revoked_ms: int


class NewTokenShape(CredentialShape):
    token: str = Field(description="shown this once; empty when the request was repeated")


@dataclass(frozen=True, kw_only=True)
class ProgrammeShape(Programme):
    available: int = 0  # whole units of `currency` that may still be awarded


@dataclass(frozen=True, kw_only=True)
class AwardShape(Award):
    """available + held + spent + withdrawn, less what was refunded, is the amount; of an expired one, what it still had went back
    to its programme (`lapsed`). `standing`: `open`, `later` (it opens at `starts_ms`) or `ended`."""

    standing: str = "open"
    available: int = 0
    held: int = 0
    spent: int = 0
    refunded: int = 0
    lapsed: int = 0


@dataclass(frozen=True, kw_only=True)
class PolicyShape(Policy):
    """`changes`: in what it differs from the version before it; of a class, a price or a quota each by itself. Quotas of tenants
    that the caller may not see are left out of both."""

    changes: tuple[PolicyChange, ...] = ()


class QuotasShape(Shape):
    as_of_ms: int
    policy_version: int
    items: list[QuotaUse]


class SubmittedShape(Shape):
    ids: list[str]
    array_id: str = Field(description="cancels, lists and follows all elements; empty without an array")
    quoted_won: int = Field(description="the most that one element may cost per attempt; -1: cannot be paid in won")
    limit_ms: int


class ResubmittedShape(SubmittedShape):
    origin: str = Field(description="the workload or array of which it is a changed copy")


@dataclass(frozen=True, kw_only=True)
class WorkloadShape(Workload):
    """`reason`: why it waits, or how it ended; {} while it runs."""

    promised_ms: int = 0  # a start that rests on limits; 0 when none is promised


@dataclass(frozen=True, kw_only=True)
class AttemptShape(Attempt):
    """`so_far`: what one that still runs has used until now; null for one that has ended or not begun."""

    so_far: SoFar | None = None


class ArrayShape(Shape):
    id: str
    project: str
    states: dict[str, int]
    elements: int
    ids: list[str]
    next: str


class Cancelled(Shape):
    """Of a workload by itself, or one element."""

    items: list[WorkloadShape]


class CancelledArray(Shape):
    """`states`: how many elements are in each, those with none left out. The elements are listed by `/workloads?array=`."""

    array_id: str
    states: dict[str, int]
    elements: int


class BundleShape(Shape):
    project: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class SiteShape(Site):
    power_watts: int = -1  # what it may draw now; -1: no cap
    silent_ms: int = 0  # since the plane last noted a word of its agent (noted at most every ten seconds)
    reachable: bool = False
    nodes: tuple[Node, ...] = ()
    attempts: tuple[Attempt, ...] = ()  # those that have not ended
    quarantined: tuple[Quarantine, ...] = ()  # those set aside that may still run; for who operates the site
    use: Annotated[Mapping[str, int], Field(description="what is up and what of it is in use now, each by its name")] = field(
        default_factory=dict
    )


class FarmShape(Shape):
    incarnation: int
    leader_epoch: int
    sealed_seq: int
    sealed_hash: str
    public_key: str
    draining: bool
    now_ms: int
    sites: int
    nodes: int
    nodes_in_use: int
    workloads: dict[str, int]
    attempts: dict[str, int]
    controller: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class AccountShape(Account):
    balance: int = 0  # credits less debits, posted


class Document(BaseModel):
    """A document of the controller; see the text of the operation."""

    model_config = ConfigDict(extra="allow")
