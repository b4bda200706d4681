"""Bytes that no honest client sends, over a real socket: a clear refusal, nothing changed, and the plane goes on."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from dure.model.event import Event
from dure.model.reason import ReasonKind
from tests.builders.api_plane import JOB
from tests.builders.served_plane import Served, served_plane

BODY = json.dumps({"project": "alpha", "job": dict(JOB)}).encode()
KINDS = {kind.value for kind in ReasonKind}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_plane(tmp_path_factory.mktemp("hostile")) as made:
        yield made


@pytest.fixture
def unchanged(served: Served) -> Iterator[Served]:
    """The plane, which must hold the same number of events afterwards."""
    before = served.plane.store.read(lambda reader: reader.count(Event))
    yield served
    assert served.plane.store.read(lambda reader: reader.count(Event)) == before
    assert httpx.get(served.url + "/healthz").status_code == 200


def sent(served: Served, data: bytes) -> bytes:
    """What comes back for these very bytes, until the other side closes."""
    address = urlsplit(served.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=20) as link:
        link.sendall(data)
        received = bytearray()
        while piece := link.recv(65_536):
            received += piece
    return bytes(received)


def request(
    served: Served, *more: str, method: str = "POST", path: str = "/workloads", who: str = "alice", body: bytes = BODY
) -> bytes:
    """A request as it goes over the wire; `more` are header lines, of which the first of a name wins over ours."""
    named = {line.partition(":")[0].lower() for line in more}
    ours = {
        "Authorization": f"Bearer {served.plane.tokens[who]}",
        "Idempotency-Key": f"hostile-{next(served.plane.keys)}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    lines = [f"{method} /api/v1{path} HTTP/1.1", "Host: plane", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in ours.items() if name.lower() not in named]
    lines += [line for line in more if not line.endswith(": -")]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def refused(answer: bytes, status: int, kind: str) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), answer[:500]
    document = json.loads(body)
    assert document["reason"]["kind"] == kind, document
    assert document["title"] and document["detail"] and document["remedy"]
    facts: dict[str, object] = document["reason"]["facts"]
    return facts


HEADERS: list[tuple[tuple[str, ...], int, str, str]] = [
    # header lines ("NAME: -" leaves it out), status, reason, field
    (("Content-Type: -",), 422, "missing_field", "Content-Type (application/json)"),
    (("Content-Type: text/plain",), 422, "bad_field", "Content-Type"),
    (("Content-Type: application/x-yaml",), 422, "bad_field", "Content-Type"),
    (("Content-Type: application/json; charset=euc-kr",), 422, "bad_field", "Content-Type"),
    (("Content-Encoding: gzip",), 422, "bad_field", "Content-Encoding"),
    (("Idempotency-Key: -",), 400, "key_missing", ""),
    (("Idempotency-Key: ",), 400, "key_missing", ""),
    (("Idempotency-Key: " + "x" * 129,), 422, "bad_field", "Idempotency-Key"),
    (("Idempotency-Key: a b",), 422, "bad_field", "Idempotency-Key"),
    (("Idempotency-Key: 열쇠",), 422, "bad_field", "Idempotency-Key"),
    (("Idempotency-Key: one", "Idempotency-Key: two"), 422, "bad_field", "Idempotency-Key"),
    (("Authorization: -",), 401, "not_signed_in", ""),
    (("Authorization: Basic YTpi",), 401, "not_signed_in", ""),
    (("Authorization: Bearer dure_nobody_" + "x" * 32,), 401, "not_signed_in", ""),
    (("Authorization: Bearer dure_\u202e_" + "x" * 32,), 401, "not_signed_in", ""),
    (("Content-Length: 99999999",), 413, "body_too_large", ""),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "status", "kind", "field"), HEADERS, ids=lambda v: str(v)[:40])
def test_a_header_that_is_not_right_is_named(
    unchanged: Served, lines: tuple[str, ...], status: int, kind: str, field: str
) -> None:
    facts = refused(sent(unchanged, request(unchanged, *lines)), status, kind)
    assert facts.get("field", "") == field
    assert "\\x21" not in str(facts), "nobody is shown a regular expression"


def test_of_two_tokens_neither_is_taken(unchanged: Served) -> None:
    tokens = unchanged.plane.tokens
    lines = (f"Authorization: Bearer {tokens['bob']}", f"Authorization: Bearer {tokens['alice']}")
    refused(sent(unchanged, request(unchanged, *lines)), 401, "not_signed_in")


def test_a_compressed_body_is_not_unpacked(unchanged: Served) -> None:
    bomb = gzip.compress(b" " * (8 << 20))
    assert refused(sent(unchanged, request(unchanged, body=bomb)), 400, "body_not_json")
    facts = refused(sent(unchanged, request(unchanged, "Content-Encoding: gzip", body=bomb)), 422, "bad_field")
    assert facts["allowed"] == "identity"


def test_a_body_that_never_ends_is_cut_off_without_a_length(unchanged: Served) -> None:
    head = request(unchanged, "Content-Length: -", "Transfer-Encoding: chunked", body=b"")
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    refused(sent(unchanged, head + piece * 17), 413, "body_too_large")


TEXTS: list[tuple[str, int, str, str]] = [
    # members of the job, status, reason, what the answer has to name
    ('"resources":{"cores":NaN}', 400, "body_not_json", "resources.cores is NaN"),
    ('"resources":{"cores":-Infinity}', 400, "body_not_json", "resources.cores is -Infinity"),
    ('"env":{"A":"x\\u0000y"}', 400, "body_not_json", "env.A holds the character NUL"),
    ('"name":"a","name":"b"', 400, "body_not_json", "'name' stands twice"),
    ('"env":{"A":"1","A":"2"}', 400, "body_not_json", "'A' stands twice"),
    ('"retries":' + "9" * 5000, 400, "body_not_json", "a number of more than 4000 digits"),
    ('"x":' + "[" * 40 + "]" * 40, 400, "body_not_json", "nested deeper than 32 levels"),
    ('"resources":{"cores":1e400}', 422, "bad_field", "too large; at most 10,000"),
    ('"resources":{"cores":' + "9" * 400 + "}", 422, "bad_field", "too large; at most 10,000"),
    ('"resources":{"cores":-' + "9" * 400 + "}", 422, "bad_field", "too small; at least 0.001"),
    ('"workers":1e400', 422, "bad_field", "too large; at most 16,384"),
    ('"retries":' + "9" * 400, 422, "bad_field", "too large; at most 10"),
    ('"array":1e30', 422, "bad_field", "too large; at most 10,000"),
    ('"resources":{"devices":-1e400}', 422, "bad_field", "too small; at least 0"),
    ('"\\u202egnp.exe":1', 422, "unknown_field", "\ufffdgnp.exe"),
    ('"a\\u001b[31m":1', 422, "unknown_field", "a\ufffd[31m"),
]


@pytest.mark.parametrize(("text", "status", "kind", "told"), TEXTS, ids=lambda v: str(v)[:40])
def test_what_json_allows_and_a_job_does_not_is_named(unchanged: Served, text: str, status: int, kind: str, told: str) -> None:
    name = "" if '"name"' in text else '"name":"a",'
    body = '{"project":"alpha","job":{"command":["true"],' + name + text + "}}"
    answer = sent(unchanged, request(unchanged, body=body.encode()))
    refused(answer, status, kind)
    assert told in json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]


def test_a_mark_of_the_byte_order_is_passed_over(served: Served) -> None:
    assert sent(served, request(served, body=b"\xef\xbb\xbf" + BODY)).startswith(b"HTTP/1.1 201 ")


PATHS = [
    "/workloads/..%2f..%2fpolicy", "/workloads/%2e%2e/policy", "/workloads/%00", "/workloads/%E2%80%AE",
    "/workloads/" + "x" * 9000, "/projects/..%2f..%2fetc/bundles", "/workloads/a%0d%0aSet-Cookie:%20x=1", "//workloads",
    "/workloads/",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda v: str(v)[:40])
def test_addresses_lead_nowhere_else_and_put_nothing_into_headers(unchanged: Served, path: str) -> None:
    answer = sent(unchanged, request(unchanged, method="GET", path=path, body=b""))
    refused(answer, 404, "not_found")
    assert b"set-cookie" not in answer.partition(b"\r\n\r\n")[0].lower()


METHODS = [
    ("DELETE", "/workloads", "GET, POST"), ("POST", "/policy", "GET, PUT"), ("GET", "/quotes", "POST"),
    ("PUT", "/projects/alpha/members", "DELETE, POST"), ("OPTIONS", "/workloads", "GET, POST"), ("GET", "/tokens/x", "DELETE"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "allowed"), METHODS)
def test_a_wrong_method_is_told_every_right_one(unchanged: Served, method: str, path: str, allowed: str) -> None:
    answer = sent(unchanged, request(unchanged, method=method, path=path, body=b""))
    assert refused(answer, 405, "method_not_allowed")["allowed"] == allowed
    assert f"\r\nallow: {allowed}\r\n".encode() in answer


def test_a_number_that_no_store_could_keep_is_refused_of_an_agent_too(unchanged: Served) -> None:
    hello = '{"protocol":1,"agent_version":"1","boot_id":"b","describe":{"x":1e999},"nodes":[]}'
    assert refused(sent(unchanged, request(unchanged, path="/agent/hello", who="agent", body=hello.encode())), 422, "bad_field")
