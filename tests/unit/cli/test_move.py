"""A plane that has moved is not started again where it was."""

from __future__ import annotations

from pathlib import Path

from dure.bootstrap.plane import move_to, open_plane
from dure.config import load
from dure.model.records import Plane


def test_after_a_move_the_farm_of_the_folder_lives_in_the_new_database_and_the_old_one_is_set_aside(tmp_path: Path) -> None:
    environ = {"DURE_DATA": str(tmp_path / "data")}
    config = load(environ)
    open_plane(config).close()
    target = f"sqlite:///{tmp_path}/elsewhere.db"
    move_to(config, target)
    assert load(environ).store_url == target
    assert not config.database.exists()
    assert config.database.with_name("moved-dure.db").exists()
    assert config.moved_to.stat().st_mode & 0o077 == 0
    parts = open_plane(load(environ))
    assert parts.store.read(lambda r: r.get(Plane, "plane")) is not None
    parts.close()


def test_a_database_that_the_environment_names_goes_before_what_the_folder_says(tmp_path: Path) -> None:
    (tmp_path / "store.url").write_text("sqlite:////nowhere.db")
    assert load({"DURE_DATA": str(tmp_path), "DURE_STORE": "sqlite:////here.db"}).store_url == "sqlite:////here.db"
    assert load({"DURE_DATA": str(tmp_path)}).store_url == "sqlite:////nowhere.db"
