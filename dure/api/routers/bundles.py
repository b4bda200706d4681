"""Code archives: streamed to the blob folder, named by their content, then registered."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dure.access import Action
from dure.api import resources
from dure.api.blobs import PART, no_room
from dure.api.call import Call, CallDep
from dure.api.documents import bundle_document
from dure.api.route import DureRoute, requires
from dure.api.shapes import BundleShape
from dure.controller.commands.bundles import bundle_refusal, register_bundle
from dure.model.reason import Reason, ReasonKind

router = APIRouter(prefix="/api/v1", route_class=DureRoute, tags=["work"])
SHA256 = re.compile(r"[0-9a-f]{64}")
GZIP = b"\x1f\x8b"
ARCHIVE = {"requestBody": {"required": True, "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}}}}


def blob_path(blobs: Path, project: str, sha256: str) -> Path:
    """Where the archive of that content lies. Projects have folders of their own: none learns what another has uploaded."""
    return blobs / project / f"{sha256}.tar.gz"


@router.post("/projects/{id}/bundles", status_code=201, response_model=BundleShape, openapi_extra=ARCHIVE)
@requires(Action.BUNDLE_UPLOAD, resources.project, streamed=True)
async def upload(call: CallDep, id: str) -> Response:
    """Upload a tar.gz. The header X-Content-SHA256, when given, must be its hash. The same bytes again change nothing."""
    folder = call.api.settings.blobs / id
    await call.api.beside(lambda: folder.mkdir(parents=True, exist_ok=True))
    refusal = await _refusal(call, id, _declared(call.request))
    if refusal is not None:
        return call.refuse(refusal)
    part = folder / f"{PART}{call.api.services.entropy.new_id('up', call.api.clock.now_ms())}"
    try:
        received = await _receive(call, part)
        if isinstance(received, Reason):
            return call.refuse(received)
        sha256, size = received
        refusal = await _refusal(call, id, size, sha256)  # before it takes its place: the length need not have been declared
        if refusal is not None:
            return call.refuse(refusal)
        await call.api.beside(lambda: _keep(part, blob_path(call.api.settings.blobs, id, sha256)))
    finally:
        part.unlink(missing_ok=True)
    call.raw = sha256.encode()  # stands for the body in the request's digest
    limits = call.api.settings.bundle_limits
    return await call.write(
        lambda tx, deed: register_bundle(tx, deed, project=id, sha256=sha256, size=size, limits=limits),
        bundle_document,
        status=201,
    )


def _declared(request: Request) -> int:
    """The length that the request's head tells; 0 when it tells none."""
    told = request.headers.get("content-length", "")
    return int(told[:20]) if told.isascii() and told.isdigit() else 0


async def _refusal(call: Call, project: str, size: int, sha256: str = "") -> Reason | None:
    """Why these bytes are not to be taken in: they are too many, or the disk or the project's share of it is full."""
    settings = call.api.settings
    if size > settings.bundle_bytes_max:
        return Reason.of(ReasonKind.BODY_TOO_LARGE, limit_bytes=settings.bundle_bytes_max)
    sha256 = sha256 or call.request.headers.get("x-content-sha256", "").lower()
    full = await call.read(
        lambda reader: bundle_refusal(reader, settings.bundle_limits, project=project, size=size, sha256=sha256)
    )
    return full or await call.api.beside(lambda: no_room(settings.blobs, size, settings.disk_reserve_bytes))


async def _receive(call: Call, part: Path) -> tuple[str, int] | Reason:
    """Stream the body to `part`: its hash and size, or what is wrong with it."""
    file = await call.api.beside(lambda: part.open("xb"))
    try:
        sha256, size, head = hashlib.sha256(), 0, b""
        async for chunk in _chunks(call.request):
            size += len(chunk)
            if size > call.api.settings.bundle_bytes_max:
                return Reason.of(ReasonKind.BODY_TOO_LARGE, limit_bytes=call.api.settings.bundle_bytes_max)
            head = head or chunk[:2]
            sha256.update(chunk)
            await call.api.beside(lambda data=chunk: file.write(data))  # type: ignore[misc]
        await call.api.beside(lambda: _sync(file))
    finally:
        file.close()
    wanted = call.request.headers.get("x-content-sha256", "").lower()
    return _fault(head, sha256.hexdigest(), wanted) or (sha256.hexdigest(), size)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of a quarter of a MiB and more, so that writing them is worth a thread."""
    gathered = bytearray()
    async for chunk in request.stream():
        gathered += chunk
        if len(gathered) >= 1 << 18:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _fault(head: bytes, sha256: str, wanted: str) -> Reason | None:
    if head != GZIP:
        return Reason.of(ReasonKind.BAD_FIELD, field="body", problem="bad_format", detail="form_archive")
    if wanted and wanted != sha256:
        return Reason.of(ReasonKind.BAD_FIELD, field="X-Content-SHA256", problem="bad_format", example=sha256)
    return None


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _keep(part: Path, target: Path) -> None:
    """Put a whole file in its place, durably, before anything is told of it."""
    part.replace(target)
    for folder in (target.parent, target.parent.parent):  # the second: the project's folder may be new
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
