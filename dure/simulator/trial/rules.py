"""By which rules a trial decides: the scheduler's policy, and in which order work has its turn.

All of them are the one plan: an order is the order of its rows or their priorities, first come first served is a depth of nothing
behind the first promise, EASY one promise, conservative backfill a promise for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from dure.errors import ConfigError
from dure.model.policy import WEIGHT_MAX, Packing, Policy, Preference, Taste, TurnOrder, policy_changes

ALL = 1 << 30  # turns, or promises: no bound
HOUR_MS = 3_600_000


class Order(StrEnum):
    """Who has a turn before whom."""

    FAIR = "fair"  # by priority class, then by share of past use, then submission: as a plane does
    SUBMITTED = "submitted"
    SHORTEST = "shortest"  # of run time, which the trace knows and nobody else would
    EXPECTED = "expected"  # least expected device time, by what ended before (QSSF: Hu et al., SC'21)
    REMAINING = "remaining"  # likewise, of what is left of it; takes the place of longer ones
    ATTAINED = "attained"  # least attained service in steps (Tiresias, NSDI'19): takes the place of those that had more


ORDERS = tuple(Order)  # by number


_PLANE = Policy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """promises: how many of those that wait are promised a moment; depth: tries behind the first promise.

    steps_s: device-seconds after which a job falls to the next step, for ATTAINED. resumes: what is preempted goes on where it
    was, whatever the trace says of checkpoints (as the literature on SRTF and LAS has it)."""

    name: str
    order: Order
    promises: int
    depth: int
    steps_s: tuple[int, ...] = ()
    resumes: bool = False
    min_run_ms: int = 0
    preferences: tuple[Preference, ...] = ()
    packing: Packing = Packing.FULLEST
    turns: TurnOrder = TurnOrder.FAIR  # of a policy, who of one class has a turn before whom, where `order` is FAIR
    base: Policy = _PLANE  # all else that it says: how fast use is forgotten, and what work costs
    moves: bool = False  # work that has saved a checkpoint is moved where others then have room together

    @property
    def preempts(self) -> bool:
        """Whether every job may take the place of every one that comes after it."""
        return self.order in (Order.REMAINING, Order.ATTAINED)

    def policy(self) -> Policy:
        """As the plan wants it."""
        return replace(
            self.base, order=self.turns, reservations_max=self.promises, backfill_depth=self.depth, min_run_ms=self.min_run_ms,
            preferences=self.preferences, packing=self.packing, moves=self.moves,
        )  # fmt: skip


# Tiresias' simulator sorts jobs into four queues by these device-seconds.
_TIRESIAS_S = (3_250, 7_200, 18_000)


def _preferring(name: str, taste: Taste) -> Rules:
    """The default, preferring places by one taste alone."""
    return Rules(name=name, order=Order.FAIR, promises=_PLANE.reservations_max, depth=_PLANE.backfill_depth,
                 min_run_ms=_PLANE.min_run_ms, preferences=(Preference(taste=taste, weight=WEIGHT_MAX),))  # fmt: skip


def _packing(packing: Packing) -> Rules:
    """The default with another packing."""
    return Rules(name=packing.value.replace("_", "-"), order=Order.FAIR, promises=_PLANE.reservations_max,
                 depth=_PLANE.backfill_depth, min_run_ms=_PLANE.min_run_ms, packing=packing)  # fmt: skip


POLICIES: Mapping[str, Rules] = MappingProxyType({
    rules.name: rules
    for rules in (
        Rules(name="default", order=Order.FAIR, promises=_PLANE.reservations_max, depth=_PLANE.backfill_depth,
              min_run_ms=_PLANE.min_run_ms),
        _preferring("domestic-first", Taste.DOMESTIC),
        _preferring("low-carbon", Taste.CARBON),
        _preferring("cheap-power", Taste.POWER_PRICE),
        Rules(name="moving", order=Order.FAIR, promises=_PLANE.reservations_max, depth=_PLANE.backfill_depth,
              min_run_ms=_PLANE.min_run_ms, moves=True),
        *(_packing(packing) for packing in Packing if packing is not Packing.FULLEST),
        Rules(name="fifo", order=Order.SUBMITTED, promises=1, depth=0),
        Rules(name="best-effort-fifo", order=Order.SUBMITTED, promises=0, depth=ALL),
        Rules(name="easy", order=Order.SUBMITTED, promises=1, depth=ALL),
        Rules(name="conservative", order=Order.SUBMITTED, promises=256, depth=ALL),
        Rules(name="sjf", order=Order.SHORTEST, promises=1, depth=0),
        Rules(name="qssf", order=Order.EXPECTED, promises=1, depth=0),
        Rules(name="srtf", order=Order.REMAINING, promises=0, depth=ALL, resumes=True),
        Rules(name="las", order=Order.ATTAINED, promises=0, depth=ALL, steps_s=_TIRESIAS_S, resumes=True),
    )
})  # fmt: skip


# What a trial does as a policy says.
HONOURED = frozenset({
    "order", "packing", "reservations_max", "backfill_depth", "min_run_ms", "moves", "half_life_ms", "preferences", "prices",
    "preemptible_permille",
})  # fmt: skip
_NO_DATA = Policy().preferences  # a trace names no data sets, so this decides nothing


def unhonoured(policy: Policy) -> tuple[str, ...]:
    """The fields, as `policy_changes` names them, in which a policy differs from the first one, and that count nowhere in a
    trial."""
    changed = (change.field for change in policy_changes(_PLANE, policy))
    return tuple(field for field in changed if not _counts(field))


def _counts(field: str) -> bool:
    what, _, rest = field.partition(".")
    if what == "classes":
        return rest.endswith(".price_permille")
    return what in HONOURED and not rest.startswith(Taste.DATA.value)


def rules_by(name: str, policy: Policy) -> Rules:
    """The rules of a plane under this policy. Raises ConfigError for what counts nowhere in a trial."""
    fields = unhonoured(policy)
    if fields:
        raise ConfigError(f"policy {name}: a trial does not know {', '.join(fields)}. Leave these as they are.")
    return Rules(
        name=name, order=Order.FAIR, promises=policy.reservations_max, depth=policy.backfill_depth, min_run_ms=policy.min_run_ms,
        preferences=tuple(p for p in policy.preferences if p not in _NO_DATA), packing=policy.packing, moves=policy.moves,
        turns=policy.order, base=replace(policy, preferences=()),
    )  # fmt: skip


def said_by(rules: Rules) -> Mapping[str, str]:
    """What a policy says otherwise than the first one, for the notes of a run; nothing of rules that have a name."""
    if rules.base is _PLANE:
        return {}
    changes = policy_changes(_PLANE, rules.policy())
    return {"rules": ", ".join(f"{c.field} = {c.new}" for c in changes if not c.field.startswith("preferences.data")) or "none"}


def rules_of(name: str) -> Rules:
    """Rules by their name. Raises ConfigError when there are none."""
    if name not in POLICIES:
        raise ConfigError(f"policy: there is no policy {name!r}. Policies are: {', '.join(POLICIES)}.")
    return POLICIES[name]
