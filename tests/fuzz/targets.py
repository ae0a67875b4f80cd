"""What is fuzzed: for each target a function of bytes, in which every undeclared exception is a crash, and its seeds."""

from __future__ import annotations

import ast
import json
import runpy
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
sys.path.append(str(TESTS / "support"))  # which the tests' modules import from, as pytest lets them
FOLDERS = (TESTS.parent / "examples", TESTS.parent / "docs", TESTS.parents[1] / "shared" / "cases")
ZIPPED = (".docx", ".pptx", ".xlsx", ".epub", ".odt")
TEXTS = (
    ".txt",
    ".xml",
    ".fodt",
    ".tex",
    ".org",
    ".adoc",
    ".srt",
    ".rtf",
    ".eml",
    ".mbox",
    ".mht",
    ".md",
    ".rst",
    ".html",
    ".ipynb",
    ".csv",
    ".json",
    ".jsonl",
    ".c",
    ".py",
)
Target = Callable[[bytes], object]  # what it returns shows a test that the seed is read


def reader(suffix: str) -> Target:
    """Reads a file in this process, as the child of the sandbox does: its coverage has to be seen."""
    from indexes.errors import UnreadableFile
    from indexes.readers import registry

    registry.read_in_sandbox = registry.read_here
    check = runpy.run_path(str(TESTS / "indexes/readers/conftest.py"))["check"]

    def read(data: bytes) -> None:
        with suppress(UnreadableFile):
            check(registry.read_document(Path(f"fuzzed{suffix}"), data))

    return read


def encoding() -> Target:
    from indexes.errors import UnreadableFile
    from indexes.readers import decode

    def detect(data: bytes) -> object:
        with suppress(UnreadableFile):
            return decode(data)
        return None

    return detect


def refusal() -> Target:
    """An error of a server's, through what explains it; the first byte chooses the status."""
    from longctx.backends.openai.address import parse_address
    from longctx.backends.openai.client import Connection
    from longctx.backends.openai.http import ErrorReply
    from longctx.errors import ServerFailed

    address = parse_address("openai:http://127.0.0.1:9/v1")
    connection = Connection.open(address, api_key="secret", timeout=1, retries=0)

    def explain(data: bytes) -> None:
        status = (400, 413, 422, 500, 0, 401, 503)[data[0] % 7] if data else 400
        with suppress(ServerFailed), connection.explained(address.url, 1):
            raise ErrorReply(status, data[1:].decode("utf-8", "replace"))

    return explain


def prefix() -> Target:
    """A file of keys and values in the folder of an index, whose checksum always agrees."""
    from longctx.engine import prefix_file
    from longctx.engine.prefix_store import PrefixStore

    prefix_file.hash_tensors = lambda _: "0"
    store, (made_from, ids, layout) = PrefixStore(Path(tempfile.mkdtemp())), kept()

    def take(data: bytes) -> object:
        (store.folder / f"{'a' * 32}.safetensors").write_bytes(data)
        return store.take(made_from, ids, layout, 0)

    return take


def gguf() -> Target:
    from longctx.errors import ModelUnavailable
    from longctx.models import read_gguf

    file = Path(tempfile.mkdtemp()) / "a.gguf"

    def read(data: bytes) -> object:
        file.write_bytes(data)
        with suppress(ModelUnavailable):
            return read_gguf(file)
        return None

    return read


def kept() -> tuple[Any, list[int], Any]:
    """What the seed of `prefix` is made from: a model of one layer with one head."""
    import torch

    from longctx.engine.prefix_file import Fingerprint, Layout
    from longctx.models import CacheShape

    layout = Layout(300, CacheShape((((1, 4), (1, 4)),), 4), torch.float32, "int8")
    return Fingerprint("weights", "tokenizer", "", "rotation", ""), list(range(300)), layout


def prefix_seed() -> bytes:
    import torch

    from longctx.engine import prefix_file
    from longctx.engine.kv_cache import KVCache, encode
    from longctx.models import hash_tokens

    prefix_file.hash_tensors = lambda _: "0"
    (made_from, ids, layout), cache = kept(), KVCache("int8")
    cache.load([[*encode(torch.ones((1, 1, 300, 4)), "int8")] * 2])
    path = Path(tempfile.mkdtemp()) / "a"
    exact = replace(made_from, tokens=hash_tokens(ids), dtype=f"{layout.model_dtype} int8")
    prefix_file.write_prefix(path, cache, exact, ids)
    return path.read_bytes()


def gguf_seed() -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    entries = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    entries += text("general.alignment") + struct.pack("<II", 4, 32)
    tensor = text("rope_freqs.weight") + struct.pack("<IQIQ", 1, 4, 0, 0)
    return struct.pack("<4sIQQ", b"GGUF", 3, 1, 2) + entries + tensor + b"\0\0\x80\x3f" * 64


TARGETS: dict[str, Callable[[], Target]] = {
    **{f"reader {suffix}": partial(reader, suffix) for suffix in (*TEXTS, ".pdf", *ZIPPED)},
    **{"encoding": encoding, "refusal": refusal, "prefix": prefix, "gguf": gguf},
}


def seeds(target: str) -> Iterator[bytes]:
    """Files of the examples, the documentation and the cases, and what is written in the tests."""
    if target in ("prefix", "gguf"):
        yield {"prefix": prefix_seed, "gguf": gguf_seed}[target]()
        return
    suffix, readers = target.removeprefix("reader "), TESTS / "indexes" / "readers"
    if suffix == ".pdf":
        yield runpy.run_path(str(readers / "test_hostile.py"))["pdf_page"]()
    made = runpy.run_path(str(readers / "test_no_network.py"))["MADE"]
    yield made[suffix]() if suffix in made else b"some text"
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*")):
            if path.suffix == suffix or (target == "encoding" and path.suffix in (".txt", ".csv", ".xml")):
                yield path.read_bytes()
    if suffix not in (".pdf", *ZIPPED):
        yield from written(TESTS / "longctx" / "backends" if target == "refusal" else readers, target)


def written(folder: Path, target: str) -> Iterator[bytes]:
    """The longer literals in tests; for `refusal` as messages of a server."""
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            value = node.value if isinstance(node, ast.Constant) else None
            if not isinstance(value, str | bytes) or len(value) < 16:
                continue
            data = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
            error = {"error": {"message": data.decode("utf-8", "replace")}}
            yield b"\0" + json.dumps(error).encode() if target == "refusal" else data
