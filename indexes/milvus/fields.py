"""The fields of a collection of Milvus, and what is noted of the whole of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from indexes.errors import CorpusError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

LONGEST = 65_535  # bytes of a text in Milvus


@dataclass(frozen=True, slots=True)
class Note:
    """What is noted of a whole collection.

    Attributes:
        encoder: The name of the encoder of its vectors.
        fingerprint: The encoder's fingerprint.
        analysis: The version of the text analysis that its terms are of.
        average: The mean length of a passage, in terms, by which its weights were made.
        averaged: How many passages there were then.
        passages: How many there are.
        languages: How many there are in each language.
    """

    encoder: str
    fingerprint: str
    analysis: int
    average: float
    averaged: int
    passages: int = 0
    languages: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, shown: str) -> Note:
        """Parse a note.

        Args:
            text: The note as JSON.
            shown: The address of the collection, for messages.

        Returns:
            The note.

        Raises:
            CorpusError: If another version of longctx has written it.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise CorpusError(
                f"{shown} is a collection of another version of longctx: upgrade longctx, or give another name behind #"
            ) from error


def term_fields() -> dict[str, Any]:
    """The fields of a collection of terms; Milvus wants a vector in each."""
    from pymilvus import DataType

    return {"id": DataType.INT64, "term": DataType.VARCHAR, "count": DataType.INT64, "dense": 2}


def passage_fields(dimension: int) -> dict[str, Any]:
    """The fields of a collection of passages whose vectors have so many dimensions."""
    from pymilvus import DataType

    numbers = ("id", "document", "number", "page", "line", "start", "end", "tokens")
    texts = ("state", "source", "names", "title", "folded", "heading", "language", "modified", "text")
    fields: dict[str, Any] = dict.fromkeys(numbers, DataType.INT64) | dict.fromkeys(texts, DataType.VARCHAR)
    fields |= {"metadata": DataType.JSON, "layout": DataType.JSON}
    return {**fields, "dense": dimension, "sparse": DataType.SPARSE_FLOAT_VECTOR}


def make(client: MilvusClient, name: str, fields: dict[str, Any]) -> None:
    """Make a collection if there is none.

    Args:
        client: The connection.
        name: Its name.
        fields: The type of each field; of "dense", the dimension.
    """
    from pymilvus import DataType

    if client.has_collection(name):
        return
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    indexes = client.prepare_index_params()
    for each, kind in fields.items():
        if each == "dense":
            schema.add_field(each, DataType.FLOAT_VECTOR, dim=kind)
            indexes.add_index(each, index_type="AUTOINDEX", metric_type="IP")
        elif kind == DataType.VARCHAR:
            schema.add_field(each, kind, max_length=LONGEST)
        else:
            schema.add_field(each, kind, is_primary=each == "id")
    if "sparse" in fields:
        indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    client.create_collection(name, schema=schema, index_params=indexes, consistency_level="Strong")
