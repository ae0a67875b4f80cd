"""Clients on this machine: MCP, `longctx ask` over the socket, asyncio; and a folder that is watched."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS
from running_server import Running, running, until

from longctx import AsyncDocumentQA, Conversation, DocumentQA
from longctx.cli import app
from longctx.server import Model, ServerOptions, serve_mcp
from longctx.types import AskOptions


def test_an_mcp_client_finds_asks_reads_and_lists(server: Running, index: Path) -> None:
    async def talk() -> None:
        async with Client(f"{server.url}/mcp") as client:
            tools = await client.list_tools()
            assert {tool.name for tool in tools.tools} == {"search", "ask", "read", "list"}
            found = await client.call_tool("search", {"query": "doctor", "k": 1})
            assert found.structured_content["result"][0]["document"] == "handbook.txt"
            answer = (await client.call_tool("ask", {"question": "How is a doctor called?"})).structured_content
            assert answer["citations"][0]["text"].startswith("A red flag")
            part = await client.call_tool("read", {"document": "handbook.txt", "start": 2, "end": 10})
            assert part.structured_content["text"] == "red flag"
            listed = (await client.call_tool("list", {})).structured_content["result"]
            assert [each["name"] for each in listed[0]["documents"]] == ["handbook.txt", "toudai.txt"]
            wrong = await client.call_tool("read", {"document": "none.txt"})
            assert wrong.is_error
            assert "there is no document 'none.txt'" in wrong.content[0].text
            resources = (await client.list_resources()).resources
            assert [each.name for each in resources] == ["handbook.txt", "toudai.txt"]
            text = await client.read_resource(resources[1].uri)
            assert text.contents[0].text.startswith("霧笛")
            assert resources[1].size in (None, len((index.parent / "toudai.txt").read_bytes()))  # bytes, if it is said
            with pytest.raises(MCPError, match="there is no document") as gone:
                await client.read_resource("longctx://index/none.txt")
            assert gone.value.error.code == INVALID_PARAMS  # what the protocol has for a resource that is not there

    asyncio.run(talk())


def test_an_mcp_client_need_not_wait_for_the_model_to_be_answered(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients give a server a minute to answer `initialize`; a model may take longer to load."""
    asked, said = os.pipe(), os.pipe()
    theirs, client, answers, ours = ends = [
        os.fdopen(end, mode) for end, mode in zip(asked + said, "rwrw", strict=True)
    ]
    monkeypatch.setattr(sys, "stdin", theirs)
    monkeypatch.setattr(sys, "stdout", ours)
    loading = threading.Event()

    def load() -> Model:
        assert loading.wait(60)
        return Model()

    def say(method: str, params: dict, number: int | None = None) -> dict:
        named = {} if number is None else {"id": number}
        print(json.dumps({"jsonrpc": "2.0", "method": method, "params": params} | named), file=client, flush=True)
        return {} if number is None else json.loads(answers.readline())["result"]

    serving = threading.Thread(target=serve_mcp, args=([index], load, ServerOptions()))
    serving.start()
    who = {"name": "test", "version": "1"}
    say("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who}, 1)
    say("notifications/initialized", {})
    assert len(say("tools/list", {}, 2)["tools"]) == 4
    loading.set()
    found = say("tools/call", {"name": "search", "arguments": {"query": "doctor", "k": 1}}, 3)
    assert found["structuredContent"]["result"][0]["document"] == "handbook.txt"
    client.close()
    serving.join(60)
    assert not serving.is_alive()
    for end in ends:
        end.close()


def test_ask_goes_through_the_server_and_says_the_same(
    server: Running, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*flags: str) -> tuple[str, str]:
        app(["ask", "How is a doctor called?", "--index", str(index), *flags], standalone_mode=False)
        said = capsys.readouterr()
        return said.out, said.err

    through, note = ask()
    assert through.startswith("A red flag at the mast asks for a doctor [1].")
    assert "[1] " in through
    assert str(index.parent / "handbook.txt") in through  # a path, which other clients are not told
    assert "Answered by the server" in note
    assert json.loads(ask("--json")[0])["plan"]["route"] in ("native", "retrieval")
    alone, note = ask("--no-server")
    assert alone.startswith("A red flag at the mast asks for a doctor. [1]")  # quoted, without a model
    assert "Answered by the server" not in note
    app(["ask", "霧笛はいつ鳴らしますか？", "--index", str(index), "--explain"], standalone_mode=False)
    assert "すべての文書は質問と回答を含めて" in "".join(capsys.readouterr().out.split()), "and why, in Japanese"


def test_what_ask_does_not_say_is_as_the_server_was_started(
    make_index: Callable, saying: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    index = make_index(
        {"handbook.txt": "A red flag asks for a doctor.", "other.txt": "A blue flag asks for a doctor, too."}
    )

    def plan(*flags: str) -> dict:
        app(["ask", "What asks for a doctor?", "--index", str(index), "--json", *flags], standalone_mode=False)
        return json.loads(capsys.readouterr().out)["plan"]

    def room(plan: dict) -> int:
        return next(item["tokens"] for item in plan["budget"] if item["kind"] == "answer")

    served = AskOptions(max_new_tokens=40, budget=60.0, k=1, route="retrieval", mode="lexical")
    with running(index, model=saying("A red flag [1]."), ask=served):
        as_served = plan()
        assert (room(as_served), len(as_served["chunk_ids"])) == (40, 1)
        own = plan("--max-new-tokens", "30", "-k", "2", "--mode", "hybrid", "--prompt-tokens", "400")
        assert (room(own), len(own["chunk_ids"])) == (30, 2)


def test_asking_a_server_imports_the_command_line_and_settings_and_no_more(server: Running, index: Path) -> None:
    """Every further package is time that each question takes: a server is asked to save it."""
    code = """
import sys
sys.argv = ["longctx", *sys.argv[1:]]
try:
    from longctx.cli import main
    main()
finally:
    print("LOADED", *sorted({name.split(".")[0] for name in sys.modules} - sys.stdlib_module_names), file=sys.stderr)
"""
    command = [sys.executable, "-c", code, "ask", "How is a doctor called?", "--index", str(index)]
    of_typer = {"annotated_doc", "annotated_types", "pydantic", "pydantic_core", "shellingham", "typer"}
    of_typer |= {"typing_extensions", "typing_inspection"}
    of_python = {"__main__", "_distutils_hack", "sitecustomize", "__editable___longctx_finder"}
    # The faces of indexes load what they name when it is used; bitsandbytes is a placeholder that keeps the real one out.
    own = {"lazy_loader", "longctx", "indexes", "bitsandbytes"}
    for flags, said in (((), "Answered by the server"), (("--max-new-tokens", "9000000"), "leaves no room")):
        done = subprocess.run([*command, *flags], capture_output=True, text=True)
        assert said in done.stderr
        loaded = {each for each in done.stderr.splitlines()[-1].split()[1:] if not each.startswith("_sysconfigdata")}
        assert loaded <= own | of_typer | of_python


def test_a_server_that_was_killed_leaves_a_socket_that_is_passed_over(
    make_index: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    index = make_index({"a.txt": "A red flag asks for a doctor."})
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(index / "server.sock"))
    app(["ask", "What asks for a doctor?", "--index", str(index)], standalone_mode=False)
    assert capsys.readouterr().out.startswith("A red flag asks for a doctor. [1]")
    with running(index):
        assert (index / "server.sock").stat().st_mode & 0o777 == 0o600
    assert not (index / "server.sock").exists()


def test_a_link_to_another_programs_socket_is_passed_over(
    make_index: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would get the question, and could answer what it likes or never."""
    import socket

    index = make_index({"a.txt": "A red flag asks for a doctor."})
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other.sock"))
        other.listen()
        other.setblocking(False)
        (index / "server.sock").symlink_to(tmp_path / "other.sock")
        app(["ask", "What asks for a doctor?", "--index", str(index)], standalone_mode=False)
        assert capsys.readouterr().out.startswith("A red flag asks for a doctor. [1]")
        with pytest.raises(BlockingIOError):
            other.accept()


def test_asyncio_has_the_same_answers_and_can_stop_them(index: Path, saying: Callable) -> None:
    model = saying("A red flag at the mast asks for a doctor [1].")

    async def ask() -> None:
        async with await AsyncDocumentQA.open(index, model) as qa:
            stream = qa.stream("How is a doctor called?")
            pieces = [piece async for piece in stream]
            answer = await stream.answer()
            assert "".join(pieces) == answer.text == (await qa.ask("How is a doctor called?")).text
            assert stream.plan == answer.plan
            assert (await qa.search("doctor"))[0].chunk.start == 0
            gone = asyncio.create_task(qa.ask("How is a doctor called?"))
            await asyncio.sleep(0)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone

    asyncio.run(ask())


def test_a_watched_folder_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "a.txt").write_text("The first.")
    with running(tmp_path / "index", watch=(folder,)) as server:

        def names() -> list[str]:
            return [each["name"] for each in server.http.get("/api/v1/indexes/index/documents").json()]

        until(lambda: names() == ["a.txt"])
        (folder / "b.txt").write_text("The second.")
        until(lambda: names() == ["a.txt", "b.txt"])
        (folder / "a.txt").unlink()
        until(lambda: names() == ["b.txt"])
        (folder / "b.txt").unlink()  # an empty folder may be a drive that is not mounted
        jobs = "/api/v1/indexes/index/jobs"
        until(lambda: "--prune --yes" in str([each["files"] for each in server.http.get(jobs).json()]))
        assert names() == ["b.txt"]


def test_documents_of_an_empty_folder_in_a_watched_one_are_kept(tmp_path: Path) -> None:
    drive = tmp_path / "watched" / "drive"
    drive.mkdir(parents=True)
    for number in range(3):
        (tmp_path / "watched" / f"{number}.txt").write_text(f"Number {number}.")
    (drive / "a.txt").write_text("On the drive.")
    with running(tmp_path / "index", watch=(tmp_path / "watched",)) as server:

        def names() -> set[str]:
            return {each["name"] for each in server.http.get("/api/v1/indexes/index/documents").json()}

        until(lambda: len(names()) == 4)
        (drive / "a.txt").unlink()
        jobs = "/api/v1/indexes/index/jobs"
        until(lambda: "--prune --yes" in str([each["files"] for each in server.http.get(jobs).json()]))
        assert len(names()) == 4


def test_uploads_that_a_killed_server_left_are_ingested(tmp_path: Path) -> None:
    uploads = tmp_path / "index-files"
    uploads.mkdir()
    (uploads / "left.txt").write_text("What was left.")
    (uploads / ".abc.part").write_text("What had not arri")
    with running(tmp_path / "index") as server:
        until(lambda: server.http.get("/api/v1/indexes/index/documents").json())
        assert [path.name for path in uploads.iterdir()] == ["left.txt"]


def test_a_conversation_and_a_server_share_their_turns(server: Running, index: Path) -> None:
    with DocumentQA.open(index) as qa, Conversation.open(qa, "shared") as conversation:
        conversation.record("Who?", "Nobody.")
        [turn] = server.http.get("/api/v1/indexes/index/conversations/shared").json()
        assert turn["answer"]["text"] == "Nobody."
