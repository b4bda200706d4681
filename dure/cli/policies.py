"""What a file changes about the policy in force.

A field that the file leaves out stays as it is. Prices, classes, quotas, preferences and speeds are merged by item, so that a
file with one price does not take away all others: an item is known by its resource and currency, its name, whose quota of what
it is, its taste, or its type; one whose `nano`, `value`, `nominal_milli`, `weight` or `milli` is null is taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dure.model.money import Currency

Plain = Mapping[str, Any]
# field → members that name an item, with what they are when left out; the member that takes it out when it is null
ITEMS: Mapping[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "prices": ((("resource", ""), ("currency", Currency.KRW.value)), "nano"),
    "classes": ((("name", ""),), "value"),
    "quotas": ((("of", ""), ("resource", "")), "nominal_milli"),
    "preferences": ((("taste", ""),), "weight"),
    "speeds": ((("accelerator", ""),), "milli"),
}


class BadItems(Exception):
    """What stands under `field` is no list of items that each have `key`."""

    def __init__(self, field: str, key: str) -> None:
        super().__init__(f"{field} without {key}")
        self.field, self.key = field, key


def merged(policy: Plain, given: Plain) -> dict[str, Any]:
    """The policy with what is given put in. Raises BadItems; fields that there are not are left to the plane to refuse."""
    whole = {**policy, **{name: value for name, value in given.items() if name not in ITEMS}}
    for field in ITEMS.keys() & given.keys():
        whole[field] = _items(field, policy.get(field, []), given[field])
    return whole


def _items(field: str, old: list[Plain], given: Any) -> list[dict[str, Any]]:
    names, taken_out = ITEMS[field]
    if not isinstance(given, list) or not all(isinstance(item, dict) and names[0][0] in item for item in given):
        raise BadItems(field, names[0][0])
    items = {_key(names, item): dict(item) for item in old}
    for item in given:
        key = _key(names, item)
        items[key] = {**items.get(key, {}), **item}
    return [item for item in items.values() if item.get(taken_out, "") is not None]


def _key(names: tuple[tuple[str, str], ...], item: Plain) -> tuple[str, ...]:
    return tuple(str(item.get(name, default)) for name, default in names)


def factor(row: Plain) -> str:
    """Of a class, or of a quote: by how much its price is multiplied."""
    return f"{row['price_permille'] / 1000:g}"
