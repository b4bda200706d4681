"""`make bench`: every measurement, or those that WHAT names (latency, throughput, storm, fgd, philly, cycle, policies, trials,
kueue, plane, newcomer)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench import cycle, fgd, kueue, newcomer, philly, plane, policies, storm, submissions, trials
from bench.farm import describe_machine
from bench.results import Result, write
from dure.cli.memory import keep_memory

MEASUREMENTS: dict[str, Callable[[], list[Result]]] = {
    "latency": submissions.latency,
    "throughput": submissions.throughput,
    "storm": storm.storm,
    "fgd": fgd.fgd,
    "philly": philly.philly,
    "cycle": cycle.cycle,
    "policies": policies.policies,
    "trials": trials.trials,
    "kueue": kueue.kueue,
    "plane": plane.plane,
    "newcomer": newcomer.newcomer,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*MEASUREMENTS, []], help="which measurements; none: latency and throughput")
    keep_memory(os.environ)  # as a farm does, and who compares policies
    chosen = parser.parse_args().what or ["latency", "throughput"]
    for name in chosen:
        results = MEASUREMENTS[name]()
        for result in results:
            sys.stdout.write(
                f"{result.name}: {result.value} {result.unit} (aim {result.aim}; {result.against})\n    {result.method}\n"
            )
        write(results, describe_machine())
    return 0


if __name__ == "__main__":
    sys.exit(main())
