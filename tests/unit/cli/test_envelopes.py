"""Operators cap what a site draws and close it for a while; everybody sees it."""

from __future__ import annotations

from dure.cli.exits import Exit
from tests.unit.cli.test_commands import Shell


def test_a_site_is_capped_for_good_for_a_while_and_no_more(still: Shell) -> None:
    assert "no cap" in still.run("site", "power", "pohang")
    assert "Power" not in still.run("site", "list")
    assert "pohang may draw 60 kW" in still.run("site", "power", "pohang", "60kW")
    later = still.run("site", "power", "pohang", "1.5MW", "--from", "2030-01-01T09:00", "--until", "2030-01-01")
    assert "1.5 MW at the meter from 2030-01-01T09:00 on" in later
    told = still.run("site", "power", "pohang")
    assert [part in told for part in ("60 kW", "2030-01-01 09:00 KST", "1.5 MW", "2030-01-02 00:00 KST")] == [True] * 4
    assert "60 kW" in still.run("site", "list") and "1.5 MW" in still.run("site", "show", "pohang")
    assert still.json("site", "power", "pohang")["power_watts"] == 60_000
    assert "lifted" in still.run("site", "power", "pohang", "--clear")
    for words in (("60",), ("60kW", "--clear"), ("--from", "2030-01-01")):
        still.run("site", "power", "pohang", *words, expect=Exit.USAGE)


def test_maintenance_is_planned_for_a_site_or_a_node_shown_and_taken_back(still: Shell) -> None:
    still.served.plane.join()
    planned = ("--from", "2030-01-01", "--until", "2030-01-02")
    assert "dure site drain pohang" in still.run("site", "maintenance", "pohang", *planned)
    name = still.json("node", "list")["items"][0]["name"]
    node = still.json("site", "maintenance", "pohang", *planned, "--node", f"pohang/{name}", "--note", "new fans")
    assert node["nodes"] == [name]
    told = still.run("site", "maintenance", "pohang")
    assert "2030-01-03 00:00 KST" in told
    assert "maintenance 2030-01-01" in " ".join(still.run("site", "list").split())
    assert "new fans" in still.run("site", "show", "pohang") and "the whole site" in still.run("site", "maintenance", "pohang")
    for window in still.json("site", "maintenance", "pohang")["items"]:
        assert "taken back" in still.run("site", "maintenance", "pohang", "--remove", window["id"])
    assert still.json("site", "maintenance", "pohang") == {"items": []}
    for words in (("--from", "2030-01-01"), ("--remove", "mw_1", "--note", "x")):
        still.run("site", "maintenance", "pohang", *words, expect=Exit.USAGE)


def test_who_operates_one_site_does_so_there_and_nowhere_else(still: Shell) -> None:
    plane = still.served.plane
    actor = plane.post("admin", "/actors", {"name": "local", "grants": [{"role": "operator", "scope": "pohang"}]})["id"]
    plane.tokens["local"] = plane.post("admin", f"/actors/{actor}/tokens", {"label": "local"})["token"]
    plane.post("admin", "/sites", {"id": "gumi"})
    assert "60 kW" in still.run("site", "power", "pohang", "60kW", who="local")
    still.run("site", "power", "gumi", "60kW", who="local", expect=Exit.REFUSED)
    still.run("site", "maintenance", "gumi", "--until", "2030-01-01", who="local", expect=Exit.REFUSED)
    still.run("site", "power", "pohang", "60kW", who="alice", expect=Exit.REFUSED)
    assert "60 kW" in still.run("site", "power", "pohang", who="alice")


def test_koreans_are_told_in_korean(still: Shell) -> None:
    assert "60 kW까지" in still.run("site", "power", "pohang", "60kW", "--lang", "ko")
    assert "dure site drain pohang" in still.run("site", "maintenance", "pohang", "--until", "2030-01-01", "--lang", "ko")
    assert "점검" in still.run("site", "list", "--lang", "ko")
