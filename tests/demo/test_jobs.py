"""The demo's programs are real: they learn, resume, agree, and take other people's tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dure.cli.demo

JOBS = Path(dure.cli.demo.__file__).parent / "jobs"
SHARED = Path(os.environ.get("DURE_SHARED", Path(__file__).parents[3] / "shared")) / "datasets"
pytest.importorskip("sklearn", reason="the demo's programs need scikit-learn: pip install 'dure[demo]'")


def spawn(name: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    environ = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "DURE_CHECKPOINT_DIR": str(folder), **env}
    return subprocess.Popen([sys.executable, str(JOBS / name)], env=environ, cwd=folder, stdout=subprocess.PIPE, text=True)


def run(name: str, folder: Path, **env: str) -> tuple[dict[str, Any], str]:
    process = spawn(name, folder, **env)
    out = process.communicate(timeout=110)[0]
    assert process.returncode == 0, out
    return result_in(out), out


def result_in(out: str) -> dict[str, Any]:
    (line,) = [line for line in out.splitlines() if line.startswith("result ")]
    return dict(json.loads(line.removeprefix("result ")))


def test_the_training_resumes_where_its_checkpoint_was_and_ends_as_if_unbroken(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, _ = run("train.py", tmp_path / "a", EPOCHS="8", CHECKPOINT_S="0")
    run("train.py", tmp_path / "b", EPOCHS="3", CHECKPOINT_S="0")
    rest, out = run("train.py", tmp_path / "b", EPOCHS="8", CHECKPOINT_S="0")
    assert "resumed from the checkpoint of epoch 3" in out
    assert rest["resumed"] == 1
    assert rest["accuracy"] == whole["accuracy"] > 0.8


def test_a_training_that_learns_nothing_fails(tmp_path: Path) -> None:
    table = tmp_path / "noise.csv"
    table.write_text("a,y\n" + "".join(f"{n % 7},{n % 2}\n" for n in range(14 * 20)))
    process = spawn("train.py", tmp_path, DATA=str(table), LABEL="y", EPOCHS="1")
    process.communicate(timeout=110)
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("table", "label", "drop", "balanced"),
    [
        ("ai4i2020.csv.gz", "machine_failure", "udi,product_id,twf,hdf,pwf,osf,rnf", 0.55),
        (
            "steel_plate_faults.csv.gz",
            "Pastry_Fault,Z_Scratch_Fault,K_Scatch_Fault,Stains_Fault,Dirtiness_Fault,Bumps_Fault,Other_Faults",
            "",
            0.6,
        ),
    ],
)
def test_the_training_learns_real_tables_of_factories(tmp_path: Path, table: str, label: str, drop: str, balanced: float) -> None:
    if not (SHARED / table).is_file():
        pytest.skip(f"{table} is not in {SHARED}; name the folder above `datasets` in DURE_SHARED")
    result, _ = run("train.py", tmp_path, DATA=str(SHARED / table), LABEL=label, DROP=drop, EPOCHS="15")
    assert result["accuracy"] > result["majority_guess"]
    assert result["balanced_accuracy"] > balanced


def test_elements_of_the_sweep_do_different_things(tmp_path: Path) -> None:
    first, last = run("sweep.py", tmp_path, DURE_ARRAY_INDEX="0")[0], run("sweep.py", tmp_path, DURE_ARRAY_INDEX="19")[0]
    assert (first["C"], first["features"]) != (last["C"], last["features"])
    assert last["auc"] > 0.98


def test_the_ranks_of_the_gang_agree_bit_for_bit(tmp_path: Path, unused_tcp_port: int) -> None:
    env = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(unused_tcp_port), "WORLD_SIZE": "2", "STEPS": "100"}
    ranks = [spawn("gang.py", tmp_path, RANK=str(rank), **env) for rank in (1, 0)]
    results = [result_in(process.communicate(timeout=110)[0]) for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    assert results[0]["weights"] == results[1]["weights"]
    assert results[0]["accuracy"] > 0.9
    assert all(result["same"] for result in results)


def test_a_gang_whose_peer_is_gone_ends(tmp_path: Path, unused_tcp_port: int) -> None:
    env = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(unused_tcp_port), "WORLD_SIZE": "2", "STEPS": "1000000"}
    ranks = [spawn("gang.py", tmp_path, RANK=str(rank), **env) for rank in (0, 1)]
    for process in ranks:
        assert process.stdout is not None
        assert "learns" in process.stdout.readline()
    ranks[1].kill()
    assert ranks[0].wait(110) != 0
    for process in ranks:
        process.communicate()


def test_the_urgent_job_judges_every_bottle(tmp_path: Path) -> None:
    result, _ = run("urgent.py", tmp_path)
    assert result["bottles"] == 178
    assert 0 < len(result["doubtful"]) < 10
