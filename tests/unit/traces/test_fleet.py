from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dure.errors import InvariantViolated
from dure.simulator.traces.faults import FaultKind, FleetError, TraceError
from dure.simulator.traces.fleet import Fleet, Kind, Pool, Site, Window
from dure.simulator.traces.fleetcheck import make_fleet
from dure.simulator.traces.fleetfile import parse_fleet, read_fleet, write_fleet
from dure.simulator.traces.fleets import FLEETS, apportion, built_in, national_fleet
from dure.simulator.traces.parquet import write_columns
from dure.simulator.traces.regions import REGIONS

HOUR = 3_600_000
TOML = """[fleet]
name = "two-farms"
source = "made by hand"

[[accelerator]]
id = "kr-npu"
origin = "KR"
server_watts = 300

[[site]]
name = "pohang"
region = "KR-47"
pue = 1.15
power_kw = 900
repeat_s = 86400
power = [{from_s = 36000, until_s = 61200, kw = 700}]
price_krw_kwh = 166.4
carbon_g_kwh = [CARBON]

[[site.pool]]
name = "h200"
nodes = 40
accelerator = "h200"
devices = 8
cores = 192
memory_gib = 2048
block = 16
idle_watts = 1500

[[site.pool]]
name = "cpu"
nodes = 2
cores = 64
memory_gib = 256

[[site]]
name = "gwangju"
owner = "private"

[[site.pool]]
name = "npu"
nodes = 3
accelerator = "kr-npu"
devices = 4
""".replace("CARBON", ", ".join(["400"] * 23 + ["417.3"]))


def test_a_fleet_file_is_read_in_the_units_of_the_records() -> None:
    fleet = parse_fleet(TOML)
    first, second = fleet.sites
    assert (fleet.name, fleet.devices, fleet.accelerators) == ("two-farms", 332, ("h200", "kr-npu"))
    assert (first.pue_permille, first.power_watts, first.price_krw_mwh, first.carbon_by_hour[23]) == (
        1150,
        900_000,
        166_400,
        417_300,
    )
    assert first.windows == (Window(from_ms=10 * HOUR, until_ms=17 * HOUR, watts=700_000),) and first.every_ms == 24 * HOUR
    assert first.pools[0].cores_milli == 192_000 and first.pools[0].memory_mib == 2 << 20
    assert (second.owner, second.pue_permille, second.power_watts) == ("private", 1000, 0)
    assert fleet.domestic("kr-npu") and fleet.domestic("rngd") and not fleet.domestic("h200")
    assert fleet.node_watts(first.pools[0]) == 8 * 1275 and fleet.node_watts(second.pools[0]) == 1200


@pytest.mark.parametrize("fleet", [parse_fleet(TOML), *(make() for make in FLEETS.values())], ids=lambda fleet: fleet.name)
def test_what_is_written_is_read_back(fleet: Fleet, tmp_path: Path) -> None:
    path = tmp_path / "FLEET.toml"
    path.write_text(write_fleet(fleet), encoding="utf-8")
    assert read_fleet(path) == fleet


def test_nodes_are_columns_sorted_by_site_with_blocks() -> None:
    nodes = parse_fleet(TOML).nodes()
    assert (
        len(nodes) == 45
        and nodes.site.tolist() == [0] * 42 + [1] * 3
        and nodes.accelerator.tolist() == [0] * 40 + [-1] * 2 + [1] * 3
    )
    assert (
        nodes.block.tolist() == [0] * 16 + [1] * 16 + [2] * 8 + [-1] * 5
        and nodes.devices.tolist() == [8] * 40 + [0] * 2 + [4] * 3
    )


def test_pools_that_lie_mixed_keep_the_places_of_their_nodes() -> None:
    pools = (Pool(name="a", nodes=2, cores_milli=1, ranks=(0, 3)), Pool(name="b", nodes=2, cores_milli=2, ranks=(1, 2)))
    assert make_fleet("x", [Site(name="s", pools=pools)]).nodes().cores_milli.tolist() == [1, 2, 2, 1]


def test_an_envelope_covers_a_time_without_gaps() -> None:
    fleet = parse_fleet(TOML)
    assert fleet.envelope(0, 12 * HOUR, 36 * HOUR) == [
        (12 * HOUR, 17 * HOUR, 700_000), (17 * HOUR, 34 * HOUR, 900_000), (34 * HOUR, 36 * HOUR, 700_000),
    ]  # fmt: skip
    assert fleet.envelope(1, 5, 9) == [(5, 9, 0)], "no limit"
    once = make_fleet("x", [replace(fleet.sites[0], every_ms=0)])
    assert [piece[2] for piece in once.envelope(0, 0, 60 * HOUR)] == [900_000, 700_000, 900_000]


CONTRADICTIONS = [
    ('accelerator = "h200"', 'accelerator = "h2000"', FaultKind.UNKNOWN_WORD,
    "line 20, site 1, pool 1 (pohang/h200): accelerator"),
    ('accelerator = "h200"', 'accelerator = "H200"', FaultKind.UNKNOWN_WORD, "accelerator"),
    ("nodes = 40", "nodes = -40", FaultKind.NEGATIVE, "nodes"), ("nodes = 40", "nodes = 0", FaultKind.CONTRADICTION, "nodes"),
    ("nodes = 40", "", FaultKind.MISSING, "line 20, site 1, pool 1: nodes"),
    ("nodes = 40", "nodes = 4.5", FaultKind.NOT_WHOLE, "nodes"),
    ("nodes = 40", "nodes = true", FaultKind.NOT_A_NUMBER, "nodes"), ("nodes = 40", "nodes = nan", FaultKind.NOT_FINITE, "nodes"),
    ("nodes = 40", "nodes = " + "9" * 400, FaultKind.NOT_FINITE, "nodes"),
    ('name = "gwangju"', 'name = "pohang"', FaultKind.DUPLICATE, "line 36, site 2 (pohang): name"),
    ('name = "cpu"', 'name = "h200"', FaultKind.DUPLICATE, "pool 2"),
    ('name = "gwangju"', 'name = "광주"', FaultKind.UNKNOWN_WORD, "name"),
    ("kw = 700", "kw = 60", FaultKind.CONTRADICTION, "below the 69,000 W"),
    ("power_kw = 900", "power_kw = 68", FaultKind.CONTRADICTION, "idle"),
    ("kw = 700}", "kw = 700}, {from_s = 61000, until_s = 70000, kw = 800}", FaultKind.CONTRADICTION, "overlap from 61000 s"),
    ("until_s = 61200", "until_s = 86401", FaultKind.CONTRADICTION, "after the period"),
    ("until_s = 61200", "until_s = 36000", FaultKind.CONTRADICTION, "before it begins"),
    ("pue = 1.15", "pue = 0.9", FaultKind.CONTRADICTION, "pue"), ('"KR-47"', '"Pohang"', FaultKind.UNKNOWN_WORD, "region"),
    ('owner = "private"', 'owner = "nobody"', FaultKind.UNKNOWN_WORD, "owner"),
    ("devices = 4", "devices = 65", FaultKind.TOO_LARGE, "devices"),
    ("devices = 4", "", FaultKind.CONTRADICTION, "devices"),
    ("carbon_g_kwh = [400, ", "carbon_g_kwh = [", FaultKind.BROKEN_ROW, "23 numbers"),
    ('id = "kr-npu"', 'id = "h200"', FaultKind.DUPLICATE, "catalogue"),
    ("pue = 1.15", "puh = 1.15", FaultKind.UNKNOWN_WORD, "puh"),
    ("idle_watts = 1500", "idle_watts = 1500\nnode_watts = 1000", FaultKind.CONTRADICTION, "idle_watts"),
    ('source = "made by hand"', "source = 7", FaultKind.BROKEN_ROW, "source"),
    ("price_krw_kwh = 166.4", "price_krw_kwh = -1", FaultKind.NEGATIVE, "price"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "kind", "words"), CONTRADICTIONS, ids=lambda value: str(value)[:30])
def test_a_fleet_that_contradicts_itself_is_refused(old: str, new: str, kind: FaultKind, words: str) -> None:
    assert old in TOML
    with pytest.raises(FleetError) as caught:
        parse_fleet(TOML.replace(old, new, 1))
    assert kind in {fault.kind for fault in caught.value.faults}, str(caught.value)
    assert words in str(caught.value) and all(fault.remedy for fault in caught.value.faults)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(FleetError) as caught:
        parse_fleet(TOML.replace("nodes = 40", "nodes = -1").replace("devices = 4", "devices = 99"))
    assert len(caught.value.faults) == 2


def test_what_is_no_fleet_file_is_refused(tmp_path: Path) -> None:
    for text in ("[[site]\n", "site = 1\n[site]\n", "a = " + "[" * 5000):
        with pytest.raises(TraceError, match="no TOML"):
            parse_fleet(text)
    for text in ("", "site = 3\n", "[fleet]\nname = 'x'\n"):
        with pytest.raises(FleetError):
            parse_fleet(text)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "bytes", tmp_path / "nothing"):
        with pytest.raises(TraceError):
            read_fleet(path)


def test_tables_of_queues_and_nodes_are_fleets(tmp_path: Path) -> None:
    write_columns(tmp_path / "q.parquet", {"queue": ["b", "a"], "nodes": [2, 3], "gpus_per_node": [8, 4]})
    fleet = read_fleet(tmp_path / "q.parquet")
    assert [site.name for site in fleet.sites] == ["b", "a"] and fleet.devices == 28
    columns = {"gpus": [8, 2, 8], "gpu_type": ["G2", "T4", "G2"], "cpus": [96.0, 16.0, 96.0], "mem_gib": [384.0, 120.0, 384.0]}
    write_columns(tmp_path / "n.parquet", columns)
    nodes = read_fleet(tmp_path / "n.parquet")
    assert nodes.nodes().devices.tolist() == [8, 2, 8] and len(nodes.sites[0].pools) == 2 and nodes.accelerators == ("g2", "t4")
    write_columns(tmp_path / "bad.parquet", {**columns, "gpus": [8, None, 8]})
    with pytest.raises(TraceError, match="row 2"):
        read_fleet(tmp_path / "bad.parquet")
    write_columns(tmp_path / "bad.parquet", {**columns, "gpus": [8, -2, 8]})
    with pytest.raises(FleetError, match="negative"):
        read_fleet(tmp_path / "bad.parquet")


# -- built-in fleets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "devices", "nodes"), [
    ("philly", 2816, 352), ("openb", 6212, 1213), ("kr-15000", 15_000, 1875), ("kr-50000", 50_000, 6250),
    ("kr-260000", 260_000, 32_500),
])  # fmt: skip
def test_built_in_fleets_have_what_their_name_says(name: str, devices: int, nodes: int) -> None:
    fleet = built_in(name)
    assert fleet.devices == devices and len(fleet.nodes()) == nodes


def test_a_national_fleet_has_every_region_domestic_devices_and_room_for_the_widest_gang() -> None:
    fleet = national_fleet(50_000)
    assert {site.region for site in fleet.sites} == {region.code for region in REGIONS} and len(REGIONS) == 17
    assert any(fleet.domestic(name) for name in fleet.accelerators)
    assert max(pool.nodes * pool.devices for _site, pool in fleet.pools()) >= 16_384
    assert all(site.price_krw_mwh and site.carbon_g_mwh and site.windows for site in fleet.sites)
    assert national_fleet(50_000) == fleet


def test_a_fleet_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TraceError, match="kr-50000"):
        built_in("kr-1")
    with pytest.raises(InvariantViolated):
        national_fleet(100)


def test_parts_add_up() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3] and apportion(0, [2, 3]) == [0, 0]
    parts = apportion(6250, [region.site for region in REGIONS])
    assert sum(parts) == 6250 and np.all(np.abs(np.array(parts) - 6250 * np.array([r.site for r in REGIONS]) / 1000) < 1)


def test_a_declared_type_is_found_beside_the_catalogue() -> None:
    fleet = make_fleet(
        "x", [Site(name="s", pools=(Pool(name="p", nodes=1, accelerator="mine", devices=1),))], kinds=[Kind(id="mine")]
    )
    assert fleet.core_rates() == (32.0,) and not fleet.domestic("mine") and fleet.node_watts(fleet.sites[0].pools[0]) == 0
