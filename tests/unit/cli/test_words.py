"""Common options stand anywhere, and a slip in a command's name is met with the nearest."""

from __future__ import annotations

import pytest

from dure.cli.app import COMMON
from dure.cli.words import VALUED, arranged, chosen_language, unknown_command, wants_json


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("jobs --json", "jobs --json"),
        ("--json jobs -n 1", "jobs --json -n 1"),
        ("--lang ko --json jobs", "jobs --lang ko --json"),
        ("--lang=ko award list", "award list --lang=ko"),
        ("award --json list", "award list --json"),
        ("-p steel submit --json -- python --lang x", "submit -p steel --json -- python --lang x"),
        ("--lang ko --help", "--lang ko --help"),
        ("--lang ko", "--lang ko"),
        ("award --lang ko", "award --lang ko"),
        ("--bogus jobs", "--bogus jobs"),
        ("", ""),
    ],
)
def test_common_options_go_behind_the_name_of_the_command(typed: str, meant: str) -> None:
    assert arranged(typed.split()) == meant.split()


def test_every_common_option_is_known() -> None:
    infos = [kind.__metadata__[0] for kind in COMMON.values()]
    declared = {word for info in infos for word in (info.default, *info.param_decls)}
    assert declared == {*VALUED, "--json"}


def test_a_jobs_own_words_are_not_read() -> None:
    assert not wants_json(["submit", "--", "tool", "--json"])
    assert chosen_language(["submit", "--", "tool", "--lang", "ko"], {"LANG": "C"}) == "en"
    assert chosen_language(["jobs", "--lang", "ko"], {"LANG": "C"}) == "ko"


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("sho x", "show"),
        ("jbos", "jobs"),
        ("awards list", "award"),
        ("award crate", "award create"),
        ("award", None),
        ("jobs x", None),
    ],
)
def test_an_unknown_command_is_told_with_the_nearest(typed: str, near: str | None) -> None:
    found = unknown_command(typed.split())
    assert (found is None) == (near is None)
    assert found is None or near in found[1]


def test_hidden_commands_are_known_and_never_offered() -> None:
    assert unknown_command(["_agent", "--farm", "x"]) is None
    assert unknown_command(["agent"]) is None or "_agent" not in (unknown_command(["agent"]) or ("", []))[1]
