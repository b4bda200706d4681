"""English texts about traces that run through the whole plane."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "opt.whole_plane": "Through the whole plane (controller, store, ledger, pretended backends): slower, same decisions.",
    "trial.not_a_planes": "No plane orders work as {name} does. With --whole-plane: {known}; or leave out --whole-plane.",
    "trial.proved": "{policy}: the plane recorded {events:,} events; the chain and the books hold.",
    "trial.refused": "{policy}: jobs that the plane refused: {count:,}. They ask for what it can never give.",
}
