"""A job file is read strictly, and what is wrong with it is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dure.cli.jobfile import SIZE_MAX, JobFileError, parse, read

GOOD = """\
version: 1
name: steel-faults
command: [python, train.py]
code: .
env: {SEED: "1"}
resources:
  cores: 2
  memory: 1GiB
array: 20
sites:
  - pohang
  - ulsan
"""


def test_a_job_file_is_the_job_of_the_api_and_what_is_the_command_lines() -> None:
    file = read(Path("/code/job.yaml"), GOOD)
    assert file.job == {
        "version": 1,
        "name": "steel-faults",
        "command": ["python", "train.py"],
        "env": {"SEED": "1"},
        "resources": {"cores": 2, "memory": "1GiB"},
        "sites": ["pohang", "ulsan"],
    }
    assert (file.array, file.code, file.code_is_list, file.folder) == (20, (".",), False, Path("/code"))


def test_every_field_knows_its_line() -> None:
    _, lines = parse(GOOD)
    assert lines["name"] == 2
    assert lines["resources.memory"] == 8
    assert lines["sites.1"] == 12


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("", "jobfile.not_mapping", 1),
        ("- a\n- b\n", "jobfile.not_mapping", 1),
        ("just words", "jobfile.not_mapping", 1),
        ("name: a\nname: b\n", "jobfile.duplicate", 2),
        ("a:\n  b: 1\n  b: 2\n", "jobfile.duplicate", 3),
        ("name: a\n1: b\n", "jobfile.key", 2),
        ("name: a\n? [x]\n: b\n", "jobfile.key", 2),
        ("name: [a\n", "jobfile.not_yaml", 2),
        ("a: 1\n b: 2\n", "jobfile.not_yaml", 2),
        ("\tname: a\n", "jobfile.not_yaml", 1),
        ("a: &x 1\nb: *x\n", "jobfile.alias", 2),
        ("a: &a [*a]\n", "jobfile.alias", 1),
        ("name: a\nlimit: 2026-01-01\n", "jobfile.value", 2),
        ("data: !!binary aGk=\n", "jobfile.value", 1),
        ("name: !!python/object/apply:os.system [x]\n", "jobfile.value", 1),
        ("name: a\narray: many\n", "jobfile.array", 2),
        ("array: true\n", "jobfile.array", 1),
        ("code: 5\n", "jobfile.code", 1),
        ("code: []\n", "jobfile.code", 1),
        ("code: [a, 1]\n", "jobfile.code", 1),
        ("name: a\n---\nname: b\n", "jobfile.not_yaml", 2),
        ("x: \x00\n", "jobfile.not_yaml", 1),
        ("x: !mine [a]\n", "jobfile.value", 1),
        ("x: !mine a\n", "jobfile.not_yaml", 1),
    ],
)
def test_what_cannot_be_a_job_is_refused_with_its_line(text: str, key: str, line: int) -> None:
    with pytest.raises(JobFileError) as refused:
        read(Path("job.yaml"), text)
    assert (refused.value.key, refused.value.facts["line"]) == (key, line)


def test_a_huge_file_is_not_parsed() -> None:
    with pytest.raises(JobFileError) as refused:
        parse("a: " + "x" * SIZE_MAX)
    assert refused.value.key == "jobfile.too_large"


def test_deep_nesting_is_refused_not_crashed_on() -> None:
    with pytest.raises(JobFileError):
        parse("a: " + "[" * 20_000)
