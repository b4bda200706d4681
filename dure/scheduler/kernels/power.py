"""What sites draw while a plan is made, and whether more may start there.

A site's envelope is steps; each holds until the next one's moment. What is drawn falls as work ends by its limit, and rises where
a promise begins; so it can be above a cap only now, where a step begins, or where a promise does. Those moments are kept with
what is drawn then, and what the plan adds is added to each of them that it lasts to.

Of a claim and of those who make room for it only one side is there at a time: together they count as the side that draws more,
from now until the claim's end. What a demand draws is taken as on the hungriest of the nodes that it could get at a site."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dure.scheduler.kernels.ground import I32, I64, WHOLE, Columns, Gang, Table, column, table
from dure.scheduler.kernels.jit import kernel, wide

AT, DRAWN, MOST, NEXT = range(4)  # columns of `moments`; NEXT: the site's next one, or NONE
FROM, UNTIL, MW = range(3)  # columns of `more`, and NEXT as well
MORE, MOMENTS = 0, 1  # entries of `used`
UNCAPPED = NONE = -1
_MILLI = 1000


LIMITED: Columns = [  # by site, and one row more for the ends of the last one's runs
    ("step", np.int64),  # its steps; no site has any: nothing is limited
    ("gone", np.int64),  # those who were there
    ("first", np.int64),  # of its moments, in the order in which they were noted; NONE: there is none
    ("more", np.int64),  # of what the plan adds, the latest; NONE: there is none
    ("pue_permille", np.int64),
    ("idle", np.int64),
]
STEP: Columns = [("since", np.int64), ("cap", np.int64)]  # -1: none
GONE: Columns = [("at", np.int64), ("left", np.int64)]  # when somebody ends, ascending; what those draw who end then or later


class Power(NamedTuple):
    """Milliwatts, before the overhead of the site but for caps, which are at the meter."""

    site: Table  # LIMITED
    step: Table  # STEP
    gone: Table  # GONE
    attempt: I64  # by attempt
    device: I64  # shape (sites, types + 1): of the hungriest node, per device
    core: I64  # and per core
    more: I64  # shape (entries, 4): what the plan adds
    moments: I64  # shape (moments, 4); of a site with an envelope, now is one of them
    used: I64


@kernel
def wanted_mw(power: Power, site: int, kind: int, gang: Gang) -> int:
    """What a gang draws at a site."""
    at = column(kind, power.core.shape[1])
    devices = power.device[site, at] * (WHOLE * gang.devices + gang.share)
    busy = power.core[site, at] * gang.cores
    return int(gang.workers * ((devices + WHOLE - 1) // WHOLE + (busy + _MILLI - 1) // _MILLI))


@kernel
def limited(power: Power, site: int) -> bool:
    return bool(power.site.step[site] < power.site.step[site + 1])


@kernel
def cap_at(power: Power, site: int, at: int) -> int:
    """At the meter; -1: none."""
    first = low = wide(power.site.step[site])
    high = wide(power.site.step[site + 1])
    while low < high:
        middle = (low + high) // 2
        if power.step.since[middle] <= at:
            low = middle + 1
        else:
            high = middle
    return int(power.step.cap[low - 1] if low > first else UNCAPPED)


@kernel
def most_mw(power: Power, site: int, at: int) -> int:
    """What may be drawn at a moment, before the overhead; -1: as much as there is."""
    cap = cap_at(power, site, at)
    return int(UNCAPPED if cap == UNCAPPED else cap * _MILLI // power.site.pue_permille[site])


@kernel
def leaves_behind(power: Power, site: int, at: int) -> int:
    """Where in `gone` those of a site begin who leave behind a moment."""
    low, high = power.site.gone[site], power.site.gone[site + 1]
    while low < high:
        middle = (low + high) // 2
        if power.gone.at[middle] <= at:
            low = middle + 1
        else:
            high = middle
    return int(low)


@kernel
def draw_at(power: Power, site: int, at: int) -> int:
    """What is drawn at a moment, now or later."""
    first = leaves_behind(power, site, at)
    drawn = power.site.idle[site] + (power.gone.left[first] if first < power.site.gone[site + 1] else 0)
    i = power.site.more[site]
    while i != NONE:
        if power.more[i, FROM] <= at < power.more[i, UNTIL]:
            drawn += power.more[i, MW]
        i = power.more[i, NEXT]
    return int(drawn)


@kernel
def spare_mw(power: Power, site: int, now: int, end: int) -> tuple[int, int]:
    """The least that may be drawn besides from now until a moment, and when that is; -1 at -1 where nothing caps."""
    least, when, i = UNCAPPED, -1, power.site.first[site]
    while i != NONE:
        moment, most = power.moments[i, AT], power.moments[i, MOST]
        if now <= moment < end:
            free = most - power.moments[i, DRAWN]
            if most != UNCAPPED and (when < 0 or free < least):
                least, when = free, moment
        i = power.moments[i, NEXT]
    return int(least), int(when)


@kernel
def may_draw(power: Power, site: int, at: int, end: int, mw: int) -> bool:
    """Whether so much more may be drawn from a moment until another. Nothing more always may."""
    if mw <= 0 or not limited(power, site):
        return True
    known, i = False, power.site.first[site]
    while i != NONE:  # up to the first moment at which it may not: mostly that is now
        moment, most = power.moments[i, AT], power.moments[i, MOST]
        if at <= moment < end:
            known |= moment == at
            if most != UNCAPPED and most - power.moments[i, DRAWN] < mw:
                return False
        i = power.moments[i, NEXT]
    return known or most_mw(power, site, at) == UNCAPPED or most_mw(power, site, at) - draw_at(power, site, at) >= mw


@kernel
def draw(power: Power, site: int, since: int, until: int, mw: int) -> None:
    """Count what is drawn from a moment until another. What begins later is a moment at which the draw may rise."""
    if not limited(power, site) or mw == 0:
        return
    at = power.used[MORE]
    power.more[at, FROM], power.more[at, UNTIL], power.more[at, MW] = since, until, mw
    power.more[at, NEXT], power.site.more[site], power.used[MORE] = power.site.more[site], at, at + 1
    i = power.site.first[site]
    while i != NONE:
        if since <= power.moments[i, AT] < until:
            power.moments[i, DRAWN] += mw
        i = power.moments[i, NEXT]


@kernel
def note(power: Power, site: int, at: int) -> None:
    """Something begins at a moment to come: it is looked at from now on."""
    if not limited(power, site):
        return
    i, last = power.site.first[site], wide(NONE)
    while i != NONE:
        i, last = power.moments[i, NEXT], i
    _note(power, site, at, last)


@kernel
def _note(power: Power, site: int, at: int, last: int) -> int:
    """The same behind the site's last moment, or NONE; where it stands."""
    made = power.used[MOMENTS]
    power.moments[made, AT], power.moments[made, DRAWN] = at, draw_at(power, site, at)
    power.moments[made, MOST], power.moments[made, NEXT] = most_mw(power, site, at), NONE
    if last == NONE:
        power.site.first[site] = made
    else:
        power.moments[last, NEXT] = made
    power.used[MOMENTS] = made + 1
    return int(made)


@kernel
def note_steps(power: Power, now: int) -> None:
    """Of every site with an envelope, now and each step to come are looked at."""
    for site in range(len(power.site) - 1):
        if limited(power, site):
            last = _note(power, site, now, wide(NONE))
            for step in range(power.site.step[site], power.site.step[site + 1]):
                if power.step.since[step] > now:
                    last = _note(power, site, power.step.since[step], last)


@kernel
def swap(power: Power, site: int, now: int, victims: I32, ends: I64, end: int, mw: int) -> None:
    """Count a claim for those who make room for it. ends: of attempts."""
    theirs = 0
    for victim in victims:
        theirs += power.attempt[victim]
        draw(power, site, now, ends[victim], -power.attempt[victim])
    draw(power, site, now, end, max(mw, theirs))


@kernel
def may_swap(
    power: Power, site: int, now: int, victims: I32, ends: I64, end: int, mw: int, besides: int
) -> bool:  # fmt: skip
    """Whether a claim may take the place of these, at a site that is limited. besides: what else is drawn until its end, where
    those go on who make room."""
    i = power.site.first[site]
    while i != NONE:
        moment, most = power.moments[i, AT], power.moments[i, MOST]
        if now <= moment < end and most != UNCAPPED:
            there, theirs = 0, 0
            for victim in victims:
                theirs += power.attempt[victim]
                if ends[victim] > moment:
                    there += power.attempt[victim]
            if max(mw, theirs) - there + besides > max(0, most - power.moments[i, DRAWN]):
                return False
        i = power.moments[i, NEXT]
    return True


def no_power(sites: int, kinds: int, attempts: int) -> Power:
    """Nothing limits anybody."""
    by_site = table(LIMITED, sites + 1)
    by_site.pue_permille, by_site.first, by_site.more = _MILLI, NONE, NONE
    return Power(
        by_site, table(STEP, 0), table(GONE, 0), np.zeros(attempts, np.int64), np.zeros((sites, kinds), np.int64),
        np.zeros((sites, kinds), np.int64), np.zeros((0, 4), np.int64), np.zeros((0, 4), np.int64), np.zeros(2, np.int64),
    )  # fmt: skip
