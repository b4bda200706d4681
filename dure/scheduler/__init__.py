"""The plan: who starts where, and why everybody else waits.

What lives here: `plan(snapshot)`, a pure function from the columns of a `Snapshot` to those of a `Plan`; `check`, a second and
simpler program that verifies what the first one says; and what is read out of both: `why`, `smallest_change`, quotes.
What may never: a clock, chance, I/O, logging, a change of anything that was passed in, or an answer that depends on more
than the snapshot. If a fact is needed, it becomes a column. "No" is a reason with true facts, never an exception.

The parts, from the bottom: `runs` (flat columns), `power` (what sites draw, and when nothing may run), `attempts` (who has a
place, and until when), `boards` and `tables` (columns as the kernels want them; what is of the farm alone is `kept` from plan to
plan), `kernels` (the hot loops, where it is decided), `planning` (the plan, and what its state says to a question), and upon it
`upcoming` (which event comes next), `smallest` (which change would help), `why` and `quote`.
About another snapshot than the present one: `suppositions`, `suppose` and `rows` (what if), `saved` (a snapshot as bytes;
`sound`: whether one can be planned), `compare` (one snapshot under two policies). `salvage`: what can be kept of a plan that
broke its own rules.
"""

from dure.scheduler.change import Change, NoChange, Rater, apply_change
from dure.scheduler.check import check
from dure.scheduler.compare import Difference, Tally, class_of, difference, tally, under_policy, without_effect
from dure.scheduler.estimate import Estimate, EstimateBasis
from dure.scheduler.plan import WAIT_CODE, WAIT_CODES, Plan, make_reason, reason_of
from dure.scheduler.planning import Pace, Planning, plan
from dure.scheduler.quote import Hypothetical, Outlook, outlook, with_hypothetical
from dure.scheduler.salvage import Salvaged, paused, salvage
from dure.scheduler.saved import decode, encode
from dure.scheduler.smallest import PLANS_MAX, Suggestion, smallest_change, suggest
from dure.scheduler.snapshot import Snapshot, freeze
from dure.scheduler.suppose import FORMS, THIS, USAGES, Asker, Form, is_about, parse_suppositions, suppose
from dure.scheduler.suppositions import SUPPOSED_MAX, Supposition, refused
from dure.scheduler.upcoming import Basis, NextEvent, NextKind
from dure.scheduler.why import Why, why, why_claimed

__all__ = [
    "FORMS",
    "PLANS_MAX",
    "SUPPOSED_MAX",
    "THIS",
    "USAGES",
    "WAIT_CODE",
    "WAIT_CODES",
    "Asker",
    "Basis",
    "Change",
    "Difference",
    "Estimate",
    "EstimateBasis",
    "Form",
    "Hypothetical",
    "NextEvent",
    "NextKind",
    "NoChange",
    "Outlook",
    "Pace",
    "Plan",
    "Planning",
    "Rater",
    "Salvaged",
    "Snapshot",
    "Suggestion",
    "Supposition",
    "Tally",
    "Why",
    "apply_change",
    "check",
    "class_of",
    "decode",
    "difference",
    "encode",
    "freeze",
    "is_about",
    "make_reason",
    "outlook",
    "parse_suppositions",
    "paused",
    "plan",
    "reason_of",
    "refused",
    "salvage",
    "smallest_change",
    "suggest",
    "suppose",
    "tally",
    "under_policy",
    "why",
    "why_claimed",
    "with_hypothetical",
    "without_effect",
]
