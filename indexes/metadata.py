"""`Metadata`: the metadata of a document, as an immutable mapping."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from indexes.errors import CorpusError


class Metadata(Mapping[str, Any]):
    """An immutable mapping of names to JSON values: text, numbers, booleans, None, lists and objects of them.

    It holds its JSON text, and parses it on access. So it costs a search nothing, it is hashable, and changing a list
    that it returned does not change it. It equals a dict with the same content.

    >>> Metadata({"author": "Natsume Sōseki", "year": 1905})["year"]
    1905
    """

    __slots__ = ("json",)

    json: str

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        """Raises CorpusError for what is not JSON, such as a name that is not text, a date, or NaN."""
        given = dict(values or {})
        if odd := [name for name in given if not isinstance(name, str)]:
            raise CorpusError(f"the metadata have a name that is not text, {odd[0]!r}: write it as text")
        try:
            text = json.dumps(given, ensure_ascii=False, allow_nan=False, sort_keys=True)
            text.encode()  # half a surrogate pair is no text
        except (TypeError, ValueError, RecursionError) as error:
            raise CorpusError(
                f"the metadata {given!r:.200} are no JSON ({error}): write such values as text"
            ) from error
        object.__setattr__(self, "json", text)

    @classmethod
    def parse(cls, text: str) -> Metadata:
        """Restore metadata without parsing them.

        Args:
            text: The JSON text of an object, from the attribute `json`.

        Returns:
            The metadata.
        """
        made = cls.__new__(cls)
        object.__setattr__(made, "json", text)
        return made

    def __getitem__(self, name: str) -> Any:
        return self._values()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __hash__(self) -> int:
        return hash(self.json)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Metadata cannot be changed: make another, Metadata({{**old, {name!r}: ...}})")

    def __reduce__(self) -> tuple[Any, ...]:
        return Metadata.parse, (self.json,)

    def __repr__(self) -> str:
        return f"Metadata({self._values()!r})"

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.json)
        return values


NO_METADATA = Metadata()
