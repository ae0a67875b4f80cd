"""HTTP to a server that need not be well-behaved: seconds, bytes and redirects are bounded.

Nothing is sent to another host than the one that was named, and no reply is waited for or kept without an end.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from longctx.backends.openai.deadline import Clock, watch
from longctx.errors import BadRequest

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
MOST_BYTES = 1 << 26  # of one reply, unpacked: a list of models or the tokens of a long text has a few millions
_MOST_ERROR_BYTES = 1 << 20
_LONGEST_NUMBER = 40  # digits
_UNPACKED = 1 << 16  # bytes at a time
_REDIRECTS = 3
_TRIED_AGAIN = (408, 409, 425, 429)  # and every 5xx
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds before a request is repeated
_DEFAULT_PORTS = {"http": 80, "https": 443}

Body = Mapping[str, Any]


class Failed(Exception):
    """A request that got no usable reply."""


class TimedOut(Failed):
    """The server was silent, or was not done, for longer than it may be."""


class Unreachable(Failed):
    """No reply came."""


class BrokenOff(Failed):
    """The reply ended before its end."""


class ErrorReply(Failed):
    """The server answered with an error.

    Attributes:
        status: The HTTP status; 0 for an error in the midst of a reply.
        text: The body.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__("an error")
        self.status, self.text = status, text


def loads(text: str | bytes) -> Any:
    """Parse JSON from a server: Infinity, NaN and endless numbers become None, bytes that are not UTF-8 U+FFFD.

    Control characters may stand in strings as they are.

    Args:
        text: The JSON.

    Returns:
        The value.

    Raises:
        ValueError: For what is no JSON, or is nested too deep.
    """
    text = text if isinstance(text, str) else text.decode("utf-8-sig", "replace")
    try:
        return json.loads(text, strict=False, parse_constant=lambda _: None, parse_int=_number)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _number(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


class Http:
    """A client for one server. Threads may share it.

    Args:
        key: Sent as a bearer token; None sends none.
        silence: Seconds for which the server may be silent.
        retries: How often a request is repeated after a lost connection or an error of the server's (429, 5xx).
        direct: Whether the environment's proxies are left out, as for a server on this machine: a proxy would carry
            key and passages off it, unencrypted.

    Raises:
        BadRequest: If the environment names proxies or certificates that cannot be used.
    """

    def __init__(self, key: str | None, silence: float, retries: int, *, direct: bool = False) -> None:
        import httpx2

        headers = {"Accept-Encoding": "identity", "User-Agent": "longctx"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        timeout = httpx2.Timeout(silence, connect=min(silence, CONNECT_SECONDS))
        self._clock = Clock()
        try:
            self._client = httpx2.Client(headers=headers, timeout=timeout, follow_redirects=False, trust_env=not direct)
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
            # without the cause, whose message may hold a part of a proxy's password
            raise BadRequest(_unusable_environment(error)) from None
        self._retries = retries
        watch(self._client, self._clock)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def read(self, method: str, url: str, body: Body | None, seconds: float) -> bytes:
        """Make a request and read the whole reply.

        Args:
            method: GET or POST.
            url: Where to.
            body: Sent as JSON.
            seconds: Until the last byte.

        Returns:
            The reply's body.

        Raises:
            Failed: Without a usable reply.
        """
        deadline = time.monotonic() + seconds
        with self._replied(method, url, body, lambda: deadline) as response:
            return b"".join(self._chunks(response, lambda: deadline, MOST_BYTES))

    @contextmanager
    def lines(
        self, url: str, body: Body, deadline: Callable[[], float], headers: Mapping[str, str]
    ) -> Iterator[Iterator[bytes]]:
        """POST JSON and read the reply line by line.

        Args:
            url: Where to.
            body: Sent as JSON.
            deadline: Until when to wait for what comes next, by `time.monotonic`.
            headers: Sent beside the client's own.

        Yields:
            The reply's lines. Raises Failed, as taking a line does.
        """
        with self._replied("POST", url, body, deadline, headers) as response:
            yield _lines(self._chunks(response, deadline, MOST_BYTES))

    @contextmanager
    def _replied(
        self,
        method: str,
        url: str,
        body: Body | None,
        deadline: Callable[[], float],
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx2.Response]:
        """A reply that is no error; the connection is closed on the way out."""
        response = self._asked_again(method, url, body, deadline, headers or {})
        try:
            yield response
        finally:
            response.close()

    def _asked_again(
        self, method: str, url: str, body: Body | None, deadline: Callable[[], float], headers: Mapping[str, str]
    ) -> httpx2.Response:
        """Send a request, again after what may pass."""
        for left in range(self._retries, -1, -1):
            pause = min(_FIRST_PAUSE * 2 ** (self._retries - left), _LONGEST_PAUSE)
            try:
                response = self._send(method, url, body, deadline, headers)
            except TimedOut:
                raise
            except Failed:
                if not left:
                    raise
            else:
                if response.status_code < 400:
                    return response
                text = self._error_text(response, deadline)
                passing = response.status_code in _TRIED_AGAIN or response.status_code >= 500
                if not left or not passing:
                    raise ErrorReply(response.status_code, text)
                pause = _pause_of(response, pause)
            time.sleep(max(0.0, min(pause, deadline() - time.monotonic())))
        raise AssertionError("the last attempt returns or raises")

    def _send(
        self, method: str, url: str, body: Body | None, deadline: Callable[[], float], headers: Mapping[str, str]
    ) -> httpx2.Response:
        """Send a request once, and follow redirects within the host."""
        # json.dumps escapes lone surrogates, which no encoder takes
        content = None if body is None else json.dumps(body).encode()
        headers = {**headers, "Content-Type": "application/json"} if content is not None else headers
        for _ in range(_REDIRECTS):
            request = self._client.build_request(method, url, content=content, headers=headers)
            with self._timed(deadline(), Unreachable):
                response = self._client.send(request, stream=True)
            if not 300 <= response.status_code < 400:
                return response
            response.close()
            target = urljoin(url, response.headers.get("location", ""))
            if not _same_host(url, target):
                raise Failed(f"redirects to {target}, which is another host: give that address if you trust it")
            if content is not None and response.status_code not in (307, 308):
                raise Failed(f"redirects to {target}: give that address")
            url = target
        raise Failed("redirects again and again: is the address right?")

    def _chunks(self, response: httpx2.Response, deadline: Callable[[], float], most: int) -> Iterator[bytes]:
        """The body, unpacked, piece by piece."""
        unpack, raw, total = _unpacker(response.headers.get("content-encoding", "")), response.iter_raw(), 0
        while True:
            with self._timed(deadline(), BrokenOff):
                chunk = next(raw, None)
            if chunk is None:
                return
            for piece in unpack(chunk):
                total += len(piece)
                if total > most:
                    raise Failed(f"sent more than {most:,} bytes in one reply, which is no answer")
                yield piece

    def _error_text(self, response: httpx2.Response, deadline: Callable[[], float]) -> str:
        text = b""
        try:
            for chunk in self._chunks(response, deadline, _MOST_ERROR_BYTES):
                text += chunk
        except Failed:
            pass  # what was read so far has to do
        finally:
            response.close()
        return text.decode("utf-8", "replace")

    @contextmanager
    def _timed(self, deadline: float, lost: type[Failed]) -> Iterator[None]:
        """Do one step of a request before the deadline, with the errors of the client as ours."""
        import httpx2

        if deadline <= time.monotonic():
            raise TimedOut("too late")
        self._clock.deadline = deadline
        try:
            yield
        except httpx2.ConnectTimeout as error:
            raise Unreachable(_cause(error) or "no reply") from error
        except httpx2.TimeoutException as error:
            raise TimedOut("no reply") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise lost(_cause(error)) from error
        finally:
            self._clock.deadline = math.inf


def _unusable_environment(error: Exception) -> str:
    """What is wrong with the variables that say how the network is reached. None of their values is repeated."""
    if isinstance(error, OSError):  # ssl.SSLError is one, too
        wrong = error.strerror or type(error).__name__
        return f"the certificates cannot be read ({wrong}): check SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE"
    remedy = "write http://host:port in HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, and names in NO_PROXY"
    if isinstance(error, ImportError):
        return f"a SOCKS proxy needs a package that is not installed: `pip install socksio`, or {remedy}"
    return f"the environment names a proxy that cannot be used: {remedy}"


def _unpacker(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    """What unpacks the body: a server may pack it though it was asked not to. Bounded, as the packed can be a bomb."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return lambda chunk: iter([chunk])
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Failed(f"packs its replies as {encoding[:20]!r}, which was not asked for")
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def unpack(chunk: bytes) -> Iterator[bytes]:
        try:
            while True:
                piece = unpacking.decompress(chunk, _UNPACKED)
                yield piece
                chunk = unpacking.unconsumed_tail
                if not chunk and len(piece) < _UNPACKED:
                    return
        except zlib.error as error:
            raise Failed(f"sent a reply that cannot be unpacked ({error})") from error

    return unpack


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their ends, LF or CR LF, and without the text's byte order mark; the last may have no end."""
    parts: list[bytes] = []
    begun = False
    for chunk in chunks:
        if not begun:
            chunk, begun = chunk.removeprefix(b"\xef\xbb\xbf"), True
        first, *rest = chunk.split(b"\n")
        parts.append(first)
        for part in rest:
            yield b"".join(parts).rstrip(b"\r")
            parts = [part]
    if last := b"".join(parts):
        yield last


def _same_host(one: str, other: str) -> bool:
    """Whether two URLs are of the same server, or of the same host by https."""
    try:
        mine, theirs = urlsplit(one), urlsplit(other)
        ports = [part.port or _DEFAULT_PORTS.get(part.scheme) for part in (mine, theirs)]
    except ValueError:
        return False
    if mine.hostname != theirs.hostname or theirs.username is not None:
        return False
    upgraded = (mine.scheme, theirs.scheme, *ports) == ("http", "https", 80, 443)
    return upgraded or (mine.scheme == theirs.scheme and ports[0] == ports[1])


def _pause_of(response: httpx2.Response, otherwise: float) -> float:
    """Seconds to wait before a request is repeated: what the server says, if that is not too long."""
    for header, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(response.headers.get(header, "")) * unit
        except ValueError:
            continue
        if 0 <= seconds <= _LONGEST_PAUSE:
            return seconds
    return otherwise


def _cause(error: BaseException) -> str:
    """The message of the innermost cause that has one."""
    said = str(error)
    while error.__cause__ is not None:
        error = error.__cause__
        said = str(error) or said
    return " ".join(said.split())
