"""A conversation's file: real processes that are killed and that write together, and files that cannot be gone on with.

This file, run as a program, forks the processes: it imports little, and starts no thread.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from forking_program import ForkingProgram, end_of, serve

from indexes.storage.sqlite.checksums import checksum
from longctx.conversation.session_file import SessionFile, session_path
from longctx.errors import BadRequest, BadSession, LongctxError
from longctx.reasons import Reason
from longctx.types import Answer, Citation, Plan, Usage

BECAUSE = (Reason("told", ("because",)),)


class Writers(ForkingProgram):
    """Forks processes that add turns to a conversation."""

    def run(self, path: Path, names: list[str], turns: int, *, seconds: float = float("inf"), point: int = -1) -> int:
        """Have processes write at once, and wait for their end; returns how many were killed.

        They are after so many seconds, or die by their own hand at their `point`-th call or return.
        """
        return self.ask(str(path), names, turns, seconds, point)


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    with Writers(__file__) as program:
        yield program


def test_a_file_that_another_has_taken_the_place_of_is_not_written_to(tmp_path: Path) -> None:
    one, other = session_path(tmp_path, "one"), session_path(tmp_path, "other")
    for path in (one, other):
        with closing(SessionFile.open(path)) as file:
            file.add("q 1", answer_to(1))
    before = other.read_bytes()
    with closing(SessionFile.open(one)) as file:
        one.rename(tmp_path / "away.session")
        other.rename(one)
        with pytest.raises(LongctxError, match=r"one\.session has been moved or replaced since it was opened: open it"):
            file.add("q 2", answer_to(2))
    assert one.read_bytes() == before


def test_a_process_that_is_killed_leaves_every_finished_turn(writers: Writers, tmp_path: Path) -> None:
    draw, seen, path = random.Random(5), set[int](), session_path(tmp_path, "killed")
    moments = [{"point": draw.randrange(1500)} for _ in range(24)] + [
        {"seconds": draw.uniform(0, 0.1)} for _ in range(6)
    ]
    for moment in moments:
        assert writers.run(path, ["a"], 10_000, **moment) == 1
        store = SessionFile.open(path)
        turns = store.turns()
        assert [(turn.number, turn.question) for turn in turns] == [(i, f"a {i}") for i in range(1, len(turns) + 1)]
        assert all(turn.answer == answer_to(turn.number) for turn in turns)
        store.close()
        told = path.with_suffix(".told")
        assert not told.exists() or int(told.read_text() or 0) <= len(turns), "what was said to be kept is kept"
        seen.add(len(turns))
    assert len(seen) >= 10, "the kills came at different moments"


def test_processes_that_write_at_once_lose_nothing_and_see_each_other(writers: Writers, tmp_path: Path) -> None:
    path = session_path(tmp_path, "shared")
    assert writers.run(path, ["a", "b", "c"], 40) == 0
    store = SessionFile.open(path)
    turns = store.turns()
    store.close()
    assert [turn.number for turn in turns] == list(range(1, 121))
    for name in "abc":
        assert sum(turn.question.startswith(name) for turn in turns) == 40
    assert sum(one.question[0] != other.question[0] for one, other in pairwise(turns)) > 2, "they wrote at once"
    assert all(int(turn.question.split()[1]) <= turn.number for turn in turns)
    assert int(turns[-1].question.split()[1]) > 80, "the last had seen the others' turns"


@pytest.mark.parametrize(
    "name",
    ["", " ", "../other", "a/b", "/etc/passwd", ".hidden", "a\0b", "a\nb", "x" * 65, "犬" * 64 + "犬", "~", "a."],
)
def test_a_name_that_could_be_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="cannot name a conversation: use up to 64 letters"):
        session_path(tmp_path, name)


def test_names_are_files_in_the_folder(tmp_path: Path) -> None:
    for name in ("default", "灯台の話", "2026-11-23 v1.2", "_x"):
        assert session_path(tmp_path, name) == tmp_path / f"{name}.session"
    assert session_path(tmp_path, "か\u3099") == session_path(tmp_path, "が"), "however it is typed"


def a_newer_one(path: Path) -> None:
    SessionFile.open(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()


def another_database(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE turns (a)")
    database.close()


def written(path: Path, turns: int = 3) -> None:
    store = SessionFile.open(path)
    for number in range(turns):
        store.add(f"question {number} " + "and more " * 2000, answer_to(number))
    store.close()


def cut_short(path: Path) -> None:
    written(path)
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    written(path)
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\x5a" * 20_000)


def with_sql(sql: str) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        SessionFile.open(path).close()
        with closing(sqlite3.connect(path)) as database:
            database.executescript(sql)

    return spoil


ENDLESS = """
DROP TABLE turns;
CREATE VIEW turns AS WITH RECURSIVE n(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM n)
    SELECT number, 'q' AS question, 'a' AS answer, '{}' AS details, 't' AS asked_at, 0 AS checksum FROM n;
"""
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON turns BEGIN DELETE FROM turns; END"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (with_sql(ENDLESS), "holds what is not longctx's"),
        (with_sql(TRIGGER), "holds what is not longctx's"),
        (lambda path: path.write_bytes(b"this is no database at all" * 10), "is damaged, or is no conversation"),
        (lambda path: path.write_bytes(b""), "is damaged, or is no conversation"),
        (another_database, "is a database, but no conversation of longctx's: move it away, or use another name"),
        (a_newer_one, r"has version 9 and this longctx knows version 1: upgrade longctx"),
        (cut_short, "is damaged.*put a copy of the file back"),
        (overwritten, "is damaged.*put a copy of the file back"),
    ],
)
def test_a_file_that_cannot_be_gone_on_with_is_named_and_left_alone(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    path = session_path(tmp_path, "spoilt")
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(BadSession, match=message) as raised:
        SessionFile.open(path)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_changed_turn_is_an_error_and_no_answer(tmp_path: Path) -> None:
    path = session_path(tmp_path, "changed")
    written(path, 3)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE turns SET answer = 'something else' WHERE number = 2")
    database.close()
    store = SessionFile.open(path)
    with pytest.raises(BadSession, match=r"turn 2 in .*changed\.session is not what it was"):
        store.history()
    store.close()


def test_a_turn_waits_for_one_that_another_process_is_writing(tmp_path: Path) -> None:
    path = session_path(tmp_path, "waited")
    store = SessionFile.open(path)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    first = (1, "first", "a", "{}", "", checksum((1, "first", "a", "{}", "")))
    other.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?)", first)
    done = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    done.start()
    assert store.history() == (), "what is not finished is not seen"
    assert store.add("second", answer_to(2)) == 2
    done.join()
    other.close()
    assert [message.content for message in store.history()] == ["first", "a", "second", "answer 2 [1]"]
    store.close()


def test_opening_a_conversation_gives_up_no_lock_of_a_turn_that_this_process_is_writing(tmp_path: Path) -> None:
    path = session_path(tmp_path, "locked")
    SessionFile.open(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        SessionFile.open(path).close()  # in a server: another question
        code = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
        other = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)
        assert "database is locked" in other.stderr


def test_a_file_of_release_0_1_is_read_under_todays_names(tmp_path: Path) -> None:
    path = session_path(tmp_path, "old")
    with closing(SessionFile.open(path)) as store:
        store.add("Who?", answer_to(1))
        store.add("And why?", answer_to(2))
    plan = {"route": "retrieval", "reason": "because", "window": 4096, "scale": 1.0, "shown": True}
    plan |= {"shares": [], "left_out": [], "places": [3, 5], "turns": [1, 2], "passages_found": 2, "passages_used": 2}
    plan |= {"prompt_tokens": 9, "max_new_tokens": 4, "otherwise": None, "searched": "Who built it?"}
    with closing(sqlite3.connect(path)) as database, database:
        for number, old in ((1, plan), (2, {**plan, "window": None, "prompt_tokens": None})):
            row = database.execute(
                "SELECT number, question, answer, details, asked_at FROM turns WHERE number = ?", [number]
            )
            [kept] = row.fetchall()
            details = json.dumps(json.loads(kept[3]) | {"plan": old})
            changed = (*kept[:3], details, kept[4])
            database.execute(
                "UPDATE turns SET details = ?, checksum = ? WHERE number = ?", (details, checksum(changed), number)
            )
    with closing(SessionFile.open(path)) as store:
        first, second = store.turns()
    assert first.answer.plan == Plan(
        "retrieval",
        BECAUSE,
        4096,
        chunk_ids=(3, 5),
        turns=(1, 2),
        passages_found=2,
        passages_used=2,
        prompt_tokens=9,
        max_new_tokens=4,
    )
    assert (first.answer.search_query, second.answer.plan) == ("Who built it?", None)


def answer_to(number: int) -> Answer:
    place = Citation("/a.md", "A", None, number, number + 3, "灯台。", line=number, number=1)
    return Answer(f"answer {number} [1]", (place,), Plan("retrieval", BECAUSE, 4096, turns=(1, 2)), Usage(1, 2, 0.5))


def write(path: Path, name: str, turns: int) -> None:
    """Add turns; each says how many it has seen, and what is kept is told in a file."""
    store = SessionFile.open(path)
    with path.with_suffix(".told").open("w") as told:
        for _ in range(turns):
            number = len(store.history()) // 2 + 1
            kept = store.add(f"{name} {number}", answer_to(number))
            told.seek(0)
            told.write(str(kept))
            told.flush()
            time.sleep(0.003)  # the others' chance: who waits for a lock of SQLite's looks for it now and then


def die_at(point: int) -> None:
    """Have this process kill itself at its `point`-th call or return from now on."""
    left = point

    def count(*event: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def fork_writers(path: str, names: list[str], turns: int, seconds: float, point: int) -> int:
    until, children = time.monotonic() + seconds, []
    for name in names:
        child = os.fork()
        if not child:
            if point >= 0:
                die_at(point)
            write(Path(path), name, turns)
            os._exit(0)
        children.append(child)
    return sum([end_of(child, until) == -signal.SIGKILL for child in children])


if __name__ == "__main__":
    with TemporaryDirectory() as folder:  # what is imported and made once need not be so in each process
        write(Path(folder, "first.session"), "first", 1)
    serve(fork_writers)


def test_a_conversation_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        SessionFile.open(tmp_path / "sessions" / "a.session").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "sessions").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "sessions" / "a.session").stat().st_mode) == 0o600
