"""`DocumentQA`: ask a corpus. Ties the index, the prompt and the engine together; knows no command line."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from indexes import CorpusIndex, Encoder, IngestReport, ReadLimits, Reranker, SearchFilter, SearchHit
from indexes.ingest import ProgressCallback as IngestCallback
from indexes.readers import DEFAULT_LIMITS
from longctx.answering import citation, quote
from longctx.engine import Engine
from longctx.errors import BadRequest
from longctx.models import LoadedModel, load_model
from longctx.prompts import fit_prompt, language_of
from longctx.requests import ProgressCallback
from longctx.sampling import GenerationOptions
from longctx.types import Answer, Plan, Usage
from rope_scaling import RopeScaling

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

    def __init__(self, index: CorpusIndex, engine: Engine | None) -> None:
        self.index = index
        self._engine = engine

    @classmethod
    def open(
        cls,
        path: str | Path,
        model: str | Path | LoadedModel | None = None,
        *,
        scaling: str | RopeScaling | None = None,
        encoder: str | Encoder | None = None,
        reranker: str | Reranker | None = None,
        create: bool = True,
    ) -> DocumentQA:
        """Open the index in the folder `path`, or make one there unless `create` is false.

        `model` is a checkpoint's folder, a hub name or a `LoadedModel`; with None, answers quote the documents.
        `scaling` is as for `load_model`.
        `encoder` and `reranker` are as for `CorpusIndex.open`; an encoder of None means the one that the index was made
        with, and the default for a new index. Raises BadRequest, and as `load_model` and `CorpusIndex.open` do.
        """
        if scaling is not None and not isinstance(model, str | Path):
            remedy = "give a model too" if model is None else "give it to load_model"
            raise BadRequest(f"scaling is {scaling!r}, and there is no model to load: {remedy}")
        index = CorpusIndex.open(path, encoder, reranker=reranker, create=create)
        try:
            loaded = load_model(model, scaling=scaling) if isinstance(model, str | Path) else model
        except BaseException:
            index.close()
            raise
        return cls(index, None if loaded is None else Engine(loaded))

    def close(self) -> None:
        """Close the index."""
        self.index.close()

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
        k: int = 8,
        max_new_tokens: int = 256,
        filters: SearchFilter | None = None,
        expand: int = 0,
        progress: ProgressCallback | None = None,
    ) -> Answer:
        """Answer a question from the `k` passages that bear on it most. Raises BadRequest and ContextTooLong.

        `filters` and `expand` are as for `CorpusIndex.search`; `progress` is told how much of the prompt the model has
        read.
        """
        return self.stream(
            question, k=k, max_new_tokens=max_new_tokens, filters=filters, expand=expand, progress=progress
        ).answer

    def stream(
        self,
        question: str,
        *,
        k: int = 8,
        max_new_tokens: int = 256,
        filters: SearchFilter | None = None,
        expand: int = 0,
        progress: ProgressCallback | None = None,
    ) -> AnswerStream:
        """As `ask`, in pieces of text as they come; the stream's `answer` is the whole afterwards."""
        if not question.strip():
            raise BadRequest("the question is empty: ask something")
        if max_new_tokens < 1:
            raise BadRequest(f"max_new_tokens is {max_new_tokens}: an answer needs at least 1")
        began = time.monotonic()
        hits = self.index.search(question, k, filters=filters, expand=expand)
        if self._engine is None:
            return AnswerStream(self._quoted(question, hits, began))
        return AnswerStream(self._generated(self._engine, question, hits, max_new_tokens, progress, began))

    def _quoted(self, question: str, hits: Sequence[SearchHit], began: float) -> Generator[str, None, Answer]:
        citations = quote(question, hits, self.index.similarity)
        sentences = [f"{' '.join(c.text.split())} [{number}]" for number, c in enumerate(citations, start=1)]
        text = "\n".join(sentences) or _NOTHING_FOUND[language_of(question)]
        yield text
        places = {(c.source, c.start) for c in citations}
        used = sum(any(s == h.chunk.source and h.chunk.start <= at < h.chunk.end for s, at in places) for h in hits)
        return Answer(text, citations, Plan("retrieval", len(hits), used), Usage(seconds=time.monotonic() - began))

    def _generated(
        self,
        engine: Engine,
        question: str,
        hits: Sequence[SearchHit],
        max_new_tokens: int,
        progress: ProgressCallback | None,
        began: float,
    ) -> Generator[str, None, Answer]:
        window = engine.loaded.window
        passages = [citation(hit.chunk) for hit in hits]
        prompt, used = fit_prompt(question, passages, engine.loaded.tokenizer, window - max_new_tokens)
        text = ""
        # Which passages come first changes with every question, so there is no prefix worth keeping.
        with engine.stream((), prompt, options=GenerationOptions(max_new_tokens), progress=progress) as stream:
            for piece in stream:
                text += piece
                yield piece
        plan = Plan("retrieval", len(hits), used, window, len(prompt), max_new_tokens)
        usage = Usage(len(prompt), stream.completion_tokens, time.monotonic() - began)
        return Answer(text.strip(), tuple(passages[:used]), plan, usage)
