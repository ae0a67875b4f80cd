"""Each sub-package has a face: what it exports is in its `__init__.pyi`, and nobody outside imports past it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FACES = sorted(
    ".".join(stub.parent.relative_to(ROOT).parts)
    for package in ("indexes", "longctx")
    for stub in (ROOT / package).rglob("__init__.pyi")
)


@pytest.mark.parametrize("face", FACES)
def test_every_name_of_a_face_is_there(face: str) -> None:
    module = import_module(face)
    assert module.__all__, "a face exports something"
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_nobody_imports_past_a_face() -> None:
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in _folders()}
    past = [
        f"{importer} imports {module} past {face}"
        for importer, module in _imports()
        if (face := _face(module, importer, packages)) not in (None, module)
    ]
    assert not past


def _folders() -> Iterator[Path]:
    for package in ("indexes", "longctx", "rope_scaling"):
        yield from (file.parent for file in (ROOT / package).rglob("__init__.py"))


def _imports() -> Iterator[tuple[str, str]]:
    """(importing module, imported module) within the project; a package imports as its own `__init__`."""
    for folder in _folders():
        for file in folder.glob("*.py"):
            importer = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for module in modules:
                    if module.split(".")[0] in ("indexes", "longctx", "rope_scaling"):
                        yield importer, module


def _face(module: str, importer: str, packages: set[str]) -> str | None:
    """The outermost package on the way to a module that the importer is not in, or None; top packages are no rooms."""
    parts = module.split(".")
    ways = (".".join(parts[:length]) for length in range(2, len(parts) + 1))
    return next((way for way in ways if way in packages and not f"{importer}.".startswith(f"{way}.")), None)
