"""What people read about topology blocks and background work, in English."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "change.topology.any": "let the workers sit in several topology blocks",
    "col.yields": "Yields",
    "why.next.preemption.move": "Next: {subject} is asked at {when} to go on in another place, which is kept for it.",
    "why.next.preemption.move.more": "Next: {subject} and {more} others are asked at {when} to go on in other places, which are "
    "kept for them.",
    "why.next.preemption.quota": "Next: {subject} is asked to make room at {when}: it borrows quota that this project has.",
    "why.next.preemption.quota.more": "Next: {subject} and {more} others are asked to make room at {when}: they borrow quota "
    "that this project has.",
    "why.next.preemption.yields": "Next: {subject} is asked to make room at {when}: it is background work, which yields.",
    "why.next.preemption.yields.more": "Next: {subject} and {more} others are asked to make room at {when}; the first is "
    "background work, which yields.",
}
