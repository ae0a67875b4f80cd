"""`DocumentQA`: ask a corpus. Ties the index, the prompt and the engine together; knows no command line."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from indexes import CorpusIndex, Encoder, IngestReport, ReadLimits, Reranker, SearchFilter, SearchHit
from indexes.ingest import IngestCallback as IngestCallback
from indexes.readers import DEFAULT_LIMITS
from longctx.answering import Prepared, Scope, Spoken, extract, gather, plan_prompt, speak
from longctx.backends import ServedModel, backend_for, open_model
from longctx.engine import Engine, PrefillCallback
from longctx.errors import BadRequest
from longctx.models import LoadedModel
from longctx.planning import Policy
from longctx.probe import Measurements
from longctx.prompts import PromptInputs, PromptTemplate, language_of
from longctx.types import Answer, Message, Plan, RouteChoice, Usage
from rope_scaling import RopeScaling

_DEFAULT_POLICY = Policy()
_NOTHING_FOUND = {
    "en": "Nothing in the index bears on this question.",
    "ja": "この質問に関係する記述は、索引の中に見つかりませんでした。",
}


class AnswerStream(Iterator[str]):
    """The pieces of an answer as they come; `answer` is the whole `Answer`. Closing it early stops the work."""

    def __init__(self, pieces: Generator[str, None, Answer]) -> None:
        self._pieces = pieces
        self._answer: Answer | None = None

    @property
    def answer(self) -> Answer:
        """The finished answer; pieces that have not been taken yet are taken first."""
        for _ in self:
            pass
        if self._answer is None:
            raise BadRequest("the stream was closed before the answer was finished: ask again")
        return self._answer

    def close(self) -> None:
        """Stop the answer here."""
        self._pieces.close()

    def __next__(self) -> str:
        try:
            return next(self._pieces)
        except StopIteration as end:
            self._answer = end.value or self._answer
            raise


class DocumentQA:
    """Questions to a corpus, answered with citations.

    >>> from longctx import DocumentQA
    >>> qa = DocumentQA.open("my-index")
    >>> report = qa.ingest(["papers/"])
    >>> answer = qa.ask("How does YaRN scale RoPE?")
    >>> answer.citations[0].source
    """

    def __init__(
        self,
        index: CorpusIndex,
        model: Engine | ServedModel | None,
        *,
        template: str | PromptTemplate | None = None,
        policy: Policy = _DEFAULT_POLICY,
        measured: Measurements = (),
    ) -> None:
        self.index = index
        self._policy = policy
        self._speaker = None if model is None else backend_for(model, template, measured)
        self._owned = ExitStack()
        self._owned.callback(index.close)

    @classmethod
    def open(
        cls,
        path: str | Path,
        model: str | Path | LoadedModel | ServedModel | None = None,
        *,
        scaling: str | RopeScaling | None = None,
        window: int | None = None,
        loading: Mapping[str, Any] = MappingProxyType({}),
        encoder: str | Encoder | None = None,
        reranker: str | Reranker | None = None,
        template: str | PromptTemplate | None = None,
        policy: Policy = _DEFAULT_POLICY,
        measured: Measurements = (),
        create: bool = True,
    ) -> DocumentQA:
        """Open the index in the folder `path`, or make one there unless `create` is false.

        `model` is a checkpoint's folder, a hub name, a server (`openai:URL#name`), a `LoadedModel` or a `ServedModel`;
        with None, answers quote the documents. `scaling` is as for `load_model`, and `window` its native window, or a
        server's, where that should not be what the model or the server says. `loading` is what else `load_model` is to
        be told, such as {"quantization": "4bit"}.
        `encoder` and `reranker` are as for `CorpusIndex.open`; an encoder of None means the one that the index was made
        with, and the default for a new index. `template` is how prompts are written: a name in `TEMPLATES`, one of your
        own, or None for the one that fits the model. `policy` is how a route is chosen where a question names none.
        `measured` is how far the model was seen to read: the report of a probe, the folder that it was written to, or
        figures of your own. Raises BadRequest, BadReport, and as `load_model` and `CorpusIndex.open` do.
        """
        given = [(k, v) for k, v in {"scaling": scaling, "window": window, **loading}.items() if v is not None]
        if given and not isinstance(model, str | Path):
            remedy = "give a model too" if model is None else "give it where the model is loaded"
            raise BadRequest(f"{given[0][0]} is {given[0][1]!r}, and there is no model to load: {remedy}")
        with ExitStack() as owned:
            index = owned.enter_context(CorpusIndex.open(path, encoder, reranker=reranker, create=create))
            opened = open_model(model, scaling, window, loading, owned)
            qa = cls(index, opened, template=template, policy=policy, measured=measured)
            qa._owned = owned.pop_all()
            return qa

    @property
    def has_model(self) -> bool:
        """Whether answers are a model's; otherwise they quote."""
        return self._speaker is not None

    def close(self) -> None:
        """Close the index, and what was connected for it."""
        self._owned.close()

    def __enter__(self) -> DocumentQA:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def ingest(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        prune: bool = False,
        limits: ReadLimits = DEFAULT_LIMITS,
        chunk_tokens: int | None = None,
        overlap: int | None = None,
        progress: IngestCallback | None = None,
        wait: bool | float = False,
    ) -> IngestReport:
        """Bring the index up to date with files and folders: see `CorpusIndex.ingest`."""
        chunking = {"chunk_tokens": chunk_tokens, "overlap": overlap}
        return self.index.ingest(paths, prune=prune, limits=limits, progress=progress, wait=wait, **chunking)

    def ask(
        self,
        question: str,
        *,
        route: RouteChoice | None = None,
        k: int = 8,
        max_new_tokens: int = 256,
        system: str = "",
        history: Sequence[Message] | None = None,
        recalled: Sequence[int] = (),
        search_for: str | None = None,
        filters: SearchFilter | None = None,
        expand: int = 0,
        progress: PrefillCallback | None = None,
    ) -> Answer:
        """Answer a question. `Answer.plan` says how, and why so.

        `route` is 'native' or 'extended' (all documents in the prompt), 'retrieval' (the passages that bear on the
        question most, `k` of them found, and those beside them), 'self' (passages first, all documents if the model
        says that they do not hold the answer), or 'auto': the first of those three that works; None is the policy's.
        `system` comes before the rules that longctx gives to the model. `history` is what was said before, empty at the
        beginning of a conversation and None where there is none; `recalled` are the numbers, from 1, of its turns that
        bear on the question, best first, and `search_for` what to look for, if not the question as it stands.
        `filters` are as for `CorpusIndex.search`; `expand` neighbours of each passage are taken with it; `progress` is
        told how much of the prompt the model has read. Raises BadRequest; ContextTooLong, with numbers, where a route
        cannot be taken; and NotEnoughMemory.
        """
        return self.stream(
            question,
            route=route,
            k=k,
            max_new_tokens=max_new_tokens,
            system=system,
            history=history,
            recalled=recalled,
            search_for=search_for,
            filters=filters,
            expand=expand,
            progress=progress,
        ).answer

    def stream(
        self,
        question: str,
        *,
        route: RouteChoice | None = None,
        k: int = 8,
        max_new_tokens: int = 256,
        system: str = "",
        history: Sequence[Message] | None = None,
        recalled: Sequence[int] = (),
        search_for: str | None = None,
        filters: SearchFilter | None = None,
        expand: int = 0,
        progress: PrefillCallback | None = None,
    ) -> AnswerStream:
        """As `ask`, in pieces of text as they come; the stream's `answer` is the whole afterwards."""
        if not question.strip():
            raise BadRequest("the question is empty: ask something")
        if max_new_tokens < 1:
            raise BadRequest(f"max_new_tokens is {max_new_tokens}: an answer needs at least 1")
        began = time.monotonic()
        policy = replace(self._policy, route=route or self._policy.route, expand=max(expand, self._policy.expand))
        speaker = self._speaker
        if speaker is None:
            if policy.route not in ("auto", "retrieval"):
                raise BadRequest(f"route {policy.route} needs a model: give one (--model), or leave the route out")
            hits = self.index.search(search_for or question, k, filters=filters, expand=policy.expand)
            return AnswerStream(self._quoted(question, search_for, hits, began))
        hits = self.index.search(search_for or question, k, filters=filters)
        scope = Scope(self.index, hits, filters, tuple(recalled))
        asked = PromptInputs(question, system, tuple(history or ()), conversing=history is not None)

        def prepare() -> Prepared[Any]:
            windows = speaker.windows()
            material = gather(scope, speaker.writer, asked, max_new_tokens, windows.largest)
            return material, plan_prompt(material, speaker.writer, windows, policy)

        spoken, pieces = speak(speaker, prepare, progress)
        return AnswerStream(_told(spoken, pieces, search_for, began))

    def reply(self, system: str, messages: Sequence[Message], max_new_tokens: int) -> str:
        """What the model says to messages, without documents. Raises BadRequest without a model."""
        if self._speaker is None:
            raise BadRequest("there is no model to reply: give one (--model)")
        with self._speaker.reply(system, messages, max_new_tokens) as pieces:
            return "".join(pieces)

    def _quoted(
        self, question: str, search_for: str | None, hits: Sequence[SearchHit], began: float
    ) -> Generator[str, None, Answer]:
        citations = extract(question, hits, self.index.similarity, search_for or "")
        sentences = [f"{' '.join(c.text.split())} [{c.number}]" for c in citations]
        text = "\n".join(sentences) or _NOTHING_FOUND[language_of(question)]
        yield text
        places = {(c.source, c.start) for c in citations}
        used = sum(any(s == h.chunk.source and h.chunk.start <= at < h.chunk.end for s, at in places) for h in hits)
        reason = "there is no model: the best sentences of the passages are quoted"
        made = Plan("retrieval", reason, passages_found=len(hits), passages_used=used, searched=search_for)
        return Answer(text, citations, made, Usage(seconds=time.monotonic() - began))


def _told(
    spoken: Spoken, pieces: Generator[str, None, None], searched: str | None, began: float
) -> Generator[str, None, Answer]:
    yield from pieces
    usage = Usage(spoken.prompt_tokens, spoken.completion_tokens, time.monotonic() - began)
    made = replace(spoken.plan, searched=searched)
    return Answer(spoken.text, spoken.cited, made, usage, tuple(spoken.passages))
