"""Files of the user's own that Python finds in the place of packages that longctx needs."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

_OURS = ("indexes", "rope_scaling")
_NEEDED = (  # every question and every ingest needs these, or some of them
    *("faiss", "filelock", "httpx2", "huggingface_hub", "lazy_loader", "llama_index", "lxml", "numpy", "openpyxl"),
    *("pathspec", "pdfminer", "pptx", "prompt_toolkit", "py3langid", "pydantic", "pypdf", "regex", "rich"),
    *("safetensors", "sentence_transformers", "sentencepiece", "sudachipy", "tantivy", "tokenizers", "torch"),
    *("transformers", "typer"),
)


def refuse_hidden_packages() -> None:
    """Refuse to go on where the first folder of the import path has a module with the name of a package that is needed.

    That folder is the script's, or the working folder. Without this, the first import from the package fails, and the
    error does not say why.

    Raises:
        ImportError: If there is such a module. It names the file.
    """
    first, ours = Path(sys.path[0] if sys.path else ""), Path(__file__).parents[1]
    for package in (*_OURS, *_NEEDED):
        for file in (first / f"{package}.py", first / package / "__init__.py"):
            if not file.is_file():
                continue
            behind = first.resolve() != ours if package in _OURS else PathFinder.find_spec(package, sys.path[1:])
            if behind:
                here = (file if file.stem == package else file.parent).resolve()
                raise ImportError(f"longctx needs the package {package}, and {here} is found instead: rename it")
