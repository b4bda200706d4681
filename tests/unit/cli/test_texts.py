"""Korean and English say the same things, and everything that the command line says is in both."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest
import typer

import dure.cli
from dure.cli.app import build
from dure.cli.commands import COMMANDS
from dure.cli.texts import CATALOGUES, Texts
from dure.model.workload import AttemptState, Outcome, WorkloadState

CLI = Path(dure.cli.__file__).parent
SPEAKERS = {"t", "say", "note", "refusal", "step", "event", "JobFileError", "BundleError", "DemoFailure", "Check"}


def placeholders(text: str) -> set[str]:
    return {name.partition("|")[0] for _, name, _, _ in string.Formatter().parse(text) if name}


def spoken_keys() -> dict[str, str]:
    """Literal keys that the code hands to something that speaks → where."""
    found = {}
    for path in CLI.rglob("*.py"):
        if "texts" in path.parts or "jobs" in path.parts[-2:-1]:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for key in ast.walk(node.args[0]):
                dotted = isinstance(key, ast.Constant) and isinstance(key.value, str) and "." in key.value.strip(".")
                if name in SPEAKERS and dotted and " " not in key.value and not isinstance(node.args[0], ast.JoinedStr):
                    found[key.value] = path.name
    return found


def test_both_languages_have_the_same_keys() -> None:
    assert CATALOGUES["en"].keys() == CATALOGUES["ko"].keys()


@pytest.mark.parametrize("key", sorted(CATALOGUES["en"]))
def test_both_languages_use_the_same_facts(key: str) -> None:
    english, korean = CATALOGUES["en"][key], CATALOGUES["ko"][key]
    # a sentence may leave out what its language says otherwise, but never ask for what the other is not given
    assert placeholders(korean) - {"subject"} <= placeholders(english)
    assert placeholders(english) - {"subject"} <= placeholders(korean)
    assert english.strip()
    assert korean.strip()


def test_korean_particles_follow_the_last_sound_of_a_fact() -> None:
    assert Texts("ko").say("done.created", id="강판") == "강판을 만들었습니다."
    assert Texts("ko").say("done.created", id="두레") == "두레를 만들었습니다."


@pytest.mark.parametrize("key", sorted(CATALOGUES["ko"]))
def test_korean_names_no_particle_twice_and_keeps_to_the_glossary(key: str) -> None:
    text = CATALOGUES["ko"][key]
    assert not re.search(r"\}(을\(를\)|이\(가\)|은\(는\)|와\(과\)|\(으\)로)", text) or re.search(r"[:!][^}]*\}[은이을]\(", text)
    assert not [word for word in ("프로젝트", "환불", "보류", "플레인", "사슬", "화신") if word in text]


def test_korean_is_korean() -> None:
    same = {key for key, text in CATALOGUES["ko"].items() if text == CATALOGUES["en"][key]}
    assert same <= {"col.energy_wh", "col.pue", "submit.bad_file", "submit.ended", "unit.wh", "why.stands", "demo.event.state"}


def test_everything_that_is_said_is_in_the_catalogue() -> None:
    keys = spoken_keys()
    assert len(keys) > 150, "the search for spoken keys has gone blind"
    assert {key: file for key, file in keys.items() if key not in CATALOGUES["en"]} == {}


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_command_and_option_has_help_in_the_chosen_language(lang: str) -> None:
    def walk(command: object, path: str) -> list[str]:
        silent = [] if getattr(command, "help", "") or getattr(command, "hidden", False) else [path]
        for parameter in getattr(command, "params", []):
            shown = getattr(parameter, "help", None) or getattr(parameter, "hidden", False)
            silent += [] if shown or getattr(command, "hidden", False) else [f"{path} {parameter.name}"]
        for name, inner in getattr(command, "commands", {}).items():
            silent += walk(inner, f"{path} {name}")
        return silent

    root = typer.main.get_command(build(lang, {}))
    assert [name for name in walk(root, "dure") if not name.endswith(" help")] == []
    assert root.help == CATALOGUES[lang]["cmd.dure"]


def test_every_state_has_a_word_in_both_languages() -> None:
    words = {f"state.{state.value}" for state in WorkloadState}
    words |= {f"outcome.{state.value}" for state in (*AttemptState, *Outcome) if state.value}
    assert words <= CATALOGUES["ko"].keys()


def test_no_command_is_typed_in_two_ways() -> None:
    nouns = {name.split(" ")[0] for name in COMMANDS if " " in name}
    assert nouns & {name for name in COMMANDS if " " not in name} == set()


def test_durations_and_money_are_written_for_people() -> None:
    english, korean = Texts("en"), Texts("ko")
    assert english.duration(0) == "0 s"
    assert english.duration(90_061_000) == "1 d 1 h"
    assert korean.duration(61_000) == "1분 1초"
    assert english.money(1_234_567) == "1,234,567 won"
    assert korean.money(1_234_567) == "1,234,567원"
    assert english.word("state", "quantum") == "quantum"
