"""Whose token a command presents, and where it never goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dure.cli.app import call
from dure.cli.connecting import connect_http, credential, keep_secret, speaks_as_tenant, tenant_token
from dure.cli.console import Console
from dure.cli.exits import Exit
from dure.cli.run import Refusal, Run
from dure.cli.texts import Texts
from dure.config import load


def run_with(data: Path, *, tenant: bool = False, token: str | None = None, **environ: str) -> Run:
    seen = {"DURE_DATA": str(data), **environ}
    return Run(Console(), Texts("en"), load(seen, token=token), connect_http, seen, tenant=tenant, given_token=token)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "admin.token").write_text("dure_admin\n")
    return tmp_path


def test_the_farms_own_token_is_used_and_a_given_one_wins(data: Path) -> None:
    assert credential(run_with(data)) == "dure_admin"
    assert credential(run_with(data, DURE_TOKEN="dure_env\n")) == "dure_env"
    assert credential(run_with(data, token="dure_given", DURE_TOKEN="dure_env")) == "dure_given"


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_token_is_refused_and_never_means_the_administrator(data: Path, empty: str) -> None:
    for run in (run_with(data, DURE_TOKEN=empty), run_with(data, token=empty)):
        with pytest.raises(Refusal, match="empty") as refused:
            credential(run)
        assert refused.value.code == Exit.USAGE


def test_an_empty_token_stops_the_command(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"DURE_DATA": str(data), "DURE_URL": "http://127.0.0.1:9", "DURE_TOKEN": ""}
    assert call(["jobs"], environ) == Exit.USAGE
    assert "DURE_TOKEN is set and empty" in capsys.readouterr().err
    assert call(["jobs", "--lang", "ko"], environ) == Exit.USAGE
    assert "비어 있습니다" in capsys.readouterr().err


def test_what_can_be_no_token_is_refused(data: Path) -> None:
    for word in ("토큰", "two words"):
        with pytest.raises(Refusal, match="no token"):
            credential(run_with(data, token=word))


def test_the_tokens_of_a_data_folder_go_to_no_other_machine(data: Path) -> None:
    assert credential(run_with(data, DURE_URL="https://elsewhere.example")) == ""
    assert credential(run_with(data, DURE_URL="http://127.0.0.1:7300")) == "dure_admin"


def test_a_tenants_commands_speak_as_the_tenant_of_quickstart(data: Path) -> None:
    keep_secret(tenant_token(run_with(data)), "dure_tenant")
    assert tenant_token(run_with(data)).stat().st_mode & 0o777 == 0o600
    assert credential(run_with(data, tenant=True)) == "dure_tenant"
    assert credential(run_with(data)) == "dure_admin"
    assert speaks_as_tenant(run_with(data, tenant=True))
    assert not speaks_as_tenant(run_with(data, tenant=True, DURE_TOKEN="dure_env"))
