"""Thinking models: telling thoughts from the answer in what a model writes."""

from __future__ import annotations

from collections.abc import Iterator

from longctx.prompts.thinking_tags import (
    BEFORE_CHANNEL,
    CHANNEL,
    CLOSES_ALONE,
    CLOSING_OF,
    DROPPED,
    END,
    HEADERS,
    LONGEST_CHANNEL,
    TAG,
    TAG_BEGUN,
    TURN_ENDS,
    WRAPPED,
    closing_by_name,
)
from longctx.types import Thought

_UNMARKED, _UNMARKED_CLOSE = ("analysis", "commentary"), "assistantfinal"  # gpt-oss's, where a server drops its tokens
_QUOTES = frozenset("`'\"‘’“”«»「」『』")  # a tag between two of them is talked about
_FENCE = "```"
_PAIRED = {"‘": "’", "“": "”", "«": "»", "「": "」", "『": "』"}
_LOWER_HEADERS = tuple(header.lower() for header in HEADERS)


class ThoughtSplitter:
    """Tells thoughts from the answer in text that comes piece by piece.

    A tag opens thoughts at the beginning of the text only, or behind other thoughts, so that an answer about such tags,
    or a document that is quoted in it, is left whole. Once it has opened thoughts, it does so at the beginning of later
    lines, too, outside blocks of code: there are models that think again in the midst of their answer.

    Args:
        opened: The tag that the prompt has opened, if it has.
        hold: Whether to hold the text back until it is clear that a closing tag without an opening one comes or not.

    Attributes:
        inside: Whether the text so far ends in thoughts.
        taken_back: Whether a closing tag has shown that what was given out as the answer were thoughts.
        opened_unseen: Whether it was the prompt that opened the thoughts.
    """

    def __init__(self, opened: str | None = None, *, hold: bool = False) -> None:
        self.inside = opened is not None
        self.taken_back = False
        self.opened_unseen = self.inside
        self._opening = opened.lower() if opened else ""
        self._closing = CLOSING_OF[self._opening] if opened else ""
        self._hold = hold
        self._rest = ""  # not given out yet
        self._answer = ""  # given out, while it may turn out to be thoughts
        self._given = ""  # of the answer, given out
        self._thought = ""  # the thoughts that the text is in, as far as they are given out
        self._seen = self.inside  # a tag, or enough to know that there is none in the prompt
        self._nested = False  # whether thoughts hold their opening tag once more
        self._at_start = True  # of the answer: blanks and headers are left out
        self._dropped: tuple[str, ...] = DROPPED

    @property
    def closing(self) -> str:
        """Text that closes the thoughts that the text is in, and begins the answer."""
        if self._closing == END:  # of a message in gpt-oss's format, where the answer is another message
            return f"{END}{HEADERS[0]}{HEADERS[1]}"
        return f"\n{self._closing}\n\n"

    def told_apart(self) -> None:
        """Note that thoughts come apart from the text: there are none in it."""
        self.inside, self._hold, self._seen = False, False, True

    def add(self, piece: str) -> Iterator[str]:
        """Take one more piece.

        Args:
            piece: Text of the model.

        Yields:
            Text that no later piece can change: `Thought` for thoughts, plain strings for the answer.
        """
        self._rest += piece
        while True:
            before = (self._rest, self.inside, self._at_start)
            yield from self._step()
            if (self._rest, self.inside, self._at_start) == before:
                return

    def finish(self, *, cut: bool = False) -> Iterator[str]:
        """End the text.

        Args:
            cut: Whether it ended for its length.

        Yields:
            What was held back.
        """
        rest, self._rest = self._rest, ""
        if self._hold and cut and not self._seen:
            self.inside = True
        if rest.strip() or not self._at_start:
            text = Thought(rest) if self.inside else _without(rest[: _turn_end(rest)], self._dropped)
            if text:
                yield text

    def _step(self) -> Iterator[str]:
        if self.inside:
            yield from self._thoughts()
        elif self._at_start:
            self._start()
        else:
            yield from self._answering()

    def _thoughts(self) -> Iterator[str]:
        lower = self._rest.lower()
        ends = (self._closing.lower(), *_LOWER_HEADERS)  # gpt-oss may begin its answer without an end of its thoughts
        opens = tuple(opening for opening, closes in CLOSING_OF.items() if closes == self._closing)
        found = [(at, end) for end in ends if (at := lower.find(end)) >= 0]
        at, closing = min(found, default=(len(lower) - _begun(lower, (*ends, *opens)), ""))
        quote = _open_quote(self._thought + self._rest[:at]) if closing else ""
        if quote and len(self._rest) == at + len(closing):
            return  # until it is clear whether the quotation ends behind the tag
        if quote and self._rest.startswith(quote, at + len(closing)):
            at, closing = at + len(closing), ""  # the tag is talked about
        if at:
            self._nested |= any(tag in lower[:at] for tag in opens)
            self._thought += self._rest[:at]
            yield Thought(self._rest[:at])
        self._rest = self._rest[at:]
        if closing:
            self._thought = ""
            self._rest = self._rest[len(closing) if closing == ends[0] else 0 :]
            self.inside, self._at_start = False, True
            self._seen = not self._nested  # or what closed were the inner thoughts, and the outer go on

    def _start(self) -> None:
        """What an answer begins with: blanks, a tag, a header, or words."""
        text = self._rest.lstrip()
        lower = text.lower()
        left = CLOSES_ALONE if self._seen else ()  # of thoughts that came apart from the text
        tag = next((opening for opening in CLOSING_OF if lower.startswith(opening)), None)
        header = next((header for header in (*_LOWER_HEADERS, *WRAPPED, *left) if lower.startswith(header)), None)
        closing = CLOSING_OF[tag] if tag is not None else None
        if channel := CHANNEL.match(lower):
            tag, header, closing = (None, channel[0], None) if channel[1] == "final" else (channel[0], None, END)
        if tag is None and (found := TAG.match(text)) and (closing := closing_by_name(found)):
            tag = found[0]
        if tag is not None and closing is not None:
            self._rest, self._opening, self._closing = text[len(tag) :], tag.lower(), closing
            self.inside = self._seen = True
        elif header is not None:
            self._rest = text[len(header) :]
            self._dropped += (WRAPPED[header],) if header in WRAPPED else ()
        elif text and not (
            any(known.startswith(lower) for known in (*CLOSING_OF, *_LOWER_HEADERS, *BEFORE_CHANNEL, *left))
            or (lower.startswith(BEFORE_CHANNEL) and len(lower) < LONGEST_CHANNEL)
            or TAG_BEGUN.match(text)
        ):
            self._rest, self._at_start = text, False

    def _answering(self) -> Iterator[str]:
        watched = (*self._dropped, *TURN_ENDS)
        if not self._seen:
            lower = self._rest.lower()
            unmarked = (self._answer + self._rest).lower().startswith(_UNMARKED)
            alone = (*CLOSES_ALONE, _UNMARKED_CLOSE) if unmarked else CLOSES_ALONE
            closes = [(at, tag) for tag in alone if (at := lower.find(tag)) >= 0 and self._is_alone(at, tag)]
            if closes:
                at, tag = min(closes)
                self.taken_back, self.opened_unseen = bool(self._answer), self.opened_unseen or not self._nested
                yield Thought(self._answer + self._rest[:at])
                self._answer, self._rest = "", self._rest[at + len(tag) :]
                self._seen = self._at_start = True
                return
            if self._hold:
                return
            watched = (*watched, *(f"{tag}\0" for tag in alone))  # and the character behind the tag
        again = self._opening_again
        at = self._rest.lower().find(again) if again else -1
        begun = _begun(self._rest, (*watched, again) if again else watched)
        end = at + 1 if at >= 0 else _turn_end(self._rest[: len(self._rest) - begun])
        if text := _without(self._rest[:end], self._dropped):
            self._answer += "" if self._seen else text
            self._given += text
            yield text
        self._rest = self._rest[end:]
        if at >= 0 and self._given.count(_FENCE) % 2 == 0:
            self._rest, self.inside = self._rest[len(again) - 1 :], True

    @property
    def _opening_again(self) -> str:
        """What opens thoughts in the midst of an answer: at the beginning of a line, the tag that has opened them."""
        is_tag = self._opening.startswith(("<", "[", "◁")) and self._closing != END
        return f"\n{self._opening}" if is_tag and self._seen and not self.taken_back else ""

    def _is_alone(self, at: int, closing: str) -> bool:
        """Whether a closing tag has no tag before it that opens it, and no quotation marks about it."""
        before, behind = (self._answer + self._rest[:at]).lower(), self._rest[at + len(closing) :][:1]
        if before[-1:] in _QUOTES and (not behind or behind in _QUOTES):
            return False
        return not any(closes.lower() == closing and opens in before for opens, closes in CLOSING_OF.items())


def _open_quote(text: str) -> str:
    """What ends the quotation in whose beginning a text ends; empty if it ends in none."""
    mark, line = text[-1:], text.rpartition("\n")[2]
    if mark in _PAIRED:
        return _PAIRED[mark]
    return mark if mark in _QUOTES and mark and line.count(mark) % 2 else ""


def without_thoughts(text: str) -> str:
    """A text of a model without its thoughts.

    Args:
        text: The text, such as an answer in the history of a conversation.

    Returns:
        The answer in it.
    """
    splitter, answer = ThoughtSplitter(), ""
    for piece in (*splitter.add(text), *splitter.finish()):
        if isinstance(piece, Thought):
            answer = "" if splitter.taken_back else answer
        else:
            answer += piece
    return answer


def _begun(text: str, strings: tuple[str, ...]) -> int:
    """How many characters at the end of a text may be the beginning of one of some strings."""
    lower = text.lower()
    starts = (string.lower()[:size] for string in strings for size in range(1, len(string)))
    return max((len(start) for start in starts if lower.endswith(start)), default=0)


def _turn_end(text: str) -> int:
    """Where the tokens begin that end the turn at the end of a text; its length if there are none."""
    end = at = len(text)
    while True:
        while at and text[at - 1].isspace():
            at -= 1
        token = next((token for token in TURN_ENDS if text.endswith(token, 0, at)), None)
        if token is None:
            return end
        end = at = at - len(token)


def _without(text: str, strings: tuple[str, ...]) -> str:
    for string in strings:
        text = text.replace(string, "")
    return text
