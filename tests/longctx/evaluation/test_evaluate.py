"""An evaluation from end to end: a real index, answers that are quoted, and a server that answers by a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from filelock import FileLock
from scripted_server import ScriptedServer, scripted_server

from indexes import CorpusIndex
from longctx import AskOptions, BadRequest, DocumentQA, ServedModel, ServerFailed
from longctx.evaluation import EvaluationOptions, EvaluationProgress, EvaluationReport, Question, evaluate

LIGHTHOUSE = "The lighthouse was built in 1874 by Anna Holm.\n\nIts lamp turns once in forty seconds.\n"
TOUDAI = "灯台は一八七四年に建てられた。レンズは四十秒で一回転する。\n"
BUILT = Question("Who built the lighthouse?", ("Anna Holm",), "lighthouse.md", "built")
TURNS = Question("How often does the lamp turn?", ("forty seconds",), id="turns")
COST = Question("What does a ticket cost?", (), id="cost")
JAPANESE = Question("灯台はいつ建てられましたか？", ("一八七四年",), "toudai.txt", "ja")
QUESTIONS = (BUILT, TURNS, COST, JAPANESE)
ANSWERS = {
    BUILT.question: "It was Anna Holm [1].",
    TURNS.question: "[1]",
    COST.question: "<b>Five</b> euros.",
    JAPANESE.question: "一八七四年です [2]。",
}

Run = Callable[..., EvaluationReport]


@pytest.fixture(scope="module")
def folder(make_index: Callable[[dict[str, str]], Path]) -> Path:
    return make_index({"lighthouse.md": LIGHTHOUSE, "toudai.txt": TOUDAI})


def answer_to(prompt: str) -> str:
    return next(answer for question, answer in ANSWERS.items() if question in prompt)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(answer_to) as running:
        yield running


@pytest.fixture
def run(folder: Path, encoder, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Evaluates questions on the index, from the folder of its documents."""
    monkeypatch.chdir(folder.parent)

    connected = ExitStack()

    def open_qa(model: str | None, scaling: str | None) -> DocumentQA:
        served = None if model is None else connected.enter_context(ServedModel.connect(model, retries=0))
        return DocumentQA.open(folder, served, encoder=encoder)

    def run(questions: tuple[Question, ...] = QUESTIONS, *, out: Path | None = None, **options: object):
        progress = options.pop("progress", None)
        with connected, CorpusIndex.open(folder, encoder) as index:
            return evaluate(index, questions, open_qa, EvaluationOptions(**options), out=out, progress=progress)

    return run


def test_quoted_answers_are_measured(run: Run) -> None:
    told: list[EvaluationProgress] = []
    report = run(modes=("hybrid", "lexical"), ask=AskOptions(k=1), progress=told.append)
    hybrid, lexical = report.summaries
    assert (hybrid.combination.mode, lexical.combination.mode) == ("hybrid", "lexical")
    assert (hybrid.asked, hybrid.errors, report.total, report.stopped) == (4, 0, 8, "")
    assert (lexical.found.value, lexical.found.n) == (1.0, 3), "the unanswerable question has no passage to be found"
    assert (lexical.held.value, lexical.held.n, lexical.marked.value) == (1.0, 3, 1.0)
    assert lexical.marks_right.value == 1.0
    assert (lexical.refused.value, lexical.refused.n) == (1.0, 1), "no term of the question is in the index"
    assert (lexical.falsely_refused.value, lexical.falsely_refused.n) == (0.0, 3)
    assert report.judged_by == {"source": 2, "answer": 1}
    assert [(one.done, one.total) for one in told if one.doing] == [(n, 8) for n in (0, *range(8))]
    assert (told[-1].done, told[-1].doing) == (8, "")


def test_a_models_answers_are_measured(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    report = run(models=(server.address,), routes=("native", "retrieval"), out=tmp_path / "out")
    native, retrieval = report.summaries
    assert (native.bare.n, retrieval.bare.n) == (4, 3), "passages that are beside the question make its answer none"
    for summary in report.summaries:
        assert (summary.held.value, summary.held.n) == (1.0, 3), "a passage is quoted for what is only a mark"
        assert summary.bare.value == 0.0
        assert summary.completion_tokens.value > 0
        assert summary.prompt_tokens.value > 20
    assert len(server.asked) == 8
    kept = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert (kept[0]["format"], len(kept)) == (1, 9)
    assert [line["route_taken"] for line in kept[1:]] == ["native"] * 4 + ["retrieval"] * 4
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["complete"], summary["done"], summary["total"]) == (True, 8, 8)
    assert 0.3 < summary["combinations"][0]["held"]["low"] < summary["combinations"][0]["held"]["high"] <= 1
    scores = json.loads(report.to_json())["scores"]
    assert [one["id"] for one in scores] == [question.id for question in QUESTIONS for _ in range(2)]


def test_the_page_shows_questions_answers_and_sources_escaped(run: Run, server: ScriptedServer, tmp_path) -> None:
    run(models=(None, server.address), routes=("auto",), out=tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for shown in (
        BUILT.question,
        "Gold answer: Anna Holm",
        "It was Anna Holm [1].",
        "Its lamp turns once",
        "一八七四年です",
    ):
        assert shown in page
    assert "&lt;b&gt;Five&lt;/b&gt; euros" in page
    assert "<b>" not in page
    assert '<section lang="ja">' in page
    for outside in ("<script", "src=", "href=", "url(", "@import"):
        assert outside not in page


def test_a_second_run_asks_nothing_again_and_more_is_added(run: Run, server: ScriptedServer, tmp_path) -> None:
    out = tmp_path / "out"
    run((BUILT, TURNS), models=(server.address,), out=out)
    assert len(server.asked) == 2
    run((COST, BUILT, TURNS), models=(server.address,), modes=("hybrid", "lexical"), out=out)
    assert len(server.asked) == 6
    report = run((COST, BUILT, TURNS), models=(server.address,), modes=("hybrid", "lexical"), out=out)
    assert len(server.asked) == 6
    assert len(report.records) == 6
    mended = Question(TURNS.question, ("[1]", "nothing but a mark"), id="turns")
    again = run((COST, BUILT, mended), models=(server.address,), modes=("hybrid", "lexical"), out=out)
    assert len(server.asked) == 6, "gold answers are compared when the report is made"
    assert len(again.records) == 6


def test_questions_with_the_same_text_are_asked_each(run: Run, server: ScriptedServer) -> None:
    report = run((BUILT, BUILT), models=(server.address,))
    assert (len(server.asked), report.summaries[0].asked) == (2, 2)


@pytest.mark.parametrize(
    ("questions", "options", "problem"),
    [
        ((TURNS,), {}, r"such as the question 'Who built the lighthouse\?': give another --out"),
        ((BUILT,), {"modes": ("lexical",)}, r"such as mode hybrid: .*\(--modes\)"),
        ((BUILT,), {"ask": AskOptions(k=3)}, r"another k \(8, now 3\): give another --out"),
        ((BUILT,), {"depends_on": {"adapter": "x"}}, r"another adapter \(None, now x\)"),
    ],
)
def test_the_folder_of_another_evaluation_is_refused_and_left_alone(
    run: Run, tmp_path: Path, questions, options, problem
) -> None:
    out = tmp_path / "out"
    run((BUILT,), out=out)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    with pytest.raises(BadRequest, match=problem):
        run(questions, out=out, **options)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_another_model_is_refused_too(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    run((BUILT,), out=tmp_path / "out")
    with pytest.raises(BadRequest, match=r"such as model none: give another --out"):
        run((BUILT,), models=(server.address,), out=tmp_path / "out")


def test_another_index_is_refused(run: Run, tmp_path: Path, make_index, encoder) -> None:
    run((TURNS,), out=tmp_path / "out")
    other = make_index({"lighthouse.md": LIGHTHOUSE})
    with (
        CorpusIndex.open(other, encoder) as index,
        pytest.raises(BadRequest, match=r"another index \(2 documents, \w+, now 1 documents, \w+\)"),
    ):
        evaluate(index, (TURNS,), lambda model, scaling: DocumentQA.open(other, encoder=encoder), out=tmp_path / "out")


@pytest.mark.parametrize("name", ["results.jsonl", "summary.json", "report.html"])
@pytest.mark.parametrize("text", ["something of mine", '{"a": 1}\n{"b": 2}\n', "[1]\n"])
def test_a_file_of_somebody_elses_is_not_overwritten(run: Run, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadRequest, match="give another --out"):
        run((BUILT,), out=tmp_path)
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("cut", [1, 30, -1])
def test_a_line_cut_short_is_dropped_and_asked_again(run: Run, server: ScriptedServer, tmp_path, cut: int) -> None:
    out, results = tmp_path / "out", tmp_path / "out" / "results.jsonl"
    run((JAPANESE, BUILT), models=(server.address,), out=out)
    whole = results.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    results.write_bytes(whole[: last + cut] if cut > 0 else whole[:cut])
    report = run((JAPANESE, BUILT), models=(server.address,), out=out)
    assert len(server.asked) == 3
    assert "the last line of" in report.note
    assert results.read_bytes()[: last + 30] == whole[: last + 30]
    assert run((JAPANESE, BUILT), models=(server.address,), out=out).note == ""


def test_two_evaluations_do_not_write_to_one_folder(run: Run, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(BadRequest, match="another evaluation is writing to"):
        run((BUILT,), out=tmp_path)


def test_an_evaluation_that_was_stopped_before_its_first_answer_goes_on(run: Run, tmp_path: Path) -> None:
    def stop(_: EvaluationProgress) -> None:
        raise KeyboardInterrupt

    stopped = run((BUILT,), out=tmp_path, progress=stop)
    assert (stopped.stopped, len(stopped.records)) == ("interrupted", 0)
    assert len(run((BUILT,), out=tmp_path).records) == 1


def test_a_lost_server_stops_it_and_what_is_done_is_kept(run: Run, tmp_path: Path) -> None:
    def fail(prompt: str) -> str:
        if len(server.asked) == 2:
            raise ConnectionError
        return answer_to(prompt)

    questions = (*QUESTIONS, Question("Why?"))
    with scripted_server(fail) as server:
        report = run(questions, models=(server.address,), out=tmp_path / "out")
        assert len(report.records) == 2
        assert "127.0.0.1" in report.stopped
        server.script = lambda prompt: "Because [1]."
        again = run(questions, models=(server.address,), out=tmp_path / "out")
        assert (len(server.asked), len(again.records), again.stopped) == (5, 5, "")
    with pytest.raises(ServerFailed):
        run(questions, models=(server.address,), out=tmp_path / "other")


def test_one_question_that_the_server_fails_on_is_left_for_the_next_run(run: Run, tmp_path: Path) -> None:
    def fail_once(prompt: str) -> str:
        if TURNS.question in prompt and not failed:
            failed.append(prompt)
            raise ConnectionError
        return answer_to(prompt)

    failed: list[str] = []
    with scripted_server(fail_once) as server:
        report = run(models=(server.address,), out=tmp_path)
        assert len(report.records) == 3
        assert report.stopped
        assert len(run(models=(server.address,), out=tmp_path).records) == 4
        assert len(server.asked) == 4


def test_an_error_of_one_question_is_its_result(run: Run, tmp_path: Path) -> None:
    long = Question("Why? " * 2000, ("Because",), id="long")
    with scripted_server(answer_to, window=1500) as server:
        report = run((long, BUILT), models=(server.address,), out=tmp_path)
        [summary] = report.summaries
        assert (summary.asked, summary.errors, summary.held.n, report.stopped) == (2, 1, 1, "")
        [error] = [record.error for record in report.records.values() if record.error]
        assert error.startswith("ContextTooLong: the question takes ")
        assert "ContextTooLong" in (tmp_path / "report.html").read_text()
        run((long, BUILT), models=(server.address,), out=tmp_path)
        assert len(server.asked) == 1


def test_a_source_is_found_in_any_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [summary] = run((BUILT,), ask=AskOptions(k=1)).summaries
    assert (summary.found.value, summary.found.n) == (1.0, 1)


def test_a_source_that_is_not_in_the_index_is_named(run: Run) -> None:
    wrong = Question("Why?", source="nowhere.md", id="7")
    with pytest.raises(BadRequest, match=r"1 of 2 questions name a source that is not in .* nowhere.md \(question 7\)"):
        run((BUILT, wrong))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"routes": ("best",)}, "routes: there is no 'best': use auto, native"),
        ({"modes": ("best",)}, "modes: there is no 'best': use hybrid"),
        ({"routes": ("auto", "native")}, "route native needs a model"),
        ({"scalings": (None, "yarn")}, "scaling 'yarn' cannot be applied to answers without a model"),
        ({"scalings": ("yarn",), "models": ("openai:http://h/v1",)}, "scaling 'yarn' cannot be applied to openai:http"),
        ({"modes": ()}, "modes is empty"),
    ],
)
def test_what_cannot_be_compared_is_refused(options, problem) -> None:
    with pytest.raises(BadRequest, match=problem):
        EvaluationOptions(**options)


def test_what_cannot_be_written_is_named_and_the_answers_stay(run: Run, tmp_path: Path) -> None:
    right = run((BUILT,), out=tmp_path / "right").as_dict()
    for name in ("summary.json", "report.html"):
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / "results.jsonl").write_bytes((tmp_path / "right" / "results.jsonl").read_bytes())
        with pytest.raises(BadRequest, match=f"{name} cannot be written to: Is a directory"):
            run((BUILT,), out=tmp_path / "out")
        (tmp_path / "out" / name).rmdir()
    assert run((BUILT,), out=tmp_path / "out").as_dict() == right
    with pytest.raises(BadRequest, match="cannot be written to: File name too long"):
        run((BUILT,), out=tmp_path / ("x" * 300))
    (tmp_path / "file").touch()
    with pytest.raises(BadRequest, match="file/out cannot be written to: Not a directory"):
        run((BUILT,), out=tmp_path / "file" / "out")
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix == ".new"]
