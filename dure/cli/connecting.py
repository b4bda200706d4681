"""How a command gets its client, and with whose token."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from dure.cli.exits import Exit
from dure.cli.farm import lock
from dure.cli.run import Run
from dure.client import DureClient, Retries

# A person waits: four more tries within a second and a half, then the truth.
PATIENCE = Retries(times=4, first_s=0.1, most_s=0.8)
TENANT_TOKEN = "tenant.token"  # in the data folder; written by `dure quickstart`
_HERE = ("localhost", "127.0.0.1", "::1")


def connect_http(run: Run) -> DureClient:
    """A client of the plane that is meant. Raises Refusal when the token that was set can be none."""
    return DureClient(run.address, credential(run), lang=run.texts.lang, retries=PATIENCE)


def connect_as_admin(run: Run, url: str) -> DureClient:
    """A client of this machine's farm at `url` as its administrator, whatever token is set."""
    return DureClient(url, _text(run.config.admin_token), lang=run.texts.lang, retries=PATIENCE)


def credential(run: Run) -> str:
    """The token that was given, else one of the data folder, "" for none. Raises Refusal.

    An empty DURE_TOKEN is refused: a script whose secret is missing must not act as the administrator instead."""
    set_to = run.given_token if run.given_token is not None else run.environ.get("DURE_TOKEN")
    if set_to is not None:
        source = "DURE_TOKEN" if run.given_token is None else "--token"
        token = set_to.strip()
        if not token:
            raise run.refusal("token.empty", Exit.USAGE, source=source)
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise run.refusal("token.malformed", Exit.USAGE, source=source)
        return token
    if not _is_this_machine(run):
        return ""
    return (_text(tenant_token(run)) if run.tenant else "") or _text(run.config.admin_token)


def speaks_as_tenant(run: Run) -> bool:
    """Whether this command presents the token that `dure quickstart` kept, and not the administrator's."""
    own = _text(tenant_token(run)) if run.tenant else ""
    return bool(own) and credential(run) == own


def tenant_token(run: Run) -> Path:
    return run.config.data / TENANT_TOKEN


def keep_secret(path: Path, text: str) -> None:
    """Write a file that nobody else may read, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
    fresh.replace(path)


def _is_this_machine(run: Run) -> bool:
    """Whether the address is that of a farm here. The tokens of the data folder are for it, and are sent nowhere else."""
    running = lock.running(run.config.data)
    here = urlsplit(run.config.url).hostname in _HERE
    return not run.config.url or here or (running is not None and running.url == run.config.url)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
