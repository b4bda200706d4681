"""What requests may say: one strict model a body. Bounds here are of form; rules of substance are the controller's."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from dure.api import forms
from dure.api.jobfile import Body, Id, Job, Slug, Word
from dure.api.units import Count, EndMs, StartMs, fault
from dure.controller.commands.traits import CARBON_MAX, DATASETS_MAX, POWER_PRICE_MAX
from dure.model.accelerators import SPEED_MILLI_MAX, Speed
from dure.model.envelope import WATTS_MAX
from dure.model.policy import (
    NO_LIMIT,
    PRICE_PERMILLE_MAX,
    QUOTA_MILLI_MAX,
    QUOTAS_MAX,
    SPEEDS_MAX,
    WEIGHT_MAX,
    Packing,
    Policy,
    Preference,
    Price,
    PriorityClass,
    Quota,
    Taste,
    TurnOrder,
)
from dure.model.site import UNTOLD
from dure.model.tenancy import Role
from dure.scheduler import SUPPOSED_MAX

AMOUNT_MAX = 2**53 - 1  # the largest integer that every JSON reader keeps
MS_MAX = 400 * 86_400_000


def _line(text: str) -> str:
    """One line that shows what it holds: nothing that steers a terminal, breaks a line or turns its direction around."""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in JOINERS:
            raise fault("control_characters", code=f"U+{ord(character):04X}")
    return text


def _told(text: str) -> str:
    if not text.strip():
        raise fault("empty")
    return text


JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # within words of some scripts, and within emoji
Name = Annotated[
    str,
    Field(min_length=1, max_length=200, description="as people read it: one line"),
    AfterValidator(_line),
    AfterValidator(_told),
]
Label = Annotated[str, Field(max_length=200, description="as people read it: one line, or nothing"), AfterValidator(_line)]
Weight = Annotated[int, Field(ge=1, le=1_000_000)]
Amount = Annotated[int, Field(ge=1, le=AMOUNT_MAX, description="whole units of the currency")]
Scope = Annotated[str, Field(pattern=forms.SCOPE.pattern, description='an id, or "*" for everywhere')]
RoleName = Literal["admin", "operator", "officer", "manager", "member", "auditor", "agent"]
CurrencyName = Literal["KRW", "ACS"]


class OrganisationIn(Body):
    id: Slug
    name: Name
    kind: Literal["university", "institute", "sme", "startup", "public", "enterprise", "supplier"] = "sme"
    parent: str = Field(default="", max_length=63)
    weight: Weight = 1


class ProjectIn(Body):
    id: Slug
    name: Name
    organisation: Slug
    partners: list[Slug] = Field(default=[], max_length=100)
    weight: Weight = 1


class MemberIn(Body):
    actor: Id
    role: Literal["manager", "member"] = "member"


class GrantIn(Body):
    role: RoleName
    scope: Scope = "*"

    def pair(self) -> tuple[Role, str]:
        return Role(self.role), self.scope


class ActorIn(Body):
    name: Name
    email: str = Field(default="", max_length=254, pattern=forms.EMAIL.pattern)
    kind: Literal["person", "service"] = "person"
    grants: list[GrantIn] = Field(default=[], max_length=50)


class TokenIn(Body):
    label: Label = ""
    expires: EndMs | None = Field(default=None, description="absent: does not expire")


class ProgrammeIn(Body):
    id: Slug
    name: Name
    currency: CurrencyName = "KRW"
    budget: Amount
    starts: StartMs
    ends: EndMs


class FundsIn(Body):
    amount: Amount


class AwardIn(Body):
    programme: Slug
    project: Slug
    amount: Amount
    starts: StartMs
    expires: EndMs = Field(description="last day, or the first moment at which nothing more can be held")
    sites: list[Word] = Field(default=[], max_length=256)
    accelerators: list[Word] = Field(default=[], max_length=64)


class WorkloadIn(Body):
    project: Slug
    job: Job
    array: Count | None = Field(default=None, ge=1, description="as `job.array`, and instead of it")

    @model_validator(mode="after")
    def _one_array(self) -> WorkloadIn:
        if self.array and self.job.array and self.array != self.job.array:
            raise fault("duplicate", of="array")
        return self

    def elements(self) -> int:
        """How many elements; 0: no array."""
        return self.array or self.job.array or 0


class ResubmitIn(Body):
    """What is to be different. Nothing: the same again."""

    job: dict[str, Any] = Field(
        default={},
        description="members of the job to change; null takes one back to its default; `resources` and `env` by member",
    )
    array: Count | None = Field(default=None, ge=1, description="how many elements; absent: as many as it had")
    project: Id | Literal[""] = Field(default="", description="project that it is of then; absent: the same")


class WhatIfIn(Body):
    """Suppositions, in the words of docs/reference/suppositions.md."""

    what_if: list[str] = Field(
        min_length=1, max_length=SUPPOSED_MAX, description='what is supposed, in this order, such as "site pohang +2 nodes"'
    )


class DismissIn(Body):
    """Nothing: only of one that has ended."""

    force: bool = Field(default=False, description="also while its site was last heard to run it: its place is given away")


class AttestIn(Body):
    """Nothing: only at a site that does not answer."""

    force: bool = Field(default=False, description="also at a site that answers: the operator knows that it is dead")


class SiteIn(Body):
    id: Slug
    name: Label = ""
    region: str = Field(default="", pattern=forms.REGION.pattern, description="ISO 3166-2")
    jurisdiction: str = Field(default="KR", pattern=forms.COUNTRY.pattern)
    owner_kind: Literal["public", "private"] = "public"
    pue_permille: int = Field(default=1300, ge=1000, le=5000)


class PowerIn(Body):
    """From a moment until another, a site draws at most so much; behind that it is as it was."""

    watts: int | None = Field(ge=0, le=WATTS_MAX, description="at the meter, cooling included; null: no cap")
    starts: StartMs | None = Field(default=None, description="absent, or in the past: now")
    ends: EndMs | None = Field(default=None, description="last day, or first moment after it; absent: for ever")


class TraitsIn(Body):
    """What is known of a site now; what is left out stays as it is."""

    carbon_g_kwh: int | None = Field(
        default=None, ge=UNTOLD, le=CARBON_MAX, description="grams of CO₂ in a kilowatt-hour of its power; -1: nobody knows"
    )
    power_krw_mwh: int | None = Field(
        default=None, ge=UNTOLD, le=POWER_PRICE_MAX, description="won for a megawatt-hour of its power; -1: nobody knows"
    )
    datasets: list[Slug] | None = Field(default=None, max_length=DATASETS_MAX, description="all data sets that are there")


class MaintenanceIn(Body):
    """Nothing may run on a site, or on some of its nodes, for a while. What runs when it begins is not stopped."""

    starts: StartMs | None = Field(default=None, description="absent: now")
    ends: EndMs = Field(description="last day, or first moment after it")
    nodes: list[Id] = Field(default=[], max_length=1000, description="names of nodes within the site; empty: the whole site")
    note: Label = Field(default="", description="what everybody who uses the site reads; names no people")


WithdrawalWord = Literal["other", "wrong_project", "wrong_amount", "not_needed", "project_ended", "rules_broken"]


class WithdrawalIn(Body):
    amount: Amount | None = Field(default=None, description="whole units of the currency; absent: all that can be taken back")
    reason: WithdrawalWord = Field(default="other", description="why, for the record, which is never erased")


class PriorityClassIn(Body):
    name: Word
    value: int = Field(ge=-1_000_000, le=1_000_000)
    preempts: bool = False
    yields: bool = False
    price_permille: int = Field(default=1000, ge=1, le=PRICE_PERMILLE_MAX)


class PriceIn(Body):
    resource: str = Field(pattern=forms.RESOURCE.pattern)
    nano: int = Field(ge=0, le=10**15, description="billionths of a unit of `currency`, per unit of it and second")
    currency: CurrencyName = "KRW"


class QuotaIn(Body):
    """Amounts in thousandths of a device or of a core. -1: no limit."""

    of: str = Field(pattern=forms.QUOTA_OF.pattern)
    resource: str = Field(pattern=forms.QUOTA_RESOURCE.pattern)
    nominal_milli: int = Field(ge=0, le=QUOTA_MILLI_MAX)
    borrow_max_milli: int = Field(default=NO_LIMIT, ge=NO_LIMIT, le=QUOTA_MILLI_MAX)
    lend_max_milli: int = Field(default=NO_LIMIT, ge=NO_LIMIT, le=QUOTA_MILLI_MAX)


class PreferenceIn(Body):
    """By what a plan prefers one place to another, and what it never takes."""

    taste: Taste = Field(strict=False)
    weight: int = Field(default=0, ge=0, le=WEIGHT_MAX, description="against other preferences")
    most: int = Field(default=NO_LIMIT, ge=NO_LIMIT, le=10**9, description="work starts nowhere that lacks more; -1: no bound")


class SpeedIn(Body):
    """How fast work runs on a type, against the other types of the list."""

    accelerator: Word
    milli: int = Field(ge=1, le=SPEED_MILLI_MAX, description="thousandths of any measure that is the same for all")


class PolicyIn(Body):
    """The whole policy. Classes and prices have to be given, all of them; of the others, what is left out takes its first value,
    not that of the policy in force."""

    based_on: int = Field(default=0, ge=0, le=2**53 - 1, description="version that its maker saw in force; 0: not told")
    free: bool = Field(default=False, description="nothing is to cost anything: has to be said when nothing does")
    classes: list[PriorityClassIn] = Field(min_length=1, max_length=64)
    prices: list[PriceIn] = Field(max_length=1000)
    quotas: list[QuotaIn] = Field(default=[], max_length=QUOTAS_MAX)
    preferences: list[PreferenceIn] = Field(default=[PreferenceIn(taste=Taste.DATA, weight=1000)], max_length=len(Taste))
    speeds: list[SpeedIn] = Field(default=[], max_length=SPEEDS_MAX)
    limit_ms_default: int = Field(default=3_600_000, ge=1000, le=MS_MAX)
    limit_ms_max: int = Field(default=1_209_600_000, ge=1000, le=MS_MAX)
    min_run_ms: int = Field(default=60_000, ge=0, le=MS_MAX)
    reclaims: bool = False
    moves: bool = False
    order: TurnOrder = Field(default=TurnOrder.FAIR, strict=False)
    packing: Packing = Field(default=Packing.FULLEST, strict=False)
    half_life_ms: int = Field(default=604_800_000, ge=60_000, le=10 * MS_MAX)
    backfill_depth: int = Field(default=1000, ge=0, le=1_000_000)
    reservations_max: int = Field(default=16, ge=0, le=10_000)
    preemptible_permille: int = Field(default=800, ge=0, le=1000)
    rejections_max: int = Field(default=3, ge=1, le=1000)
    retry_pause_ms: int = Field(default=5_000, ge=0, le=86_400_000)
    array_max: int = Field(default=10_000, ge=1, le=10_000)
    workers_max: int = Field(default=16_384, ge=1, le=16_384)
    retries_max: int = Field(default=10, ge=0, le=100)
    waiting_max: int = Field(default=100_000, ge=1, le=10_000_000)
    site_silent_ms: int = Field(default=60_000, ge=1000, le=86_400_000)

    def policy(self) -> Policy:
        """The record, whose id and version the controller gives."""
        plain = self.model_dump(exclude={"based_on", "free", "classes", "prices", "quotas", "preferences", "speeds"})
        classes = tuple(PriorityClass(**c.model_dump()) for c in self.classes)
        prices = tuple(Price(**p.model_dump()) for p in self.prices)
        quotas = tuple(Quota(**q.model_dump()) for q in self.quotas)
        preferences = tuple(Preference(**p.model_dump()) for p in self.preferences)
        speeds = tuple(Speed(**s.model_dump()) for s in self.speeds)
        return Policy(classes=classes, prices=prices, quotas=quotas, preferences=preferences, speeds=speeds, **plain)
