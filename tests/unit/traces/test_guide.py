"""What the guide says of fleets and of faults is so."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from dure.api.policyfile import policy_with
from dure.model.policy import Policy, TurnOrder
from dure.simulator.traces import FLEETS, READERS, FleetError, ReadOptions, Workload, parse_fleet
from dure.simulator.traces.faults import FaultKind
from dure.simulator.traces.fleetfile import _KIND, _POOL, _SITE, _WINDOW
from dure.simulator.traces.jobtable import JOB_COLUMNS
from dure.simulator.trial import rules_by
from tests.unit.traces.logs import CSV, refused

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "simulate.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [body for word, body in FENCE.findall(GUIDE) if word == language]


def test_the_fleet_of_the_guide_is_taken() -> None:
    _policy, fleet = blocks("toml")
    assert parse_fleet(fleet).devices == 368


def test_the_policy_of_the_guide_is_taken() -> None:
    made = policy_with(Policy(), tomllib.loads(blocks("toml")[0]))
    assert isinstance(made, Policy)
    rules = rules_by("guide", made)
    assert (rules.turns, rules.depth, rules.promises) == (TurnOrder.SHORTEST, 200, 4)


def test_the_programs_of_the_guide_compile() -> None:
    assert len([compile(body, "guide", "exec") for body in blocks("python")]) == 3


def test_the_faults_of_the_guide_are_those_that_are_told(tmp_path: Path) -> None:
    row, fleet = blocks("text")
    said = str(refused(tmp_path, "jobs.csv", CSV + "d,-1,1,1,,,,,,", FaultKind.NEGATIVE))
    assert f"{said}\n" == row
    with pytest.raises(FleetError) as caught:
        parse_fleet(blocks("toml")[1].replace("power_kw = 900", "power_kw = 60"))
    assert f"{caught.value}\n" == fleet


def test_every_column_option_key_reader_and_fleet_is_in_the_guide() -> None:
    said = set(re.findall(r"`([\w.-]+)`", GUIDE))
    assert set(JOB_COLUMNS) <= said and set(READERS) <= said and set(FLEETS) <= said
    assert {field.name for field in fields(ReadOptions)} - {"format"} <= said
    keys = {*_KIND, *_POOL, *_SITE, *_WINDOW}
    assert {key for key in keys if not {key, f"site.{key}", f"site.pool.{key}", f"accelerator.{key}"} & said} == set()


def test_the_parameters_that_pages_name_exist() -> None:
    names = {field.name for field in fields(Workload)}
    assert {"gang_ratio", "load", "jobs", "kinds", "no_limit", "timeout"} <= names
