"""What a waiting workload may be told, by number: in the order of `dure.scheduler.plan.WAIT_CODES`, which names the facts.

They are 64 bits wide and no literals, so that a kernel that is given one is compiled once."""

from __future__ import annotations

from dure.scheduler.kernels.jit import constant

STARTS = constant(-1)  # it does not wait
FACTS = 4  # columns of Plan.wait_facts

(
    TURN,  # of a standing: it could start, everybody else gone; of a shortage: there is room
    DEPENDENCY,
    PAUSE,
    DRAINING,
    NOT_ALLOWED,
    UNREACHABLE,
    DRAINED,
    NO_TYPE,
    TOO_FEW_CORES,
    TOO_LITTLE_MEMORY,
    TOO_FEW_DEVICES,
    SITE_TOO_SMALL,
    NODES_OUT,
    CORES,
    MEMORY,
    DEVICES,
    RESERVED,
    FUNDS_SHORT,
    NO_AWARD,
    VICTIMS,
    POWER,
    MAINTENANCE,
    QUOTA,
    UNDIVIDED,
    SHARES,
    RULED_OUT,
    BLOCK_TOO_SMALL,
    NO_BLOCK,
    TOO_LATE,
) = (constant(code) for code in range(29))
