"""What people read about trials, in English."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "trial.compiles": "Compiling the fast path of trials for this machine: about a minute, once after each installation.",
}
