"""What a proof found, in words: the row, what is wrong with it, and the numbers that show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dure.cli.run import Run


def finding_text(run: Run, key: str, finding: Mapping[str, Any]) -> str:
    """The sentence `key` of the catalogue about one finding."""
    facts = ", ".join(f"{run.texts.word('fact', name)}: {_value(value)}" for name, value in finding["facts"].items())
    kind = run.texts.word("finding", finding["kind"])
    return run.t(key, row=finding["subject"], kind=kind, facts=f"({facts})" if facts else "").rstrip()


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " / ".join(map(_value, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value) or "-"
