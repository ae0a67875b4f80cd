"""Reading uses no network and leaves nothing behind: no query, no connection, no file outside the index."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import docx
import pptx
import pypdf
import pytest
from flat_document import flat
from hand_made_pdf import text_pdf
from made_office import workbook
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from saved_file import saved, zipped

from indexes.readers.registry import SUFFIXES

OFFLINE = Path(__file__).with_name("offline.py")
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {},
    "cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["some text"]}],
}
# Every package that reading loads. A further one is looked at first: does it, or what it loads, use the network?
LIBRARIES = {
    *(
        "PIL",
        "cffi",
        "_cffi_backend",
        "cryptography",
        "defusedxml",
        "et_xmlfile",
        "fontTools",
        "lazy_loader",
        "lxml",
        "numpy",
    ),
    *("charset_normalizer", "openpyxl", "pdfminer", "pptx", "pypdf", "typing_extensions", "xlsxwriter"),
    "_distutils_hack",  # setuptools', in every process where it is installed
}


def pdf() -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(text_pdf("some text")))
    writer.encrypt("", algorithm="AES-256")
    return saved(writer)


def word() -> bytes:
    file = docx.Document()
    file.add_heading("some text", 1)
    return saved(file)


def slides() -> bytes:
    file = pptx.Presentation()
    slide = file.slides.add_slide(file.slide_layouts[5])
    slide.shapes.title.text = "some text"
    slide.notes_slide.notes_text_frame.text = "notes"
    chart = CategoryChartData()
    chart.categories = ["East"]
    chart.add_series("S1", (1.5,))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9, 9, chart)
    return saved(file)


def sheets() -> bytes:
    return saved(workbook([["some text", 1.5]]))


def book() -> bytes:
    package = '<package><manifest><item id="a" href="a.html" media-type="text/html"/></manifest><spine><itemref idref="a"/></spine></package>'
    container = '<container><rootfile full-path="p.opf"/></container>'
    return zipped({"META-INF/container.xml": container, "p.opf": package, "a.html": "<p>some text"})


def open_document() -> bytes:
    urn = "urn:oasis:names:tc:opendocument:xmlns:"
    body = "<o:body><o:text><t:p>some text</t:p></o:text></o:body>"
    content = f'<o:document-content xmlns:o="{urn}office:1.0" xmlns:t="{urn}text:1.0">{body}</o:document-content>'
    return zipped({"content.xml": content, "styles.xml": "<s/>", "META-INF/manifest.xml": "<m/>"})


def flat_document() -> bytes:
    return flat("<office:text><text:p>some text</text:p></office:text>").encode()


MADE = {
    ".epub": book,
    **dict.fromkeys((".odt", ".ott", ".ods", ".odp", ".ots", ".otp"), open_document),
    **dict.fromkeys((".fodt", ".fods", ".fodp"), flat_document),
    **dict.fromkeys((".docx", ".docm", ".dotx", ".dotm"), word),
    ".ipynb": lambda: json.dumps(NOTEBOOK).encode(),
    ".json": lambda: b'["some text"]',
    ".jsonl": lambda: b'["some text"]\n',
    ".ndjson": lambda: b'["some text"]\n',
    ".pdf": pdf,
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"), slides),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xltm"), sheets),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each suffix that is read."""
    folder = tmp_path_factory.mktemp("every-format")
    for suffix in SUFFIXES:
        (folder / f"a{suffix}").write_bytes(MADE[suffix]() if suffix in MADE else f"some text {suffix}\n".encode())
    return folder


def run(script: str, *arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a script without a network, with every folder that a program might write to in `home`, which is empty."""
    home.mkdir()
    environment = {name: str(home) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    environment["PATH"] = os.environ["PATH"]
    environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, OFFLINE, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)


def test_who_opens_an_internet_socket_is_killed(tmp_path: Path) -> None:
    """Otherwise the tests below would show nothing. In native code too: the lookup is the C library's."""
    probe = run(
        f"import sys; sys.path[:0] = [{str(OFFLINE.parent)!r}]; import offline; print(offline.cut_network())",
        home=tmp_path / "a",
    )
    if probe.stdout != "True\n":
        pytest.skip("this system has no seccomp")
    for number, script in enumerate(
        (
            "import socket; socket.socket()",
            "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', 'import socket; socket.socket()']).returncode)",
            "import ctypes; ctypes.CDLL(None).socket(10, 2, 0)",
            "import socket; socket.getaddrinfo('example.org', 80)",
        )
    ):
        assert run(script, home=tmp_path / str(number)).returncode in (-signal.SIGSYS, 256 - signal.SIGSYS), script


def test_an_ingest_of_every_format(corpus: Path, tmp_path: Path) -> None:
    done = run(
        """
        import sys
        import numpy as np
        from indexes import CorpusIndex

        class Encoder:
            name, fingerprint, max_tokens, languages = "constant", "1", 60, None

            def token_offsets(self, texts):
                return [[(0, len(text))] for text in texts]

            def encode_passages(self, texts):
                return np.full((len(texts), 4), 0.5, dtype=np.float32)

        with CorpusIndex.open(sys.argv[1], Encoder()) as index:
            report = index.ingest(sys.argv[2])
        print(report.added, report.failed)
        """,
        *(tmp_path / "index", corpus),
        home=tmp_path / "home",
    )
    assert (done.returncode, done.stdout) == (0, f"{len(SUFFIXES)} ()\n"), done.stderr
    assert list((tmp_path / "home").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"home", "index"}


def test_only_libraries_that_are_known_read_files(corpus: Path, tmp_path: Path) -> None:
    """As the child process reads, but in one whose modules can be seen; its calls of `socket` are recorded."""
    done = run(
        """
        import json, sys
        from pathlib import Path

        calls = []
        sys.addaudithook(lambda event, _: event.startswith("socket.") and calls.append(event))
        from indexes.readers.base import DEFAULT_LIMITS
        from indexes.readers.registry import read_here

        for path in sorted(Path(sys.argv[1]).iterdir()):
            assert "some text" in read_here(path.suffix, path.read_bytes(), DEFAULT_LIMITS).text, path
        files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
        installed = sorted({name.partition(".")[0] for name, file in files.items() if "site-packages" in file})
        print(json.dumps([installed, calls]))
        """,
        corpus,
        home=tmp_path / "home",
    )
    assert done.returncode == 0, done.stderr
    installed, calls = json.loads(done.stdout)
    assert {"lxml", "openpyxl", "pptx", "pypdf"} <= set(installed)
    assert set(installed) - LIBRARIES == set()
    assert calls == []
    assert list((tmp_path / "home").iterdir()) == []
