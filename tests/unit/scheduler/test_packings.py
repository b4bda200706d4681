"""Which node a policy's packing takes, by hand; and what packings go by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dure.errors import InvariantViolated
from dure.model.policy import Packing, Policy
from dure.scheduler import plan
from dure.scheduler.kernels.fragments import MIX_TOTAL_MAX
from dure.scheduler.kernels.packed import HEAD, guests_in, mix_of, packed
from dure.scheduler.kernels.packing import FGD, FIRST_FIT, RANDOM
from dure.scheduler.packings import SHAPES_MAX, guests_on, running_mix, scaled
from dure.scheduler.snapshot import Snapshot
from tests.builders.world import World


def farm() -> World:
    """Five nodes of eight devices: the first idle, one with six singles, one with two pairs and few cores left, one that is full,
    and a small one with a pair."""
    world = World().site("s")
    for node in range(4):
        world.node(f"n{node}", "s", cores=64, devices=8, accelerator="a100", shares=True)
    world.node("n4", "s", cores=8, devices=4, accelerator="a100", shares=True)
    for device in range(6):
        world.attempt(f"one{device}", [("n1", 1 << device)], cores=2, memory=0)
    world.attempt("pair0", [("n2", 3)], cores=20, memory=0).attempt("pair1", [("n2", 12)], cores=20, memory=0)
    world.attempt("all", [("n3", 255)], cores=8, memory=0)
    return world.attempt("pair2", [("n4", 3)], cores=2, memory=0)


def nodes(world: World, packing: Packing) -> list[tuple[str, ...]]:
    """By workload, in their order, the nodes of its workers; () for one that waits."""
    world.policy = replace(world.policy, packing=packing)
    s = world.snapshot()
    p = plan(s)
    found: dict[int, tuple[str, ...]] = {}
    for i, row in enumerate(p.start_pending.tolist()):
        seats = p.start_node[p.start_worker_ptr[i] : p.start_worker_ptr[i + 1]].tolist()
        found[row] = tuple(s.nodes.ids[node] for node in seats)
    return [found.get(row, ()) for row in range(len(s.pending.ids))]


@pytest.mark.parametrize(
    ("packing", "node"),
    [
        (Packing.FULLEST, "n4"),  # two devices and six cores free, against two and fifty-two
        (Packing.FIRST_FIT, "n0"),
        (Packing.BEST_FIT, "n4"),
        (Packing.DOT_PRODUCT, "n1"),  # alike but for cores, which the whole numbers of this score do not tell apart
        (Packing.GPU_PACKING, "n1"),  # the first of those that are in use
        (Packing.GPU_CLUSTERING, "n4"),  # nobody but pairs is there, as on n2, and less is left
        (Packing.FGD, "n4"),  # what is free there was too few cores for most pairs anyway
        (Packing.LEAST_WASTE, "n4"),
    ],
)
def test_a_pair_of_devices_goes(packing: Packing, node: str) -> None:
    assert nodes(farm().pending("w", devices=2, cores=2, memory=0), packing) == [(node,)]


def test_a_gang_sits_together_where_a_node_takes_it() -> None:
    for packing in Packing:
        assert len(set(nodes(farm().pending("w", workers=4, devices=1, cores=1, memory=0), packing)[0])) == 1


def test_a_gang_that_no_node_takes_fills_those_that_take_most_and_the_rest_goes_where_it_is_liked() -> None:
    world = farm().pending("w", workers=10, devices=1, cores=0, memory=0)
    assert nodes(world, Packing.FIRST_FIT) == [("n0",) * 8 + ("n1",) * 2]
    world = farm().pending("w", workers=10, devices=1, cores=0, memory=0)
    assert nodes(world, Packing.BEST_FIT) == [("n0",) * 8 + ("n4",) * 2]


def test_a_gang_that_fits_nowhere_waits_under_every_packing() -> None:
    for packing in Packing:
        assert nodes(farm().pending("w", workers=17, devices=1, cores=0, memory=0), packing) == [()]


def test_who_starts_in_a_plan_is_a_guest_for_those_who_come_behind() -> None:
    world = farm().pending("first", devices=4, cores=1, memory=0).pending("second", devices=4, cores=1, memory=0)
    assert nodes(world, Packing.GPU_CLUSTERING) == [("n0",), ("n0",)]  # idle before others' nodes, then beside its own kind


def test_a_share_goes_to_the_device_that_leaves_the_smallest_fragment() -> None:
    """Nearly all that runs has 300: where 600 are left another one can come behind, where 500 are left none can."""
    world = World().site("s").node("n", "s", cores=64, devices=2, accelerator="a100", shares=True)
    world.node("m", "s", cores=8, devices=8, accelerator="a100", shares=True)
    for device in range(8):  # no core is left
        world.attempt(f"one{device}", [("m", 1 << device)], cores=1, memory=0, share=300)
    world.attempt("a", [("n", 1)], cores=1, memory=0, share=400).attempt("b", [("n", 2)], cores=1, memory=0, share=500)
    world.pending("w", cores=1, memory=0, share=300)
    masks = {}
    for packing in Packing:
        world.policy = replace(world.policy, packing=packing)
        masks[packing] = plan(world.snapshot()).start_mask.tolist()
    assert masks == {each: [1 if each in (Packing.FGD, Packing.LEAST_WASTE) else 2] for each in Packing}


def test_what_is_expected_is_what_runs_by_how_many_workers_it_has() -> None:
    s = farm().snapshot()
    mix = running_mix(s)
    assert mix.total == 6 + 3 + 1
    assert mix.whole[1, -1, :9].tolist() == [0, 6, 9, 9, 9, 9, 9, 9, 10]
    nobody = running_mix(World().site("s", 1, cores=8, devices=2, accelerator="a100").pending("w", devices=2).snapshot())
    assert (nobody.total, nobody.whole[1, -1, :3].tolist()) == (1, [0, 1, 1])


def test_what_waits_is_expected_by_nobody_so_that_asking_for_less_moves_nobody_else() -> None:
    few, many = farm().pending("w", devices=2).snapshot(), farm().pending("w", devices=8, workers=100).snapshot()
    assert all(np.array_equal(a, b) for a, b in zip(running_mix(few), running_mix(many), strict=True))


def test_a_mix_of_more_than_can_be_counted_is_scaled_down() -> None:
    share = MIX_TOTAL_MAX // 2
    weights = np.array([share, share, share, 1])
    assert scaled(weights).tolist() == [share // 2] * 3 + [1]
    assert scaled(np.array([3, 2])).tolist() == [3, 2]


def test_types_beyond_those_that_are_told_apart_count_as_any() -> None:
    world = World().site("s")
    for kind in range(70):
        world.node(f"n{kind:02}", "s", cores=8, devices=2, accelerator=f"t{kind:02}")
    for kind in (1, 69):
        world.attempt(f"a{kind}", [(f"n{kind:02}", 1)], cores=1)
    mix = running_mix(world.snapshot())
    assert mix.total == 2
    assert mix.whole[2, -1, 1] == 2  # of its own type, and of any
    assert {int(mix.whole[row, -1, 1]) for row in range(71) if row != 2} == {1}


def test_guests_are_workers_with_devices_by_how_many_they_have() -> None:
    world = farm().attempt("part", [("n0", 1)], cores=1, memory=0, share=300).attempt("cpu", [("n0", 0)], cores=1, memory=0)
    found = guests_on(world.snapshot())
    assert {(n, g): int(found[n, g]) for n, g in zip(*found.nonzero(), strict=True)} == {
        (0, 0): 1, (1, 1): 6, (2, 2): 2, (3, 8): 1, (4, 2): 1,
    }  # fmt: skip


def test_what_is_packed_is_what_comes_out() -> None:
    s: Snapshot = farm().snapshot()
    mix = running_mix(s)
    out = mix_of(packed(FGD, mix))
    assert all(np.array_equal(a, b) for a, b in zip(mix, out, strict=True))
    nothing = packed(FIRST_FIT)
    assert (len(nothing), guests_in(nothing).size, mix_of(nothing).share.size) == (HEAD, 0, 0)


def test_a_plan_leaves_nothing_to_chance_and_each_packing_has_what_it_goes_by() -> None:
    for wrong in ((RANDOM,), (FGD,), (FIRST_FIT, running_mix(farm().snapshot()))):
        with pytest.raises(InvariantViolated):
            packed(*wrong)
    with pytest.raises(InvariantViolated):
        packed(FIRST_FIT, None, guests_on(farm().snapshot()))
    assert Policy().packing is Packing.FULLEST


def test_of_more_shapes_than_a_mix_has_the_most_frequent_count() -> None:
    """Else whoever submits many that differ a little would make every plan slow."""
    world = World().site("s").node("n", "s", cores=2000, devices=0)
    for i in range(SHAPES_MAX + 40):
        world.attempt(f"a{i}", [("n", 0)] * (1 if i < 40 else 2), cores=1 + i / 8, memory=0)
    mix = running_mix(world.snapshot())
    assert len(mix.cores) == SHAPES_MAX and mix.total == 2 * SHAPES_MAX
    assert mix.cores[0] == 1000 + 40 * 125
