"""The indexes that a server serves, and the model that answers from all of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.to_thread

from indexes import CorpusIndex, Encoder, IndexNotFound, ReadLimits
from indexes.storage import is_database, kept_beside
from longctx.async_qa import AsyncDocumentQA
from longctx.backends import ServedModel
from longctx.conversation import ConversationFolder
from longctx.engine import Engine
from longctx.errors import BadRequest
from longctx.gguf import GgufEngine
from longctx.models import Measurements
from longctx.prompts import PromptTemplate
from longctx.qa import DocumentQA
from longctx.server.document_files import DocumentFiles
from longctx.server.jobs import Jobs
from longctx.server.names import DocumentNames, NotThere
from longctx.server.options import ServerOptions
from longctx.server.turns import Turns
from longctx.server.uploads import remove_unfinished

_NAME = re.compile(r"\w[\w.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Corpus:
    """One index, with what belongs to it.

    Attributes:
        name: Its name for clients.
        qa: Answers from it.
        names: The names of its documents for clients.
        files: The files of its documents.
        uploads: The folder of files that were uploaded for it.
        conversations: The conversations about it.
        jobs: Its ingests.
    """

    name: str
    qa: AsyncDocumentQA
    names: DocumentNames
    files: DocumentFiles
    uploads: Path
    conversations: ConversationFolder
    jobs: Jobs

    @property
    def index(self) -> CorpusIndex:
        """The index itself."""
        return self.qa.qa.index


@dataclass(frozen=True, slots=True)
class Model:
    """What answers, and how.

    Attributes:
        model: An engine, or a model on a server; None quotes the documents.
        template: How prompts are written.
        measured: How far the model was seen to read.
        reranker: Reorders the hits of every search.
        encoder: For indexes that are made.
    """

    model: Engine | GgufEngine | ServedModel | None = None
    template: str | PromptTemplate | None = None
    measured: Measurements | tuple[()] = ()
    reranker: str | None = None
    encoder: str | None = None

    @property
    def name(self) -> str | None:
        """The model's name, without folders."""
        if self.model is None:
            return None
        name = self.model.name if isinstance(self.model, ServedModel) else self.model.loaded.name
        return str(name).rstrip("/").rsplit("/", 1)[-1]


def _absolute(place: Path | str) -> Path | str:
    return place if is_database(place) else Path(place).expanduser().absolute()


def make_missing(paths: Sequence[Path | str], model: Model) -> None:
    """Make the indexes that do not exist.

    Args:
        paths: Their folders, or addresses in databases.
        model: Names the encoder.
    """
    for path in paths:
        try:
            CorpusIndex.open(path, model.encoder, create=False).close()
        except IndexNotFound:
            CorpusIndex.open(path, model.encoder or "default").close()


class Library:
    """The indexes of a server. Open and close it in the event loop that serves.

    Args:
        paths: The folders of the indexes, or their addresses in databases; those that do not exist are made.
        model: What answers.
        options: How much is taken.
    """

    def __init__(self, paths: Sequence[Path | str], model: Model, options: ServerOptions) -> None:
        self._paths, self.model, self.options = paths, model, options
        self.corpora: dict[str, Corpus] = {}
        self.turns = Turns(options.parallel, options.waiting)
        self.unfinished: set[Callable[[], None]] = set()  # each breaks an answer off
        self._encoders: dict[str, Encoder] = {}

    async def open(self) -> None:
        """Open all indexes, and ingest uploads that a server that was killed had not ingested."""
        found = self.options.folder
        made = [] if found is None else sorted(p.parent for p in Path(_absolute(found)).glob("*/corpus.sqlite3"))
        for path in dict.fromkeys([*map(_absolute, self._paths), *made]):
            await self._open(path, kept_beside(path).name.lstrip(".") or "index")

    async def close(self) -> None:
        """Stop all jobs and close all indexes."""
        for corpus in self.corpora.values():
            await corpus.jobs.close()
            await corpus.qa.close()
        self.corpora.clear()

    def end_soon(self) -> None:
        """End streams that follow jobs, and stop answers that are not finished in time."""
        for corpus in self.corpora.values():
            corpus.jobs.end_followers()
        asyncio.get_running_loop().call_later(self.options.grace, self._break_off)

    def _break_off(self) -> None:
        for answer in [*self.unfinished]:
            answer()

    def find(self, name: str | None) -> Corpus:
        """Find an index.

        Args:
            name: Its name; None is the first.

        Returns:
            The index.

        Raises:
            NotThere: If there is none of that name.
        """
        if name is None and self.corpora:
            return next(iter(self.corpora.values()))
        if name not in self.corpora:
            raise NotThere(f"there is no index {name!r}: there are {', '.join(self.corpora) or 'none'}")
        return self.corpora[name]

    async def create(self, name: str) -> Corpus:
        """Make an index in the folder for new ones.

        Args:
            name: Its name.

        Returns:
            The new index.

        Raises:
            BadRequest: If there is no such folder, and for a name that is taken or cannot be a folder's.
        """
        folder = self.options.folder
        if folder is None:
            raise BadRequest("no index can be made: the server was started without a folder for new ones (--folder)")
        if not _NAME.fullmatch(name) or name.endswith(("-files", "-sessions")):
            raise BadRequest(f"{name!r} cannot name an index: use up to 64 letters, digits, '-', '_' and '.'")
        path = Path(_absolute(folder)) / name
        if name in self.corpora or path.exists():
            raise BadRequest(f"there is already {name!r}: choose another name")
        return await self._open(path, name)

    async def _open(self, place: Path | str, name: str) -> Corpus:
        plain, number = name, 1
        while name in self.corpora:
            number += 1
            name = f"{plain}-{number}"
        qa = await anyio.to_thread.run_sync(partial(self._opened, place))
        path = qa.index.path
        uploads = path.with_name(f"{path.name}-files")
        names = DocumentNames(qa.index, uploads)
        limits = ReadLimits(max_bytes=self.options.max_size, max_seconds=self.options.max_seconds)
        jobs = Jobs(qa, names, limits)
        files, conversations = DocumentFiles(qa.index, limits), ConversationFolder.beside(path)
        corpus = Corpus(name, AsyncDocumentQA(qa), names, files, uploads, conversations, jobs)
        self.corpora[name] = corpus
        remove_unfinished(uploads)
        if left := [file for file in sorted(uploads.glob("*")) if file.is_file()]:
            known = {document.source for document in names.documents().values()}
            if left := [file for file in left if str(file) not in known]:
                jobs.start(left, uploads=True)
        return corpus

    def _opened(self, path: Path | str) -> DocumentQA:
        model = self.model
        make_missing([path], model)
        index = CorpusIndex.open(path, model.encoder, reranker=model.reranker, create=False)
        index.encoder = self._encoders.setdefault(index.encoder.name, index.encoder)  # its weights are loaded once
        return DocumentQA(index, model.model, template=model.template, measured=model.measured)
