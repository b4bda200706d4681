"""What `submit` and `quote` ask for: a job file, or a command with options, and the code that goes with it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dure.cli import jobfile
from dure.cli.bundle import Archive, bundle, named_files
from dure.cli.exits import Exit
from dure.cli.run import Run

_RESOURCES = ("cores", "memory", "devices", "accelerators")
_JOB_FILE = (".yaml", ".yml")
# Scripts that are named alone: what runs each, for the hint.
_SCRIPTS = {".py": "python", ".sh": "sh", ".r": "Rscript", ".jl": "julia", ".ipynb": "jupyter execute"}


@dataclass(frozen=True, slots=True)
class Request:
    """job: as the API takes it, without `bundle`; source, lines: where its fields were written, for refusals."""

    job: Mapping[str, Any]
    array: int | None = None
    archive: Archive | None = None
    source: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)


def from_words(run: Run, words: Sequence[str], given: Mapping[str, Any], changes: Sequence[str], folder: Path) -> Request:
    """The request behind a command line. words: one job file, or the command itself; given: options, which win over the file;
    changes: FIELD=VALUE for any field; folder: where a command's own files are looked for."""
    options = {name: value for name, value in given.items() if value}
    if not words:
        raise run.refusal("submit.nothing", Exit.USAGE)
    if words[0].endswith(_JOB_FILE) or words[0] == "-":
        if len(words) > 1:
            raise run.refusal("submit.file_and_more", Exit.USAGE, extra=" ".join(words[1:]))
        return _from_file(run, words[0], options, changes)
    runner = _SCRIPTS.get(Path(words[0]).suffix.lower())
    if len(words) == 1 and runner and not _can_be_run(folder / words[0]):
        raise run.refusal("submit.script", Exit.USAGE, file=words[0], runner=runner)
    return _from_command(run, list(words), options, changes, folder)


def _can_be_run(path: Path) -> bool:
    """Whether a script says itself what runs it."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!" and os.access(path, os.X_OK)
    except OSError:
        return False


def _from_file(run: Run, name: str, options: Mapping[str, Any], changes: Sequence[str]) -> Request:
    path = Path(name)
    try:
        text = sys.stdin.read() if name == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise run.refusal("submit.unreadable", Exit.USAGE, file=name, problem=run.problem(fault)) from fault
    try:
        file = jobfile.read(path if name != "-" else Path.cwd() / "-", text)
    except jobfile.JobFileError as wrong:
        raise run.refusal("submit.bad_file", Exit.USAGE, file=name, text=run.t(wrong.key, **wrong.facts)) from wrong
    job = dict(file.job)
    array = _apply(run, job, options, changes, file.array)
    archive = bundle(file.folder, file.code, keep_names=file.code_is_list) if file.code else None
    return Request(job, array, archive, name, file.lines)


def _from_command(run: Run, words: list[str], options: Mapping[str, Any], changes: Sequence[str], folder: Path) -> Request:
    job: dict[str, Any] = {"name": _name_of(words), "command": words}
    array = _apply(run, job, options, changes, None)
    files = named_files(folder, words)
    return Request(job, array, bundle(folder, files, keep_names=True) if files else None)


def _name_of(words: Sequence[str]) -> str:
    """A name for a job that was given none: of its script, else of its program."""
    script = next((w for w in words[1:] if w.endswith((".py", ".sh"))), words[0])
    name = re.sub(r"[^a-z0-9]+", "-", Path(script).stem.lower()).strip("-")[:63]
    return name if name and name[0].isalpha() else f"job-{name}"[:63].strip("-")


def _apply(run: Run, job: dict[str, Any], options: Mapping[str, Any], changes: Sequence[str], array: int | None) -> int | None:
    """Put options and --set into the job; the number of elements."""
    for name, value in options.items():
        if name == "env":
            job["env"] = {**_mapping(job.get("env")), **dict(_pair(run, word, "--env") for word in value)}
        elif name in _RESOURCES:
            job["resources"] = {**_mapping(job.get("resources")), name: value}
        elif name != "array":
            job[name] = value
    for word in changes:
        path, text = _pair(run, word, "--set")
        if path == "array":
            array = int(text) if text.isascii() and text.isdigit() else None
            if array is None:
                raise run.refusal("submit.pair", Exit.USAGE, option="--set array", word=text)
        else:
            _put(job, path.split("."), yaml.safe_load(text))
    return int(options["array"]) if "array" in options else array


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _put(job: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a field, also one within a field."""
    for name in path[:-1]:
        job[name] = _mapping(job.get(name))
        job = job[name]
    job[path[-1]] = value


def _pair(run: Run, word: str, option: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not name or not equals:
        raise run.refusal("submit.pair", Exit.USAGE, option=option, word=word)
    return name, value


def changes_of(run: Run, given: Mapping[str, Any], changes: Sequence[str]) -> tuple[dict[str, Any], int | None]:
    """Options and FIELD=VALUE changes as members of a job that are to be different, and its number of elements."""
    job: dict[str, Any] = {}
    elements = _apply(run, job, given, changes, None)
    return job, elements


def code_at(place: Path) -> Archive:
    """The archive of a folder's content, or of one file: what `code: PLACE` in a job file brings."""
    base, name = (place, ".") if place.is_dir() else (place.parent, place.name)
    return bundle(base, [name], keep_names=False)


def upload(run: Run, project: str, request: Request) -> dict[str, Any]:
    """The job with its code uploaded, and named by its hash."""
    archive = request.archive
    if archive is None:
        return dict(request.job)
    run.client.upload_bundle(project, archive.data)
    names = ", ".join(archive.names[:5]) + (" …" if len(archive.names) > 5 else "")
    run.note("submit.bundled", n=len(archive.names), size=len(archive.data), names=names)
    return {**request.job, "bundle": archive.sha256}
