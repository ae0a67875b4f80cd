"""One value for one question, from the flag to the engine; and one read transaction for it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any, get_args

import numpy as np
import pytest

from indexes import CorpusError
from indexes.storage.sqlite.database import Database
from longctx import AskOptions, BadRequest, DocumentQA, SamplingOptions, load_model
from longctx.cli import app
from longctx.cli.options import AskFlags
from longctx.engine import prefill
from longctx.errors import TrainingError
from longctx.evaluation import EvaluationOptions
from longctx.training import TrainingOptions
from longctx.types import SearchMode

DEMO = Path(__file__).parents[2] / "examples" / "models" / "passkey-llama"
QUESTION = "What is the pass key?"


@pytest.fixture
def folder(make_index) -> Path:
    return make_index({"note.txt": "The pass key is 40917. The keeper walked along the pier in the rain."})


@pytest.fixture
def qa(folder: Path, encoder) -> Iterator[DocumentQA]:
    with DocumentQA.open(folder, load_model(DEMO), encoder=encoder) as qa:
        yield qa


def test_options_are_changed_by_name_wherever_they_stand() -> None:
    options = AskOptions(k=3).updated(route="native", temperature=0.5, stop=("x",))
    assert options == AskOptions("native", 3, sampling=SamplingOptions(temperature=0.5, stop=("x",)))
    assert options.updated() == options


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temprature": 1.0}, "temprature is no option of a question: use budget, expand, filters, k"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0: an answer needs a whole number of tokens, at least 1"),
        ({"score_cutoff": 1.5}, "score_cutoff is 1.5: give a share of the best score, from 0 to 1"),
        ({"top_p": 2.0}, "top_p is 2.0: give a probability"),
        ({"prompt_tokens": 0}, "prompt_tokens is 0: give a whole number of tokens above 0"),
        ({"budget": float("inf")}, "budget is inf: give a number of seconds above 0"),
        ({"prompt_tokens": 9, "budget": 60}, "prompt_tokens is 9 and budget is 60 s, .*: give one of them"),
    ],
)
def test_an_option_that_cannot_be_served_is_named(changes: dict, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        AskOptions().updated(**changes)


_STRANGE: tuple[Any, ...] = (math.nan, True, np.int64(3), "3", -(10**30), 2.5, Decimal(1), [], [1], {}, b"x", object())
# what fits: an option that is not here takes none of them
_FITS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("route", "system"), lambda value: isinstance(value, str)),
    **dict.fromkeys(("show_thinking", "prompt_lookup"), lambda value: value is True),
    **dict.fromkeys(("budget", "temperature", "repetition_penalty"), lambda value: value == 2.5),
}


@pytest.mark.parametrize("name", [each.name for each in (*fields(AskOptions), *fields(SamplingOptions))])
def test_an_option_of_another_type_is_refused(name: str) -> None:
    for value in _STRANGE:
        changed = {name: value}
        if _FITS.get(name, lambda value: False)(value):
            assert AskOptions().updated(**changed)
            continue
        with pytest.raises(BadRequest, match=f"^{name} is ") as error:
            replace(AskOptions(), **changed) if name == "sampling" else AskOptions().updated(**changed)
        assert "\n" not in str(error.value)


def test_numbers_that_no_float_holds_are_refused_and_others_are_used(qa: DocumentQA) -> None:
    for name in ("temperature", "repetition_penalty", "budget"):
        with pytest.raises(BadRequest, match=f"{name} is 1000"):
            AskOptions().updated(**{name: 10**400})
    for options in ({"temperature": 10**30, "seed": 1}, {"repetition_penalty": 10**30}):
        assert qa.ask(QUESTION, max_new_tokens=2, **options).usage.completion_tokens


@pytest.mark.parametrize("value", [5, 2.5, True, b"x", [1], object()])
def test_what_is_opened_and_asked_is_checked_for_its_type(value: Any, folder: Path, encoder, qa: DocumentQA) -> None:
    for name in ("model", "template", "loading"):
        with pytest.raises(BadRequest, match=rf"^(there is no )?{name} "):
            DocumentQA.open(folder, **{"model": DEMO, "encoder": encoder, name: value})
    for name in ("encoder", "reranker"):
        with pytest.raises(CorpusError, match=f"^{name} is .*: give "):
            DocumentQA.open(folder, **{"encoder": encoder, name: value})
    for name in ("quantization", "device", "dtype"):
        with pytest.raises(BadRequest, match=f"^{name} is "):
            load_model(DEMO, **{name: value if value != 5 else 10**30})
    with pytest.raises(BadRequest, match=r"^the question is .*: give a text"):
        qa.ask(value)


@pytest.mark.parametrize("value", [5, 2.5, True, "3", None, (5,), object()])
def test_what_is_compared_and_how_to_train_are_checked_for_their_types(value: Any) -> None:
    for name in ("models", "scalings", "routes", "modes"):
        with pytest.raises(BadRequest, match=f"^{name} is "):
            EvaluationOptions(**{name: value})
    for name in ("steps", "batch", "length", "learning_rate", "prompt_loss", "seed"):
        if (name, value) in {("length", None), ("learning_rate", 5), ("learning_rate", 2.5)} or value == 5:
            continue
        with pytest.raises(TrainingError, match=f"^{name} is "):
            TrainingOptions(**{name: value})


def test_every_option_has_a_flag() -> None:
    flags = {each.name for each in fields(AskFlags)}
    options = {each.name for each in (*fields(AskOptions), *fields(SamplingOptions))} - {"filters", "sampling"}
    assert options <= flags
    assert get_args(SearchMode) == ("hybrid", "dense", "lexical")


def test_sampling_reaches_the_engine(qa: DocumentQA, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = {"temperature": 5.0, "top_k": 40, "seed": 7, "max_new_tokens": 8}
    greedy, sampled = qa.ask(QUESTION, max_new_tokens=8).text, qa.ask(QUESTION, **drawn).text
    assert greedy != sampled == qa.ask(QUESTION, AskOptions().updated(**drawn)).text
    assert "409" in greedy
    assert "40" not in qa.ask(QUESTION, max_new_tokens=8, stop=("4",)).text
    flags = ["--temperature", "5", "--top-k", "40", "--seed", "7", "--max-new-tokens", "8"]
    app(["ask", QUESTION, "--index", str(folder), "--model", str(DEMO), *flags], standalone_mode=False)
    assert capsys.readouterr().out.startswith(sampled)


@pytest.mark.parametrize("model", [None, DEMO])
def test_a_question_opens_one_read_transaction(
    folder: Path, encoder, model: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    begin = Database.begin

    def counting(database: Database) -> object:
        begun.append(database)
        return begin(database)

    with DocumentQA.open(folder, model, encoder=encoder) as qa:
        qa.ask(QUESTION, max_new_tokens=2)
        monkeypatch.setattr(Database, "begin", counting)
        qa.ask(QUESTION, max_new_tokens=2)
    assert len(begun) == 1


def test_few_frames_lie_between_the_question_and_the_attention(qa: DocumentQA, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine at most, of this project's own code: what reads the path has to keep it in mind."""
    depths = []
    forward = prefill.Prefill.forward

    def counting(*args: object, **kwargs: object) -> object:
        depths.append(_own_frames(sys._getframe(1)))
        return forward(*args, **kwargs)

    monkeypatch.setattr(prefill.Prefill, "forward", counting)
    next(qa.stream(QUESTION, max_new_tokens=2))
    assert max(depths) + 2 <= 9, "and the forward pass, and the attention"


def _own_frames(frame: FrameType | None) -> int:
    count = 0
    while frame is not None:
        count += "/longctx/" in frame.f_code.co_filename and "/tests/" not in frame.f_code.co_filename
        frame = frame.f_back
    return count
