"""`SearchFilter`: which documents a search may find. Knows no index."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from indexes.errors import CorpusError
from indexes.metadata import NO_METADATA, Metadata
from indexes.sources import full_source, lies_in
from indexes.types import DocumentInfo

PATTERN = re.compile(r"[*?\[]")  # what makes a source or a title a pattern


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """What a document must be to be found; every part that is given must hold.

    - `source`: a file, a folder that it lies under, or a pattern (`reports/*.pdf`) of its path. Several: any of them.
    - `title`: its title, or a pattern of it, whatever the case and the width of letters. Several: any of them.
    - `metadata`: names and values that its metadata must have. A list there holds each of its items; text is also the
      number, the boolean or the null that is written so in JSON.
    - `after` and `before`: ISO dates or date-times (UTC unless they say otherwise) between which its file was last
      written, `after` included and `before` not.

    Raises CorpusError for a date that is none.
    """

    source: str | tuple[str, ...] = ()
    title: str | tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default=NO_METADATA)
    after: str | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        for name in ("source", "title"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str | os.PathLike) else tuple(given))
        object.__setattr__(self, "metadata", Metadata(self.metadata))
        for name in ("after", "before"):
            object.__setattr__(self, name, _moment(getattr(self, name)))

    def allows(self, document: DocumentInfo) -> bool:
        """Whether the document may be found."""
        return self.matcher()(document)

    def matcher(self) -> Callable[[DocumentInfo], bool]:
        """`allows`, for many documents: with what it takes from the surroundings taken once."""
        places = [(full_source(wanted), bool(PATTERN.search(wanted))) for wanted in self.source]
        titles = [folded(wanted) for wanted in self.title]

        def allows(document: DocumentInfo) -> bool:
            return (
                (not places or any(_is_source(document.source, *place) for place in places))
                and (not titles or _is_title(folded(document.title), titles))
                and all(_holds(document.metadata, name, value) for name, value in self.metadata.items())
                and (self.after is None or (document.modified is not None and document.modified >= self.after))
                and (self.before is None or (document.modified is not None and document.modified < self.before))
            )

        return allows


def _is_source(source: str, place: str, is_pattern: bool) -> bool:
    return lies_in(source, place) or (is_pattern and fnmatchcase(source, place))


def _is_title(title: str, wanted: Sequence[str]) -> bool:
    return any(title == each or fnmatchcase(title, each) for each in wanted)


def folded(text: str) -> str:
    """A title as filters compare it: whatever the case and the width of letters."""
    return unicodedata.normalize("NFKC", text).casefold()


def _holds(metadata: Metadata, name: str, wanted: Any) -> bool:
    if name not in metadata:
        return False
    value = metadata[name]
    return _equals(value, wanted) or (isinstance(value, list) and any(_equals(item, wanted) for item in value))


def _equals(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and not isinstance(value, str):
        return json.dumps(value) == wanted
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _moment(given: str | None) -> str | None:
    """A date or date-time as `DocumentInfo.modified` is written: a day begins at midnight, UTC."""
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given.strip().replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError) as error:
        raise CorpusError(f"{given!r} is no date: write 2026-11-23, or 2026-11-23T09:30:00") from error
