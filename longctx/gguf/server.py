"""llama.cpp's server in a child process, and requests to it over a Unix socket in a private folder.

A child, because llama.cpp ends its process where a file or the memory is not as it expects, and because one context has
one RoPE scaling and one length: another one takes another child, which shares the weights' pages with the first.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import weakref
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from indexes.child_process import isolated_command
from longctx.errors import LongctxError, ModelUnavailable, NotEnoughMemory
from longctx.unix_socket import UnixConnection

_JSON = {"Content-Type": "application/json"}
_REASON = "error loading model: "  # and why, in llama.cpp's words
_UPGRADE = "upgrade xllamacpp, or take another model"
_LACKS = "lacks some of the model's weights: download it again, or take another file of the model"
_SOCKET = "llama.sock"  # the ending tells llama.cpp that it is no host
_LONGEST_SOCKET = 103  # bytes of its path, which the system bounds
_KNOWN_FAILURES = (  # what llama.cpp says, and what that means
    ("unknown model architecture", "is of an architecture{} that this llama.cpp does not know: " + _UPGRADE),
    ("unknown pre-tokenizer", "has a tokenizer{} that this llama.cpp does not know: " + _UPGRADE),
    ("not within the file bounds", "is cut short: download it again"),
    ("corrupted or incomplete", "is cut short: download it again"),
    ("failed to read", "is cut short or damaged: download it again"),
    ("missing tensor", _LACKS),
    ("' not found", _LACKS),  # of a tensor, too
    ("wrong shape", "has weights of another shape than its header says: download it again"),
    ("wrong number of tensors", "is not whole: download it again, with all of its parts"),
    (
        "cannot read past the window",
        "states a window that this xllamacpp cannot exceed: ask for less, without a scaling",
    ),
)


class LlamaServer:
    """One child with one model, context length and RoPE scaling. Threads may share it; requests wait for each other.

    Args:
        settings: What `child.py` reads.
        model: The file, for messages.

    Raises:
        ModelUnavailable: If llama.cpp cannot load the model.
        NotEnoughMemory: If the model or its context does not fit.
    """

    def __init__(self, settings: Mapping[str, Any], model: Path) -> None:
        self._model = model
        self.folder = _new_folder()
        self._socket = self.folder / _SOCKET
        self._log = self.folder / "log"
        parameters = settings["parameters"] | {"hostnames": [str(self._socket)], "slot_save_path": f"{self.folder}/"}
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(  # noqa: S603  # our own file
                isolated_command("longctx.gguf.child"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"GGML_NO_BACKTRACE": "1"},
                start_new_session=True,  # Ctrl-C is for the parent to handle
            )
        self.close = weakref.finalize(self, _end, self._child, self.folder)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        line = json.dumps({**settings, "parameters": parameters})
        with contextlib.suppress(BrokenPipeError):  # it has ended already, and the log says why
            self._child.stdin.write(f"{line}\n".encode())
            self._child.stdin.flush()
        if self._child.stdout.readline() != b"ready\n":
            error = self._failure()
            self.close()
            raise error

    @property
    def is_running(self) -> bool:
        """Whether the child has not ended: the system may kill it for want of memory."""
        return self._child.poll() is None

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST JSON, and parse the response. Raises ModelUnavailable for an error."""
        with self._request(path, body) as response:
            return json.loads(response.read())

    def stream(self, path: str, body: Mapping[str, Any]) -> Generator[Any, None, None]:
        """POST JSON, and parse the events of the response.

        Args:
            path: The path.
            body: The request.

        Yields:
            The events. Closing the generator closes the connection, and llama.cpp stops.

        Raises:
            ModelUnavailable: If llama.cpp refuses the request, or ends.
        """
        with self._request(path, body) as response:
            for line in response:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])
                elif line.startswith(b"error:"):
                    raise ModelUnavailable(f"llama.cpp gave up on {self._model}: {line[6:].decode().strip()}")

    def broken_off(self) -> LongctxError:
        """Say why an answer ended in its midst, once the child has ended: then the next request has another one.

        Returns:
            The error.
        """
        error = self._failure()
        if self.is_running:
            return ModelUnavailable("llama.cpp broke off in the middle of an answer: ask again")
        return error

    @contextmanager
    def _request(self, path: str, body: Mapping[str, Any]) -> Iterator[http.client.HTTPResponse]:
        with closing(UnixConnection(self._socket)) as connection:
            try:
                connection.request("POST", path, json.dumps(body), _JSON)
                response = connection.getresponse()
                if response.status != http.client.OK:
                    said = response.read().decode("utf-8", "replace")
                    raise ModelUnavailable(f"llama.cpp refuses {path} for {self._model}: {said}")
                yield response
            except (OSError, http.client.HTTPException) as error:
                raise self._failure() from error

    def _failure(self) -> LongctxError:
        """Why the child ended, by its log."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=5)
        log = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        if "failed to allocate" in log or "unable to allocate" in log or "bad_alloc" in log:
            return NotEnoughMemory(f"{self._model} does not fit into the free memory: shorten the prompt, or --window")
        for said, meaning in _KNOWN_FAILURES:
            if said in log:
                return ModelUnavailable(f"{self._model} {meaning.format(_detail(said, log))}")
        if self._child.poll() == -signal.SIGKILL:
            killed = "was killed, perhaps for want of memory: ask again, or shorten the prompt"
            return ModelUnavailable(f"llama.cpp, which ran {self._model}, {killed}")
        errors = [line for line in log.splitlines() if " E " in line or "rror" in line] or log.splitlines()
        stated = [line.rpartition(_REASON)[2] for line in errors if _REASON in line]
        reason = (stated or errors or [f"exit code {self._child.poll()}"])[-1].strip()
        return ModelUnavailable(f"llama.cpp cannot run {self._model} ({reason}): is it a whole language model?")


class ServerPool:
    """The children of one model: the one for requests now, and others until their last request is over.

    Args:
        settings: What all of them have in common.
        model: The file.
        least: The context length in tokens of a child that is started for no prompt.
    """

    def __init__(self, settings: Mapping[str, Any], model: Path, least: int) -> None:
        self._settings, self._model, self._least = settings, model, least
        self._lock = Lock()
        self._current: _Shared | None = None
        self.length = 0

    @contextmanager
    def using(
        self, length: int = 0, rope: Mapping[str, Any] | None = None, override: str | None = None
    ) -> Iterator[LlamaServer]:
        """Use a child whose context is long enough and has this RoPE.

        Args:
            length: The context length in tokens; 0 is any.
            rope: Parameters of RoPE; None is any.
            override: The entry of the header that has to be overridden for this length.

        Yields:
            The child.
        """
        with self._lock:
            held = self._current
            if held is None or not held.serves(length, rope):
                self._release(held)
                self._current, self.length = None, 0
                length = length or self._least
                parameters = self._settings["parameters"] | dict(rope or {}) | {"n_ctx": length}
                server = LlamaServer({**self._settings, "parameters": parameters, "override": override}, self._model)
                held = self._current = _Shared(server, length, dict(rope or {}))
                self.length = length
            held.users += 1
        try:
            yield held.server
        finally:
            with self._lock:
                self._release(held)

    def ready(self, length: int, rope: Mapping[str, Any]) -> LlamaServer | None:
        """The child that `using` would take without starting one.

        Args:
            length: As for `using`.
            rope: As for `using`.

        Returns:
            The child; None if one would have to be started.
        """
        held = self._current
        return held.server if held is not None and held.serves(length, rope) else None

    def close(self) -> None:
        """End the children."""
        with self._lock:
            self._release(self._current)
            self._current, self.length = None, 0

    def _release(self, held: _Shared | None) -> None:
        if held is not None:
            held.users -= 1
            if held.users == 0:
                held.server.close()


class _Shared:
    """A child, and how many use it: the pool itself is one of them."""

    def __init__(self, server: LlamaServer, length: int, rope: dict[str, Any]) -> None:
        self.server, self.length, self.rope, self.users = server, length, rope, 1

    def serves(self, length: int, rope: Mapping[str, Any] | None) -> bool:
        """Whether it runs, and its context is long enough and has this RoPE; None is any."""
        return self.server.is_running and self.length >= length and (rope is None or self.rope == rope)


def _new_folder() -> Path:
    """A folder for a socket and for states: that of TMPDIR, or /tmp if its path is too long for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="longctx-"))
    if len(os.fsencode(folder / _SOCKET)) <= _LONGEST_SOCKET:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="longctx-", dir="/tmp"))  # private, as mkdtemp makes it


def _detail(said: str, log: str) -> str:
    """What stands in quotes after a known message, such as the name of an architecture."""
    line = next(line for line in log.splitlines() if said in line)
    quoted = line.partition(said)[2].strip(" :").split("'")
    return f" ({quoted[1]})" if len(quoted) > 2 else ""


def _end(child: subprocess.Popen[bytes], folder: Path) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    shutil.rmtree(folder, ignore_errors=True)
