"""Exit codes, so that scripts can tell what happened. The table is part of what `dure` promises."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    REFUSED = 1  # the plane or the farm said no, or something broke; the message says what
    USAGE = 2  # the command line, a job file or a setting is wrong
    UNREACHABLE = 3  # no plane answers
    JOB_FAILED = 4  # the job that was followed ended without success
    FAULTY = 5  # a check was made and found a fault: audit verify, ledger verify
    INTERRUPTED = 130  # Ctrl-C, as shells count it
