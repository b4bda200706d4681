"""The 17 provinces and cities, with what power costs there and how well a liquid-cooled hall can be cooled.

Price: average industrial price of 2025 (181.9 won/kWh), less the middle of the cut that the government proposed on 2026-08-26 for
the tariff zone; which province falls in which zone is an assumption. PUE: 1.15 + 0.004 per degree above 12.8 °C of the annual
mean (Korea Meteorological Administration normals 1991-2020), an assumption of ±0.05. Carbon: official consumption-end factor of
2023, 417.3 g/kWh, the same everywhere: the country is one synchronous pool. Weights are assumptions: `site` spreads devices (the
announced national computing centre and private centres in Jeonnam, Gyeongbuk and Ulsan lead), `people` spreads tenants (half of
them near the capital)."""

from __future__ import annotations

from dataclasses import dataclass

CARBON_G_MWH = 417_300


@dataclass(frozen=True, slots=True)
class Region:
    code: str  # ISO 3166-2
    slug: str
    name_ko: str
    zone: str  # of residency: capital, central, south, jeju
    price_krw_mwh: int
    pue_permille: int
    site: int  # permille of the nation's devices
    people: int  # permille of its tenants


REGIONS = (
    Region("KR-11", "seoul", "서울", "capital", 181_400, 1150, 10, 260),
    Region("KR-26", "busan", "부산", "south", 166_400, 1159, 40, 55),
    Region("KR-27", "daegu", "대구", "south", 166_400, 1157, 20, 45),
    Region("KR-28", "incheon", "인천", "capital", 176_900, 1150, 15, 45),
    Region("KR-29", "gwangju", "광주", "south", 166_400, 1156, 55, 45),
    Region("KR-30", "daejeon", "대전", "central", 169_400, 1152, 25, 85),
    Region("KR-31", "ulsan", "울산", "south", 166_400, 1157, 120, 30),
    Region("KR-41", "gyeonggi", "경기", "capital", 176_900, 1149, 70, 195),
    Region("KR-42", "gangwon", "강원", "central", 169_400, 1144, 25, 20),
    Region("KR-43", "chungbuk", "충북", "central", 169_400, 1151, 25, 30),
    Region("KR-44", "chungnam", "충남", "central", 169_400, 1149, 25, 30),
    Region("KR-45", "jeonbuk", "전북", "south", 166_400, 1153, 20, 30),
    Region("KR-46", "jeonnam", "전남", "south", 166_400, 1156, 360, 25),
    Region("KR-47", "gyeongbuk", "경북", "south", 166_400, 1157, 140, 45),
    Region("KR-48", "gyeongnam", "경남", "south", 166_400, 1158, 25, 40),
    Region("KR-49", "jeju", "제주", "jeju", 181_900, 1164, 10, 10),
    Region("KR-50", "sejong", "세종", "central", 169_400, 1152, 15, 10),
)


def zone_of(code: str) -> tuple[str, ...]:
    """The codes of the region's zone, its own first."""
    zone = next(region.zone for region in REGIONS if region.code == code)
    return (code, *(region.code for region in REGIONS if region.zone == zone and region.code != code))
