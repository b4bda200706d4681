"""What a plan may prefer a site for, in English."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "cmd.site.traits": "Say what is known of a site (carbon and price of its power, data that is there), or show it.",
    "col.carbon": "Carbon",
    "col.datasets": "Data",
    "col.power_price": "Power price",
    "opt.carbon": "Grams of CO₂ in a kilowatt-hour of its power; -1: nobody knows.",
    "opt.dataset": "A data set that it reads: it goes where that is, if it can; repeat it.",
    "opt.deadline": "Last day, or first moment after it, by which it has to be over by its limit; without it any time will do.",
    "opt.no_datasets": "No data set is there.",
    "opt.power_price": "Won for a kilowatt-hour of its power; -1: nobody knows.",
    "opt.site_dataset": "A data set that is there; repeat it for all of them.",
    "policy.preference": "{taste}: weight {weight}",
    "policy.preference_bound": "{taste}: weight {weight}, at most {most}",
    "policy.preferences": "What it prefers:",
    "policy.speeds": "How fast types are, against each other: {speeds}",
    "trial.assumed.deadline_ignored": "Jobs with a deadline: {count:,}. It counts nowhere.",
    "traits.carbon": "{grams} g/kWh",
    "traits.one": "Name the data that is there, or --no-datasets, not both.",
    "traits.price": "{won:,g} won/kWh",
    "traits.set": "{id}: noted. The policy says how much it counts (dure policy show).",
    "traits.unknown": "not known",
}
