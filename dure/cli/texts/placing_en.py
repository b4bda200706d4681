"""What people read about topology blocks and background work, in English."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "change.topology.any": "let the workers sit in several topology blocks",
    "col.yields": "Yields",
    "policy.reclaims.yes": "Work within its quota takes back what others borrow (reclaims).",
    "policy.reclaims.no": "Quotas bound who starts; nobody gives back what it borrows before it ends (reclaims: false).",
    "policy.order.fair": "Within a class, who has used least of its share goes first (order: fair).",
    "policy.order.submitted": "Within a class, who was submitted first goes first (order: submitted).",
    "policy.order.shortest": "Within a class, who has the shortest limit goes first (order: shortest).",
    "policy.order.smallest": "Within a class, who has the least work by its limit goes first (order: smallest).",
    "policy.packing.fullest": "Who starts sits on the fullest node that takes it (packing: fullest).",
    "policy.packing.first_fit": "Who starts sits on the first node that takes it (packing: first_fit).",
    "policy.packing.best_fit": "Who starts sits where least is left over of cores and devices (packing: best_fit).",
    "policy.packing.dot_product": "Who starts sits where the room is least alike to what it asks for (packing: dot_product).",
    "policy.packing.gpu_packing": "Who starts sits on devices in use, then nodes in use, then idle ones (packing: gpu_packing).",
    "policy.packing.gpu_clustering": "Who starts sits by those who ask for as many devices (packing: gpu_clustering).",
    "policy.packing.fgd": "Who starts sits where least becomes of no use to such work as runs (packing: fgd).",
    "policy.packing.least_waste": "As fgd, and devices left without cores count as well (packing: least_waste).",
    "policy.moves.yes": "Running work that saves checkpoints is moved where others then have room together (moves).",
    "policy.moves.no": "Running work stays where it is (moves: false).",
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
