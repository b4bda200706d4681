"""What may be set about an agent. Durations in milliseconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """folder: where the journal and the bundles are kept, of this agent alone."""

    folder: Path
    boot_id: str = ""  # of the machine; empty: as the kernel says

    poll_wait_ms: int = 25_000  # below the 30 s after which common proxies cut a silent connection
    observe_starting_ms: int = 10  # between looks in the first `starting_ms` of a launch: what a person waits for
    starting_ms: int = 2_000
    observe_busy_ms: int = 100  # between looks while something is live
    observe_idle_ms: int = 1_000
    sweep_ms: int = 30_000  # between looks at all that the backend remembers, not only what the journal names
    evidence_ms: int = 10_000  # between reports of an attempt that merely goes on
    inventory_ms: int = 10_000
    vanished_ms: int = 10_000  # a launched attempt that its backend does not list for this long (and 3 looks) is lost
    limit_slack_ms: int = 5_000  # beyond limit + grace: the backend should have ended it, so the agent asks

    resend_ms: int = 2_000  # first repetition of an end that the plane has not recorded; doubles up to the maximum
    resend_ms_max: int = 60_000
    retry_ms: int = 1_000  # first repetition of a launch that failed on the way to it; doubles up to the maximum
    retry_ms_max: int = 30_000
    backoff_ms: int = 200  # first pause after a fault of the link or the backend; doubles up to the maximum
    backoff_ms_max: int = 30_000
    report_batch: int = 500  # attempts per report

    keep_ended_ms: int = DAY_MS  # how long the backend keeps what a settled attempt printed
    keep_ended_max: int = 1_000
    keep_settled_ms: int = 30 * DAY_MS  # how long the journal refuses to launch a settled attempt again
    keep_settled_max: int = 100_000
    hello_part_max: int = 10_000  # attempts told in one part of a hello: each part is one transaction of the plane
    hello_settled_max: int = 2_000  # settled attempts told in a hello: what a plane restored from a backup may have lost

    bundle_bytes_max: int = 512 * MIB
    bundle_cache_bytes_max: int = 4096 * MIB  # of bundles that no live attempt uses
    launch_workers: int = 2  # two, so that one slow bundle does not hold up every launch

    log_chunk_bytes: int = 64 * 1024
    log_workers: int = 8
    log_readers_max: int = 1_000  # logs followed at once; the plane repeats what is beyond
    log_idle_ms: int = 200  # between looks at a log that has no more to give yet
    log_keepalive_ms: int = 15_000  # a silent log asks this often whether anybody still reads
    stop_ms: int = 1_500  # how long a stopping agent waits for its threads
