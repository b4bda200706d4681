"""What people read about trials, in English."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "trial.compiles": "Compiling the fast path of trials for this machine: about a minute, once after each installation.",
    "trial.scenario": "{file} is read as a scenario, which says itself what there is. Leave out {options}.",
    "trial.scenario_every": (
        "{file} is read as a scenario, which says itself what there is, and how often it is decided: with a line such as "
        "`every 60 seconds`. Leave out {options}."
    ),
    "trial.not_of_traces": "{file} is a trace: nothing is made by chance, nor written into it. Leave out {options}.",
    "trial.not_of_made": "The workload of {file} is made here: nothing is read, nor written into it. Leave out {options}.",
    "trial.load": "--load takes a number, and only for a workload that is made (national). Leave it out for a trace.",
    "trial.made":
        "Jobs submitted: {jobs:,}; in progress before them, submitted at 0: {begun:,}. They ask for {load:.0%} of the devices.",
}  # fmt: skip
