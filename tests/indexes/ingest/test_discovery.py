"""What is found under the roots, what is passed over and what is reported, on real files, links and pipes."""

import os
import shutil
import socket
import subprocess
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from written_files import write_files

from indexes import CorpusIndex
from indexes.errors import UnreadableFile
from indexes.ingest.discovery import FoundFile, SkippedFile, discover
from indexes.ingest.file_status import FileStat
from indexes.readers.base import ReadLimits
from indexes.readers.files import read_bytes
from indexes.types import Failure

NOBODY = 65534
STATUS = FileStat.of(Path(__file__).stat())  # which of them it is, is not compared


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp()).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Without root's right to read everything, for as long as it lasts."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def make(root: Path, *names: str) -> None:
    write_files(root, dict.fromkeys(names, "text"))


def found(*roots: Path, **options: Path) -> list[str]:
    return [str(item.path) for item in discover(roots, **options) if isinstance(item, FoundFile)]


def reason(*roots: Path) -> str:
    (failure,) = [item for item in discover(roots) if isinstance(item, Failure)]
    return failure.reason


def test_files_come_sorted_by_name_at_each_level(tmp_path):
    make(tmp_path, "b.txt", "a/z.md", "a/b/c.py", "c.pdf", "a.txt", "B.TXT")
    expected = ["B.TXT", "a/b/c.py", "a/z.md", "a.txt", "b.txt", "c.pdf"]
    assert found(tmp_path) == [str(tmp_path / name) for name in expected]


def test_kinds_that_are_not_read_are_skipped_in_a_folder(tmp_path):
    make(tmp_path, "a.txt", "b.png", "Makefile", "binary")
    assert list(discover([tmp_path])) == [
        FoundFile(str(tmp_path / "Makefile"), STATUS),
        FoundFile(str(tmp_path / "a.txt"), STATUS),
        SkippedFile(tmp_path / "b.png"),
        SkippedFile(tmp_path / "binary"),
    ]


def test_kinds_that_are_not_read_fail_when_named(tmp_path):
    make(tmp_path, "b.png", "binary")
    assert "no reader for '.png' files; what is read: .adoc" in reason(tmp_path / "b.png")
    assert "no reader for files without a suffix" in reason(tmp_path / "binary")


def test_hidden_things_are_passed_over_unless_named(tmp_path):
    make(
        tmp_path,
        ".git/a.md",
        ".b.md",
        "__pycache__/c.py",
        "node_modules/d.js",
        "e.md",
        "own/f.json",
        ".g/h.md",
    )
    assert found(tmp_path, exclude=tmp_path / "own") == [str(tmp_path / "e.md")]
    assert found(tmp_path / ".b.md") == [str(tmp_path / ".b.md")]
    assert found(tmp_path, tmp_path / ".g", exclude=tmp_path / "own") == [
        str(tmp_path / "e.md"),
        str(tmp_path / ".g/h.md"),
    ]


def test_nothing_comes_twice(tmp_path):
    make(tmp_path, "a/b/c.md", "a/d.md")
    everything = {str(tmp_path / "a/b/c.md"), str(tmp_path / "a/d.md")}
    alias = tmp_path / "alias"
    alias.symlink_to(tmp_path / "a")
    for roots in (
        [tmp_path / "a", tmp_path / "a"],
        [tmp_path / "a", tmp_path / "a/b"],
        [tmp_path / "a/b", tmp_path / "a"],
        [tmp_path / "a", tmp_path / "a/b/c.md"],
        [tmp_path / "a", alias, tmp_path / "a/../a/b"],
    ):
        paths = found(*roots)
        assert len(paths) == 2
        assert set(paths) == everything


def test_a_named_file_stays_named_inside_a_named_folder(tmp_path):
    make(tmp_path, "a.md", "b.xyz")
    items = list(discover([tmp_path, tmp_path / "b.xyz", tmp_path / "a.md"]))
    assert [type(item) for item in items] == [Failure, FoundFile]
    assert items[1] == FoundFile(str(tmp_path / "a.md"), STATUS)
    assert items[1].root is None


def test_paths_are_spelled_as_the_user_spells_them(tmp_path, monkeypatch):
    make(tmp_path, "real/a.md")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "b.md").symlink_to("real/a.md")
    monkeypatch.chdir(tmp_path)
    assert found(Path("link")) == [str(tmp_path / "link/a.md")]
    assert found(Path("b.md")) == [str(tmp_path / "b.md")]
    assert found(Path("link/../real")) == [str(tmp_path / "real/a.md")]


def test_a_root_that_does_not_exist(tmp_path):
    assert reason(tmp_path / "no") == "there is no such file or folder"
    (tmp_path / "link").symlink_to("nowhere")
    assert reason(tmp_path / "link") == "a link to nothing"


@pytest.mark.parametrize("url", ["https://example.org/a.html", "HTTP://example.org/", "ftp://example.org/a"])
def test_a_url_is_no_path(url, tmp_path, hashing):
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        for given in (url, Path(url)):
            [failure] = index.ingest(given).failed
            assert failure.source.rstrip("/") == url.rstrip("/")
            assert failure.reason.startswith("a URL, which is not fetched; download it")


def test_links_inside_the_folder_are_skipped(tmp_path):
    make(tmp_path, "a.md", "b/c.md")
    (tmp_path / "z.md").symlink_to("a.md")
    (tmp_path / "y").symlink_to("b")
    assert found(tmp_path) == [str(tmp_path / "a.md"), str(tmp_path / "b/c.md")]
    assert [item.path.name for item in discover([tmp_path]) if isinstance(item, SkippedFile)] == ["y", "z.md"]


def test_links_that_cannot_be_followed_are_reported(tmp_path):
    make(tmp_path, "in/a.md", "out/secret.md", "in/.hidden/b.md")
    (tmp_path / "in/leaves.md").symlink_to("../out/secret.md")
    (tmp_path / "in/leaves").symlink_to("../out")
    (tmp_path / "in/broken.md").symlink_to("nothing.md")
    (tmp_path / "in/loop1").symlink_to("loop2")
    (tmp_path / "in/loop2").symlink_to("loop1")
    (tmp_path / "in/parent").symlink_to("..")
    (tmp_path / "in/self").symlink_to(".")
    (tmp_path / "in/hidden.md").symlink_to(".hidden/b.md")
    items = list(discover([tmp_path / "in"]))
    reasons = {Path(item.source).name: item.reason for item in items if isinstance(item, Failure)}
    assert (
        reasons.pop("leaves.md")
        == f"a link that leads out of the folder, to {tmp_path}/out/secret.md; name that to read it"
    )
    assert "leads out of the folder" in reasons.pop("leaves")
    assert reasons.pop("broken.md") == "a link to nothing"
    assert reasons.pop("loop1") == reasons.pop("loop2") == "a loop of links"
    assert "go round for ever" in reasons.pop("parent")
    assert "go round for ever" in reasons.pop("self")
    assert "a link to something hidden" in reasons.pop("hidden.md")
    assert not reasons
    assert [item.path.name for item in items if isinstance(item, FoundFile)] == ["a.md"]


def test_a_link_to_another_root_is_no_way_out(tmp_path):
    make(tmp_path, "a/x.md", "b/y.md")
    (tmp_path / "a/link.md").symlink_to("../b/y.md")
    assert found(tmp_path / "a", tmp_path / "b") == [str(tmp_path / "a/x.md"), str(tmp_path / "b/y.md")]
    assert not [item for item in discover([tmp_path / "a", tmp_path / "b"]) if isinstance(item, Failure)]


def test_pipes_sockets_and_devices_do_not_hang(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.txt")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.txt")
        reasons = [item.reason for item in discover([tmp_path]) if isinstance(item, Failure)]
    assert reasons == ["not a regular file, but a named pipe", "not a regular file, but a socket"]
    assert reason(tmp_path / "pipe.txt") == "not a regular file, but a named pipe"
    assert reason(Path("/dev/zero")) == "not a regular file, but a device"
    for path in (tmp_path / "pipe.txt", Path("/dev/zero"), tmp_path):
        with pytest.raises(UnreadableFile, match="not a regular file"):
            read_bytes(path)


def test_what_may_not_be_read_is_reported(open_folder):
    make(open_folder, "locked/a.md", "b.md", "c.md")
    (open_folder / "locked").chmod(0)
    (open_folder / "b.md").chmod(0)
    with unprivileged():
        items = list(discover([open_folder]))
        with pytest.raises(UnreadableFile, match="no permission to read it"):
            read_bytes(open_folder / "b.md")
        named = list(discover([open_folder / "locked/a.md"]))
    assert [item for item in items if isinstance(item, Failure)] == [
        Failure(str(open_folder / "locked"), "no permission to read it")
    ]
    assert named == [Failure(str(open_folder / "locked/a.md"), "no permission to read it")]
    (open_folder / "locked").chmod(0o700)


def test_a_name_that_is_not_utf8(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("text")
    (failure,) = discover([tmp_path])
    assert isinstance(failure, Failure)
    assert failure == Failure(f"{tmp_path}/caf?.txt", "its name is not valid UTF-8; rename it")


def test_a_very_deep_tree(tmp_path):
    depth, names = 1_100, "d" * 100  # far deeper than Python's recursion and longer than a path may be
    home = os.open(".", os.O_RDONLY)
    try:
        os.chdir(tmp_path)
        for _ in range(depth):
            os.mkdir(names)  # noqa: PTH102 (relative to where we are)
            os.chdir(names)
    finally:
        os.fchdir(home)
        os.close(home)
    assert reason(tmp_path) == "its path is too long for the system"
    subprocess.run(["rm", "-rf", tmp_path / names], check=True)  # shutil.rmtree recurses


def test_a_file_that_goes_away_meanwhile(tmp_path):
    make(tmp_path, "a.md", "b/c.md")
    items = discover([tmp_path])
    assert next(items) == FoundFile(str(tmp_path / "a.md"), STATUS)
    shutil.rmtree(tmp_path / "b")
    assert list(items) == [Failure(str(tmp_path / "b"), "vanished before it could be read")]
    with pytest.raises(UnreadableFile, match="vanished before it could be read"):
        read_bytes(tmp_path / "b/c.md")


def test_it_is_lazy(tmp_path):
    for folder in range(20):
        make(tmp_path, *(f"{folder:02}/{name}.txt" for name in range(50)))
    for _ in discover([tmp_path]):
        pass
    peaks = []
    for _ in range(3):  # what other threads of the process allocate meanwhile is counted, too
        tracemalloc.start()
        assert sum(1 for _ in discover([tmp_path])) == 1_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert min(peaks) < 300_000


def test_the_size_cap(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 11_000_000)
    assert len(read_bytes(path)) == 11_000_000
    with pytest.raises(UnreadableFile, match=r"over the size limit of 10 MB \(it has 11 MB\); raise --max-size"):
        read_bytes(path, ReadLimits(max_bytes=10_000_000))
    with pytest.raises(UnreadableFile, match=r"over the size limit of 5 bytes \(it has 11 MB\)"):
        read_bytes(path, ReadLimits(max_bytes=5))
    assert len(read_bytes(path, ReadLimits(max_bytes=11_000_000))) == 11_000_000


def test_a_file_that_says_it_is_empty_but_goes_on():
    """As one that grows while it is read: what counts is what is read."""
    endless = Path("/proc/self/maps")
    if not endless.exists():
        pytest.skip("no /proc")
    assert endless.stat().st_size == 0
    assert len(read_bytes(endless)) > 1_000
    with pytest.raises(UnreadableFile, match="over the size limit of 1,000 bytes"):
        read_bytes(endless, ReadLimits(max_bytes=1_000))


def test_an_empty_file(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(UnreadableFile, match="empty file"):
        read_bytes(tmp_path / "a.txt")
