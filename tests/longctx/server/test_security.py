"""Locked by default: who is let in, and to what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running_server import Running, running

from longctx import BadRequest
from longctx.server import ServerOptions

WRITER, READER = "w" * 16, "r" * 16
ASK, SEARCH = "/api/v1/indexes/index/ask", "/api/v1/indexes/index/search"


@pytest.fixture(scope="module")
def locked(index: Path) -> Iterator[Running]:
    options = {"tokens": (WRITER,), "read_tokens": (READER,), "hosts": ("docs.example",), "max_upload": 1000}
    with running(index, **options) as started:
        yield started


@pytest.mark.parametrize(
    ("token", "method", "path", "status"),
    [
        ("", "GET", "/", 200),
        ("", "GET", "/page/main.js", 200),
        ("", "GET", "/healthz", 200),
        ("", "GET", "/api/v1/indexes", 401),
        ("", "GET", "/v1/models", 401),
        ("", "GET", "/metrics", 401),
        ("", "POST", "/mcp", 401),
        ("x" * 16, "GET", "/api/v1/indexes", 401),
        (READER, "GET", "/api/v1/indexes", 200),
        (READER, "POST", SEARCH, 200),
        (READER, "POST", "/api/v1/indexes", 403),
        (READER, "POST", "/api/v1/indexes/index/documents", 403),
        (READER, "DELETE", "/api/v1/indexes/index/documents/handbook.txt", 403),
        (READER, "DELETE", "/api/v1/indexes/index/conversations/a", 403),
        (WRITER, "DELETE", "/api/v1/indexes/index/documents/none.txt", 404),
        (WRITER, "POST", "/local/ask", 404),
        (WRITER, "GET", "/page/..%2fapp.py", 404),
    ],
)
def test_a_token_opens_what_its_role_may(locked: Running, token: str, method: str, path: str, status: int) -> None:
    headers = {"authorization": f"Bearer {token}" if token else "none"}
    response = locked.http.request(method, path, headers=headers, json={"query": "lamp"})
    assert response.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "docs.example"}, 200),
        ({"host": "10.0.0.1:80"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "docs.example", "origin": "https://docs.example"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
    ],
)
def test_other_names_and_other_origins_are_refused(locked: Running, headers: dict[str, str], status: int) -> None:
    response = locked.http.get("/api/v1/indexes", headers=headers)
    assert response.status_code == status
    assert "access-control-allow-origin" not in response.headers
    assert "script-src 'self'" in response.headers["content-security-policy"]


def test_what_is_too_large_is_refused_before_it_has_arrived(locked: Running) -> None:
    path = "/api/v1/indexes/index/documents"
    assert locked.http.post(path, files={"files": ("a.txt", b"a" * 2000)}).status_code == 413
    begun = b'--b\r\ncontent-disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
    body = (part for part in (begun, *[b"a" * 500] * 10))  # without a length
    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert locked.http.post(path, content=body, headers=kind).status_code == 413


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "0.0.0.0"}, "token"),
        ({"host": "example.org"}, "token"),
        ({"tokens": ("short",)}, "16"),
    ],
)
def test_a_server_that_is_open_to_others_needs_a_real_token(options: dict, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        ServerOptions(**options)
    assert ServerOptions(host="0.0.0.0", tokens=(WRITER,)).host == "0.0.0.0"
