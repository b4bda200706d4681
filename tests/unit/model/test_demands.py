"""What a worker wants of devices, and whose they are."""

from __future__ import annotations

from dure.model.accelerators import is_domestic
from dure.model.workload import Demand


def test_whole_devices_and_shares_are_counted_in_thousandths() -> None:
    assert [Demand(devices=2).devices_milli, Demand(share_milli=250).devices_milli, Demand().devices_milli] == [2000, 250, 0]
    assert Demand(share_milli=1).wants_devices and Demand(devices=1).wants_devices and not Demand().wants_devices


def test_a_type_is_domestic_by_its_makers_home_and_an_unknown_one_is_not() -> None:
    assert [is_domestic(name) for name in ("atom", "RNGD", "h100", "unheard-of")] == [True, True, False, False]
