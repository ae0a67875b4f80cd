"""Equations in MathML as one line of text, such as `E=mc^2` or `(a+b)/2`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

SCRIPT_END = "\u2063"  # Unicode's separator that is not seen
_SCRIPT_ENDS = re.compile(rf"{SCRIPT_END}+(?=([^\W_]|[√∑∏∫])?)")

_LEFT_OUT = frozenset({"annotation", "annotation-xml", "maction", "mphantom", "none", "mprescripts"})


class MathText:
    """The text of an equation, built from the events of a parser."""

    def __init__(self) -> None:
        self._open: list[tuple[str, list[str]]] = [("math", [])]

    def start(self, tag: str) -> None:
        """Begin an element inside the equation.

        Args:
            tag: Its name in MathML.
        """
        self._open.append((tag, []))

    def data(self, text: str) -> None:
        """Add characters.

        Args:
            text: The characters.
        """
        tag, parts = self._open[-1]
        parts.append(text if tag == "mtext" else "".join(text.split()))

    def end(self) -> None:
        """End the element that was begun last."""
        if len(self._open) > 1:
            tag, parts = self._open.pop()
            self._open[-1][1].append("" if tag in _LEFT_OUT else _RULES.get(tag, "".join)(parts))

    def text(self) -> str:
        """Return the equation's text."""
        while len(self._open) > 1:
            self.end()
        return spaced("".join(self._open[0][1]))


def spaced(text: str) -> str:
    """Put a space behind each script that a letter or a number follows, as in `a_1 b`.

    Args:
        text: An equation, with `SCRIPT_END` behind scripts.

    Returns:
        The equation without it.
    """
    return _SCRIPT_ENDS.sub(lambda ends: " " if ends[1] else "", text)


def _argument(text: str) -> str:
    """An argument, in parentheses where it is longer than a character or a number."""
    text = text.removesuffix(SCRIPT_END)
    return text if len(text) < 2 or text.replace(".", "").isdecimal() else f"({text})"


def _scripts(*marks: str) -> Callable[[Sequence[str]], str]:
    def join(parts: Sequence[str]) -> str:
        arguments = [part for part in parts if part]
        scripts = zip(marks, arguments[1:], strict=False)
        return "".join([*arguments[:1], *(mark + _argument(script) for mark, script in scripts), SCRIPT_END])

    return join


_RULES: dict[str, Callable[[Sequence[str]], str]] = {
    "msup": _scripts("^"),
    "msub": _scripts("_"),
    "msubsup": _scripts("_", "^"),
    "munder": _scripts("_"),
    "mover": _scripts("^"),
    "munderover": _scripts("_", "^"),
    "mfrac": lambda parts: "/".join(_argument(part) for part in parts if part),
    "msqrt": lambda parts: f"√{_argument(''.join(parts))}",
    "mroot": lambda parts: "√".join(_argument(part) for part in reversed([part for part in parts if part])),
    "mtr": ", ".join,
    "mtable": "; ".join,
    "mspace": lambda parts: " ",
}
