"""Policies as people say them at a command line: NAME, FIELD=VALUE, or a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dure.api.policyfile import GIVEN, policy_with
from dure.cli.exits import Exit
from dure.cli.policies import BadItems, merged
from dure.cli.run import Refusal, Run
from dure.client.plane import POLICY_READ_ONLY
from dure.model.calendar import parse_duration
from dure.model.codec import to_plain
from dure.model.policy import NAMED, Policy
from dure.model.reason import Reason

DIGITS_MAX = 19  # of a number: more than any field may be


def refused(run: Run, reasons: list[Reason]) -> Refusal:
    text = "\n".join(run.reason(r.to_json()) for r in reasons)
    return Refusal(text, Exit.USAGE, {"kind": reasons[0].kind.value, "reasons": [r.to_json() for r in reasons], "detail": text})


def policy_said(run: Run, policy: Policy, words: str) -> Policy:
    """The policy with one field, with what a name stands for, or with all that stands in a file, put in. Refused are files that
    cannot be read, and rules that no plane takes."""
    name, equals, value = words.partition("=")
    given: Mapping[str, Any]
    if equals and name.isidentifier():
        given = {name: _value(name, value)}
    else:
        given = NAMED.get(words) or _read(run, Path(words))
    try:
        whole = merged(to_plain(policy), {n: v for n, v in given.items() if n not in {*POLICY_READ_ONLY, *GIVEN}})
    except BadItems as wrong:
        problem = run.t("policy.bad_items", field=wrong.field, member=wrong.key)
        raise run.refusal("submit.unreadable", Exit.USAGE, file=words, problem=problem) from wrong
    made = policy_with(policy, {n: v for n, v in whole.items() if n not in GIVEN})
    if isinstance(made, list):
        raise refused(run, made)
    return made


def _value(name: str, text: str) -> int | str:
    """A whole number, or of a time what people write for one; anything else is left to be refused by its name."""
    if text.removeprefix("-").isdecimal() and len(text) < DIGITS_MAX:
        return int(text)
    parsed = parse_duration(text) if name.endswith("_ms") else None
    return text if parsed is None else parsed


def _read(run: Run, file: Path) -> dict[str, Any]:
    """YAML, JSON or TOML."""
    try:
        text = file.read_text(encoding="utf-8")
        given: Any = tomllib.loads(text) if file.suffix == ".toml" else yaml.safe_load(text)
    # ValueError: bytes that are no text, TOML that is none, a number of thousands of digits
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as fault:
        raise run.refusal("submit.unreadable", Exit.USAGE, file=str(file), problem=run.problem(fault)) from fault
    if not isinstance(given, dict):
        raise run.refusal("submit.unreadable", Exit.USAGE, file=str(file), problem=run.t("policy.not_mapping"))
    return given
