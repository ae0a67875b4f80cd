"""Conversion between llama-index's nodes and the rows of the store, and from chunks of files to nodes.

A node's text is stored as a chunk's is, and the rest of the node as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MetadataMode,
    Node,
    NodeRelationship,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)

from indexes.errors import CorpusError
from indexes.metadata import Metadata
from indexes.types import Chunk, ChunkPosition, DocumentInfo, Vectors

_CLASSES: dict[str, type[BaseNode]] = {
    kind.class_name(): kind for kind in (Document, ImageDocument, ImageNode, IndexNode, Node)
}
PLACE_KEYS = ("heading", "page", "line", "start", "end")
_OF_NO_USE = ("line", "start", "end", "modified", "shifts")
_REF_DOC_KEYS = ("document_id", "doc_id", "ref_doc_id")  # filters may ask for them, as in llama-index's own store
COMPUTED_KEYS = frozenset((*PLACE_KEYS, *_REF_DOC_KEYS))  # that filters see and that are not in a file's metadata
_TITLE_KEYS = ("title", "document_title", "file_name")
_HEADING_KEYS = ("heading", "header_path")
_PAGE_KEYS = ("page", "page_label")


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node as it is stored: `metadata` and `rest` are JSON, `rest` without text, metadata and embedding.

    `document` is its ref_doc_id, or its own id where it has none: nodes of one document are kept together.
    """

    node_id: str
    document: str
    text: str
    metadata: str
    rest: str


def record(node: BaseNode) -> NodeRecord:
    """Convert a node for storage. Raises CorpusError for one that cannot be written as JSON in UTF-8."""
    text = node.get_content(MetadataMode.NONE)
    try:
        data = node.model_dump(mode="json", exclude={"embedding"})
        data.pop("text", None)
        if data.get("text_resource"):
            data["text_resource"]["text"] = None
        metadata = json.dumps(data.pop("metadata"))
        kept = NodeRecord(node.node_id, node.ref_doc_id or node.node_id, text, metadata, json.dumps(data))
        "".join((kept.text, kept.node_id, kept.document)).encode()
    except ValueError as error:  # pydantic's PydanticSerializationError and UnicodeEncodeError are ValueErrors
        raise CorpusError(f"the node {node.node_id!r} cannot be stored: {error}") from error
    return kept


def restore(kept: NodeRecord) -> BaseNode:
    """The node that was stored, without its embedding."""
    data: dict[str, Any] = json.loads(kept.rest)
    data["metadata"] = json.loads(kept.metadata)
    if "text_resource" not in data:
        data["text"] = kept.text
    elif data["text_resource"] is not None:
        data["text_resource"]["text"] = kept.text
    kind = _CLASSES.get(data.get("class_name", ""), TextNode)
    return kind.from_dict(data)


def filterable(metadata: Mapping[str, Any], ref_doc_id: str | None) -> dict[str, Any]:
    """The metadata that a filter sees: a node's own, and its document's id under the names that llama-index gives."""
    return {**metadata, **dict.fromkeys(_REF_DOC_KEYS, ref_doc_id or "None")}


def passage_metadata(of: Chunk | DocumentInfo) -> dict[str, Any]:
    """The metadata that all passages of a file share as nodes."""
    return {**json.loads(of.metadata.json), "source": of.source, "title": of.title, "modified": of.modified}


def place_metadata(of: Chunk | ChunkPosition) -> dict[str, Any]:
    """The metadata of a passage's position in its file, under `PLACE_KEYS`."""
    return {key: getattr(of, key) for key in PLACE_KEYS}


def chunk_node(chunk: Chunk) -> TextNode:
    """Convert a file's passage to a node.

    Args:
        chunk: The passage.

    Returns:
        The node, whose metadata have `shifts` where the text was put right.
    """
    metadata = passage_metadata(chunk) | place_metadata(chunk)
    if chunk.shifts:
        metadata["shifts"] = [list(shift) for shift in chunk.shifts]
    # What the passage is about helps a model or an encoder; character offsets, or a page that there is not, do not.
    of_no_use = [key for key, value in metadata.items() if key in _OF_NO_USE or value in (None, "")]
    return TextNode(
        id_=f"{chunk.source}#{chunk.start}-{chunk.end}",  # see parse_chunk_node_id
        text=chunk.text,
        metadata=metadata,
        start_char_idx=chunk.start,
        end_char_idx=chunk.end,
        excluded_embed_metadata_keys=of_no_use,
        excluded_llm_metadata_keys=of_no_use,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=chunk.source, node_type=ObjectType.DOCUMENT)},
    )


def parse_chunk_node_id(node_id: str) -> tuple[str, int, int] | None:
    """(source, start, end) of a file's passage; None for an id that is not made so."""
    source, _, place = node_id.rpartition("#")
    start, dash, end = place.partition("-")
    return (source, int(start), int(end)) if dash and start.isdecimal() and end.isdecimal() else None


def describe(metadata: Mapping[str, Any]) -> tuple[str, str, int | None]:
    """Title, heading and page, from the keys by which llama-index's readers name them."""
    page = next((str(metadata[key]) for key in _PAGE_KEYS if key in metadata), "")
    number = int(page) if page.isdecimal() and len(page) < 10 else 0
    return _first(metadata, _TITLE_KEYS), _first(metadata, _HEADING_KEYS).strip("/"), number or None


def common_metadata(records: Sequence[NodeRecord]) -> Metadata:
    """The metadata that all nodes of a document share."""
    parsed = [json.loads(text) for text in {each.metadata for each in records}]
    common = {key: value for key, value in parsed[0].items() if all(key in m and m[key] == value for m in parsed)}
    return Metadata({key: value for key, value in common.items() if _is_json(key) and _is_json(value)})


def unit_vector(values: Sequence[float], dimension: int, what: str) -> Vectors:
    """Scale a vector to length 1, so that inner products are cosines.

    Args:
        values: The vector.
        dimension: The dimension that it must have.
        what: What the vector is, for the message of an error.

    Returns:
        (dimension,) float32.

    Raises:
        CorpusError: If it has another dimension, or its length is 0 or not finite.
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (dimension,):
        raise CorpusError(
            f"{what} has {vector.size} numbers and this index's encoder makes {dimension}: embed with the index's own "
            "encoder (`embed_model=store.embed_model`), or open an index with the encoder that you embed with"
        )
    norm = np.linalg.norm(vector)
    if not 0 < norm < np.inf:
        raise CorpusError(f"{what} has the length {norm}: an embedding is finite and not all zeros")
    unit: Vectors = (vector / norm).astype(np.float32)
    return unit


def _is_json(value: object) -> bool:
    """Whether a value is valid JSON: no NaN, and no half of a surrogate pair."""
    try:
        Metadata({"value": value})
    except CorpusError:
        return False
    return True


def _first(metadata: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The first of the values that is text."""
    values = (metadata.get(key) for key in keys)
    return next((value for value in values if isinstance(value, str) and value and _is_json(value)), "")
