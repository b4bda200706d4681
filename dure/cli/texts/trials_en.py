"""What people read about trials, in English."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "trial.compiles":
        "Compiling the fast path of trials for this machine: about a minute, once after each installation.",
    "trial.scenario": (
        "{file} is read as a scenario, which says itself what there is. Leave out {options}. To compare policies on it: "
        "--policy."
    ),
    "trial.scenario_every": (
        "{file} is read as a scenario, which says itself what there is, and how often it is decided: with a line such as "
        "`every 60 seconds`. Leave out {options}."
    ),
    "trial.not_of_traces": "{file} is a trace: nothing is made by chance, nor written into it. Leave out {options}.",
    "trial.not_of_made":
        "The workload of {file} is made here: nothing is read, nor written into it. Leave out {options}.",
    "trial.load": "--load takes a number, and only for a workload that is made (national). Leave it out for a trace.",
    "opt.read":
        "How the reader takes what its format leaves open (repeat): variant, swf_processor, allocated, philly_span, "
        "devices_per_node, cores_milli_per_device, memory_mib_per_device or queues.",
    "opt.scenario": "Which scenario of the page policies are compared on, from 1. Default: its only one.",
    "opt.by": "Also a table by tenant, or by size (repeat).",
    "trial.read.form": "--read {said}: write NAME=VALUE. Names are {known}.",
    "trial.read.unknown": "--read {name}: there is no such option of a reader. Names are {known}.",
    "trial.read.twice": "--read {name} stands twice. Leave one of them out.",
    "trial.read.empty": "--read {name}=: a value is missing behind the sign. Write it, or leave the option out.",
    "trial.read.word": "--read {name}={value}: it is one of {known}.",
    "trial.read.number": "--read {name}={value}: it is a whole number, {least} or more.",
    "trial.read.format":
        "--read {name}: the trace is {format}, and this is looked at for {formats} alone. Leave it out. "
        "For {format} there are {known}.",
    "trial.left_out": "Left out, as no jobs to be simulated: {what}: {count:,}.",
    "trial.left_out.column": "cells of the column {name}",
    "trial.left_out.job_step": "job steps",
    "trial.left_out.heterogeneous_jobs_read_in_parts": "whole heterogeneous jobs, which are read in their parts",
    "trial.left_out.partial_execution": "partial executions",
    "trial.left_out.job_without_a_scheduled_attempt": "jobs without a scheduled attempt",
    "trial.more_groups": "Shown are the first {shown}; {count:,} more are in the document of --json.",
    "trial.assumed.idle_unknown":
        "Nodes whose draw is unknown while they are idle (idle_watts): {count:,}. It is counted as none: energy is no less.",
    "trial.some_ordinary_prices":
        "Policies without prices ({policies}) are charged at ordinary ones: 3,600 won for a device and hour, 36 for a core, "
        "3.6 for a GiB. What policies with other prices charge does not compare with that.",
    "trial.ordinary_prices":
        "Charged at ordinary prices, as none are told: 3,600 won for a device and hour, 36 for a core, 3.6 for a GiB.",
    "trial.no_price": "What jobs would have cost is not in the table: the policy has no price for a type that they used.",
    "trial.policy_twice": "There are two policies of the name {name}. Rename one of the files.",
    "trial.policy_named": "{file}: {name} is the name of a policy that is built in. Rename the file.",
    "trial.unhonoured": "{file}: this counts nowhere in a simulation of a trace, with --whole-plane neither: {fields}. {remedy}",
    "trial.instead.else": "Leave it out.",
    "trial.instead.quotas":
        "A trace does not say whose they are. Leave it out, or plan a saved snapshot: dure snapshot plan FILE --policy POLICY.",
    "trial.instead.reclaims":
        "A trace has no quotas. Leave it out, or plan a saved snapshot: dure snapshot plan FILE --policy POLICY.",
    "trial.instead.limit_ms_default": "Say it with --limit-days.",
    "trial.instead.speeds": "Jobs of a trace take as long as the trace says, on every type. Leave it out.",
    "trial.no_energy":
        "Energy, CO₂ and cost of power are not in the table: the fleet does not say what everything in it draws (node_watts).",
    "trial.made":
        "Jobs submitted: {jobs:,}; in progress before them, submitted at 0: {begun:,}. They ask for {load:.0%} of the devices.",
    "trial.no_fleet": "A trace, or a made workload, needs a fleet: --fleet kr-15000, or a file.",
    "trial.unknown_policy": "There is no policy {name}. Policies are: {known}.",
    "trial.unknown_fleet": "There is no fleet and no file {name}. Built in are: {known}.",
    "trial.no_devices": "{fleet} has no devices, for which the workload is made. Take another fleet, or a trace.",
    "trial.no_run_time":
        "{file}, job {job}: duration_s is unknown, as it is of {count:,} "
        "{count|#job/jobs}. Pass over {count|#it/them} with --skip-bad.",
    "trial.nothing_left": "{file}: no job is left that can be simulated: of none is the run time known.",
    "trial.no_extra": "Simulating traces needs {module}: pip install 'dure[simulate]'",
    "trial.runs": "{policy}: {jobs:,} {jobs|#job/jobs} …",
    "trial.skipped": "Rows passed over: {count:,}. The first:",
    "trial.skipped_no_run_time": "Jobs passed over, whose run time is unknown: {count:,}.",
    "trial.skipped_queue": "Jobs passed over, whose queue has the name of no site: {count:,}. The first:",
    "trial.nobody_waited": "Nobody waited: the fleet is large for these jobs. Try more jobs, or a smaller fleet.",
    "trial.never_started":
        "{policy}: jobs that never started: {count:,}. Even empty, the fleet has no place that takes them.",
    "trial.compared_all": "Waiting and completion are of {jobs|#the/all} {jobs:,} {jobs|#job/jobs}.",
    "trial.compared":
        "Waiting and completion are of the {compared:,} of {jobs:,} {jobs|#job/jobs} that finished under every policy.",
    "trial.written": "Report: {page}. A Parquet file for each policy is beside it.",
    "trial.assumed.limit_unknown":
        "Jobs that name no wall time: {count:,}. They were given {days:g} days (--limit-days).",
    "trial.assumed.after_ignored":
        "Jobs that come after another one of the trace: {count:,}. They do not wait for it.",
    "trial.assumed.priority_ignored":
        "Priorities of the trace are not those of a plane: {count:,} {count|#job/jobs}. Everybody is alike.",
    "trial.assumed.limit_learned":
        "Jobs that name no wall time: {count:,}. Theirs are by what ended before, else {days:g} days.",
    "trial.assumed.longer_than_limit":
        "Jobs longer than their wall time, named or given: {count:,}. None is ended for it.",
    "trial.assumed.cores_unknown":
        "Jobs that do not say how many cores they need: {count:,}. They ask for a thousandth of one.",
    "trial.assumed.memory_unknown":
        "Jobs that do not say how much memory they need: {count:,}. They ask for one MiB.",
    "trial.assumed.whole_shares": "Jobs that ask for a part of a device: {count:,}. They got a whole one.",
    "trial.assumed.equal_workers":
        "Jobs that need more devices than a node has: {count:,}. They run as gangs of equal workers.",
    "trial.assumed.queues_are_sites":
        "Queues have the names of sites: {count:,} {count|#job runs/jobs run} at the site of their queue alone.",
    "trial.assumed.queue_unknown":
        "Jobs that name no queue, where queues are sites: {count:,}. They run at any site.",
    "trial.assumed.queues_are_no_sites":
        "No queue has the name of a site: {count:,} {count|#job runs/jobs run} at any site, whatever the queue.",
    "trial.assumed.queues_ignored":
        "Queues are ignored (--ignore-queues): {count:,} {count|#job runs/jobs run} at any site.",
}  # fmt: skip
