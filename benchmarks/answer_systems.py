"""The two systems that `bench_answers.py` compares: longctx, and llama-index's default prompt and retrieval."""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT
from llama_index.core.schema import MetadataMode
from same_encoder import SameEncoder
from squad_questions import Asked, Corpus, write_corpus

from indexes import CorpusIndex, SearchFilter
from indexes.encoders import load_encoder
from longctx import AskOptions, DocumentQA, GenerationOptions, ServedModel
from longctx.evaluation import AnswerRecord, RecordedPassage

NEW_TOKENS = 40
PEER_KS = (2, 5)
# How models say in their own words that there is no answer; both systems are judged by it.
REFUSAL = re.compile(
    r"unanswerable|\b(?:do(?:es)?|is|are|can|could|did)(?: not|n['’]t|not)\b.{0,60}?"
    r"\b(?:answer|information|mention|contain|provide|specif|state|say|hold|find|found|context|passage|given)"
    r"|\bno (?:information|answer|mention)|(?:記載|情報|答え|回答|記述|言及|述べ|書か)[^。]{0,20}"
    r"(?:ありません|ない|なし|いません|できません|見つかりません)|[わ分]かりません|不明",
    re.IGNORECASE | re.DOTALL,
)

Answering = Callable[[Asked], AnswerRecord]


class Systems:
    """longctx and llama-index over one split, on one server."""

    def __init__(self, language: str, corpus: Corpus, options: argparse.Namespace) -> None:
        self.corpus, self.options = corpus, options
        self.folder = (options.out / "corpus" / language).absolute()
        if not self.folder.exists():
            write_corpus(corpus, self.folder)
        self.encoder = load_encoder()
        index = CorpusIndex.open(options.out / "index" / language, self.encoder)
        index.ingest(self.folder)
        self.qa = DocumentQA(index, ServedModel.connect(options.model))
        self.peer_model = ServedModel.connect(options.model)  # its token counts are not to correct longctx's

    def of(self, part: str) -> dict[str, Answering]:
        if part == "passages":
            return {"longctx": self.longctx, "llama-index": self.peer}
        peer = self._peer_index()
        return {"longctx": self.longctx_alone} | {f"llama-index k={k}": self._peer_retrieving(peer, k) for k in PEER_KS}

    def longctx(self, asked: Asked) -> AnswerRecord:
        sources = tuple(str(self.folder / f"{i}.md") for i in asked.given)
        return self._ask(asked, AskOptions(route="native", max_new_tokens=NEW_TOKENS, filters=SearchFilter(sources)))

    def longctx_alone(self, asked: Asked) -> AnswerRecord:
        options = AskOptions().updated(**{"max_new_tokens": NEW_TOKENS, **ask_options(self.options.ask)})
        return self._ask(asked, options, self.qa.index.search(asked.question.question, options.k))

    def _ask(self, asked: Asked, options: AskOptions, hits: Sequence[Any] = ()) -> AnswerRecord:
        answer = self.qa.ask(asked.question.question, options)
        return AnswerRecord(
            question=asked.question.question,
            text=answer.text,
            refused=answer.refused or bool(REFUSAL.search(answer.text)),
            citations=tuple(
                RecordedPassage(source=Path(c.source).stem, text=c.text, number=c.number, marked_by=c.marked_by)
                for c in answer.citations
            ),
            unsupported=answer.unsupported,
            hits=tuple(RecordedPassage(source=Path(hit.chunk.source).stem) for hit in hits),
            route_taken=answer.plan.route if answer.plan else "",
            prompt_tokens=answer.usage.prompt_tokens,
            completion_tokens=answer.usage.completion_tokens,
            seconds=answer.usage.seconds,
        )

    def peer(self, asked: Asked) -> AnswerRecord:
        """llama-index's prompt with the same paragraphs, in the order in which longctx writes documents."""
        order = sorted(asked.given, key=lambda i: f"{i}.md")
        contexts = [f"title: {title}\n\n{text}" for title, text in (self.corpus.paragraphs[i] for i in order)]
        return self._complete(asked, contexts, (), time.monotonic())

    def _peer_retrieving(self, index: VectorStoreIndex, k: int) -> Answering:
        def answer(asked: Asked) -> AnswerRecord:
            began = time.monotonic()
            found = index.as_retriever(similarity_top_k=k).retrieve(asked.question.question)
            contexts = [each.node.get_content(metadata_mode=MetadataMode.LLM) for each in found]
            hits = tuple(RecordedPassage(source=str(each.node.ref_doc_id)) for each in found)
            return self._complete(asked, contexts, hits, began)

        return answer

    def _peer_index(self) -> VectorStoreIndex:
        documents = [
            Document(text=text, metadata={"title": title}, id_=str(number))
            for number, (title, text) in enumerate(self.corpus.paragraphs)
        ]
        splitter = SentenceSplitter()
        return VectorStoreIndex.from_documents(
            documents, embed_model=SameEncoder(self.encoder), transformations=[splitter]
        )

    def _complete(
        self, asked: Asked, contexts: Sequence[str], hits: tuple[RecordedPassage, ...], began: float
    ) -> AnswerRecord:
        prompt = DEFAULT_TEXT_QA_PROMPT.format(context_str="\n\n".join(contexts), query_str=asked.question.question)
        [planned] = self.peer_model.counter.count([prompt])
        written = self.peer_model.chat([{"role": "user", "content": prompt}], GenerationOptions(NEW_TOKENS), planned)
        text = "".join(written).strip()
        return AnswerRecord(
            question=asked.question.question,
            text=text,
            refused=bool(REFUSAL.search(text)),
            hits=hits,
            prompt_tokens=written.prompt_tokens,
            completion_tokens=written.completion_tokens,
            seconds=time.monotonic() - began,
        )


def ask_options(given: Sequence[str]) -> dict[str, Any]:
    """Options of `ask`, as NAME=VALUE with a value in JSON, or a text."""
    options: dict[str, Any] = {}
    for name, _, value in (each.partition("=") for each in given):
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
