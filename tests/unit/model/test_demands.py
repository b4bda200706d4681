"""What a worker wants of devices, and whose they are."""

from __future__ import annotations

from dure.model.accelerators import is_domestic
from dure.model.workload import Demand, WorkloadSpec


def test_whole_devices_and_shares_are_counted_in_thousandths() -> None:
    assert [Demand(devices=2).devices_milli, Demand(share_milli=250).devices_milli, Demand().devices_milli] == [2000, 250, 0]
    assert Demand(share_milli=1).wants_devices and Demand(devices=1).wants_devices and not Demand().wants_devices


def test_a_type_is_domestic_by_its_makers_home_and_an_unknown_one_is_not() -> None:
    assert [is_domestic(name) for name in ("atom", "RNGD", "h100", "unheard-of")] == [True, True, False, False]


def test_a_gang_is_elastic_that_can_run_with_fewer_workers_than_it_asks_for() -> None:
    sizes = [WorkloadSpec(name="a", command=("a",), workers=4, workers_min=least) for least in (0, 2, 4)]
    assert [(spec.fewest, spec.is_elastic) for spec in sizes] == [(4, False), (2, True), (4, False)]
