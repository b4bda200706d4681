"""By which packing policy a plan seats who starts now, and what that goes by, in one array.

It is one, as each array that kernels are given costs time at each call, and the policy that asks nothing of it is the one that
has to be fastest. `mix_of` and `guests_in` are views of it, in the shapes that `packing` works on."""

from __future__ import annotations

import numpy as np

from dure.errors import require
from dure.scheduler.kernels.fragments import Mix
from dure.scheduler.kernels.ground import I64, WHOLE
from dure.scheduler.kernels.jit import kernel
from dure.scheduler.kernels.packing import FGD, FULLEST, GPU_CLUSTERING, LEAST_WASTE, RANDOM
from dure.scheduler.kernels.room import DEVICES_MAX

# entries: the policy, what `Mix` has of numbers, how long its columns are, and behind `HEAD` these columns
POLICY, TOTAL, CORES_PER_DEVICE, CORES, SHARES, KINDS, STEPS, NODES = range(8)
HEAD = 8
GROUPS = DEVICES_MAX + 1  # columns of guests


@kernel
def minds_fragments(policy: int) -> bool:
    return bool(policy in (FGD, LEAST_WASTE))


def packed(policy: int, mix: Mix | None = None, guests: I64 | None = None) -> I64:
    """mix: of policies that mind fragments; guests: shape (nodes, GROUPS), of that which clusters."""
    require(policy != RANDOM, "a plan leaves nothing to chance")
    require((mix is not None) == minds_fragments(policy), "who minds fragments has a mix, and nobody else")
    require((guests is not None) == (policy == GPU_CLUSTERING), "who clusters knows the guests, and nobody else")
    head = np.zeros(HEAD, np.int64)
    head[POLICY] = policy
    if guests is not None:
        head[NODES] = len(guests)
        return np.concatenate([head, guests.reshape(-1)])
    if mix is None:
        return head
    head[TOTAL], head[CORES_PER_DEVICE], head[STEPS] = mix.total, mix.cores_per_device, len(mix.steps)
    head[KINDS], head[CORES], head[SHARES] = (length - 1 for length in mix.share.shape)
    columns = (mix.cores, mix.rank, mix.share.reshape(-1), mix.whole.reshape(-1), mix.steps)
    return np.concatenate([head, *columns])


FULLEST_FIRST = packed(FULLEST)


@kernel
def mix_of(made: I64) -> Mix:
    """The mix in it; one of nothing where the policy has none."""
    kinds, cores, shares = made[KINDS] + 1, made[CORES] + 1, made[SHARES] + 1
    if not minds_fragments(made[POLICY]):
        kinds = cores = shares = 0
    rank = HEAD + made[CORES]
    share = rank + (WHOLE + 1 if kinds > 0 else 0)
    whole = share + kinds * cores * shares
    steps = whole + kinds * cores * GROUPS
    return Mix(
        made[TOTAL], made[HEAD:rank], made[rank:share], made[share:whole].reshape((kinds, cores, shares)),
        made[whole:steps].reshape((kinds, cores, GROUPS)), made[CORES_PER_DEVICE], made[steps : steps + made[STEPS]],
    )  # fmt: skip


@kernel
def guests_in(made: I64) -> I64:
    """By node and group, how many are there (`packing.group_of`)."""
    return made[HEAD : HEAD + made[NODES] * GROUPS].reshape((made[NODES], GROUPS))


@kernel
def join(made: I64, node: int, devices: int, workers: int) -> None:
    """So many more are on a node, of so many whole devices each, 0: of a share."""
    if made[POLICY] == GPU_CLUSTERING:
        made[HEAD + node * GROUPS + devices] += workers
