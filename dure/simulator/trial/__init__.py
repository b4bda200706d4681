"""Trials: a trace on a fleet under one set of rules, decided by the scheduler's own plan.

What lives here: by which rules a trial decides (`rules`), what the jobs of a trace ask of a fleet (`asks`), who runs and who
waits (`state`), and the loop over time: with a snapshot and a plan for each step (`trial`), and compiled, over the kernels that
the plan calls (`fast`, `loop`, `deciding`, and what they keep: `columns`, `lists`, `places`, `candidates`). What may never: a
second way of deciding who runs where, a clock, chance, or a guess in place of what a trace does not say: what had to be assumed
is counted and told (`Asks.assumed`)."""

from dure.simulator.trial.asks import Assumptions
from dure.simulator.trial.rules import POLICIES, Order, Rules, rules_by, rules_of, unhonoured
from dure.simulator.trial.trial import COMPILED, EVERY_EVENT, STEPPED, Progress, covered, trial

__all__ = [
    "COMPILED", "EVERY_EVENT", "POLICIES", "STEPPED", "Assumptions", "Order", "Progress", "Rules", "covered", "rules_by",
    "rules_of", "trial", "unhonoured",
]  # fmt: skip
