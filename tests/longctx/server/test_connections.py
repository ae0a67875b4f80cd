"""Clients that stand still, and more of them than there is room for: the others are served all the same."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from running_server import Running, running, until

PATIENCE, ROOM = 1.0, 20
RESPONSES, LARGE = 1500, 6_000_000
STYLE = b"GET /page/style.css HTTP/1.1\r\nhost: localhost\r\n\r\n"
FILE = b"GET /api/v1/indexes/index/documents/large.txt/file HTTP/1.1\r\nhost: localhost\r\n\r\n"
UPLOAD = b"POST /api/v1/indexes/index/documents HTTP/1.1\r\nhost: localhost\r\n"
UNREAD = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n"
PART = (
    UPLOAD + b"content-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n"
    b'--b\r\ncontent-disposition: form-data; name="files"; filename="a.txt"\r\n\r\na'
)


@pytest.fixture(scope="module")
def hurried(index: Path) -> Iterator[Running]:
    with running(index, patience=PATIENCE, connections=ROOM) as server:
        yield server


def connected(server: Running) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def is_closed(client: socket.socket, drop: bytes) -> bool:
    """Whether the server has closed a connection, after sending it one drop more."""
    client.settimeout(0.05)
    try:
        client.sendall(drop)
        return client.recv(65536) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    ("begun", "drop"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\nx: ", b"a"),
        (UPLOAD + b"content-length: 1000\r\n\r\n", b"a"),
        (UPLOAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (UNREAD, b"a"),
        (PART, b"a"),
    ],
    ids=["nothing", "head", "body", "chunks", "unread body", "file"],
)
def test_a_client_that_sends_a_byte_now_and_then_is_let_go(hurried: Running, begun: bytes, drop: bytes) -> None:
    with connected(hurried) as client:
        client.sendall(begun)
        until(lambda: is_closed(client, drop), seconds=20)


def test_a_body_may_take_longer_while_it_comes(hurried: Running) -> None:
    body = b'{"query": "lamp"}' + b" " * 5000
    head = b"POST /api/v1/indexes/index/search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with connected(hurried) as client:
        client.sendall(head + b"content-length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 500):
            client.sendall(body[start : start + 500])
            time.sleep(3 * PATIENCE / 10)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_client_that_never_reads_is_let_go(hurried: Running) -> None:
    with connected(hurried) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /page/main.js HTTP/1.1\r\nhost: localhost\r\n\r\n" * 500)
        until(lambda: not hurried.server.connections, seconds=20)


def test_clients_that_read_slowly_get_everything(hurried: Running) -> None:
    """Of so much that neither the server's kernel nor the client's takes all of it: in many responses, and in one."""
    upload = {"files": ("large.txt", b"lamp" + b"\n" * LARGE)}
    job = hurried.http.post("/api/v1/indexes/index/documents", files=upload).json()
    assert hurried.job(job["id"])["state"] == "done"
    asked = [STYLE * RESPONSES, FILE]
    with ThreadPoolExecutor() as pool:
        many, one = pool.map(partial(read_slowly, hurried), asked)
    assert many.count(b"HTTP/1.1 200") == RESPONSES
    assert len(one) > LARGE


def read_slowly(server: Running, requests: bytes) -> bytes:
    """What a client receives that reads 300,000 bytes a second for a while."""
    with connected(server) as client:
        client.sendall(requests)
        read = [client.recv(30_000)]
        for _ in range(40):
            time.sleep(PATIENCE / 10)
            read.append(client.recv(30_000))
        read.extend(iter(lambda: client.recv(1 << 20), b""))
    return b"".join(read)


def test_clients_that_say_nothing_keep_nobody_out(hurried: Running) -> None:
    crowd = [connected(hurried) for _ in range(3 * ROOM)]
    try:
        assert hurried.http.get("/healthz").status_code == 200
        assert hurried.server.connections <= ROOM
    finally:
        for client in crowd:
            client.close()


def test_an_upload_that_is_cut_off_is_no_failure(hurried: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        with connected(hurried) as client:
            client.sendall(PART)
            time.sleep(0.2)
        assert hurried.http.get("/healthz").status_code == 200
        until(lambda: hurried.server.connections <= 1)
    assert not caplog.records
