"""`/api/v1`: indexes, their documents, and the ingests that bring documents in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile

from indexes import UnreadableFile
from indexes.readers import SUFFIXES
from longctx.errors import BadRequest
from longctx.server import pdf
from longctx.server.context import Index, Server
from longctx.server.jobs import Job, JobFile
from longctx.server.library import Corpus
from longctx.server.names import NotThere
from longctx.server.schemas import DocumentView, IndexView, MarksView, NameBody, ServerView, TextView
from longctx.server.security import state
from longctx.server.streams import EventResponse, event
from longctx.server.uploads import file_name, save
from longctx.version import __version__

router = APIRouter(prefix="/api/v1")

_BLOCK = 1 << 20
_PATIENCE = 10.0  # seconds to wait for an ingest before a document is deleted
_MULTIPART: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}


@router.get("/server")
async def about(server: Server, request: Request) -> ServerView:
    """What the server is, and what it takes."""
    options = server.options
    return ServerView(
        version=__version__,
        model=server.library.model.name,
        role=state(request.scope)["role"],
        can_create=options.folder is not None,
        suffixes=sorted(SUFFIXES),
        max_files=options.max_files,
        max_upload=options.max_upload,
        max_size=options.max_size,
    )


@router.get("/indexes")
async def list_indexes(server: Server) -> list[IndexView]:
    """The indexes."""
    return [await _index_view(corpus) for corpus in server.library.corpora.values()]


@router.post("/indexes", status_code=201)
async def create_index(body: NameBody, server: Server) -> IndexView:
    """Make an index, in the folder that the server was started with."""
    return await _index_view(await server.library.create(body.name))


@router.get("/indexes/{index}")
async def show_index(corpus: Index) -> IndexView:
    """An index."""
    return await _index_view(corpus)


@router.get("/indexes/{index}/documents")
async def list_documents(corpus: Index) -> list[DocumentView]:
    """The documents of an index."""
    documents = await corpus.qa.read(corpus.names.documents)
    return [
        DocumentView(
            name=name,
            title=each.title,
            characters=each.characters,
            chunks=each.chunks,
            tokens=each.tokens,
            modified=each.modified,
            uploaded=Path(each.source).parent == corpus.uploads,
            is_pdf=name.lower().endswith(".pdf"),
        )
        for name, each in sorted(documents.items())
    ]


@router.post("/indexes/{index}/documents", status_code=202, openapi_extra=_MULTIPART)
async def upload(corpus: Index, server: Server, request: Request) -> Job:
    """Upload files and ingest them. The job reports the state of each file, and why it failed."""
    options = server.options
    paths: list[Path] = []
    refused: list[JobFile] = []
    async with request.form(max_files=options.max_files, max_fields=10) as form:
        files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
        if not files:
            raise BadRequest("the request has no files: send them as multipart/form-data, in the field 'files'")
        for file in files:
            try:
                name = file_name(file.filename)
                paths.append(await save(corpus.uploads, name, _pieces(file), options.max_size))
            except BadRequest as error:
                shown = (file.filename or "?").replace("\\", "/").rsplit("/", 1)[-1][:200]
                refused.append(JobFile(shown, "failed", str(error)))
    return corpus.jobs.start(list(dict.fromkeys(paths)), uploads=True, refused=refused)


@router.get("/indexes/{index}/documents/{name:path}/text")
async def read_text(corpus: Index, name: str, start: int = 0, end: int | None = None) -> TextView:
    """A document's text, or its characters from `start` to `end`."""
    return await corpus.qa.read(lambda: text_view(corpus, name, start, end))


@router.get("/indexes/{index}/documents/{name:path}/file")
async def download(corpus: Index, name: str) -> Response:
    """The file that a document was made from. It is always a download, whatever is in it."""
    own, data = await _file(corpus, name)
    kind = "application/pdf" if own.lower().endswith(".pdf") else "application/octet-stream"
    disposition = f"attachment; filename*=utf-8''{quote(own, safe='')}"
    return Response(data, media_type=kind, headers={"content-disposition": disposition})


@router.get("/indexes/{index}/documents/{name:path}/pages/{page}", response_class=Response)
async def show_page(corpus: Index, name: str, page: int, width: int = 1000) -> Response:
    """A page of a PDF as a picture."""
    data = await pdf.picture(*await _file(corpus, name), page, min(max(width, 200), 2400))
    return Response(data, media_type="image/png", headers={"cache-control": "private, max-age=300"})


@router.get("/indexes/{index}/documents/{name:path}/pages/{page}/marks")
async def show_marks(corpus: Index, name: str, page: int, start: int, end: int) -> MarksView:
    """Where the characters from `start` to `end` of a PDF's text stand on one of its pages."""
    view = await corpus.qa.read(lambda: text_view(corpus, name, start, end))
    pages, rectangles = await pdf.marks(*await _file(corpus, name), page, view.text)
    return MarksView(pages=pages, rectangles=rectangles)


@router.delete("/indexes/{index}/documents/{name:path}", status_code=204)
async def delete_document(corpus: Index, name: str) -> None:
    """Take a document out of an index. A file that was uploaded is deleted, another one is left alone."""

    def remove() -> None:
        source = corpus.names.source(name)
        corpus.index.remove(source, wait=_PATIENCE)
        corpus.names.forget()
        if Path(source).parent == corpus.uploads:
            Path(source).unlink(missing_ok=True)

    await anyio.to_thread.run_sync(remove)


@router.get("/indexes/{index}/jobs")
async def list_jobs(corpus: Index) -> list[Job]:
    """The ingests, oldest first."""
    return corpus.jobs.all()


@router.get("/indexes/{index}/jobs/{job}")
async def show_job(corpus: Index, job: str) -> Job:
    """An ingest."""
    return _job(corpus, job)


@router.get("/indexes/{index}/jobs/{job}/events", response_class=StreamingResponse)
async def follow_job(corpus: Index, job: str) -> EventResponse:
    """An ingest as server-sent events, each of them the whole job, until it is over."""
    found = _job(corpus, job)

    async def events() -> AsyncIterator[str]:
        async for now in corpus.jobs.follow(found):
            yield event(asdict(now), "job")

    return EventResponse(events())


@router.delete("/indexes/{index}/jobs/{job}", status_code=202)
async def cancel_job(corpus: Index, job: str) -> Job:
    """Stop an ingest. Documents that are finished stay in the index."""
    found = _job(corpus, job)
    corpus.jobs.cancel(found.id)
    return found


def text_view(corpus: Corpus, name: str, start: int, end: int | None) -> TextView:
    """Read a document's text, or a part of it.

    Args:
        corpus: The index.
        name: The document's name.
        start: The first character.
        end: The character after the last; None, and what is beyond it, is the end of the text.

    Returns:
        The text. Raises NotThere if there is no such document.

    Raises:
        BadRequest: For a part that is not in the text.
    """
    source = corpus.names.source(name)
    text = corpus.index.text(source)
    last = len(text) if end is None else min(end, len(text))
    if not 0 <= start <= last:
        raise BadRequest(
            f"characters {start} to {'the end' if end is None else end} are not in {name!r}: it has {len(text):,}"
        )
    title = corpus.names.documents()[corpus.names.of(source)].title
    return TextView(
        name=corpus.names.of(source), title=title, characters=len(text), start=start, end=last, text=text[start:last]
    )


async def _index_view(corpus: Corpus) -> IndexView:
    info = await corpus.qa.read(corpus.index.info)
    facts = {name: getattr(info, name) for name in IndexView.model_fields if name != "name"}
    if facts["encoder"] is not None:
        facts["encoder"] = str(facts["encoder"]).rstrip("/").rsplit("/", 1)[-1]
    return IndexView(name=corpus.name, **facts)


async def _file(corpus: Corpus, name: str) -> tuple[str, bytes]:
    """The name and the bytes of a document's file. Raises NotThere if it is not that file any more."""

    def read() -> tuple[str, bytes]:
        source = corpus.names.source(name)
        try:
            data = corpus.files.read(source)
        except UnreadableFile as error:
            raise NotThere(f"the file of {name!r} cannot be shown, only its text: {error.reason}") from error
        return PurePath(source).name, data

    return await anyio.to_thread.run_sync(read)


def _job(corpus: Corpus, identifier: str) -> Job:
    job = corpus.jobs.find(identifier)
    if job is None:
        raise NotThere(f"there is no job {identifier[:40]!r}: list them first")
    return job


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(_BLOCK):
        yield piece
