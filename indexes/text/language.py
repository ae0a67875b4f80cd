"""Languages by script, and whether an encoder supports them."""

from __future__ import annotations

import re

from indexes.text.normalisation import nfkc

_SCRIPTS = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "zh": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]"),
}
# Han characters alone may be either: an encoder for one of the two reads them.
_SAME_SCRIPT = {"zh": {"zh", "ja"}}


def script_language(text: str) -> str | None:
    """Tell a text's language by its script.

    Args:
        text: The text.

    Returns:
        'ja', 'ko' or 'zh' for text with letters of that script; None for other languages, which share their scripts.
    """
    return next((language for language, script in _SCRIPTS.items() if script.search(text)), None)


def serves(languages: frozenset[str] | None, query: str) -> bool:
    """Tell whether an encoder supports a query's language.

    To fuse a ranking by an encoder that does not is worse than to leave it out: on JSQuAD, recall@1 .38 against .92.

    Args:
        languages: The languages that the encoder was trained for; None if it does not state them.
        query: The query.

    Returns:
        False only if the query's script shows a language that is not among them.
    """
    language = script_language(query)
    return languages is None or language is None or bool(languages & _SAME_SCRIPT.get(language, {language}))


def folded(text: str) -> str:
    """Normalise a text for comparison.

    Args:
        text: The text, such as a title or an answer.

    Returns:
        The text in NFKC, case-folded: the case and the width of letters make no difference.
    """
    return nfkc(text).casefold()
