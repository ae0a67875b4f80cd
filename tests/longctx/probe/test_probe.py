"""The probe on the model that is shipped: what it finds, that it goes on where it stopped, and what it refuses."""

from __future__ import annotations

import json
import math
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from forked_longctx import ForkedLongctx, Process
from limited_files import files_up_to

from longctx import (
    BadReport,
    BadRequest,
    Engine,
    GenerationOptions,
    LoadedModel,
    LongctxError,
    ModelUnavailable,
    ProbeOptions,
    ProbeProgress,
    ProbeReport,
    load_model,
    load_report,
    run_probe,
)
from longctx.cli.probe import probe
from longctx.probe.render import draw_report
from longctx.probe.results import Result
from longctx.probe.scoring import summarize
from longctx.probe.setup import ProbeSetup, open_setup
from longctx.probe.units import Unit, plan_work
from rope_scaling import AlreadyScaled, PlotUnavailable, RopeScalingError, export_checkpoint, open_checkpoint

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "examples" / "models" / "passkey-llama"
OPTIONS = ProbeOptions(
    methods=("none", "yarn"), lengths=(256, 2048), tasks=("needle", "perplexity"), trials=2, depths=2, windows=2
)
SMALL = replace(OPTIONS, lengths=(256, 512), tasks=("needle",))


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(MODEL)


@pytest.fixture(scope="module")
def folder(loaded: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("probe")
    run_probe(loaded, out, OPTIONS)
    return out


@pytest.fixture(scope="module")
def report(folder: Path) -> ProbeReport:
    return load_report(folder)


def units(setup: ProbeSetup) -> list[Unit]:
    return plan_work(setup)[0]


def scores(report: ProbeReport, task: str, method: str) -> dict[int, float]:
    return {cell.length: cell.score for cell in report.select(task, method)}


def test_yarn_lengthens_the_window_and_nothing_else_does(report: ProbeReport) -> None:
    assert scores(report, "needle", "none")[256] == scores(report, "needle", "yarn")[256] >= 0.6
    assert scores(report, "needle", "none")[2048] <= 0.2
    assert scores(report, "needle", "yarn")[2048] >= 0.8
    assert report.effective_window("none") == report.effective_window("default") == 256
    assert report.effective_window("yarn") == report.effective_window("yarn", "needle") == 2048
    assert report.effective_window("linear") is None


def test_perplexity_stays_under_yarn_and_explodes_without(report: ProbeReport) -> None:
    alone, yarn = scores(report, "perplexity", "none"), scores(report, "perplexity", "yarn")
    assert alone[256] == yarn[256]
    assert alone[2048] > 2 * alone[256]
    assert yarn[2048] < 1.25 * yarn[256]
    assert report.effective_window("none", "perplexity") == 256


def test_cells_have_depths_and_intervals(report: ProbeReport) -> None:
    deep = [cell for cell in report.cells if cell.depth is not None]
    assert {cell.depth for cell in deep} == {0.0, 1.0}
    assert all(cell.trials == 2 for cell in deep)
    assert all(cell.trials == 4 for cell in report.cells if cell.task == "needle" and cell.depth is None)
    assert all(cell.low <= cell.score <= cell.high and cell.low < cell.high for cell in report.cells)


def test_keys_and_values_in_int8_are_measured_as_such(loaded: LoadedModel, tmp_path: Path) -> None:
    options = ProbeOptions(methods=("none",), lengths=(256,), tasks=("perplexity",), windows=2)
    as_it_is = run_probe(loaded, tmp_path, options)
    with pytest.raises(BadRequest, match="cache"):
        run_probe(loaded, tmp_path, replace(options, cache_dtype="int8"))
    (rounded,) = run_probe(loaded, tmp_path / "int8", replace(options, cache_dtype="int8")).cells
    (exact,) = as_it_is.cells
    assert rounded.score != exact.score
    assert rounded.score == pytest.approx(exact.score, rel=0.05)
    with pytest.raises(BadRequest, match="cache_dtype is 'fp8': use model or int8"):
        replace(options, cache_dtype="fp8")


def test_what_is_there_is_not_computed_again(loaded: LoadedModel, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    told: list[ProbeProgress] = []
    run_probe(loaded, tmp_path, OPTIONS, progress=told.append)
    assert [(one.done, one.total) for one in told] == [(4 * 3 + 2 * 3, 4 * 3 + 2 * 3)]
    for name in ("results.jsonl", "report.json", "report.md"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_a_probe_grows(loaded: LoadedModel, tmp_path: Path) -> None:
    run_probe(loaded, tmp_path, replace(SMALL, trials=1))
    before = (tmp_path / "results.jsonl").read_text().splitlines()
    report = run_probe(loaded, tmp_path, replace(SMALL, methods=("ntk",), trials=2))
    assert (tmp_path / "results.jsonl").read_text().splitlines()[: len(before)] == before
    assert [cell.trials for cell in report.select("needle", "none")] == [4, 2]  # no method scales the native window
    assert [cell.trials for cell in report.select("needle", "ntk")] == [4, 4]
    assert set(report.methods) == {"none", "yarn", "ntk"}


def test_stopped_or_killed_it_goes_on(loaded: LoadedModel, forked_longctx: ForkedLongctx, tmp_path: Path) -> None:
    with start(forked_longctx, tmp_path / "stopped") as stopped, start(forked_longctx, tmp_path / "killed") as killed:
        wait_for(stopped, tmp_path / "stopped", lines=3).send_signal(signal.SIGINT)
        wait_for(killed, tmp_path / "killed", lines=5).kill()
        assert stopped.wait() == 130
        assert "the same command goes on" in stopped.stderr
        assert "Traceback" not in stopped.stderr
    assert not load_report(tmp_path / "stopped").complete
    with (tmp_path / "killed" / "results.jsonl").open("a") as file:
        file.write('{"task":"needle","langu')  # as a kill in the middle of a line would leave it
    whole = run_probe(loaded, tmp_path / "whole", SMALL)
    assert whole.complete
    for name in ("stopped", "killed"):
        text = (tmp_path / name / "results.jsonl").read_text()
        done = text[: text.rfind("\n")].splitlines()
        assert 3 <= len(done) < 13
        assert run_probe(loaded, tmp_path / name, SMALL) == whole
        lines = (tmp_path / name / "results.jsonl").read_text().splitlines()
        assert lines[: len(done)] == done
        assert len(lines) == 1 + 2 * 6


def test_stopped_in_a_long_text_it_goes_on_there(loaded: LoadedModel, tmp_path: Path) -> None:
    options = ProbeOptions(("yarn",), (8448,), ("multi-key",), trials=1, depths=2)

    def stop(progress: ProbeProgress) -> None:
        if progress.doing.endswith(" 6,144 read"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_probe(loaded, tmp_path / "stopped", options, progress=stop)
    told: list[ProbeProgress] = []
    report = run_probe(loaded, tmp_path / "stopped", options, progress=told.append)
    assert told[1].doing.endswith(" 6,144 read")
    assert report == run_probe(loaded, tmp_path / "whole", options)
    assert not (tmp_path / "stopped" / "kv-cache").exists()


def start(forked_longctx: ForkedLongctx, out: Path) -> Process:
    options = ["--methods", "none,yarn", "--lengths", "256,512", "--tasks", "needle", "--trials", "2", "--depths", "2"]
    return forked_longctx.start("probe", MODEL, "--out", out, *options)


def wait_for(process: Process, out: Path, lines: int) -> Process:
    file = out / "results.jsonl"
    while not file.is_file() or file.read_bytes().count(b"\n") < lines:
        assert process.poll() is None, process.stderr
        time.sleep(0.01)
    return process


def test_one_document_is_read_once_and_that_changes_nothing(loaded: LoadedModel) -> None:
    options = ProbeOptions(methods=("yarn",), lengths=(1024,), tasks=("multi-key",), trials=1, depths=3)
    setup = open_setup(loaded, options)
    unit = units(setup)[-1]
    results = list(unit.run(setup))
    assert unit.key.length == 1024
    assert 800 < results[0].read <= 1024
    assert all(result.read < 0.2 * results[0].read for result in results[1:])
    fresh = open_setup(loaded, options)
    for key, result in zip(unit.keys, results, strict=True):
        fresh.engine.pool.shrink(0)
        (alone,) = unit.run(fresh, set(unit.keys) - {key})
        assert alone.read > 800
        assert (alone.answer, alone.score) == (result.answer, result.score)


def test_tasks_that_share_a_text_read_it_once(loaded: LoadedModel) -> None:
    tasks = ("needle", "multi-key", "two-hop", "common-words", "perplexity")
    options = replace(OPTIONS, methods=("yarn",), lengths=(1024,), tasks=tasks, trials=1, shared_text=True)
    setup = open_setup(loaded, options)
    shared = [unit for unit in units(setup) if len({key.task for key in unit.keys}) > 1]
    assert {key.task for unit in shared for key in unit.keys} == {"multi-key", "two-hop"}
    assert {key.task for unit in units(setup) for key in unit.keys} == set(tasks)
    results = list(shared[0].run(setup))
    assert [result.task for result in results] == ["multi-key"] * 2 + ["two-hop"] * 2
    assert results[0].read > 800
    assert all(result.read < 0.2 * results[0].read for result in results[1:])
    (draft,) = shared[0].drafts
    for task in ("multi-key", "two-hop"):
        (alone,) = setup.drafts(task, "en", 0)
        assert set(alone.needles) <= set(draft.needles)
        asked = [question.text for question in alone.questions]
        assert asked == [q.text for key, q in zip(shared[0].keys, draft.questions, strict=True) if key.task == task]


def test_a_shared_text_is_another_probe_and_has_room_for_all(loaded: LoadedModel, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="shared_text"):
        run_probe(loaded, folder, replace(OPTIONS, shared_text=True))
    options = replace(SMALL, methods=("none",), lengths=(256, 1024), tasks=("multi-key", "two-hop"), trials=1)
    apart = {(one.task, one.needed) for one in run_probe(loaded, tmp_path / "apart", options).no_room}
    options = replace(options, shared_text=True)
    (needed,) = {one.needed for one in run_probe(loaded, tmp_path / "shared", options).no_room}
    assert all(needed > other for _, other in apart)


def test_needles_at_several_depths_share_what_comes_before_them(loaded: LoadedModel) -> None:
    setup = open_setup(loaded, replace(SMALL, lengths=(1024,), depths=5))
    read = [r.read for unit in units(setup) if unit.key[2:5] == ("yarn", 1024, 0) for r in unit.run(setup)]
    assert len(read) == 5
    assert sum(read) < 0.75 * 5 * 1024


def test_losses_are_those_of_the_model(loaded: LoadedModel) -> None:
    import torch

    ids = loaded.tokenizer("The boats lay in the bay, and nobody knew whose they were. " * 4)["input_ids"]
    with torch.no_grad():
        logits = loaded.model(input_ids=torch.tensor([ids])).logits[0, :-1]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")[-20:]
    engine = Engine(loaded, block=16)
    engine.prefix(ids)  # what is known of the text must be read again to be scored
    torch.testing.assert_close(torch.tensor(engine.token_losses(ids, 20)), expected, rtol=1e-4, atol=1e-4)
    assert "".join(engine.stream((), ids, None, GenerationOptions(4)))
    with pytest.raises(BadRequest, match="last is 0"):
        engine.token_losses(ids, 0)


def test_a_checkpoint_with_a_scaling_of_its_own(tmp_path: Path) -> None:
    long = export_checkpoint(MODEL, open_checkpoint(MODEL).scaled("yarn", 2048), tmp_path / "long")
    report = run_probe(long, tmp_path / "out", replace(OPTIONS, methods=(), tasks=("needle",), trials=1))
    assert report.model.native_window == 256
    assert "yarn" in (report.model.carried or "")
    assert report.methods == ("none",)
    assert report.effective_window("none") == 2048
    with pytest.raises(AlreadyScaled):
        run_probe(long, tmp_path / "other", replace(OPTIONS, methods=("ntk",)))


def test_one_factor_for_all_lengths(loaded: LoadedModel) -> None:
    setup = open_setup(loaded, replace(OPTIONS, methods=("yarn", "dynamic-ntk"), factor=8.0))
    assert {unit.key.method for unit in units(setup) if unit.key.length == 256} == {"yarn", "none"}
    assert {unit.key.method for unit in units(setup) if unit.key.length == 2048} == {"yarn", "dynamic_ntk"}
    scaling = setup.scaling("yarn", 256)
    assert scaling is not None
    assert scaling.factor == 8.0


def test_pictures(report: ProbeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw_report(report, tmp_path)
    assert [file.name for file in drawn] == ["heatmap-needle-en.png", "scores.png", "perplexity.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in drawn)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        PlotUnavailable,
        match=r'the extra "plot": in a checkout of longctx, pip install -c constraints.txt "\.\[plot\]"',
    ):
        draw_report(report, tmp_path)


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"methods": ["none", "yarn"], "lengths": ["256,2k"], "trials": 2, "depths": 2, "windows": 2}
    given |= {"tasks": ["needle,perplexity"]}
    monkeypatch.setenv("COLUMNS", "150")
    probe(str(MODEL), out=folder, **given)  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert "effective window" in shown
    assert "at least 2,048" in shown
    page = (folder / "report.md").read_text()
    assert "| needle | 256 | at least 2,048 |" in page
    assert "](perplexity.png)" in page
    probe(str(MODEL), out=folder, json=True, **given)  # type: ignore[arg-type]
    assert ProbeReport.model_validate_json(capsys.readouterr().out) == load_report(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ("yran",)}, "'yran': did you mean 'yarn'"),
        ({"methods": ("longrope",)}, "longrope needs"),
        ({"factor": 4.0}, "are 2048, and the window holds 1024"),
        (
            {"lengths": (40, 300), "tasks": ("qa", "common-words"), "languages": ("ja",)},
            r"no task has room at 40, 300 tokens: qa \(ja\) takes at least \d{3}; give longer lengths",
        ),
        ({"template": "vicuna"}, "there is no template 'vicuna'"),
        ({"text": ROOT / "examples" / "corpus" / "handbook.md"}, "handbook.md has .* tokens, and 2176 are needed"),
        ({"text": ROOT / "no-such.txt"}, "no-such.txt"),
        ({"lengths": (2**40,)}, "MiB are free"),
    ],
)
def test_what_cannot_be_probed_is_refused_before_any_work(
    loaded: LoadedModel, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises((LongctxError, RopeScalingError), match=words):
        run_probe(loaded, tmp_path / "out", replace(OPTIONS, **changes))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": ("nedle",)}, "'nedle' is unknown: did you mean 'needle'"),
        ({"tasks": ()}, "give at least one"),
        ({"languages": ("de",)}, "'de' is unknown"),
        ({"trials": 0}, "trials is 0"),
        ({"depths": 1}, "depths is 1"),
        ({"lengths": (0,)}, "above 0"),
        ({"windows": 1}, "windows is 1"),
        ({"factor": 0.5}, "factor is 0.5"),
        ({"shared_text": "yes"}, "shared_text is "),
        *(
            ({name: value}, f"{name} is ")
            for value in (math.nan, math.inf, True, 2.5, "3", b"x", None, object())
            for name in ("methods", "lengths", "tasks", "languages", "trials", "depths", "windows", "seed", "needle")
            if (name, value) != ("needle", None)
        ),
        ({"lengths": (2.5,)}, "lengths is "),
        ({"methods": (None,)}, "methods is "),
        ({"factor": math.inf}, "factor is inf"),
    ],
)
def test_options_that_make_no_sense(changes: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        replace(OPTIONS, **changes)


def test_another_seed_is_another_probe(loaded: LoadedModel, folder: Path) -> None:
    with pytest.raises(BadRequest, match=r"another seed \(0, now 1\)"):
        run_probe(loaded, folder, replace(OPTIONS, seed=1))


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(MODEL / name, tmp_path)
    with pytest.raises(ModelUnavailable, match="tokenizer"):
        run_probe(tmp_path, tmp_path / "out", OPTIONS)


def test_what_has_no_room_is_named_and_the_rest_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    given = {"lengths": ["10,256,1k"], "languages": ["en,ja"], "tasks": ["needle,perplexity"], "methods": ["yarn"]}
    probe(str(MODEL), out=tmp_path, trials=1, depths=2, windows=2, **given)  # type: ignore[arg-type]
    report = load_report(tmp_path)
    assert {(one.task, one.language, one.length) for one in report.no_room} == {
        ("needle", "en", 10),
        ("needle", "ja", 10),
        ("needle", "ja", 256),
        ("perplexity", "en", 10),
    }
    assert set(scores(report, "needle", "yarn")) == {256, 1024}
    assert [cell.length for cell in report.select("needle", "yarn", "ja")] == [1024]
    assert report.effective_window("yarn") == 1024
    needed = {(one.task, one.language): one.needed for one in report.no_room}
    assert 256 < needed["needle", "ja"] <= 1024
    for page in (capsys.readouterr().out, (tmp_path / "report.md").read_text()):
        assert f"No room at 10, 256 tokens: a prompt takes at least {needed['needle', 'ja']}." in page
        assert "no room" in page


def test_lengths_are_those_that_are_given(loaded: LoadedModel, tmp_path: Path) -> None:
    options = replace(SMALL, lengths=(320,), trials=1, template="plain")
    report = run_probe(loaded, tmp_path, options)
    assert {cell.length for cell in report.cells} == {320}
    assert not report.no_room
    assert report.template == "plain"
    with pytest.raises(BadRequest, match=r"another template \('plain', now 'chat'\)"):
        run_probe(loaded, tmp_path, replace(options, template=None))


def test_a_task_that_the_model_cannot_do_decides_nothing(loaded: LoadedModel, tmp_path: Path) -> None:
    options = ProbeOptions(methods=("yarn",), lengths=(256, 1024), trials=1, depths=2, windows=2)
    report = run_probe(loaded, tmp_path, options)
    assert {cell.task for cell in report.cells} == {"needle", "reading", "two-hop", "perplexity"}
    assert {each.task for each in report.not_decisive} == {"reading", "two-hop"}
    assert report.effective_window("yarn") == report.effective_window("yarn", "needle") == 1024
    assert report.effective_window("yarn", "two-hop") is None
    page = (tmp_path / "report.md").read_text()
    assert (
        "Not decisive: two-hop (en; yarn): the score at 1,024 tokens, its shortest length, is 0.00, below 0.5." in page
    )
    assert "| two-hop | not decisive |" in page


def test_reading_is_in_the_language_of_the_text(loaded: LoadedModel, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    lines = (f"報告{number}によると、岬の灯台の塔の高さは{number * 7}メートルです。" for number in range(100, 200))
    text.write_text("\n".join(lines), encoding="utf-8")
    options = replace(SMALL, methods=("none",), lengths=(2048,), tasks=("needle", "reading"), languages=("en", "ja"))
    keys = [unit.key for unit in units(open_setup(loaded, replace(options, text=text)))]
    assert {key.language for key in keys if key.task == "reading"} == {"ja"}
    assert {key.language for key in keys if key.task == "needle"} == {"en", "ja"}
    assert {unit.key.language for unit in units(open_setup(loaded, options))} == {"en", "ja"}
    text.write_text("The boats lay in the bay, and nobody knew whose they were. " * 300)
    with pytest.raises(BadRequest, match=r"text.txt has 0 sentences .* the task reading needs 2"):
        run_probe(loaded, tmp_path / "out", replace(options, text=text, languages=()))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("scored", "window", "measured"),
    [
        ({"needle en": {256: 1.0, 1024: 1.0, 2048: 1.0}, "reading en": {256: 0.8, 1024: 0.7, 2048: 0.6}}, 1024, 2048),
        ({"needle en": {256: 1.0, 1024: 1.0, 2048: 1.0}, "reading en": {256: 0.4, 1024: 0.0}}, 2048, 2048),
        ({"needle en": {256: 1.0, 1024: 1.0, 2048: 1.0}, "reading en": {256: 0.9, 1024: 0.9}}, 1024, 1024),
        ({"needle en": {256: 1.0, 1024: 1.0, 2048: 0.0}, "reading en": {256: 0.9, 1024: 0.9}}, 1024, 2048),
        ({"needle en": {256: 1.0, 1024: 1.0}, "needle ja": {1024: 0.9, 2048: 0.7}}, 1024, 2048),
        ({"needle en": {256: 0.3, 1024: 1.0}}, None, 1024),
        ({"needle en": {1024: 0.9}}, 1024, 1024),
    ],
)
def test_every_task_that_decides_must_hold(
    loaded: LoadedModel, scored: dict[str, dict[int, float]], window: int | None, measured: int
) -> None:
    results = [
        Result(
            **{"task": name.split()[0], "language": name.split()[1], "method": "none", "length": length},
            **{"trial": 0, "question": 0, "depth": None, "score": score, "read": 0, "seconds": 0},
        )
        for name, scores in scored.items()
        for length, score in scores.items()
    ]
    setup = open_setup(loaded, replace(SMALL, methods=("none",)))
    report = summarize(setup, results, (), complete=True)
    assert report.effective_window("none") == window
    assert report.windows[0].measured == measured
    assert [each.window for each in report.measurements().figures] == ([window] if window else [])


def test_answers_with_line_breaks_of_all_kinds_are_kept(loaded: LoadedModel, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "results.jsonl"
    first, second, *rest = file.read_text(encoding="utf-8").split("\n")
    changed = json.loads(second) | {"answer": "one\u2028two\x85three"}
    del changed["checksum"]  # older versions wrote none
    file.write_text("\n".join([first, json.dumps(changed, ensure_ascii=False), *rest]), encoding="utf-8")
    assert run_probe(loaded, tmp_path, OPTIONS) == load_report(folder)


def test_reports_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadReport, match="No such file"):
        load_report(tmp_path / "report.json")
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(BadReport, match="no report of this version"):
        load_report(tmp_path)
    later = json.loads((folder / "report.json").read_text()) | {"version": 3}
    (tmp_path / "report.json").write_text(json.dumps(later))
    with pytest.raises(BadReport, match=r"version of longctx \(version: .*\): run `longctx probe` again"):
        load_report(tmp_path)


def test_what_older_versions_measured_is_refused(loaded: LoadedModel, folder: Path, tmp_path: Path) -> None:
    """Up to format 1, prompts were not those of `ask`: the windows are not those that it uses."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    old = json.loads((folder / "report.json").read_text()) | {"version": 1, "prompt": "plain"}
    (tmp_path / "report.json").write_text(json.dumps(old))
    with pytest.raises(BadReport, match="run `longctx probe` again"):
        load_report(tmp_path)
    results = (folder / "results.jsonl").read_text().replace('{"format": 2', '{"format": 1', 1)
    (tmp_path / "results.jsonl").write_text(results)
    with pytest.raises(BadRequest, match=r"another format \(1, now 2\): give another --out, or remove the folder"):
        run_probe(loaded, tmp_path, OPTIONS)


def test_a_report_that_cannot_be_written_is_named_and_the_results_stay(
    loaded: LoadedModel, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for name in ("report.json", "report.md"):
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
        with pytest.raises(BadRequest, match=f"{name} cannot be written to: Is a directory"):
            run_probe(loaded, tmp_path, OPTIONS)
        (tmp_path / name).rmdir()
    (tmp_path / "report.json").unlink()
    with files_up_to(100), pytest.raises(BadRequest, match=r"report.json cannot be written to: File too large"):
        run_probe(loaded, tmp_path, OPTIONS)
    assert not list(tmp_path.glob("report.*")), "nothing is half written"
    assert run_probe(loaded, tmp_path, OPTIONS) == load_report(folder)
    with files_up_to(100), pytest.raises(BadRequest, match=r"\.png cannot be written to: "):
        draw_report(load_report(folder), tmp_path)
