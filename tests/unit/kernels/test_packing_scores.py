"""The scores of the packing policies, by value."""

from __future__ import annotations

import numpy as np
import pytest

from dure.scheduler.kernels.fragments import fragment, gain_of, make_mix, step_of, stranded
from dure.scheduler.kernels.ground import Ground
from dure.scheduler.kernels.packing import best_fit, dot_product, gpu_clustering, gpu_packing
from dure.scheduler.kernels.room import ANY, Demand, Shapes, count_whole, guests_of, make_ground, take, tightest


def node(devices: int = 8, cores: int = 64_000) -> Ground:
    return make_ground(kind=[0], cores=[cores], memory=[1024], devices=[devices])


def whole(devices: int, cores: int = 0) -> Demand:
    return Demand(devices, 0, cores, 0, ANY)


def share(milli: int, cores: int = 0) -> Demand:
    return Demand(0, milli, cores, 0, ANY)


def test_best_fit_is_what_is_left_of_128_cores_and_8_devices() -> None:
    assert best_fit(node(), 0, whole(8, 64_000)) == 100
    assert best_fit(node(), 0, whole(4, 32_000)) == 62  # left over: a half and a quarter, and 62.5 is cut off
    assert best_fit(node(), 0, Demand(0, 0, 0, 0, ANY)) == 25


def test_dot_product_is_low_where_much_of_what_is_asked_is_free() -> None:
    assert dot_product(node(), 0, whole(8)) == 50
    assert dot_product(node(), 0, whole(8, 64_000)) == 37  # half of (1 + a quarter), taken from 1 and cut off
    assert dot_product(node(), 0, share(1)) == 99


def test_gpu_packing_goes_from_shared_devices_to_free_ones_to_idle_nodes() -> None:
    ground = node()
    assert gpu_packing(ground, 0, whole(1)) == 33 - 8
    take(ground, 0, share(400), 2)
    assert gpu_packing(ground, 0, share(500)) == 100 - 60 // 10
    assert gpu_packing(ground, 0, share(700)) == 49
    assert [gpu_packing(ground, 0, whole(n)) for n in (1, 2, 7)] == [49, 48, 43]
    assert gpu_packing(ground, 0, Demand(0, 0, 1000, 0, ANY)) == 0


def test_gpu_clustering_likes_its_own_group_best_and_others_least() -> None:
    ground, guests = node(), guests_of(1, 8)
    assert gpu_clustering(ground, guests, 0, whole(1)) == 25
    take(ground, 0, whole(4), -1)
    guests[0, 4] = 1
    assert gpu_clustering(ground, guests, 0, whole(4)) == 75 + 12
    assert gpu_clustering(ground, guests, 0, whole(1)) == 12
    guests[0, 0] = 1
    assert gpu_clustering(ground, guests, 0, whole(4)) == 50 + 12
    assert gpu_clustering(ground, guests, 0, Demand(0, 0, 1000, 0, ANY)) == 0


def test_a_share_goes_to_the_tightest_device_and_whole_ones_to_the_lowest() -> None:
    ground = node(4)
    take(ground, 0, share(300), 1)
    take(ground, 0, share(600), 3)
    assert [tightest(ground, 0, milli) for milli in (400, 401, 701)] == [3, 1, 0]
    assert int(take(ground, 0, whole(2), -1)) == 0b0101
    assert count_whole(ground.nodes.whole_free[0]) == 0
    assert tightest(ground, 0, 701) == -1


MIX = Shapes(*(np.array(column) for column in [(1, 2, 0, 0), (0, 0, 500, 0), (4000, 8000, 1000, 1000), (0, 0, 0, 0), (ANY,) * 4]))


def test_the_fragment_of_a_node_is_weighted_by_who_is_expected() -> None:
    mix, ground = make_mix(MIX, np.array([4, 3, 2, 1]), 1), node(2, 8_000)
    assert fragment(mix, ground, 0) == 1 * 2000  # of no use to the one that wants no device
    take(ground, 0, share(600), 0)  # leaves 400 and a whole one
    one, pair, half, none = 4 * 400, 3 * 1400, 2 * 400, 1 * 1400
    assert fragment(mix, ground, 0) == one + pair + half + none
    take(ground, 0, Demand(0, 0, 6_000, 0, ANY), -1)  # leaves 2 cores: too few for a whole device
    assert fragment(mix, ground, 0) == 4 * 1400 + pair + half + none


def test_the_gain_prefers_the_device_that_is_spoilt_already() -> None:
    mix, ground = make_mix(MIX, np.array([4, 3, 2, 1]), 1), node(2, 8_000)
    take(ground, 0, share(600), 1)
    before = fragment(mix, ground, 0)
    gain, device = gain_of(mix, ground, 0, share(400, 1000), False)
    assert device == 1
    take(ground, 0, share(400, 1000), device)
    assert gain == before - fragment(mix, ground, 0)


def test_the_steps_are_those_of_the_sigmoid() -> None:
    mix = make_mix(MIX, np.array([4, 3, 2, 1]), 1)
    for milli in (-8000, -1000, -41, -40, -1, 0, 1, 39, 40, 41, 1000, 4594, 4596, 8000):
        assert step_of(mix, milli * mix.total) == int(100 / (1 + np.exp(-milli / 1000)))


@pytest.mark.parametrize(("left", "cores", "wanted"), [(2000, 8000, 0), (2000, 2000, 1334), (0, 0, 0), (1000, 0, 1000)])
def test_devices_without_cores_are_stranded(left: int, cores: int, wanted: int) -> None:
    mix = make_mix(Shapes(*(np.array([n]) for n in (1, 0, 3000, 0, ANY))), np.array([5]), 1)
    assert mix.cores_per_device == 3000
    assert stranded(mix, left, cores) == wanted


def test_nothing_is_stranded_where_nobody_wants_cores_with_devices() -> None:
    assert stranded(make_mix(Shapes(*(np.array([n]) for n in (0, 0, 3000, 0, ANY))), np.array([5]), 1), 2000, 0) == 0
