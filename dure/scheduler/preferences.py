"""What a plan prefers, and what it never takes: the preferences of a policy, as numbers for each alternative and site.

What a place lacks of a taste is at most what the place lacks that lacks most of it, on the whole farm (of data: all that the work
names). Weighed, that is an integer: weight x 1000 x lack // most. The integers of all tastes are added; a plan takes the place
with the least sum of those where work can start now. Of what nobody knows of a site, it lacks as much as the worst; a bound on it
keeps work off such a site, as nobody could say that it is kept."""

from __future__ import annotations

import numpy as np

from dure.model.policy import NO_LIMIT, Taste
from dure.scheduler.kernels.standing import Demands
from dure.scheduler.runs import gather
from dure.scheduler.snapshot import I32, I64, Snapshot

TASTES = tuple(Taste)  # a fact of a reason names one by its number here
SCALE = 1000


def preferred(s: Snapshot, demands: Demands, first: I32) -> tuple[I64, I32]:
    """By alternative of a class and site: its weighed lack; and 1 + the number of the taste whose bound keeps work off, 0 if none
    does. first: a row of Pending of each class."""
    shape = (len(demands.kind), len(s.sites.ids))
    cost, barred = np.zeros(shape, np.int64), np.zeros(shape, np.int32)
    for preference in s.policy.preferences:
        if preference.taste == Taste.DATA and not len(s.pending.data_row):  # nobody reads any: nobody lacks any
            continue
        lack, most = _lack(s, preference.taste, demands, first)
        if preference.most != NO_LIMIT:
            keeps_off = ((lack < 0) | (lack > preference.most)) & (barred == 0)
            barred[keeps_off] = 1 + TASTES.index(preference.taste)
        cost += np.where(most > 0, preference.weight * SCALE * np.where(lack < 0, most, lack) // np.maximum(most, 1), 0)
    return cost, barred


def _lack(s: Snapshot, taste: Taste, demands: Demands, first: I32) -> tuple[I64, I64]:
    """What places lack, -1 where nobody knows; and the most that one could. Shapes go together with (alternatives, sites)."""
    if taste == Taste.DOMESTIC:
        abroad = np.append(~s.domestic, False)[demands.kind].astype(np.int64)  # the last for none
        return np.repeat(abroad[:, None], len(s.sites.ids), axis=1), np.ones((1, 1), np.int64)
    if taste == Taste.DATA:
        return _missing(s, demands, first)
    column = s.sites.carbon_g_kwh if taste == Taste.CARBON else s.sites.power_krw_mwh
    lack = np.repeat(column[None, :], len(demands.kind), axis=0)
    return lack, np.full((1, 1), int(column.max(initial=0)), np.int64)


def _missing(s: Snapshot, demands: Demands, first: I32) -> tuple[I64, I64]:
    """How many of the data sets that a class names each site has not, and how many it names."""
    ptr, at = gather(s.pending.data_ptr, first)
    count = np.diff(ptr)
    there = np.zeros((len(first), len(s.sites.ids)), np.int64)
    name = s.pending.data_row[at]
    np.add.at(there, np.repeat(np.arange(len(first)), count)[name >= 0], s.sites.has_data.T[name[name >= 0]].astype(np.int64))
    klass = np.repeat(np.arange(len(first)), np.diff(demands.each.kind_ptr))
    return (count[:, None] - there)[klass], count[klass][:, None].astype(np.int64)
