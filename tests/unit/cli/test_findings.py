"""What `ledger verify` finds is told in words, the altered row first."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dure.cli.exits import Exit
from dure.cli.texts import CATALOGUES
from dure.model.funding import Transfer, TransferKind
from tests.unit.cli.test_commands import Shell

ROOT = Path(__file__).parents[3]


def test_an_altered_settlement_is_the_first_bad_row_in_words_of_both_languages(still: Shell) -> None:
    plane = still.served.plane
    workload, attempt, epoch = plane.run_one()
    plane.clock.shift_ms += 300_000
    plane.report(epoch, attempt, 1, workload, "ended", outcome="succeeded", evidence={"run_ms": 300_000, "exit_code": 0})
    (settle,) = plane.store.read(lambda r: [t for t in r.find(Transfer) if t.kind == TransferKind.SETTLE])
    plane.store.transact(lambda tx: tx.update(replace(settle, amount=settle.amount + 1)))
    said = still.run("ledger", "verify", expect=Exit.FAULTY)
    assert f"{settle.id}: altered (recorded: " in said and "{" not in said
    korean = still.run("ledger", "verify", "--lang", "ko", expect=Exit.FAULTY)
    assert "바뀌었습니다" in korean and "recorded" not in korean and "{" not in korean


@pytest.mark.parametrize("lang", CATALOGUES)
def test_every_kind_of_finding_has_its_words(lang: str) -> None:
    code = "\n".join(p.read_text(encoding="utf-8") for p in (*ROOT.glob("dure/ledger/*.py"), *ROOT.glob("dure/controller/*.py")))
    kinds = set(re.findall(r'Finding\(\s*"(\w+)"', code))
    assert len(kinds) > 20 and {f"finding.{kind}" for kind in kinds} <= set(CATALOGUES[lang])
