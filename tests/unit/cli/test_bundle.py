"""The same files give the same archive, and nothing gets into it that was not meant to."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from dure.cli import bundle as module
from dure.cli.bundle import BundleError, bundle, named_files


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as tar:
        return {info.name: info for info in tar.getmembers()}


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


def test_the_same_files_give_the_same_bytes_whenever_and_wherever(tmp_path: Path) -> None:
    first = tree(tmp_path / "a", "train.py", "lib/x.py", "lib/a.py")
    second = tree(tmp_path / "b", "lib/a.py", "train.py", "lib/x.py")
    os.utime(second / "train.py", (1, 1))
    (second / "train.py").chmod(0o600)
    assert bundle(first, ["."], keep_names=False) == bundle(second, ["."], keep_names=False)


def test_content_and_executable_bit_count(tmp_path: Path) -> None:
    folder = tree(tmp_path, "run.sh")
    plain = bundle(folder, ["."], keep_names=False)
    (folder / "run.sh").chmod(0o755)
    executable = bundle(folder, ["."], keep_names=False)
    (folder / "run.sh").write_text("else")
    assert len({plain.sha256, executable.sha256, bundle(folder, ["."], keep_names=False).sha256}) == 3
    info = members(executable.data)["run.sh"]
    assert (info.mode, info.uid, info.gid, info.mtime, info.uname) == (0o755, 0, 0, 0, "")


def test_a_folder_goes_in_by_content_and_a_list_by_name(tmp_path: Path) -> None:
    folder = tree(tmp_path, "src/train.py", "src/lib/a.py", "data.csv")
    assert bundle(folder, ["src"], keep_names=False).names == ("lib/a.py", "train.py")
    assert bundle(folder, ["src", "data.csv"], keep_names=True).names == ("data.csv", "src/lib/a.py", "src/train.py")


def test_what_is_never_code_and_what_dureignore_names_stays_out(tmp_path: Path) -> None:
    folder = tree(
        tmp_path,
        "train.py",
        ".git/config",
        "__pycache__/x.pyc",
        ".env",
        "big.bin",
        "data/raw.csv",
        "data/keep.txt",
        "out/a",
        "a/out/b",
    )
    (folder / ".dureignore").write_text("# comment\n*.bin\ndata/*.csv\n/out/\n\n")
    assert bundle(folder, ["."], keep_names=False).names == ("a/out/b", "data/keep.txt", "train.py")


def test_links_inside_are_followed_and_links_outside_are_refused(tmp_path: Path) -> None:
    folder = tree(tmp_path / "code", "train.py")
    (folder / "same.py").symlink_to("train.py")
    assert bundle(folder, ["."], keep_names=False).names == ("same.py", "train.py")
    tree(tmp_path, "secret")
    (folder / "leak").symlink_to(tmp_path / "secret")
    with pytest.raises(BundleError) as refused:
        bundle(folder, ["."], keep_names=False)
    assert (refused.value.key, refused.value.facts) == ("bundle.link", {"path": "leak"})


@pytest.mark.parametrize(
    ("names", "key"), [(["nowhere"], "bundle.missing"), (["../x"], "bundle.outside"), (["/etc/hostname"], "bundle.outside")]
)
def test_what_cannot_be_bundled_is_named(tmp_path: Path, names: list[str], key: str) -> None:
    with pytest.raises(BundleError) as refused:
        bundle(tree(tmp_path / "code", "a"), names, keep_names=False)
    assert refused.value.key == key
    assert refused.value.facts["path"] == names[0]


def test_an_empty_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle\.empty"):
        bundle(tmp_path, ["."], keep_names=False)


def test_a_bundle_that_is_too_large_names_its_largest_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "noise.bin").write_bytes(os.urandom(4096))
    tree(tmp_path, "small.py")
    monkeypatch.setattr(module, "SIZE_MAX", 1024)
    with pytest.raises(BundleError) as refused:
        bundle(tmp_path, ["."], keep_names=False)
    assert refused.value.facts["largest"] == "noise.bin"
    monkeypatch.setattr(module, "FILES_MAX", 1)
    with pytest.raises(BundleError, match=r"bundle\.too_many"):
        bundle(tmp_path, ["."], keep_names=False)


def test_a_command_brings_the_files_that_it_names_and_no_others(tmp_path: Path) -> None:
    folder = tree(tmp_path, "train.py", "conf/a.yaml", "other.py")
    words = ["python", "train.py", "--config", "./conf/a.yaml", "/etc/hostname", "../x", "-", "missing.py", "conf", "train.py"]
    assert named_files(folder, words) == ["conf/a.yaml", "train.py"]


@pytest.mark.parametrize(
    "word", ["print(1)\n" * 40, "x/" + "y" * 300, "a\0b", "\ud800", "train.py/inside", "/".join(["d"] * 4000)], ids=range(6)
)
def test_a_word_that_no_file_can_be_named_is_left_to_the_command(tmp_path: Path, word: str) -> None:
    assert named_files(tree(tmp_path, "train.py"), ["python", "-c", word, "train.py"]) == ["train.py"]


def test_a_word_that_points_to_where_nobody_may_look_is_left_to_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    assert named_files(tmp_path, ["closed/train.py"]) == []
