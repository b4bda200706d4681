"""Trials: a trace on a fleet under one set of rules, decided by the scheduler's own plan.

What lives here: by which rules a trial decides (`rules`), what the jobs of a trace ask of a fleet (`asks`), who runs and who
waits (`state`), and the loop over time (`trial`). What may never: a second way of deciding who runs where, a clock, chance, or a
guess in place of what a trace does not say: what had to be assumed is counted and told (`Asks.assumed`)."""

from dure.simulator.trial.asks import Assumptions
from dure.simulator.trial.rules import POLICIES, Order, Rules, rules_of
from dure.simulator.trial.trial import EVERY_EVENT, Progress, trial

__all__ = ["EVERY_EVENT", "POLICIES", "Assumptions", "Order", "Progress", "Rules", "rules_of", "trial"]
