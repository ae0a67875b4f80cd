"""Languages by script, and which of them an encoder serves."""

from __future__ import annotations

import re
import unicodedata

_SCRIPTS = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "zh": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]"),
}


# Han characters alone may be either: an encoder that knows one of the two reads them.
_SAME_SCRIPT = {"zh": {"zh", "ja"}}


def script_language(text: str) -> str | None:
    """'ja', 'ko' or 'zh' when the text has letters of that script, else None: other languages share theirs."""
    return next((language for language, script in _SCRIPTS.items() if script.search(text)), None)


def serves(languages: frozenset[str] | None, query: str) -> bool:
    """Whether an encoder trained for `languages` (None: it does not say) understands the query's language.

    Fusing a ranking from an encoder that does not is worse than leaving it out: on JSQuAD, recall@1 .38 against .92.
    """
    language = script_language(query)
    return languages is None or language is None or bool(languages & _SAME_SCRIPT.get(language, {language}))


def folded(text: str) -> str:
    """A title as filters compare it: whatever the case and the width of letters."""
    return unicodedata.normalize("NFKC", text).casefold()
