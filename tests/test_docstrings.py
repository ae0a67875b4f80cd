"""What a package exports is documented: its parameters, what it returns, and the fields of its dataclasses, by name."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("rope_scaling", "indexes", "longctx")
PACKAGES = sorted(
    ".".join(init.parent.relative_to(ROOT).parts) for package in OURS for init in (ROOT / package).rglob("__init__.py")
)
_ELSEWHERE = re.compile(r"\b[Ss]ee `[\w.]+`")


@pytest.mark.parametrize("name", PACKAGES)
def test_exports_are_documented(name: str) -> None:
    package = import_module(name)
    missing = []
    for export in getattr(package, "__all__", []):
        exported = getattr(package, export)
        missing += [f"{export}: {what}" for what in _fields_missing(exported)]
        for function in _functions(exported):
            missing += [f"{function.__qualname__}: {what}" for what in _missing(function)]
    assert not missing, "\n".join(sorted(set(missing)))


def _functions(exported: object) -> Iterator[Callable]:
    """A function, or the public methods that a class defines itself; those of a library's base class are its own."""
    if inspect.isfunction(exported):
        yield exported
    elif inspect.isclass(exported):
        theirs = {name for base in exported.__mro__ if base.__module__.split(".")[0] not in OURS for name in vars(base)}
        for name in vars(exported).keys() - theirs:
            method = getattr(exported, name)
            if not name.startswith("_") and (inspect.isfunction(method) or inspect.ismethod(method)):
                yield method


def _missing(function: Callable) -> Iterator[str]:
    """What a docstring leaves out, unless it says where that stands. An override may have that of what it overrides."""
    text = inspect.getdoc(function) or ""
    if _ELSEWHERE.search(text):
        return
    signature = inspect.signature(function)
    named = _names(text, "Args")
    yield from (f"Args: {name}" for name in signature.parameters if name not in (*named, "self"))
    returns_nothing = str(signature.return_annotation) in ("None", "NoReturn")
    says_all_in_a_line = not signature.parameters.keys() - {"self"}
    if not (returns_nothing or says_all_in_a_line or _section(text, "Returns") or _section(text, "Yields")):
        yield "Returns"


def _fields_missing(exported: object) -> Iterator[str]:
    if inspect.isclass(exported) and dataclasses.is_dataclass(exported):
        text = inspect.getdoc(exported) or ""
        named = {*_names(text, "Attributes"), *_names(text, "Args")}
        yield from (f"Attributes: {field.name}" for field in dataclasses.fields(exported) if field.name not in named)


def _names(text: str, title: str) -> list[str]:
    return re.findall(r"^ +\**(\w+):", _section(text, title), re.MULTILINE)


def _section(text: str, title: str) -> str:
    found = re.search(rf"^{title}:\n((?: +.*\n?|\n)*)", text, re.MULTILINE)
    return found[1] if found else ""
