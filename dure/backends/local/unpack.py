"""Unpacking a tenant's code archive, within bounds and inside the current folder only.

Runs in a child of the shim that is already the job's user. Loaded only when there is a bundle: tarfile costs 15 ms.
It does not rely on tarfile's extraction filters, which the oldest Pythons that Dure runs on may lack."""
# ruff: noqa: PTH103, PTH108, PTH114, PTH117, PTH118, PTH120, PTH211
# (paths here are relative to a folder given by descriptor)

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import tarfile
from typing import IO, Any

COPY_BYTES = 1 << 16
EXTENDED_BYTES_MAX = 16 << 10  # of a header that tarfile holds in memory: a path of 4 KiB and a few numbers fit
MEMBER_BYTES = 4 << 10  # what a member may take besides its contents on average: its header, padding, a long name


class BadBundle(Exception):
    """The archive is broken, too large, or reaches outside its folder."""


class Bounded:
    """What tarfile reads from: never more than so many unpacked bytes, whatever the archive claims."""

    def __init__(self, source: gzip.GzipFile, bytes_max: int) -> None:
        self._source, self._left = source, bytes_max

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        _require(self._left >= 0, "too large")
        return data


class Member(tarfile.TarInfo):
    """A member whose header is refused before tarfile reads what belongs to it into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Member:
        made: Member = super().frombuf(buf, encoding, errors)
        _require(made.type != tarfile.GNUTYPE_SPARSE, "a sparse file")
        _require(made.isreg() or made.size <= EXTENDED_BYTES_MAX, "too large a header")
        return made


def unpack(archive_fd: int, bytes_max: int, files_max: int) -> None:
    """Replace what is in the current folder by the archive's contents (tar.gz). Raises BadBundle, OSError.

    Folders, files and links that stay inside are taken. Links come last, so that no file is ever written through one."""
    _empty()
    links: list[tarfile.TarInfo] = []
    left = bytes_max
    try:
        with _open(archive_fd, bytes_max + files_max * MEMBER_BYTES) as archive:
            for count, member in enumerate(archive):
                archive.members = []  # type: ignore[attr-defined]  # else it keeps them all
                _require(count < files_max, "too many files")
                _require(_is_inside(member.name), "a name leads outside")
                if member.issym():
                    links.append(member)
                elif member.isdir():
                    os.makedirs(member.name, mode=0o755, exist_ok=True)
                else:
                    _require(member.isreg(), "neither file, folder nor link")
                    left -= member.size
                    _require(left >= 0, "too large")
                    _write(archive.extractfile(member), member)
    except (tarfile.TarError, EOFError, ValueError, OSError) as cause:
        raise BadBundle(str(cause)) from cause
    _link(links)


def _open(archive_fd: int, bytes_max: int) -> tarfile.TarFile:
    plain: Any = Bounded(gzip.GzipFile(fileobj=os.fdopen(archive_fd, "rb")), bytes_max)
    return tarfile.open(fileobj=plain, mode="r|", tarinfo=Member)


def _empty() -> None:
    for entry in os.scandir("."):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.name)
        else:
            os.unlink(entry.name)


def _write(source: IO[bytes] | None, member: tarfile.TarInfo) -> None:
    _require(source is not None, "no contents")
    folder = os.path.dirname(member.name)
    if folder:
        os.makedirs(folder, mode=0o755, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(member.name, flags, (member.mode & 0o755) | 0o600), "wb") as target:
        if source is not None:
            shutil.copyfileobj(source, target, COPY_BYTES)


def _link(links: list[tarfile.TarInfo]) -> None:
    """A link may name what lies inside the archive only, seen from its own folder. A chain through another link is followed
    by the job as the job's user, so it opens nothing that the job could not open itself."""
    for member in links:
        target = os.path.join(os.path.dirname(member.name), member.linkname)
        _require(not os.path.isabs(member.linkname) and _is_inside(target), "a link leads outside")
        folder = os.path.dirname(os.path.normpath(member.name))
        _require(not _has_link(folder), "a name leads through a link")
        with contextlib.suppress(FileExistsError):
            if folder:
                os.makedirs(folder, mode=0o755, exist_ok=True)
            os.symlink(member.linkname, member.name)


def _has_link(folder: str) -> bool:
    parts = folder.split("/")
    return any(os.path.islink("/".join(parts[: n + 1])) for n in range(len(parts)))


def _is_inside(name: str) -> bool:
    clean = os.path.normpath(name)
    return bool(name) and "\0" not in name and not os.path.isabs(clean) and clean.split("/", 1)[0] != ".."


def _require(condition: bool, fault: str) -> None:
    if not condition:
        raise BadBundle(fault)
