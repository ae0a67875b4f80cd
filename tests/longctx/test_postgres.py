"""An index in PostgreSQL from the command line, from Python and behind the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from forked_longctx import ForkedLongctx
from postgres_server import PASSWORD, WITH_PASSWORD, PostgresServer
from running_server import running
from written_files import write_files

from longctx import BadRequest, DocumentQA
from longctx.cli.opening import check_trusted
from longctx.settings import load_settings

LIGHTHOUSE = "# The lighthouse\n\nThe lighthouse was built in 1874 by Anna Holm.\n"
TOUDAI = "灯台は一八七四年に建てられた。レンズは四十秒で一回転する。\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write_files(tmp_path, {"docs/lighthouse.md": LIGHTHOUSE, "docs/toudai.txt": TOUDAI})


@pytest.fixture
def run(home: Path, forked_longctx: ForkedLongctx) -> Callable[..., str]:
    """Runs `longctx` in the folder, and returns what it printed; its exit code must be the first argument."""

    def run_longctx(code: int, *arguments: str | Path, **environment: str) -> str:
        done = forked_longctx.run(*arguments, cwd=home, **environment)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run_longctx


def test_every_command_takes_the_address_of_an_index(
    run: Callable[..., str], postgres: PostgresServer, home: Path
) -> None:
    url = postgres.new_schema()
    assert "there is no index in postgresql://postgres@/" in run(1, "search", "lamp", "--index", url)
    assert "would read 2 files" in run(0, "ingest", "docs", "--dry-run", "--index", url)
    assert "2 added" in run(0, "ingest", "docs", "--index", url)
    assert "2 unchanged" in run(0, "ingest", "docs", LONGCTX_INDEX=url)
    assert json.loads(run(0, "search", "who built it", "--index", url, "--json"))[0]["chunk"]["text"].startswith(
        "# The"
    )
    assert "Anna Holm" in run(0, "ask", "Who built the lighthouse?", "--index", url)
    assert "docs/toudai.txt" in run(0, "index", "list", "--index", url)
    assert run(0, "index", "show", "docs/toudai.txt", "--index", url) == TOUDAI
    assert "2 documents" in run(0, "index", "info", "--index", url)
    assert "0 files" in run(0, "index", "cache", "info", "--index", url)
    assert "2 documents copied to there" in run(0, "index", "copy", url, "there")
    other = postgres.new_schema()
    assert "2 documents copied to postgresql://" in run(0, "index", "copy", "there", other)
    assert "holds documents already" in run(1, "index", "copy", "there", other)
    assert "1 removed" in run(0, "index", "remove", "docs/toudai.txt", "--index", other)
    assert "1 documents, 1 chunks: the index is whole" in run(0, "index", "verify", "--index", other)
    assert "the search indexes were made again" in run(0, "index", "repair", "--index", other)


def test_a_password_is_never_shown(run: Callable[..., str], postgres: PostgresServer) -> None:
    url = postgres.new_database()
    name = url.split("/")[3].split("?")[0]
    postgres.sql(name, f"GRANT ALL ON DATABASE {name} TO {WITH_PASSWORD}")
    postgres.sql(name, "CREATE EXTENSION vector")
    guarded = postgres.url(name, f"{WITH_PASSWORD}:{quote(PASSWORD, safe='')}")
    said = run(0, "ingest", "docs", "--index", guarded)
    said += run(0, "index", "info", LONGCTX_INDEX=guarded)
    said += run(0, "index", "list", "--index", postgres.url(name, WITH_PASSWORD), PGPASSWORD=PASSWORD)
    said += run(1, "index", "info", "--index", guarded.replace("guarded:", "guarded:not-"))
    said += run(1, "index", "info", "--index", f"{guarded}&schema=Odd", "--debug")
    assert "password authentication failed" in said
    assert PASSWORD not in said
    assert quote(PASSWORD, safe="") not in said


def test_a_folder_connects_nowhere_until_trusted(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    (home / "longctx.toml").write_text('index = "postgresql://me:hush@elsewhere.example/db"\n')
    with pytest.raises(BadRequest, match=r"connects to postgresql://me@elsewhere\.example/db, with your password"):
        check_trusted(load_settings(), agreed=False)
    check_trusted(load_settings(index="postgresql://localhost/mine"), agreed=False)
    check_trusted(load_settings(index="folder"), agreed=False)
    check_trusted(load_settings(), agreed=True)
    check_trusted(load_settings(), agreed=False)
    (home / "inside").mkdir()
    monkeypatch.chdir(home / "inside")
    assert load_settings().index == "postgresql://me:hush@elsewhere.example/db"


def test_questions_are_answered_from_it_in_python_and_by_the_server(home: Path, postgres: PostgresServer) -> None:
    url = postgres.new_schema()
    with DocumentQA.open(url) as qa:
        assert "is new and without documents" in (qa.ask("Who built the lighthouse?").note or "")
        assert qa.ingest(home / "docs").added == 2
        answer = qa.ask("Who built the lighthouse?")
        assert "Anna Holm" in answer.text
        assert answer.citations[0].source == str(home / "docs" / "lighthouse.md")
    with running(url) as server:  # type: ignore[arg-type]
        [name] = server.library.corpora
        base = f"/api/v1/indexes/{name}"
        found = server.http.post(f"{base}/search", json={"query": "lighthouse built"}).json()
        assert "1874" in json.dumps(found)
        added = server.http.post(f"{base}/documents", files=[("files", ("new.md", b"# New\n\nThe fog signal is new."))])
        assert server.job(added.json()["id"], name)["state"] == "done"
        found = server.http.post(f"{base}/search", json={"query": "fog signal"}).json()
        assert "fog signal" in json.dumps(found)
        postgres.sql(url.split("/")[3].split("?")[0], f"DROP SCHEMA {url.rpartition('=')[2]} CASCADE")
        failed = server.http.post(f"{base}/search", json={"query": "fog signal"})
        assert failed.status_code >= 400
        assert str(postgres.folder) not in failed.text
        assert "postgresql://" not in failed.text
