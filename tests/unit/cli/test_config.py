"""Settings: one table, read once, and a wrong value is told with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from dure.config import DEFAULT_PORT, SETTINGS, data_folder_default, language, load, settings_page
from dure.errors import ConfigError

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_defaults_are_what_the_table_says() -> None:
    config = load({"HOME": "/people/a", "DURE_DATA": "/d"})
    assert (config.port, config.host, config.site, config.memory_mib) == (DEFAULT_PORT, "127.0.0.1", "local", 0)
    assert config.store_url == "sqlite:////d/dure.db"
    assert config.admin_token == Path("/d/admin.token")


def test_the_command_line_goes_before_the_environment() -> None:
    config = load({"DURE_DATA": "/d", "DURE_PROJECT": "a", "DURE_URL": "http://x:1/"}, project="b", url=None)
    assert (config.project, config.url) == ("b", "http://x:1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DURE_PORT", "0"),
        ("DURE_PORT", "65536"),
        ("DURE_PORT", "-1"),
        ("DURE_PORT", "seven"),
        ("DURE_PORT", "7_3"),
        ("DURE_PORT", "７３"),
        ("DURE_DATA", "relative/path"),
        ("DURE_STORE", "mysql://x"),
        ("DURE_LOG_LEVEL", "loud"),
        ("DURE_SITE", "A B"),
        ("DURE_REGION", "Pohang"),
        ("DURE_PUE_PERMILLE", "900"),
        ("DURE_MEMORY", "16G"),
        ("DURE_MEMORY", "-1GiB"),
        ("DURE_DEVICES", "h100"),
        ("DURE_DEVICES", "h100:many"),
        ("DURE_URL", "ftp://x"),
        ("DURE_LANG", "fr"),
        ("DURE_UID_BASE", "0"),
        ("DURE_PROCESSES_MAX", "63"),
        ("DURE_BUNDLE_SECONDS", "0"),
        ("DURE_CPU_AFFINITY", "yes"),
        ("DURE_CGROUPS", "relative/path"),
        ("DURE_KEEP_DAYS", "-1"),
        ("DURE_KEEP_SIZE", "50GB"),
    ],
)
def test_a_wrong_value_names_setting_value_and_remedy(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load({"DURE_DATA": "/d", name: value})
    assert name in str(wrong.value)
    assert repr(value) in str(wrong.value)
    assert "change it" in str(wrong.value)


def test_a_wrong_option_is_named_as_an_option() -> None:
    with pytest.raises(ConfigError, match="--url='nonsense'"):
        load({"DURE_DATA": "/d"}, url="nonsense")


def test_sizes_are_read_in_binary_units() -> None:
    sizes = [load({"DURE_DATA": "/d", "DURE_MEMORY": text}).memory_mib for text in ("512MiB", "16GiB", "2TiB", "0")]
    assert sizes == [512, 16 * 1024, 2 * 1024 * 1024, 0]


@pytest.mark.parametrize(
    ("environ", "uid", "folder"),
    [
        ({"HOME": "/people/root", "XDG_DATA_HOME": "/x"}, 0, "/var/lib/dure"),
        ({"HOME": "/people/a", "XDG_DATA_HOME": "/x"}, 1000, "/x/dure"),
        ({"HOME": "/people/a"}, 1000, "/people/a/.local/share/dure"),
        ({"HOME": "/people/a", "XDG_DATA_HOME": "relative"}, 1000, "/people/a/.local/share/dure"),
    ],
)
def test_the_data_folder_follows_the_conventions(environ: dict[str, str], uid: int, folder: str) -> None:
    assert data_folder_default(environ, uid) == Path(folder)


def test_without_any_home_the_data_folder_has_to_be_named() -> None:
    with pytest.raises(ConfigError, match="set DURE_DATA"):
        data_folder_default({}, 1000)


@pytest.mark.parametrize(
    ("environ", "lang"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LC_MESSAGES": "ko"}, "ko"),
        ({"LANG": "de_DE"}, "en"),
        ({"LANG": "en_US", "DURE_LANG": "ko"}, "ko"),
        ({"LC_ALL": "", "LANG": "ko_KR"}, "ko"),
    ],
)
def test_the_language_follows_the_locale(environ: dict[str, str], lang: str) -> None:
    assert language(environ) == lang


def test_every_setting_is_documented_in_both_languages() -> None:
    assert all(s.en and s.ko and s.unit and s.env.startswith("DURE_") for s in SETTINGS)
    assert len({s.env for s in SETTINGS}) == len({s.name for s in SETTINGS}) == len(SETTINGS)
    assert all(s.env in settings_page("ko") for s in SETTINGS)


def test_the_reference_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page("en"), "run `make docs`"
