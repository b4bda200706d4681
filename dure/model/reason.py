"""Why something is not (yet) so: a kind and its facts. "No" is data; people's words are made of it by `render`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ReasonKind(StrEnum):
    # a workload waits
    NOT_YET_PLANNED = "not_yet_planned"
    WAITS_FOR_TURN = "waits_for_turn"
    WAITS_DEPENDENCY = "waits_dependency"
    WAITS_PAUSE = "waits_pause"
    WAITS_DRAINING = "waits_draining"
    NO_SITE_ALLOWED = "no_site_allowed"
    RULED_OUT = "ruled_out"  # taste: of which a bound of the policy keeps it off
    NO_SITE_REACHABLE = "no_site_reachable"
    SITES_DRAINED = "sites_drained"
    NODES_OUT = "nodes_out"  # drained or down
    NO_SUCH_ACCELERATOR = "no_such_accelerator"
    NODE_TOO_SMALL_CORES = "node_too_small_cores"
    NODE_TOO_SMALL_MEMORY = "node_too_small_memory"
    NODE_TOO_SMALL_DEVICES = "node_too_small_devices"
    DEVICES_UNDIVIDED = "devices_undivided"  # it wants a share of one
    SITE_TOO_SMALL = "site_too_small"
    BLOCK_TOO_SMALL = "block_too_small"  # topology block
    WAITS_CORES = "waits_cores"
    WAITS_MEMORY = "waits_memory"
    WAITS_DEVICES = "waits_devices"
    TOO_LATE = "too_late"  # to be over by its deadline
    WAITS_SHARE = "waits_share"  # of a device
    WAITS_BLOCK = "waits_block"  # a site has room, but no topology block of it
    WAITS_RESERVED = "waits_reserved"
    WAITS_VICTIMS = "waits_victims"
    POWER_SHORT = "power_short"  # a site may not draw so much, now or before the work would end
    MAINTENANCE = "maintenance"  # it would not end before nothing may run there
    WAITS_QUARANTINE = "waits_quarantine"  # attempt: one that a site holds and the plane does not know; an operator decides
    IN_PROGRESS = "in_progress"  # state: it does not wait
    MAKES_ROOM = "makes_room"  # it runs, and was told to make room
    BEING_CANCELLED = "being_cancelled"
    FUNDS_SHORT = "funds_short"
    NO_AWARD = "no_award"
    QUOTA_REACHED = "quota_reached"  # resource, quota_of: of what, and of whom
    # a workload ended, or an attempt did
    ENDED_SUCCEEDED = "ended_succeeded"
    ENDED_EXIT_CODE = "ended_exit_code"
    ENDED_SIGNAL = "ended_signal"
    ENDED_MEMORY = "ended_memory"
    UNACCOUNTED = "unaccounted"
    ENDED_TIMED_OUT = "ended_timed_out"
    ENDED_CANCELLED = "ended_cancelled"
    ENDED_PREEMPTED = "ended_preempted"
    ENDED_LOST = "ended_lost"
    ENDED_REJECTED = "ended_rejected"
    DEPENDENCY_FAILED = "dependency_failed"
    # a request is refused
    BAD_FIELD = "bad_field"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    BODY_TOO_LARGE = "body_too_large"
    BODY_NOT_JSON = "body_not_json"
    BAD_CURSOR = "bad_cursor"
    NOT_SIGNED_IN = "not_signed_in"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    LAST_ADMINISTRATOR = "last_administrator"  # id: without it, nobody could administer the farm any more
    METHOD_NOT_ALLOWED = "method_not_allowed"
    ALREADY_EXISTS = "already_exists"
    EXISTS_DIFFERENT = "exists_different"
    KEY_MISSING = "key_missing"
    KEY_REUSED = "key_reused"
    ALREADY_ENDED = "already_ended"
    STILL_RUNS = "still_runs"  # attempt, site: set aside, and its end has not been seen
    SITE_REACHABLE = "site_reachable"  # attempt, site: what is there can be stopped, so nobody has to state that it is dead
    LIMIT_EXCEEDED = "limit_exceeded"
    BUNDLES_FULL = "bundles_full"
    BUNDLE_GONE = "bundle_gone"
    DISK_LOW = "disk_low"
    EPOCH_STALE = "epoch_stale"
    PROTOCOL_UNSUPPORTED = "protocol_unsupported"
    BUDGET_SHORT = "budget_short"
    BALANCE_SHORT = "balance_short"
    HOLD_ENDED = "hold_ended"
    AWARD_IN_USE = "award_in_use"  # asked, available, held, currency: more is to be taken back than is neither held nor spent
    POLICY_CHANGED = "policy_changed"  # based_on, version: another was put in force meanwhile
    POLICY_FREE = "policy_free"  # nothing would cost anything, and nobody said that it should be so
    BAD_SUPPOSITION = "bad_supposition"  # supposition, wrong, token: of a "what if"
    SNAPSHOT_UNREADABLE = "snapshot_unreadable"  # wrong: of a file that holds a saved snapshot
    PLANE_STARTING = "plane_starting"
    PLANE_BUSY = "plane_busy"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Reason:
    kind: ReasonKind
    facts: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(kind: ReasonKind, **facts: Any) -> Reason:
        return Reason(kind, facts)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind.value, "facts": dict(self.facts)}

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> Reason:
        return Reason(ReasonKind(plain["kind"]), dict(plain.get("facts", {})))
