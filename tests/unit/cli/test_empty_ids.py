"""An id that is empty, as of a variable that a script forgot to set, is a slip: it is told, and no plane is asked."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from typer.models import ArgumentInfo

from dure.cli.app import call
from dure.cli.commands import COMMANDS, load_command
from dure.cli.exits import Exit
from dure.cli.run import Run
from dure.client import DureClient

OPTIONS = [
    "jobs --array", "award list --programme", "award create a b --amount 1 --starts x --expires y --site",
    "token list --actor", "token create --actor", "audit log --subject", "project create p --organisation",
    "project create p -o x --partner", "project add p --actor", "project remove p --actor",
]  # fmt: skip


def _cases() -> list[tuple[str, list[str]]]:
    """(name, words) of every text argument of every command, empty in turn, and of every option that names a thing."""
    found = [(words.rpartition(" ")[2], [*words.split(" "), ""]) for words in OPTIONS]
    for path in COMMANDS:
        parameters = inspect.signature(load_command(path), eval_str=True).parameters.values()
        infos = {p.name: get_args(p.annotation)[1] for p in parameters if get_args(p.annotation)[:1] == (str,)}
        texts = {name: info for name, info in infos.items() if isinstance(info, ArgumentInfo)}
        for empty, info in texts.items():
            words = ["" if name == empty else "x" for name in texts]
            found.append((info.metavar or empty.upper(), [*path.split(" "), *words]))
    return found


def _no_plane(run: Run) -> DureClient:
    raise AssertionError("a plane was asked")


@pytest.mark.parametrize("blank", ["", " \t"])
@pytest.mark.parametrize(("name", "words"), _cases())
def test_an_empty_id_is_a_usage_error_that_names_the_argument(
    name: str, words: list[str], blank: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = [blank if word == "" else word for word in words]
    environ = {"DURE_DATA": str(tmp_path), "LANG": "C"}
    assert call([*line, "--json"], environ, _no_plane) == Exit.USAGE
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "usage"
    assert error["detail"].startswith(f"{name} is empty."), error
    assert call([*line, "--lang", "ko"], environ, _no_plane) == Exit.USAGE
    assert re.search("[가-힣]", capsys.readouterr().err)


def test_every_command_that_takes_an_id_is_looked_at() -> None:
    assert {"show", "why", "cancel", "logs"} <= {words[0] for _, words in _cases()}
    assert len(_cases()) > 40


@pytest.mark.parametrize("node", ["pohang/", "/n1", " / "])
def test_a_node_is_named_by_its_site_and_its_name(node: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(["node", "drain", node, "--json"], {"DURE_DATA": str(tmp_path), "LANG": "C"}, _no_plane) == Exit.USAGE
    assert "SITE/NODE" in json.loads(capsys.readouterr().out)["error"]["detail"]
