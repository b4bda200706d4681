"""How much of what is free is of no use to what is expected, at every step of a trial; kernels, and what holds their tables.

The measure is that of `scheduler.kernels.fragments`. What is expected are the workers of the trace itself, each counting as one,
as pods do there. A sum over nodes is kept: after each plan the nodes on which anybody came or went are looked at again, and no
others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dure.scheduler.kernels.board import longer
from dure.scheduler.kernels.fragments import Mix, fragment, make_mix
from dure.scheduler.kernels.ground import I32, I64, U64, WHOLE, Columns, Ground, Table, table
from dure.scheduler.kernels.jit import kernel, wide
from dure.scheduler.kernels.room import ANY, KINDS_MAX, Shapes, make_ground
from dure.scheduler.snapshot import Nodes
from dure.simulator.fill import typical_of
from dure.simulator.report.run import Samples
from dure.simulator.trial.asks import Asks
from dure.simulator.trial.state import Farm, Live

PARTS = 1000  # of the time: more values than that are made one for each part, its mean
SAMPLE: Columns = [("at", np.int64), ("value", np.int64)]
SUM_MAX = 1 << 62  # weight times thousandths of all devices stays below
_ONE, _ZERO = np.uint64(1), np.uint64(0)


class Wasted(NamedTuple):
    """on: of no nodes where nothing is measured."""

    mix: Mix
    on: I64  # by node: thousandths of a device times weight
    total: I64  # of one entry: their sum
    used: I64  # of one entry: how many samples there are
    samples: Table  # SAMPLE: thousandths of a device, whenever they change


def expected(asks: Asks, farm: Farm) -> Mix | None:
    """What a trace lets expect: the shapes of its workers, the most frequent ones, as `fill` has it. None where none wants a
    device, or the fleet has none."""
    milli, fleet = asks.devices_milli, farm.fleet
    if not fleet.devices or not milli.any() or len(fleet.accelerators) > KINDS_MAX:
        return None
    masks = [ANY if n == asks.any_kind else sum(1 << k for k in kinds if k >= 0) for n, kinds in enumerate(asks.kinds)]
    job = np.zeros(int(farm.shape.max()) + 1, np.int64)  # one of each shape: of all that ask alike
    job[farm.shape] = np.arange(len(farm.shape))
    columns = (asks.cores_milli, milli, asks.devices, np.array(masks, np.int64)[asks.kind_choice])
    workers = np.bincount(farm.shape, asks.workers).astype(np.int64)
    most = SUM_MAX // (WHOLE * fleet.devices)
    return typical_of(np.stack([column[job] for column in columns]), workers, len(fleet.accelerators), most=most)


def no_mix() -> Mix:
    """In place of one where nothing is measured: kernels want one."""
    one = np.ones(1, np.int64)
    return make_mix(Shapes(one, one * 0, one, one, one * ANY), one, 0)


def wasted_on(mix: Mix | None, ground: Ground, at_ms: int) -> Wasted:
    """Of a ground as it is now. at_ms: when that is."""
    nodes = len(ground.nodes) if mix is not None else 0
    made = Wasted(mix or no_mix(), np.zeros(nodes, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64), table(SAMPLE, 1024))
    _look_at_all(made, ground)
    sample(made, at_ms)
    return made


def grown(wasted: Wasted) -> Wasted:
    return wasted._replace(samples=longer(wasted.samples, 2 * len(wasted.samples)))


def samples_of(wasted: Wasted, until_ms: int) -> Samples | None:
    """What was sampled until a moment; of many values, means over equal parts of the time."""
    if not len(wasted.on):
        return None
    rows = wasted.samples[: wasted.used[0]]
    return evened(np.array(rows["at"]), np.array(rows["value"]), until_ms)


def evened(at_ms: I64, value: I64, until_ms: int, parts: int = PARTS) -> Samples:
    """The same values, each of which holds until the next; where there are more than so many parts, the mean of each of so many
    equal parts of the time, rounded."""
    if len(at_ms) <= parts or until_ms - at_ms[0] < parts:
        return Samples(at_ms=at_ms, value=value)
    edges = at_ms[0] + (until_ms - at_ms[0]) * np.arange(parts + 1) // parts
    ends = np.concatenate([at_ms, [max(until_ms, int(at_ms[-1]))]]).astype(np.float64)
    integral = np.concatenate([[0.0], np.cumsum(value * np.diff(ends))])
    mean = np.diff(np.interp(edges, ends, integral)) / np.diff(edges)
    return Samples(at_ms=edges[:-1], value=np.rint(mean).astype(np.int64))


# -- kernels -------------------------------------------------------------------------------------------------------------------


@kernel
def look_at(wasted: Wasted, ground: Ground, node: int) -> None:
    """A node on which somebody came or went."""
    now = fragment(wasted.mix, ground, node)
    wasted.total[0] += now - wasted.on[node]
    wasted.on[node] = now


@kernel
def _look_at_all(wasted: Wasted, ground: Ground) -> None:
    for node in range(len(wasted.on)):
        look_at(wasted, ground, node)


@kernel
def look_at_jobs(wasted: Wasted, ground: Ground, tenures: Table, ptr: I64, rows: I64, count: int) -> None:
    """The nodes of the first so many of these jobs, which came or went. ptr: of attempts, into the tenures."""
    if len(wasted.on) == 0:
        return
    for i in range(count):
        for tenure in range(ptr[2 * rows[i]], ptr[2 * rows[i] + 1]):
            look_at(wasted, ground, wide(tenures.node[tenure]))


@kernel
def sample(wasted: Wasted, now: int) -> None:
    """So it is from now on. There is room for one more."""
    made, value, rows = wasted.used[0], wasted.total[0] // wasted.mix.total, wasted.samples
    if made > 0 and rows.at[made - 1] == now:
        rows.value[made - 1] = value
    elif made == 0 or rows.value[made - 1] != value:
        rows.at[made], rows.value[made] = now, value
        wasted.used[0] = made + 1


@kernel
def _sit(ground: Ground, wasted: Wasted, node: I32, mask: U64, cores: I64, share: I64, sign: int) -> None:
    """Workers come (-1) or go (1). share: thousandths of each of their devices; 0: they have them whole."""
    for i in range(len(node)):
        at = node[i]
        ground.nodes.cores_free[at] += sign * cores[i]
        first, whole = ground.device_ptr[at], _ZERO
        for device in range(ground.device_ptr[at + 1] - first):
            bit = _ONE << np.uint64(device)
            if mask[i] & bit != _ZERO:
                ground.share_free[first + device] += sign * (share[i] if share[i] > 0 else WHOLE)
            if ground.share_free[first + device] == WHOLE:
                whole |= bit
        ground.nodes.whole_free[at] = whole
    for i in range(len(node)):
        look_at(wasted, ground, wide(node[i]))


# -- where there is no board ---------------------------------------------------------------------------------------------------


class Watch:
    """The same for a trial that makes a plan for each step."""

    def __init__(self, nodes: Nodes, asks: Asks, mix: Mix | None, at_ms: int) -> None:
        bits = np.array([int(mask).bit_length() for mask in nodes.device_mask.tolist()], np.int64)
        self._asks = asks
        some = slice(None) if mix is not None else slice(0)  # where nothing is measured there may be types without end
        self._ground = make_ground(
            kind=nodes.accelerator[some], cores=nodes.cores_milli[some], memory=nodes.memory_mib[some], devices=bits[some]
        )
        self._wasted = wasted_on(mix, self._ground, at_ms)

    def leave(self, live: Live, rows: NDArray[np.bool_]) -> None:
        """These of the live ones go."""
        workers = np.repeat(rows, live.workers)
        self._change(live.job[rows], live.workers[rows], live.node[workers], live.mask[workers], 1)

    def come(self, live: Live) -> None:
        self._change(live.job, live.workers, live.node, live.mask, -1)

    def _change(self, job: I64, workers: I64, node: I32, mask: U64, sign: int) -> None:
        if len(self._wasted.on) and len(node):
            each = np.repeat(job, workers)
            cores, share = self._asks.cores_milli[each].astype(np.int64), self._asks.share_milli[each].astype(np.int64)
            _sit(self._ground, self._wasted, node.astype(np.int32), mask.astype(np.uint64), cores, share, sign)

    def sample(self, now_ms: int) -> None:
        if self._wasted.used[0] == len(self._wasted.samples):
            self._wasted = grown(self._wasted)
        sample(self._wasted, now_ms)

    def samples(self, until_ms: int) -> Samples | None:
        return samples_of(self._wasted, until_ms)
