"""The server's own API: documents come in and go, questions are answered in events, conversations are kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hand_made_pdf import text_pdf
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from running_server import Running, running, until

from indexes import UnreadableFile
from longctx import Plan, Reason

BASE = "/api/v1/indexes/index"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server without a model, whose index is empty at first. Nothing it says may name its folder."""
    folder = tmp_path_factory.mktemp("secret-place")
    with running(folder / "index", folder=folder / "more", max_files=4, max_size=100_000) as started:
        seen: list[str] = []
        started.http.event_hooks["response"] = [lambda response: seen.append(response.read().decode(errors="replace"))]
        yield started
        assert not [text for text in seen if "secret-place" in text]


def upload(server: Running, *files: tuple[str, bytes], index: str = "index") -> dict[str, Any]:
    path = f"/api/v1/indexes/{index}/documents"
    response = server.http.post(path, files=[("files", file) for file in files])
    assert response.status_code == 202, response.text
    return server.job(response.json()["id"], index)


def events(text: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_each_file_of_an_upload_has_a_state_and_a_reason(library: Running) -> None:
    job = upload(
        library,
        ("notes.txt", b"The bell is rung on Mondays."),
        ("../../etc/escape.md", "鐘は月曜日に鳴らす。".encode()),
        ("broken.pdf", b"%PDF-1.7 broken"),
        ("virus.exe", b"MZ"),
    )
    assert [(each["name"], each["state"]) for each in job["files"]] == [
        ("notes.txt", "done"),
        ("escape.md", "done"),
        ("broken.pdf", "failed"),
        ("virus.exe", "failed"),
    ]
    assert "kind" in job["files"][3]["reason"]
    assert all(each["reason"] for each in job["files"][2:])
    assert (job["state"], job["added"]) == ("done", 2)
    names = [each["name"] for each in library.http.get(f"{BASE}/documents").json()]
    assert names == ["escape.md", "notes.txt"]
    files = library.library.find("index").uploads
    assert sorted(path.name for path in files.iterdir()) == names  # nothing outside, nothing that was refused


def test_uploads_are_their_owners_alone(library: Running) -> None:
    upload(library, ("private.txt", b"The door code is on the door."))
    folder = library.library.find("index").uploads
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}


def test_a_job_is_followed_by_events(library: Running) -> None:
    files = [("files", ("more.txt", b"The valve opens at seven bar."))]
    job = library.http.post(f"{BASE}/documents", files=files).json()
    seen = events(library.http.get(f"{BASE}/jobs/{job['id']}/events").text)
    assert {name for name, _ in seen} == {"job"}
    assert seen[-1][1]["state"] == "done"
    assert [each["id"] for each in library.http.get(f"{BASE}/jobs").json()][-1] == job["id"]
    assert library.http.delete(f"{BASE}/documents/more.txt").status_code == 204
    assert library.http.get(f"{BASE}/documents/more.txt/text").status_code == 404
    assert not (library.library.find("index").uploads / "more.txt").exists()


def test_a_job_that_waits_can_be_cancelled(library: Running) -> None:
    corpus = library.library.find("index")
    with corpus.index.changing(wait=True):  # another writer
        files = [("files", ("late.txt", b"Too late."))]
        job = library.http.post(f"{BASE}/documents", files=files).json()
        assert library.http.delete(f"{BASE}/jobs/{job['id']}").status_code == 202
    over = library.job(job["id"])
    assert (over["state"], over["files"][0]["state"]) == ("cancelled", "cancelled")
    assert not (corpus.uploads / "late.txt").exists()


def test_a_question_is_answered_in_events(library: Running) -> None:
    text = library.http.post(f"{BASE}/ask", json={"question": "When is the bell rung?"}).text
    seen = events(text)
    assert seen[-1][0] == "answer"
    answer = seen[-1][1]
    assert "".join(data["text"] for name, data in seen if name == "piece") == answer["text"]
    [citation] = answer["citations"]
    place = {name: citation[name] for name in ("start", "end")}
    stands = library.http.get(f"{BASE}/documents/{citation['source']}/text", params=place).json()["text"]
    assert stands == citation["text"] == "The bell is rung on Mondays."
    whole = library.http.post(f"{BASE}/ask", json={"question": "When is the bell rung?", "stream": False}).json()
    assert whole["text"] == answer["text"]


def test_a_search_is_filtered_by_names(library: Running) -> None:
    hits = library.http.post(f"{BASE}/search", json={"query": "鐘", "filters": {"documents": ["escape.md"]}}).json()
    assert [hit["document"] for hit in hits] == ["escape.md"]
    wrong = library.http.post(f"{BASE}/search", json={"query": "鐘", "filters": {"documents": ["none.md"]}})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "not_found")


def test_a_conversation_is_kept_renamed_exported_and_deleted(library: Running) -> None:
    name = library.http.post(f"{BASE}/conversations", json={"name": "When is the bell rung?/.."}).json()["name"]
    asked = {"question": "When is the bell rung?", "conversation": name, "stream": False}
    assert library.http.post(f"{BASE}/ask", json=asked).status_code == 200
    assert [each["name"] for each in library.http.get(f"{BASE}/conversations").json()] == [name]
    again = library.http.post(f"{BASE}/conversations", json={"name": "When is the bell rung?/.."}).json()["name"]
    assert again == f"{name} 2"
    path = f"{BASE}/conversations"
    assert library.http.patch(f"{path}/{name}", json={"name": "鐘"}).status_code == 200
    [turn] = library.http.get(f"{path}/鐘").json()
    assert turn["answer"]["citations"][0]["source"] == "notes.txt"
    exported = library.http.get(f"{path}/鐘/export").text
    assert "> When is the bell rung?" in exported
    assert "notes.txt, line 1" in exported
    assert library.http.get(f"{path}/鐘/export", params={"format": "json"}).json() == [turn]
    assert library.http.delete(f"{path}/鐘").status_code == 204
    assert library.http.get(path).json() == []


def test_a_passage_is_marked_on_the_page_of_its_pdf(library: Running) -> None:
    upload(library, ("manual.pdf", text_pdf("The pump is oiled on Mondays.", "The lens turns at six.")))
    asked = {"question": "When does the lens turn?", "stream": False}
    [citation] = library.http.post(f"{BASE}/ask", json=asked).json()["citations"]
    assert (citation["source"], citation["page"]) == ("manual.pdf", 2)
    page = f"{BASE}/documents/manual.pdf/pages/2"
    assert library.http.get(page, params={"width": 300}).content.startswith(b"\x89PNG")
    place = {name: citation[name] for name in ("start", "end")}
    marks = library.http.get(f"{page}/marks", params=place).json()
    [(left, top, width, height)] = marks["rectangles"]
    # the text is set at 72, 720 of a page of 612 by 792, in 12 points
    assert left == pytest.approx(72 / 612, abs=0.01)
    assert top < (792 - 720) / 792 < top + height + 0.01
    assert 0.1 < width < 0.3
    assert marks["pages"] == 2
    assert library.http.get(f"{BASE}/documents/manual.pdf/pages/3").status_code == 400


def test_another_file_in_the_place_of_a_document_is_not_shown(library: Running, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "docs" / "inner", tmp_path / "elsewhere"
    folder.mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "chart.pdf").write_bytes(text_pdf("The pump is oiled on Mondays.", "The lens turns at six."))
    (elsewhere / "chart.pdf").write_bytes(text_pdf("The safe's number is 4711.", "Tell nobody."))
    library.library.find("index").index.ingest(folder.parent, wait=True)
    path = f"{BASE}/documents/chart.pdf"
    assert library.http.get(f"{path}/file").content == (folder / "chart.pdf").read_bytes()
    assert library.http.get(f"{path}/pages/1", params={"width": 300}).status_code == 200
    folder.rename(tmp_path / "docs" / "moved")
    folder.symlink_to(elsewhere)
    for place, more in (("file", {}), ("pages/1", {}), ("pages/1/marks", {"start": 0, "end": 9})):
        response = library.http.get(f"{path}/{place}", params=more)
        assert (response.status_code, "ingest it again" in response.text) == (404, True)


def test_a_file_is_read_once_and_shown_until_it_changes(
    library: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, corpus = tmp_path / "buoy.pdf", library.library.find("index")
    path.write_bytes(text_pdf("The buoy is green.", "Its bell is brass."))
    corpus.index.ingest(path, wait=True)
    monkeypatch.setattr("indexes.ingest.contents.READER_VERSION", b"99")  # a newer longctx, before the next ingest
    shown = corpus.files.read(str(path))
    assert shown == path.read_bytes()
    assert corpus.files.read(str(path)) is shown
    assert library.http.get(f"{BASE}/documents/buoy.pdf/pages/1", params={"width": 300}).status_code == 200
    path.write_bytes(shown.replace(b"green", b"black"))
    with pytest.raises(UnreadableFile, match="ingest it again"):
        corpus.files.read(str(path))
    path.unlink()
    assert library.http.get(f"{BASE}/documents/buoy.pdf/pages/1").status_code == 404


def test_what_is_downloaded_is_never_shown(library: Running) -> None:
    upload(library, ("page.html", b"<p>Hello there</p><script>alert(1)</script>"))
    response = library.http.get(f"{BASE}/documents/page.html/file")
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_an_index_is_made_and_used(library: Running) -> None:
    assert library.http.post("/api/v1/indexes", json={"name": "../evil"}).status_code == 400
    assert library.http.post("/api/v1/indexes", json={"name": "minutes"}).status_code == 201
    assert upload(library, ("a.txt", b"The board met."), index="minutes")["added"] == 1
    assert [each["name"] for each in library.http.get("/api/v1/indexes").json()] == ["index", "minutes"]
    assert library.http.post("/api/v1/indexes", json={"name": "minutes"}).status_code == 400


def test_errors_name_what_is_wrong_and_no_folder(library: Running) -> None:
    typo = library.http.post(f"{BASE}/ask", json={"question": "a", "rout": "map"})
    assert (typo.status_code, "rout" in typo.json()["error"]["message"]) == (400, True)
    for stream in (True, False):
        empty = library.http.post(f"{BASE}/ask", json={"question": " ", "stream": stream})
        assert (empty.status_code, "empty" in empty.json()["error"]["message"]) == (400, True)
    for path in ("/nothing", "/api/v1/indexes/nothing", f"{BASE}/conversations/nothing"):
        missing = library.http.get(path)
        assert (missing.status_code, bool(missing.json()["error"]["message"])) == (404, True)
    assert "method" in library.http.put("/api/v1/indexes").json()["error"]["message"].lower()
    broken = library.http.post(f"{BASE}/search", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, "JSON" in broken.json()["error"]["message"]) == (400, True)
    odd = library.http.post("/v1/responses", json={"model": "longctx/index", "input": "a", "stop": 5})
    assert (odd.status_code, "stop" in odd.json()["error"]["message"]) == (400, True)
    assert library.http.get("/api/v1/estimate", params={"model": "/etc"}).status_code == 400
    too_many = library.http.post(f"{BASE}/documents", files=[("files", (f"{i}.txt", b"a")) for i in range(5)])
    assert (too_many.status_code, "4" in too_many.json()["error"]["message"]) == (400, True)
    big = upload(library, ("big.txt", b"a" * 200_000))
    assert big["files"][0]["state"] == "failed"
    assert "100,000" in big["files"][0]["reason"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (f"{BASE}/search", {"query": "\ud800 lamp"}, "query"),
        (f"{BASE}/ask", {"question": "What lamp?", "system": "\ud800", "stream": False}, "system"),
        ("/v1/responses", {"model": "longctx/index", "input": "What lamp?", "instructions": "\ud800"}, "system"),
        ("/v1/responses", {"model": "longctx/index", "input": "a", "messages": []}, "messages"),
        (
            "/v1/chat/completions",
            {
                "model": "longctx/index",
                "messages": [
                    {"role": "user", "content": "\ud800"},
                    {"role": "assistant", "content": "a"},
                    {"role": "user", "content": "What lamp?"},
                ],
            },
            "conversation",
        ),
    ],
)
def test_what_no_client_should_send_is_refused_and_is_no_failure(
    library: Running, path: str, body: dict, words: str
) -> None:
    refused = library.http.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert (refused.status_code, words in refused.json()["error"]["message"]) == (400, True), refused.text


def test_methods_that_clients_make_up_are_counted_as_one(library: Running) -> None:
    for number in range(3):
        assert library.http.request(f"ZZ{number}", "/api/v1/indexes").status_code == 405
    figures = library.http.get("/metrics").text
    assert "ZZ" not in figures
    assert 'method="other"' in figures


def test_a_plan_names_no_folder_either(library: Running) -> None:
    corpus = library.library.find("index")
    told = Reason("told", (f"a passage of {corpus.uploads}/laws/minutes.txt takes 9,000 tokens",))
    plan = corpus.names.plan(Plan("map", (Reason("divided", (told, 3, 320, 1_001)),), 4_096))
    assert plan.reason == (
        "a passage of laws/minutes.txt takes 9,000 tokens: 3 of up to 320 tokens, 1,001 tokens with their prompts"
    )
    assert str(corpus.uploads) not in repr(plan)


def test_a_failure_of_the_server_has_an_id_to_look_up_in_its_log(
    library: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(library.library, "turns", None)  # a mistake in the code
    failed = library.http.post(f"{BASE}/ask", json={"question": "a"}, headers={"x-request-id": "mine-1"})
    assert (failed.status_code, failed.json()["error"]["code"]) == (500, "internal_error")
    assert (failed.headers["x-request-id"], failed.headers["x-frame-options"]) == ("mine-1", "DENY")
    assert "AttributeError" in caplog.text


def test_an_index_that_is_named_and_in_the_folder_is_served_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with running(Path("all/papers"), folder=Path("all")) as server:
        assert [each["name"] for each in server.http.get("/api/v1/indexes").json()] == ["papers"]


def test_figures_and_openapi_are_there(library: Running) -> None:
    figures = library.http.get("/metrics").text
    assert 'longctx_answers_total{route="quoted"}' in figures
    assert "longctx_answers_waiting 0.0" in figures
    assert "/v1/chat/completions" in library.http.get("/openapi.json").json()["paths"]


def test_an_answer_stops_when_the_client_goes_and_is_finished_when_the_server_ends(
    make_index: Callable, tiny_llama: Path
) -> None:
    from longctx import load_model

    index = make_index({"a.txt": "A red flag asks for a doctor."})
    asked = {"question": "What asks for a doctor?", "max_new_tokens": 1200}
    with running(index, model=load_model(tiny_llama), waiting=1) as server:
        turns = server.library.turns
        gone = httpx.Timeout(60, read=0.5)
        with pytest.raises(httpx.ReadTimeout):
            server.http.post(f"{BASE}/ask", json=asked | {"stream": False}, timeout=gone)
        until(lambda: turns.running == 0, 5)  # 1,200 tokens take longer
        with server.http.stream("POST", f"{BASE}/ask", json=asked) as response:
            next(response.iter_raw())
        until(lambda: turns.running == 0, 5)

        answers: list[str] = []
        path = f"{server.url}{BASE}/ask"
        short = asked | {"max_new_tokens": 400, "stream": False}
        asking = [
            threading.Thread(target=lambda: answers.append(httpx.post(path, json=short, timeout=60).text)) for _ in "ab"
        ]
        for each in asking:
            each.start()
        until(lambda: (turns.running, turns.waiting) == (1, 1))
        refused = server.http.post(f"{BASE}/ask", json=short)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        found = server.http.post(f"{BASE}/search", json={"query": "flag"})  # which waits for no answer
        assert (found.status_code, turns.running) == (200, 1)
        server.server.end()
        for each in asking:
            each.join(60)
        assert [json.loads(text)["usage"]["completion_tokens"] for text in answers] == [400, 400]


def test_questions_and_searches_are_traced_without_their_words(server: Running) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    server.http.post("/api/v1/indexes/index/search", json={"query": "a doctor", "k": 1}).raise_for_status()
    asked = {"question": "How is a doctor called?", "stream": False}
    server.http.post("/api/v1/indexes/index/ask", json=asked).raise_for_status()
    spans = {each.name: dict(each.attributes or {}) for each in exporter.get_finished_spans()}
    assert spans["longctx.search"] == {"longctx.index": "index", "longctx.mode": "hybrid"}
    assert spans["longctx.ask"]["longctx.route"] in ("native", "retrieval")
    assert spans["longctx.ask"]["gen_ai.usage.input_tokens"] > 0
    assert "doctor" not in str(spans)
