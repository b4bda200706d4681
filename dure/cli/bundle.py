"""The code archive of a job: a tar.gz that depends on nothing but the names, contents and executable bits of its files."""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

SIZE_MAX = 16 * 1024 * 1024  # of the archive: what the plane takes
UNPACKED_MAX = 256 * 1024 * 1024  # of the files: read into memory once, and unpacked by every attempt
FILES_MAX = 20_000
IGNORE_FILE = ".dureignore"
# Never code, often large or private; a .dureignore adds to these.
IGNORED = (
    ".git/",
    ".hg/",
    ".svn/",
    "__pycache__/",
    "*.pyc",
    ".venv/",
    "venv/",
    ".dure/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".pytest_cache/",
    ".ipynb_checkpoints/",
    "node_modules/",
    ".env",
    ".DS_Store",
)


class BundleError(Exception):
    """The files cannot be bundled. key: as in the text catalogue; facts: for its placeholders."""

    def __init__(self, key: str, **facts: Any) -> None:
        super().__init__(key)
        self.key = key
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Archive:
    """sha256 names it; names are the files in it, sorted; unpacked is their size in bytes."""

    data: bytes
    sha256: str
    names: tuple[str, ...]
    unpacked: int


def bundle(base: Path, names: Sequence[str], *, keep_names: bool) -> Archive:
    """Archive files and folders, given relative to `base`. keep_names: a folder goes in under its own name, else its
    content goes to the top. Raises BundleError."""
    found: dict[str, Path] = {}
    for name in names:
        top = _inside(base, name)
        prefix = PurePosixPath(name) if keep_names else PurePosixPath()
        if top.is_dir():
            found.update((str(prefix / rel), path) for rel, path in _walk(top))
        elif top.is_file():
            found[str(prefix if keep_names else PurePosixPath(top.name))] = top
        else:
            raise BundleError("bundle.missing", path=name)
    return pack(found)


def named_files(folder: Path, words: Sequence[str]) -> list[str]:
    """Those words of a command that are files in `folder`: what `dure submit -- python train.py` has to bring along."""
    files = []
    for word in words:
        if word and not word.startswith(("/", "-", "~")) and ".." not in Path(word).parts and _is_file(folder / word):
            files.append(os.path.normpath(word))
    return sorted(set(files))


def _is_file(path: Path) -> bool:
    """Also asked of a program in one word, or of any other text that no file can be named: then it is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long; in a folder that may not be entered; half a surrogate pair
        return False


def pack(files: dict[str, Path]) -> Archive:
    """One archive of these files, by the name that each shall have. The same files give the same bytes."""
    if not files:
        raise BundleError("bundle.empty")
    if len(files) > FILES_MAX:
        raise BundleError("bundle.too_many", files=len(files), most=FILES_MAX)
    unpacked = sum(path.stat().st_size for path in files.values())
    if unpacked > UNPACKED_MAX:
        raise BundleError("bundle.too_large", size=unpacked, most=UNPACKED_MAX, largest=_largest(files))
    raw = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as zipped, tarfile.open(mode="w", fileobj=zipped) as tar:
        for name in sorted(files):
            _add(tar, name, files[name])
    data = raw.getvalue()
    if len(data) > SIZE_MAX:
        raise BundleError("bundle.too_large", size=len(data), most=SIZE_MAX, largest=_largest(files))
    return Archive(data, hashlib.sha256(data).hexdigest(), tuple(sorted(files)), unpacked)


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    content = path.read_bytes()
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
    tar.addfile(info, io.BytesIO(content))  # owner 0, group 0, mtime 0: TarInfo's own defaults


def _walk(top: Path) -> Iterator[tuple[str, Path]]:
    rules = (*IGNORED, *_rules(top / IGNORE_FILE))
    for folder, folders, files in os.walk(top):
        here = Path(folder).relative_to(top)
        folders[:] = sorted(f for f in folders if not _ignored(str(here / f), rules, folder=True))
        for link in (f for f in folders if (Path(folder) / f).is_symlink()):
            raise BundleError("bundle.link", path=str(here / link))
        for file in sorted(files):
            name = str(here / file)
            if not _ignored(name, rules, folder=False) and file != IGNORE_FILE:
                yield name, _regular(top, Path(folder) / file, name)


def _regular(top: Path, path: Path, name: str) -> Path:
    real = path.resolve()
    if not real.is_file() or not real.is_relative_to(top.resolve()):
        raise BundleError("bundle.link", path=name)
    return real


def _inside(base: Path, name: str) -> Path:
    path = (base / name).resolve()
    if not path.is_relative_to(base.resolve()):
        raise BundleError("bundle.outside", path=name, base=str(base))
    return path


def _rules(file: Path) -> tuple[str, ...]:
    if not file.is_file():
        return ()
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _ignored(name: str, rules: Sequence[str], *, folder: bool) -> bool:
    """Whether a rule names this path: by its last part, or by the whole path when the rule has a slash inside."""
    for rule in rules:
        pattern = rule.strip("/") if folder else rule.lstrip("/")
        whole = "/" in rule.rstrip("/")
        if (folder or not rule.endswith("/")) and fnmatch.fnmatchcase(name if whole else PurePosixPath(name).name, pattern):
            return True
    return False


def _largest(files: dict[str, Path]) -> str:
    return max(files, key=lambda name: files[name].stat().st_size)
