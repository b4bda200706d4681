"""The packing kernels choose what their definitions say, whatever happened before, and say the same compiled and uncompiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.errors import InvariantViolated
from dure.scheduler.kernels.fragments import fragment, make_mix
from dure.scheduler.kernels.packing import NOWHERE, RANDOM, score
from dure.scheduler.kernels.room import ANY, Demand, fits, give, make_ground, take
from tests.builders.worlds import examples
from tests.properties.kernels import packing_oracle as oracle
from tests.properties.kernels.packing_worlds import DEMAND, KINDS, NODE, POLICIES, Row, World, fingerprint, ground_of, shapes_of

ROOT = Path(__file__).parents[3]
NODES = st.lists(NODE, min_size=1, max_size=7)
DRAW = st.floats(0, 1, exclude_max=True)
DEED = st.tuples(st.integers(0, 5), DRAW, DRAW, st.one_of(st.none(), st.integers(0, 99)))


def free_is_sane(world: World) -> bool:
    ground, nodes = world.ground, oracle.nodes_of(world.ground)
    whole = [sum(1 << device for device in node.whole) for node in nodes]
    return (
        bool((ground.nodes.cores_free >= 0).all() and (ground.nodes.memory_free >= 0).all() and (ground.share_free >= 0).all())
        and bool((ground.nodes.cores_free <= ground.nodes.cores).all() and (ground.share_free <= 1000).all())
        and ground.nodes.whole_free.tolist() == whole
    )


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
@given(rows=NODES, demands=st.lists(DEMAND, min_size=1, max_size=6), deeds=st.lists(DEED, max_size=25), data=st.data())
@examples(60, most=5000)
def test_a_policy_takes_the_first_of_the_nodes_with_its_highest_score(
    policy: int, rows: list[Row], demands: list[Demand], deeds: list[tuple[int, float, float, int | None]], data: st.DataObject
) -> None:
    weight = data.draw(st.lists(st.integers(0, 9), min_size=len(demands), max_size=len(demands)))
    world = World(ground_of(rows), demands, [w + (i == 0) for i, w in enumerate(weight)], policy)
    expected = oracle.Expected([(d, w) for d, w in zip(demands, world.weight, strict=True) if w])
    for number, draw, other, leaves in deeds:
        if leaves is not None and world.runs:
            world.end(leaves % len(world.runs))
        shape = number % len(demands)
        demand, nodes = demands[shape], oracle.nodes_of(world.ground)
        for node, own, _ in world.runs:
            if oracle.asked(own):
                nodes[node].groups.append(own.devices)
        node = world.choose(shape, draw)
        assert node == oracle.choice(policy, expected, nodes, demand, draw)
        if node < 0:
            continue
        device = world.device(node, demand, other)
        assert device == oracle.device(policy, expected, nodes[node], demand, other)
        world.start(node, demand, device)
        assert free_is_sane(world)
        assert oracle.nodes_of(world.ground)[node].left == oracle.after(nodes[node], demand, device).left


@given(NODES, st.lists(DEMAND, min_size=1, max_size=6), st.lists(DEED, max_size=30), st.sampled_from(list(POLICIES.values())))
@examples(60)
def test_what_was_taken_comes_back_in_any_order(
    rows: list[Row], demands: list[Demand], deeds: list[tuple[int, float, float, int | None]], policy: int
) -> None:
    world, fresh = World(ground_of(rows), demands, [1] * len(demands), policy), ground_of(rows)
    for number, draw, other, _ in deeds:
        shape = number % len(demands)
        node = world.choose(shape, draw)
        if node >= 0:
            world.start(node, demands[shape], world.device(node, demands[shape], other))
    for _, draw, _, _ in deeds:
        if world.runs:
            world.end(int(draw * len(world.runs)))
    while world.runs:
        world.end(0)
    assert [column.tobytes() for column in world.ground] == [column.tobytes() for column in fresh]
    assert not world.guests.any()


@given(NODES, st.lists(DEMAND, min_size=1, max_size=4), st.lists(DEED, max_size=12), st.sampled_from(list(POLICIES.values())))
@examples(60)
def test_what_is_remembered_changes_no_answer(
    rows: list[Row], demands: list[Demand], deeds: list[tuple[int, float, float, int | None]], policy: int
) -> None:
    world = World(ground_of(rows), demands, [1] * len(demands), policy)
    for number, draw, other, leaves in deeds:
        shape = number % len(demands)
        if leaves is not None and world.runs:
            world.end(leaves % len(world.runs))
        node = world.choose(shape, draw)
        if policy != RANDOM:
            every = [score(policy, world.ground, world.guests, world.mix, at, demands[shape]) for at in range(len(rows))]
            assert node == (-1 if max(every) == NOWHERE else every.index(max(every)))
        if node >= 0:
            world.start(node, demands[shape], world.device(node, demands[shape], other))


@given(NODE, st.lists(st.tuples(DEMAND, st.integers(0, 9)), min_size=1, max_size=6), st.lists(DEMAND, max_size=8))
@examples(150)
def test_a_fragment_is_what_is_of_no_use_to_the_mean_of_what_is_expected(
    row: Row, mix: list[tuple[Demand, int]], runs: list[Demand]
) -> None:
    ground, shapes = ground_of([row]), [*mix, (Demand(0, 0, 0, 0, ANY), 1)]
    for demand in runs:
        if fits(ground, 0, demand):
            take(ground, 0, demand, oracle.devices_for(oracle.nodes_of(ground)[0], demand)[-1])
    expected = oracle.Expected(shapes)
    made = make_mix(shapes_of([d for d, _ in shapes]), np.array([w for _, w in shapes]), KINDS)
    assert fragment(made, ground, 0) == expected.fragment(oracle.nodes_of(ground)[0]) * expected.total


@given(NODE, DEMAND)
@examples(150)
def test_what_fits_is_what_can_be_taken_and_given_back(row: Row, demand: Demand) -> None:
    ground, node = ground_of([row]), oracle.nodes_of(ground_of([row]))[0]
    assert fits(ground, 0, demand) == oracle.fits(node, demand)
    if fits(ground, 0, demand):
        for device in oracle.devices_for(node, demand):
            bits = take(ground, 0, demand, device)
            assert oracle.nodes_of(ground)[0] == oracle.after(node, demand, device)
            give(ground, 0, demand, np.uint64(bits))
            assert oracle.nodes_of(ground)[0] == node


def test_a_node_of_64_devices_has_a_bit_for_each() -> None:
    ground = make_ground(kind=[0], cores=[0], memory=[0], devices=[64], site=[3], block=[5])
    bits = take(ground, 0, Demand(64, 0, 0, 0, ANY), -1)
    assert (int(bits), int(ground.nodes.whole_free[0]), int(ground.nodes.site[0]), int(ground.nodes.block[0])) == (
        2**64 - 1,
        0,
        3,
        5,
    )
    give(ground, 0, Demand(64, 0, 0, 0, ANY), np.uint64(bits))
    assert int(ground.nodes.whole_free[0]) == 2**64 - 1


def test_grounds_and_mixes_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvariantViolated, match="64 devices"):
        make_ground(kind=[0], cores=[0], memory=[0], devices=[65])
    with pytest.raises(InvariantViolated, match="one entry a node"):
        make_ground(kind=[0], cores=[0, 1], memory=[0], devices=[1])
    with pytest.raises(InvariantViolated, match="types of accelerator"):
        make_ground(kind=[63], cores=[0], memory=[0], devices=[1])
    with pytest.raises(InvariantViolated, match="weight"):
        make_mix(shapes_of([Demand(1, 0, 0, 0, ANY)]), np.array([0]), 1)


def test_compiled_and_uncompiled_kernels_tell_the_same_story_byte_for_byte() -> None:
    environ = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.properties.kernels.packing_worlds"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == fingerprint(), done.stderr
