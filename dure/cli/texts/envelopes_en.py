"""Power of sites over time and windows of maintenance, in English."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "arg.watts": "What it may draw at the meter, such as 60kW; without it, what is set is shown.",
    "cmd.site.maintenance": "Plan a time in which nothing may run at a site or on some of its nodes, or show what is planned.",
    "cmd.site.power": "Cap what a site draws, for a while or for good, or show its caps.",
    "col.maintenance_nodes": "On",
    "col.note": "Note",
    "col.power": "Power",
    "col.window": "Window",
    "opt.clear_power": "No cap.",
    "opt.maintenance_from": "First day, or moment such as 2026-12-01T09:00 (Korean time without an offset); now without it.",
    "opt.maintenance_node": "Only on this node; repeat it.",
    "opt.maintenance_note": "A line that everybody who uses the site reads.",
    "opt.maintenance_remove": "Take this window back.",
    "opt.maintenance_until": "Last day, or first moment after it.",
    "opt.power_from": "First day, or moment such as 2026-12-01T09:00 (Korean time without an offset); now without it.",
    "opt.power_until": "Last day, or first moment after it, when what was set before holds again; for good without it.",
    "power.alone": "--from and --until say when something holds: name the power as well, or --clear.",
    "power.form": "Power is a number with W, kW, MW or GW, such as 60kW, not {text!r}.",
    "power.one": "Name the power or --clear, not both.",
    "power.none": "no cap",
    "power.set": "{id} may draw {power} at the meter. Nothing starts that would draw more; what runs runs on.",
    "power.set_later": "{id} may draw {power} at the meter from {when} on. Nothing starts that would still draw more then.",
    "power.cleared": "{id}: the cap on its power is lifted.",
    "maintenance.closed": "maintenance {begin} to {end}",
    "maintenance.one": "--remove takes a window back, and nothing else can be said with it.",
    "maintenance.planned": "{site}: nothing starts that may still run at {begin}. What runs then is not stopped: {command}",
    "maintenance.removed": "{id} is taken back: work may run there.",
    "maintenance.until": "Say with --until when the maintenance is over.",
    "maintenance.whole": "the whole site",
}
