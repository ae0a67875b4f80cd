"""`DocumentQA`: document question answering. It ties the index, the backend and the answering together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from indexes import CorpusIndex, Encoder, IngestReport, ReadLimits, Reranker
from indexes.ingest import IngestCallback
from indexes.readers import DEFAULT_LIMITS
from longctx.answering import AnswerStream, FinishedAnswer, answer_with_model, extract_answer
from longctx.backends import ServedModel, backend_for, open_model
from longctx.engine import Engine, PrefillCallback
from longctx.errors import BadRequest
from longctx.models import LoadedModel, Measured, Measurements
from longctx.planning import Policy
from longctx.prompts import PromptTemplate
from longctx.types import Answer, AskOptions, Message, QuestionRequest
from rope_scaling import RopeScaling

_DEFAULT_POLICY = Policy()


class DocumentQA:
    """Answers questions about a corpus, with citations.

    Args:
        index: The index, which is closed with this object.
        model: What answers; None quotes the documents.
        template: How prompts are written; None is what fits the model.
        policy: How a route is chosen where a question names none.
        measured: How far the model was seen to read.

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
        measured: Sequence[Measured] | Measurements = (),
    ) -> None:
        self.index = index
        self._policy = policy
        self._model = model
        self._backend = None if model is None else backend_for(model, template, measured)
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
        measured: Sequence[Measured] | Measurements = (),
        create: bool = True,
    ) -> DocumentQA:
        """Open the index in the folder `path`, or make one there unless `create` is false.

        Args:
            path: The index's folder.
            model: A checkpoint's folder, a hub name, a server (`openai:URL#name`), a `LoadedModel` or a `ServedModel`;
                with None, answers quote the documents.
            scaling: A RoPE scaling, as for `load_model`.
            window: The native context window in tokens, where that should not be what the model or the server says.
            loading: Further arguments of `load_model`, such as {"quantization": "4bit"}, and `cache_dtype` of `Engine`.
            encoder: As for `CorpusIndex.open`; None is the one that the index was made with, and the default for a new
                index.
            reranker: As for `CorpusIndex.open`.
            template: How prompts are written: a name in `TEMPLATES`, one of your own, or None for what fits the model.
            policy: How a route is chosen where a question names none.
            measured: How far the model was seen to read: `load_report(folder).measurements()`, or figures of your own.
            create: Whether a missing index is made.

        Returns:
            The corpus, ready to be asked; close it, or use it in a `with` statement.

        Raises:
            BadRequest: For options that do not go together.
            BadReport: If the measurements are of another model.
            ModelUnavailable: If the model cannot be loaded.
            CorpusError: If the index cannot be opened.
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
        """Bring the index up to date with files and folders; for the arguments see `CorpusIndex.ingest`."""
        chunking = {"chunk_tokens": chunk_tokens, "overlap": overlap}
        return self.index.ingest(paths, prune=prune, limits=limits, progress=progress, wait=wait, **chunking)

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
        """
        if self._backend is not None:
            return answer_with_model(self.index, self._backend, request, self._policy, progress)
        return FinishedAnswer(extract_answer(self.index, request, self._policy))

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
        if self._backend is None:
            raise BadRequest("there is no model to reply: give one (--model)")
        with self._backend.reply(system, messages, max_new_tokens) as pieces:
            return "".join(pieces)
