"""The rules in force, versioned as one document: order, limits, prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType

from dure.model.accelerators import Speed

HOUR_MS = 3_600_000
PRICE_PERMILLE_MAX = 100_000  # of a class: a hundred times the price is a ban already
WEIGHT_MAX = 1000  # of a preference
SPEEDS_MAX = 1000
NO_LIMIT = -1  # of a quota: borrow, or lend, as much as there is
WHOLE_FARM = "*"  # `Quota.of` of the root above all organisations
# So much stays exact in every sum: 10,000 quotas of a hundred million devices are below 2^53 thousandths.
QUOTA_MILLI_MAX, QUOTAS_MAX = 10**11, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityClass:
    name: str
    value: int  # higher goes first
    preempts: bool = False  # may take the place of preemptible work of a lower value
    yields: bool = False  # its preemptible work makes room for any work of a higher value, at once: without a guaranteed run
    # Of its price, in thousandths. Priority goes strictly before fair share, so a place in front of everybody has to cost.
    price_permille: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nano-units of `currency` for one unit of `resource` during one second."""

    resource: str  # "core", "memory_gib", or "device:TYPE"; "device:*" is the fallback for unnamed types
    nano: int
    currency: str = "KRW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much of a resource an organisation or a project has, lends and borrows, in thousandths of a device or of a core.

    Of an organisation it is a pool beside what its projects have."""

    # What counts for those without a quota is in dure/scheduler/quotas.py.
    of: str  # "organisation:ID", "project:ID", or "*" for the whole farm
    resource: str  # "core" or "device:TYPE"; "device:*" is the fallback for types that this row does not name
    nominal_milli: int  # 0: it lives on what others lend
    borrow_max_milli: int = NO_LIMIT  # beyond what it and those below have
    lend_max_milli: int = NO_LIMIT  # of what it and those below have


class TurnOrder(StrEnum):
    """Who of one priority class has a turn before whom. Equal ones go by submission."""

    FAIR = "fair"  # the tree of shares: whoever has used least of what is due goes first
    SUBMITTED = "submitted"  # first come first served (FIFO)
    SHORTEST = "shortest"  # least limit first (SJF): on the type on which it is least
    SMALLEST = "smallest"  # least work by its limit first, in normalised core-seconds (as QSSF of Hu et al., SC'21, orders)


class Packing(StrEnum):
    """Which node takes those who start now, of those of a type at a site that have room. Equal ones go by their order."""

    FULLEST = "fullest"  # that with fewest devices wholly free, then fewest cores, so that big holes remain
    FIRST_FIT = "first_fit"  # the first
    BEST_FIT = "best_fit"  # with least left over, of cores and of devices
    DOT_PRODUCT = "dot_product"  # whose room is least alike to what is asked for (as in Grandl et al., SIGCOMM'14)
    GPU_PACKING = "gpu_packing"  # devices in use before free ones, nodes in use before idle ones
    GPU_CLUSTERING = "gpu_clustering"  # where such as ask for as many devices are
    FGD = "fgd"  # where least becomes of no use to such work as runs (Weng et al., ATC'23)
    LEAST_WASTE = "least_waste"  # the same, and devices that are left without cores count as well


class Taste(StrEnum):
    """By what a plan may prefer one place to another: how much a place lacks of it, in a unit of its own."""

    DOMESTIC = "domestic"  # 1 on accelerators of makers abroad, 0 on domestic ones and where none is wanted
    CARBON = "carbon"  # grams of CO₂ in a kilowatt-hour of the site's power
    POWER_PRICE = "power_price"  # won for a megawatt-hour at the site
    DATA = "data"  # data sets that the work names and the site does not have


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """What a plan weighs when it has the choice, and what it never takes.

    Of places where work could start now, that with the least weighed lack is taken: of each taste its weight times what the place
    lacks, over the most that any place lacks of it. Between equals the place with the least to spare, as ever."""

    taste: Taste
    weight: int = 0  # 0 to 1000, against other preferences
    most: int = NO_LIMIT  # work starts nowhere that lacks more; what nobody knows of a site lacks more than any bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One version of the rules. Stored under id "policy:VERSION"; the highest version is in force."""

    id: str = "policy:1"
    classes: tuple[PriorityClass, ...] = (
        PriorityClass(name="background", value=0, yields=True, price_permille=500),
        PriorityClass(name="low", value=100, price_permille=800),
        PriorityClass(name="normal", value=200),
        PriorityClass(name="high", value=300, price_permille=1500),
        PriorityClass(name="urgent", value=400, preempts=True, price_permille=2000),
    )
    prices: tuple[Price, ...] = ()
    quotas: tuple[Quota, ...] = ()
    preferences: tuple[Preference, ...] = (Preference(taste=Taste.DATA, weight=1000),)
    limit_ms_default: int = HOUR_MS  # what a job gets that names no limit
    limit_ms_max: int = 14 * 24 * HOUR_MS
    min_run_ms: int = 60_000  # nobody is preempted before having run this long, but work of a class that yields
    speeds: tuple[Speed, ...] = ()  # for jobs that name several types and no speeds of their own
    # Whether work that stays within what its project has by its quota takes room back from those who use more than they have,
    # and whether quotas shield what is within them from the work of those.
    reclaims: bool = False
    # Whether running work that saves checkpoints is moved to other room of its site where others then have room together.
    moves: bool = False
    # Past use decides about turns only where they are fair; in any other order it is still counted.
    order: TurnOrder = TurnOrder.FAIR
    packing: Packing = Packing.FULLEST
    half_life_ms: int = 7 * 24 * HOUR_MS  # of past use in fair share, as Slurm's PriorityDecayHalfLife
    backfill_depth: int = 1000  # waiting workloads looked at behind the first reservation, per plan
    reservations_max: int = 16  # blocked workloads that get a promised start, per plan
    preemptible_permille: int = 800  # price of work that may be preempted, in thousandths
    rejections_max: int = 3  # launches in a row that a backend may refuse before the workload fails
    retry_pause_ms: int = 5_000  # doubled with each rejection in a row
    array_max: int = 10_000
    workers_max: int = 16_384
    retries_max: int = 10
    waiting_max: int = 100_000  # per project
    site_silent_ms: int = 60_000  # after this long without a word a site is unknown
    created_ms: int = 0
    written_by: str = ""  # actor; "" of the founding one
    version: int = 1  # equals the number in the id

    def priority_class(self, name: str) -> PriorityClass | None:
        return next((c for c in self.classes if c.name == name), None)

    def class_of(self, name: str) -> PriorityClass:
        """The class by which work is ordered and rated: of one that this policy no longer has, the class that it lists first."""
        return self.priority_class(name) or self.classes[0]

    @property
    def free(self) -> bool:
        """Whether work costs nothing: no price is above zero, or preemptible work, which is nearly all, pays none of it."""
        return self.preemptible_permille == 0 or not any(price.nano for price in self.prices)


# What is different under policies that have a name in the literature. As `dure simulate` has them, but that a plane knows no run
# times: limits stand for those.
_EVERYBODY = 1_000_000
NAMED: Mapping[str, Mapping[str, int | str]] = MappingProxyType({
    "fifo": {"order": "submitted", "reservations_max": 1, "backfill_depth": 0},
    "best-effort-fifo": {"order": "submitted", "reservations_max": 0, "backfill_depth": _EVERYBODY},
    "easy": {"order": "submitted", "reservations_max": 1, "backfill_depth": _EVERYBODY},
    "conservative": {"order": "submitted", "reservations_max": 256, "backfill_depth": _EVERYBODY},
    "sjf": {"order": "shortest", "reservations_max": 1, "backfill_depth": 0},
    "qssf": {"order": "smallest", "reservations_max": 1, "backfill_depth": 0},
})  # fmt: skip


def policy_id(version: int) -> str:
    return f"policy:{version}"


def price_table(policy: Policy, currency: str) -> Mapping[str, int]:
    """resource → nano-units per unit and second, for one currency."""
    return {p.resource: p.nano for p in policy.prices if p.currency == currency}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """One field in which a policy differs from the one before it. None: it is not there."""

    # of a price "prices.RESOURCE.CURRENCY", of a class "classes.NAME.FIELD", of a quota "quotas.OF.RESOURCE.FIELD", of a
    # preference "preferences.TASTE.FIELD", of a speed "speeds.TYPE.milli", else the name
    field: str
    old: int | str | None
    new: int | str | None


def policy_changes(old: Policy, new: Policy) -> tuple[PolicyChange, ...]:
    """What is different in `new`, in the order of the fields; prices, classes and quotas by item. () when no rule differs."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    told = [*before, *(name for name in after if name not in before)]
    pairs = ((name, before.get(name), after.get(name)) for name in told)
    return tuple(PolicyChange(field=name, old=was, new=now) for name, was, now in pairs if was != now)


def _leaves(policy: Policy) -> Iterator[tuple[str, int | str | None]]:
    for field in fields(Policy):
        if field.name == "classes":
            yield "classes", policy.classes[0].name  # which one is first counts: see `class_of`
            for c in policy.classes:
                of = f"classes.{c.name}"
                yield from (
                    (f"{of}.value", c.value),
                    (f"{of}.preempts", int(c.preempts)),
                    (f"{of}.price_permille", c.price_permille),
                )
                if c.yields:  # told where it comes or goes
                    yield f"{of}.yields", 1
        elif field.name == "prices":
            yield from ((f"prices.{p.resource}.{p.currency}", p.nano) for p in policy.prices)
        elif field.name == "quotas":
            yield from (leaf for quota in policy.quotas for leaf in _quota_leaves(quota))
        elif field.name == "preferences":
            for preference in policy.preferences:
                of = f"preferences.{preference.taste.value}"
                yield f"{of}.weight", preference.weight
                yield from ((f"{of}.most", preference.most) for _ in range(preference.most != NO_LIMIT))
        elif field.name == "speeds":
            yield from ((f"speeds.{s.accelerator}.milli", s.milli) for s in policy.speeds)
        elif field.name not in ("id", "created_ms", "written_by", "version"):
            yield field.name, getattr(policy, field.name)


def _quota_leaves(quota: Quota) -> Iterator[tuple[str, int]]:
    """A limit that is not there is told where it comes or goes, and not with each new quota."""
    of = f"quotas.{quota.of}.{quota.resource}"
    yield f"{of}.nominal_milli", quota.nominal_milli
    limits = ((f"{of}.borrow_max_milli", quota.borrow_max_milli), (f"{of}.lend_max_milli", quota.lend_max_milli))
    yield from (limit for limit in limits if limit[1] != NO_LIMIT)
