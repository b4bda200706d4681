"""What the API is given: the plane's parts, wired by bootstrap, and its own bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dure.controller import Controller
from dure.controller.commands.bundles import BundleLimits
from dure.ports import Clock, Entropy, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Bounds of the API. Sizes in bytes, times in milliseconds."""

    blobs: Path  # folder of the code archives, one sub-folder a project
    body_bytes_max: int = 1 << 20  # a job with a long environment stays far below it
    bundle_bytes_max: int = 16 << 20  # code, not data
    bundle_limits: BundleLimits = field(default_factory=BundleLimits)  # of all archives of one project
    disk_reserve_bytes: int = 1 << 30  # below it no code is taken in: the plane's database may be on the same disk
    log_body_bytes_max: int = 1 << 20  # one chunk of a log, base64 and JSON included
    hello_body_bytes_max: int = 64 << 20  # everything that a site knows: about a hundred thousand attempts
    stranger_body_bytes_max: int = 16 << 10  # of callers whom no body could make allowed: enough to tell them why
    poll_wait_ms_max: int = 60_000  # below the idle time-outs of common proxies
    stream_keep_alive_ms: int = 15_000  # a comment line, so that proxies do not cut a silent stream
    stream_ms_max: int = 3_600_000  # then a stream ends and the client reconnects where it was
    streams_max: int = 200  # open streams in all
    streams_per_actor_max: int = 20
    stream_buffer_bytes_max: int = 1 << 20  # per reader of a log
    log_room_wait_ms: int = 20_000  # how long an agent's chunk waits for its readers before the slow ones are let go
    log_want_again_ms: int = 10_000  # a want that no agent has answered is told again after this long
    credential_cache_ms: int = 5_000  # longest that a revoked token may still work in another process
    credential_cache_max: int = 4_096
    read_threads: int = 4  # readers of the store, beside the event loop
    agent_threads: int = 2  # for the words of agents and the checking of tokens, so that no tenant's reads hold these up
    question_threads: int = 2  # for what looks at the whole plane: plans, quotes, proofs
    questions_per_actor_max: int = 16  # one runs, the others stand in line


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneServices:
    """The parts of the plane that routes use."""

    store: Store
    controller: Controller
    clock: Clock
    entropy: Entropy
    settings: ApiSettings
