"""`DocumentQA`: document question answering. It ties the index, the backend and the answering together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from indexes import CorpusIndex, Encoder, IngestReport, ReadLimits, Reranker
from indexes.encoders import DEFAULT_ENCODER, load_encoder
from indexes.ingest import IngestCallback
from indexes.readers import DEFAULT_LIMITS
from indexes.storage import is_database
from longctx.answering import (
    AnswerStream,
    FinishedAnswer,
    RecentPrompts,
    Source,
    answer_with_model,
    check_source,
    extract_answer,
)
from longctx.backends import ServedModel, backend_for, check_loading, open_model
from longctx.engine import KV_CACHE_BYTES, KV_CACHE_FOLDER, Engine, Generation, PrefillCallback, PrefixStore
from longctx.errors import BadRequest
from longctx.gguf import GgufEngine
from longctx.models import LoadedModel, Measured, Measurements
from longctx.planning import Policy
from longctx.prompts import PromptTemplate
from longctx.types import Answer, AskOptions, Message, QuestionRequest
from rope_scaling import RopeScaling

if TYPE_CHECKING:  # llama-index takes a second to import, and only a retriever needs it
    from llama_index.core import VectorStoreIndex
    from llama_index.core.base.base_retriever import BaseRetriever

_DEFAULT_POLICY = Policy()


class DocumentQA:
    """Answers questions about a corpus, with citations.

    Args:
        source: The index, which is closed with this object, or a `RetrieverSource` of `indexes.llama_index`.
        model: What answers; None quotes the documents.
        template: How prompts are written; None is what fits the model.
        policy: How a route is chosen where a question names none.
        measured: How far the model was seen to read.

    >>> from longctx import DocumentQA
    >>> qa = DocumentQA.open("my-index")
    >>> report = qa.ingest(["papers/"])
    >>> answer = qa.ask("How does YaRN scale RoPE?")
    >>> answer.citations[0].source

    Attributes:
        source: Where passages come from.
    """

    def __init__(
        self,
        source: Source,
        model: Engine | GgufEngine | ServedModel | None,
        *,
        template: str | PromptTemplate | None = None,
        policy: Policy = _DEFAULT_POLICY,
        measured: Sequence[Measured] | Measurements = (),
    ) -> None:
        self.source = source
        self._policy = policy
        self._model = model
        self._backend = None if model is None else backend_for(model, template, measured)
        self._recent = RecentPrompts()
        self._is_new = False  # made when it was opened, and perhaps nothing was put in since
        self._owned = ExitStack()
        self._owned.callback(source.close)

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        model: str | Path | LoadedModel | GgufEngine | ServedModel | None = None,
        *,
        retriever: BaseRetriever | VectorStoreIndex | None = None,
        scaling: str | RopeScaling | None = None,
        window: int | None = None,
        loading: Mapping[str, Any] = MappingProxyType({}),
        encoder: str | Encoder | None = None,
        reranker: str | Reranker | None = None,
        template: str | PromptTemplate | None = None,
        policy: Policy = _DEFAULT_POLICY,
        measured: Sequence[Measured] | Measurements = (),
        create: bool = True,
        kv_cache_bytes: int | None = None,
    ) -> DocumentQA:
        """Open the index at `path`, or make one there unless `create` is false; or use a retriever.

        Args:
            path: The index's folder, or the address of one in a database (see `CorpusIndex.open`); None with a
                retriever.
            model: A checkpoint's folder, a hub name, a GGUF file, a server (`openai:URL#name`), or an open model;
                with None, answers quote the documents.
            retriever: A llama-index retriever or `VectorStoreIndex` that passages come from, in place of an index.
                Whole documents cannot be read then: the route is `retrieval`, with the first `k` nodes found.
            scaling: A RoPE scaling, as for `load_model`.
            window: The native context window in tokens, where that should not be what the model or the server says.
            loading: Further arguments of `load_model`, such as {"quantization": "4bit"}; for a server, of
                `ServedModel.connect`.
            encoder: As for `CorpusIndex.open`; None is the one that the index was made with, and the default for a new
                index.
            reranker: As for `CorpusIndex.open`.
            template: How prompts are written: a name in `TEMPLATES`, one of your own, or None for what fits the model.
            policy: How a route is chosen where a question names none.
            measured: How far the model was seen to read: `load_report(folder).measurements()`, or figures of your own.
            create: Whether a missing index is made.
            kv_cache_bytes: The most that the keys and values of documents that a model here has read whole may take
                in the index's folder, so that a later process need not read them again; 0 keeps none, None is 4 GiB.

        Returns:
            The corpus, ready to be asked; close it, or use it in a `with` statement.

        Raises:
            BadRequest: For options that do not go together.
            BadReport: If the measurements are of another model.
            ModelUnavailable: If the model cannot be loaded.
            CorpusError: If the index cannot be opened.
        """
        check_loading(model, scaling, window, loading)
        if (path is None) == (retriever is None):
            raise BadRequest(f"path is {path!r} and retriever is {retriever!r}: give one of them")
        with ExitStack() as owned:
            source: Source
            if path is None:
                source, store = _retriever_source(retriever, encoder, reranker, kv_cache_bytes), None
            else:
                is_new = not (is_database(path) or Path(path).expanduser().exists())
                corpus = owned.enter_context(CorpusIndex.open(path, encoder, reranker=reranker, create=create))
                source, is_new = corpus, is_new or (is_database(path) and not corpus.info().documents)
                most = KV_CACHE_BYTES if kv_cache_bytes is None else kv_cache_bytes
                store = PrefixStore(corpus.path / KV_CACHE_FOLDER, most, within=corpus.held) if most else None
            opened = open_model(model, scaling, window, loading, owned, store)
            qa = cls(source, opened, template=template, policy=policy, measured=measured)
            qa._owned, qa._is_new = owned.pop_all(), path is not None and is_new
            return qa

    @property
    def index(self) -> CorpusIndex:
        """The index.

        Raises:
            BadRequest: If there is none, as passages come from a retriever.
        """
        if not isinstance(self.source, CorpusIndex):
            raise BadRequest("there is no index, as passages come from a retriever: open an index (path) for that")
        return self.source

    @property
    def has_model(self) -> bool:
        """Whether a model answers; otherwise answers quote the documents."""
        return self._backend is not None

    @property
    def model_note(self) -> str | None:
        """What to know of how the model was loaded; see `LoadedModel.note`."""
        return self._model.loaded.note if isinstance(self._model, Engine) else None

    def close(self) -> None:
        """Close the index, and what was connected for it."""
        self._owned.close()

    def __enter__(self) -> DocumentQA:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ingest(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        prune: bool = False,
        exclude: Iterable[str] = (),
        include: Iterable[str] = (),
        limits: ReadLimits = DEFAULT_LIMITS,
        chunk_tokens: int | None = None,
        overlap: int | None = None,
        progress: IngestCallback | None = None,
        wait: bool | float = False,
        executor: Executor | None = None,
    ) -> IngestReport:
        """Bring the index up to date with files and folders; for the arguments see `CorpusIndex.ingest`."""
        walk: dict[str, Any] = {"prune": prune, "exclude": exclude, "include": include}
        chunking: dict[str, Any] = {"chunk_tokens": chunk_tokens, "overlap": overlap}
        how: dict[str, Any] = {"limits": limits, "progress": progress, "wait": wait, "executor": executor}
        return self.index.ingest(paths, **how, **walk, **chunking)

    def ask(
        self,
        question: str,
        options: AskOptions | None = None,
        *,
        progress: PrefillCallback | None = None,
        **changes: Any,
    ) -> Answer:
        """Answer a question. `Answer.plan` says how, and why so.

        Args:
            question: What to ask.
            options: How to answer; None means the defaults of `AskOptions`.
            progress: Told how much of the prompt the model has read.
            changes: Options by name, such as `route="native"`, `k=5` or `temperature=0.7`, in place of those in
                `options`: the fields of `AskOptions` and `SamplingOptions`.

        Returns:
            The answer, with its citations.

        Raises:
            BadRequest: For a question or an option that cannot be served.
            ContextTooLong: If the route that was asked for, or every route, needs more tokens than the window has.
            NotEnoughMemory: If the prompt's keys and values do not fit the free memory.
            CorpusError: If the index cannot be searched.
        """
        return self.stream(question, options, progress=progress, **changes).answer

    def stream(
        self,
        question: str,
        options: AskOptions | None = None,
        *,
        progress: PrefillCallback | None = None,
        **changes: Any,
    ) -> AnswerStream:
        """Answer a question, piece by piece; for arguments and errors see `DocumentQA.ask`.

        Returns:
            The pieces as they come; `answer` of the stream is the whole answer.
        """
        return self.run(QuestionRequest(question, (options or AskOptions()).updated(**changes)), progress)

    def run(self, request: QuestionRequest, progress: PrefillCallback | None = None) -> AnswerStream:
        """Answer a request, which may be a turn of a conversation. `ask` and `stream` are the same for one question.

        Args:
            request: The question with its options and what was said before it.
            progress: Told how much of the prompt the model has read.

        Returns:
            The pieces as they come.

        Raises:
            BadRequest: If the index was made when it was opened, is still empty, and has the name of another but for
                a few letters. With a retriever, for what only an index can do: other routes, filters, neighbours.
        """
        self._check_not_empty(request)
        check_source(self.source, request, self._policy)
        if self._backend is not None:
            known = request if request.last is not None else replace(request, last=self._recent.before(request))
            stream = answer_with_model(self.source, self._backend, known, self._policy, progress)
            self._recent.add(request, stream.plan)
            return stream
        answer = extract_answer(self.source, request, self._policy)
        if self._is_new:
            answer = replace(answer, note=f"the index {self.index.name} is new and without documents: ingest some")
        return FinishedAnswer(answer)

    def _check_not_empty(self, request: QuestionRequest) -> None:
        """Name an index that a misspelt path has made. A conversation may be about what was said in it."""
        if not self._is_new or request.history is not None:
            return
        self._is_new = not self.index.info().documents
        if self._is_new:
            path = self.index.path
            others = [each.parent.name for each in path.parent.glob("*/corpus.sqlite3") if each.parent != path]
            near = difflib.get_close_matches(path.name, others, 1)
            if near:
                raise BadRequest(f"{path} is new and without documents: did you mean {near[0]}, the index beside it?")

    def reply(self, system: str, messages: Sequence[Message], max_new_tokens: int) -> str:
        """Let the model reply to messages, without documents.

        Args:
            system: The system prompt.
            messages: What was said, oldest first; the last message is the user's.
            max_new_tokens: The longest reply, in tokens.

        Returns:
            The reply.

        Raises:
            BadRequest: If there is no model.
        """
        with self.stream_reply(system, messages, AskOptions(max_new_tokens=max_new_tokens)) as pieces:
            return pieces.rest()

    def stream_reply(
        self,
        system: str,
        messages: Sequence[Message],
        options: AskOptions,
        progress: PrefillCallback | None = None,
    ) -> Generation:
        """Let the model reply to messages, without documents, piece by piece.

        Args:
            system: The system prompt.
            messages: What was said, oldest first; the last message is the user's.
            options: Of these, `max_new_tokens` and `sampling` are used.
            progress: Told how much of the prompt the model has read.

        Returns:
            The pieces as they come; close it, or use it in a `with` statement.

        Raises:
            BadRequest: If there is no model.
        """
        if self._backend is None:
            raise BadRequest("there is no model to reply: give one (--model)")
        return self._backend.reply(system, messages, options.max_new_tokens, options.sampling, progress)


def _retriever_source(
    retriever: Any, encoder: str | Encoder | None, reranker: str | Reranker | None, kv_cache_bytes: int | None
) -> Source:
    """A retriever as a source. Raises BadRequest for what only an index has."""
    from indexes.llama_index import RetrieverSource

    for name, value in {"reranker": reranker, "kv_cache_bytes": kv_cache_bytes or None}.items():
        if value is not None:
            raise BadRequest(f"{name} is {value!r}, which is for an index: leave it out with a retriever")
    return RetrieverSource(retriever, load_encoder(encoder or DEFAULT_ENCODER))
