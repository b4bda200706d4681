"""A trace through the whole plane: the production controller on a store in memory, with fake backends and a clock of its own.

What lives here: what a plane is founded with so that it is asked what a trial of the same trace is asked (`farm`), the sites
(`site`), the loop over time (`whole`), and what a run was, read from what the plane has recorded (`outcome`). What may never: a
decision, or a shortcut past one: events, chain, holds and charges are those of a plane that serves people, and they are proved
when a run is over."""

from dure.simulator.plane.farm import refusal
from dure.simulator.plane.whole import whole_plane

__all__ = ["refusal", "whole_plane"]
